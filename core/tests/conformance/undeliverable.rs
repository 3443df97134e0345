//! Addresses that mail does not reach.

use voxea_core::base::account::Channel;
use voxea_core::base::error::CoreError;
use voxea_core::citizen::{PointKind, PointPatch};
use voxea_core::outbox::{NewReply, ReceiptState, Settlement};

use crate::citizens::citizen;
use crate::outgoing::{Core, lease_mails, open, request, state};
use crate::place::{Place, agent};

const ADDRESS: &str = "citoyen@example.org";

async fn answer(core: &Core, request: &str) -> Result<String, CoreError> {
    let new = NewReply {
        channel: None,
        text: "Oui".to_owned(),
        subject: None,
    };
    core.outbox.reply(&agent(), request, &new).await.map(|reply| reply.id)
}

async fn comes_back(core: &Core, reply: &str) {
    assert_eq!(lease_mails(core).await.len(), 1);
    let reason = "550: 5.1.1 no such user".to_owned();
    core.outbox
        .settle(vec![(reply.to_owned(), Settlement::Undeliverable { reason })])
        .await
        .unwrap();
}

pub(crate) async fn an_address_that_takes_no_mail_is_left_alone_until_somebody_says_otherwise(place: &Place) {
    let core = open(place);
    let owner = citizen(
        place,
        &[(PointKind::Email, "Citoyen@example.org"), (PointKind::Phone, "06 12 34 56 78")],
    )
    .await;
    let by_mail = request(&core, Channel::Email, ADDRESS).await;
    let first = answer(&core, &by_mail).await.unwrap();
    comes_back(&core, &first).await;
    assert_eq!(state(&core, &first).await, "rejected");
    assert!(matches!(answer(&core, &by_mail).await, Err(CoreError::Conflict(said)) if said.contains("5.1.1")));

    // The town says that it may be tried again: of this address, once, and it stands in the history.
    let door = &place.citizens;
    let shown = door.get(&agent(), &owner.id).await.unwrap();
    let of = |kind: PointKind| shown.points.iter().find(|point| point.kind == kind).unwrap();
    let (mail, phone) = (of(PointKind::Email), of(PointKind::Phone));
    assert!(mail.undeliverable.as_ref().is_some_and(|back| back.reason.contains("5.1.1")));
    let freed = PointPatch {
        deliverable: true,
        ..PointPatch::default()
    };
    let other = door
        .patch_point(&agent(), &owner.id, &phone.id, shown.version, &freed)
        .await
        .unwrap();
    assert_eq!(other, shown, "another address says nothing of it");
    let now = door
        .patch_point(&agent(), &owner.id, &mail.id, shown.version, &freed)
        .await
        .unwrap();
    assert!(now.version > shown.version && now.points.iter().all(|point| point.undeliverable.is_none()));
    let again = door.patch_point(&agent(), &owner.id, &mail.id, now.version, &freed).await.unwrap();
    assert_eq!(again, now);
    let history = door.history(&agent(), &owner.id).await.unwrap();
    let freed: Vec<_> = history.iter().filter(|change| change.detail.contains("5.1.1")).collect();
    assert!(
        matches!(freed.as_slice(), [one] if one.action == "contact_point_changed"),
        "{history:?}"
    );

    // It comes back once more; a notification of a mail of ours does the same, and the citizen's own mail ends it.
    let second = answer(&core, &by_mail).await.unwrap();
    comes_back(&core, &second).await;
    answer(&core, &by_mail).await.unwrap_err();
    request(&core, Channel::Email, ADDRESS).await;
    let third = answer(&core, &by_mail).await.unwrap();
    let sent = lease_mails(&core).await.remove(0);
    let id = sent.message_id.unwrap();
    assert!(core.outbox.is_sent(&id).await.unwrap() && !core.outbox.is_sent("<nobody@example.org>").await.unwrap());
    let heard = core.outbox.mail_receipt(&id, ReceiptState::Rejected, Some("5.1.1"), true).await;
    assert!(heard.unwrap());
    assert_eq!(state(&core, &third).await, "rejected");
    answer(&core, &by_mail).await.unwrap_err();
}
