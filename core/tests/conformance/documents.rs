//! Faxes and scanned letters.

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::time::{self, Millis};
use voxea_core::contact::{Contact, Dedup, Flag, Joining};
use voxea_core::request::{Patch, Status};

use crate::place::{NOW, Place, agent};

fn folder() -> Account {
    Account::new(Kind::Scan, "courrier")
}

/// A document that shows these references.
fn document(key: &str, references: &[&str], at: Millis) -> Contact {
    let keys = Dedup::Keys(vec![format!("file:{key}"), format!("stamp:{key}")]);
    let mut contact = Contact::new(folder(), 1, Channel::Letter, keys, String::new(), "courrier".to_owned(), at);
    contact.to_qualify = true;
    contact.flags = vec![Flag::Unsearched];
    contact.joining = Joining::Document {
        references: references.iter().map(|reference| (*reference).to_owned()).collect(),
    };
    contact
}

pub(crate) async fn a_document_joins_the_request_of_its_code(place: &Place) {
    place.intake.register(&folder()).await.unwrap();
    let first = place.intake.accept(document("1", &[], NOW)).await.unwrap();
    let shown = place.desk.get(&agent(), &first.request_id).await.unwrap();
    assert_eq!((shown.status.as_str(), shown.channel.as_str()), ("to_qualify", "letter"));
    let second = place.intake.accept(document("2", &[], NOW)).await.unwrap();
    assert_ne!(second.request_id, first.request_id, "two letters of nobody are two requests");

    // The paper went to that citizen, so whoever sends it back: another channel and no sender.
    let unknown = "2026-0009999-0";
    let answer = place
        .intake
        .accept(document("3", &[unknown, &first.reference, &second.reference], NOW))
        .await
        .unwrap();
    assert_eq!(answer.request_id, first.request_id, "the first that is a request decides");
    let flags = place.interaction(&answer).await.flags;
    assert_eq!(flags, ["unsearched"]);

    // An open one goes before one that is over; alone, that one comes back, as by any other answer.
    let close = Patch {
        status: Some(Status::Closed),
        ..Patch::default()
    };
    let version = place.desk.get(&agent(), &first.request_id).await.unwrap().version;
    place.desk.patch(&agent(), &first.request_id, version, &close).await.unwrap();
    let now = time::now();
    let next = place
        .intake
        .accept(document("4", &[&first.reference, &second.reference], now))
        .await
        .unwrap();
    assert_eq!(next.request_id, second.request_id);
    let back = place.intake.accept(document("5", &[&first.reference], now)).await.unwrap();
    let shown = place.desk.get(&agent(), &back.request_id).await.unwrap();
    assert_eq!((back.request_id, shown.status.as_str()), (first.request_id, "reopened"));
}

pub(crate) async fn a_file_that_is_known_need_not_be_read(place: &Place) {
    place.intake.register(&folder()).await.unwrap();
    let keys = ["file:1", "stamp:1", "stamp:2"].map(str::to_owned);
    assert_eq!(place.intake.knows(&folder(), &keys).await.unwrap(), [false; 3]);
    let first = place.intake.accept(document("1", &[], NOW)).await.unwrap();
    assert_eq!(place.intake.knows(&folder(), &keys).await.unwrap(), [true, true, false]);
    // Touched: the content is known, and from then on the new stamp is.
    let mut touched = document("1", &[], NOW);
    touched.dedup = Dedup::Keys(vec!["file:1".to_owned(), "stamp:2".to_owned()]);
    assert_eq!(place.intake.accept(touched).await.unwrap().interaction_id, first.interaction_id);
    assert_eq!(place.intake.knows(&folder(), &keys).await.unwrap(), [true; 3]);
    let other = Account::new(Kind::Scan, "fax");
    assert_eq!(
        place.intake.knows(&other, &keys).await.unwrap(),
        [false; 3],
        "each folder has its own"
    );
}
