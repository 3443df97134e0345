//! Who has lost an account writes nothing for it.

use voxea_core::base::account::{Account, Kind};
use voxea_core::contact::{IntakeError, Outcome};

use crate::place::{NOW, Place, mail, mailbox, part, sms_account};

pub(crate) async fn a_stale_epoch_writes_nothing(place: &Place) {
    let epoch = place.intake.register(&mailbox()).await.unwrap();
    assert_eq!(epoch, 1);
    place.intake.register(&sms_account()).await.unwrap();
    assert_eq!(place.intake.take_over(&mailbox()).await.unwrap(), 2);
    assert_eq!(place.intake.take_over(&sms_account()).await.unwrap(), 2);
    assert_eq!(place.intake.accept(mail("a@example.fr", "1", NOW)).await, Err(IntakeError::Fenced));
    assert_eq!(
        place.intake.part(part("w", 1, 2, b"\0a", "one", NOW)).await,
        Err(IntakeError::Fenced)
    );
    assert_eq!(
        place
            .number("SELECT (SELECT COUNT(*) FROM interaction) + (SELECT COUNT(*) FROM part) + (SELECT COUNT(*) FROM dedup)")
            .await,
        0
    );
    let mut current = mail("a@example.fr", "1", NOW);
    current.epoch = place.intake.register(&mailbox()).await.unwrap();
    assert_eq!(current.epoch, 2, "entering an account does not raise its epoch");
    // A stale one in the same batch takes nothing from the other.
    let (stale, fresh) = tokio::join!(place.intake.accept(mail("a@example.fr", "1", NOW)), place.intake.accept(current));
    assert_eq!((stale, fresh.unwrap().outcome), (Err(IntakeError::Fenced), Outcome::Fresh));
}

pub(crate) async fn an_account_nobody_entered_is_fenced(place: &Place) {
    assert_eq!(place.intake.accept(mail("a@example.fr", "1", NOW)).await, Err(IntakeError::Fenced));
    assert!(place.intake.take_over(&Account::new(Kind::Sip, "pbx")).await.is_err());
}
