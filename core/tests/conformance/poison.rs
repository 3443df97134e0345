//! A contact that the store refuses takes nobody with it.

use futures_util::future::join_all;
use voxea_core::contact::{Dedup, IntakeError, Outcome};
use voxea_core::store::Store;

use crate::place::{NOW, Place, alone, mail, mailbox, sms_account, text};

pub(crate) async fn one_poisonous_contact_stays_alone(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    place
        .change(if place.is_postgres() {
            "ALTER TABLE interaction ADD CONSTRAINT poison CHECK (length(text) < 2000 AND length(to_address) < 500)"
        } else {
            "CREATE TRIGGER poison BEFORE INSERT ON interaction WHEN length(NEW.text) >= 2000 OR length(NEW.to_address) >= 500 \
         BEGIN SELECT RAISE(ABORT, 'poison'); END"
        })
        .await;
    let contacts = (0..100).map(|n| {
        let mut contact = mail("a@example.fr", &n.to_string(), NOW);
        match n {
            40 => contact.text = Some("poison".repeat(400)),
            60 => contact.to = "deadly".repeat(100),
            _ => (),
        }
        place.intake.accept(contact)
    });
    for (n, outcome) in join_all(contacts).await.into_iter().enumerate() {
        match n {
            60 => assert!(matches!(outcome, Err(IntakeError::Invalid(_))), "{outcome:?}"),
            40 => {
                // Its content is refused, not the citizen: the artefact is kept, and somebody is told to look.
                let shown = place.interaction(&outcome.unwrap()).await;
                assert_eq!((shown.row.text, shown.flags), (None, vec!["quarantined".to_owned()]));
            }
            _ => assert_eq!(outcome.unwrap().outcome, Outcome::Fresh),
        }
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 99);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM dedup").await,
        99,
        "what was refused left no claim behind"
    );
}

pub(crate) async fn nul_is_taken_out(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let mut contact = mail("a\0@example.fr", "k\0", NOW);
    contact.text = Some("a\0b".to_owned());
    contact.subject = Some("\0".to_owned());
    contact.dedup = Dedup::Key("k\0".to_owned());
    let (odd, plain) = tokio::join!(place.intake.accept(contact), place.intake.accept(alone_mail()));
    let shown = place.interaction(&odd.unwrap()).await;
    assert_eq!(
        (shown.row.text.as_deref(), shown.row.from_address.as_str()),
        (Some("ab"), "a@example.fr")
    );
    assert_eq!(plain.unwrap().outcome, Outcome::Fresh);
}

fn alone_mail() -> voxea_core::contact::Contact {
    mail("b@example.fr", "2", NOW)
}

pub(crate) async fn a_store_that_is_away_takes_nothing(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.accept(text("avant", NOW)).await.unwrap();
    place.store.close().await;
    let outcomes = join_all((0..10).map(|n| place.intake.accept(alone(&n.to_string(), NOW)))).await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Err(IntakeError::Unavailable(_)))),
        "{outcomes:?}"
    );
    let again = Store::open(&place.url).await.unwrap();
    let count: i64 = on!(Store, &again, db => sqlx::query_scalar("SELECT COUNT(*) FROM interaction").fetch_one(db).await).unwrap();
    assert_eq!(count, 1);
}
