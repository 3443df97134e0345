//! How far mailboxes were read, what was skipped, and what could not be fetched.

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::Actor;
use voxea_core::channel::{Mailboxes, SavedPlace};
use voxea_core::contact::{Contact, Dedup, Flag};
use voxea_core::request::Filter;

use crate::place::{NOW, Place};

fn account() -> Account {
    Account::new(Kind::Mailbox, "mairie")
}

pub(crate) async fn a_place_is_saved_with_its_gaps(place: &Place) {
    let (mailboxes, account) = (Mailboxes::new(place.store.clone()), account());
    assert_eq!(mailboxes.place(&account, "INBOX").await.unwrap(), None);
    let mut saved = SavedPlace {
        uidvalidity: 7,
        cursor: 10,
        imported: false,
        import_below: 12,
        gaps: Some(vec![(3, 1_000), (5, 2_000)]),
        moving: None,
        fetched: Vec::new(),
    };
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    let began_at = mailboxes.place(&account, "INBOX").await.unwrap().unwrap().began_at;
    (saved.cursor, saved.imported, saved.gaps) = (20, true, None);
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    mailboxes.moving(&account, "INBOX", Some("{}")).await.unwrap();
    let found = mailboxes.place(&account, "INBOX").await.unwrap().unwrap();
    assert_eq!(
        (found.uidvalidity, found.cursor, found.imported, found.import_below, found.began_at),
        (7, 20, true, 12, began_at)
    );
    assert_eq!(found.gaps, [(3, 1_000), (5, 2_000)], "left as they were");
    assert_eq!(found.moving.as_deref(), Some("{}"));
    (saved.gaps, saved.moving) = (Some(Vec::new()), Some(None));
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    let found = mailboxes.place(&account, "INBOX").await.unwrap().unwrap();
    assert_eq!((found.gaps.len(), found.moving), (0, None));
    assert_eq!(mailboxes.place(&account, "Autre").await.unwrap(), None, "folders are apart");
}

pub(crate) async fn attempts_are_counted_until_their_mail_is_settled(place: &Place) {
    let (mailboxes, account) = (Mailboxes::new(place.store.clone()), account());
    let attempt = |uids: &'static [u32]| {
        let (mailboxes, account) = (mailboxes.clone(), account.clone());
        async move { mailboxes.attempt(&account, "INBOX", 7, uids).await.unwrap() }
    };
    assert_eq!(attempt(&[1, 2, 3]).await, [1, 1, 1]);
    assert_eq!(attempt(&[3, 1, 4]).await, [2, 2, 1]);
    mailboxes.alone(&account, "INBOX", 7, 3).await.unwrap();
    assert_eq!(attempt(&[3]).await, [3]);
    mailboxes.survived(&account, "INBOX", 7, 3).await.unwrap();
    assert_eq!(attempt(&[3]).await, [2]);
    let saved = SavedPlace {
        uidvalidity: 7,
        cursor: 3,
        ..SavedPlace::default()
    };
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    assert_eq!(attempt(&[3, 4]).await, [1, 2]);
}

pub(crate) async fn failures_of_a_fetch_outlast_the_cursor(place: &Place) {
    let (mailboxes, account) = (Mailboxes::new(place.store.clone()), account());
    for failures in 1..=3 {
        assert_eq!(
            mailboxes.fetch_failed(&account, "INBOX", 7, (2, 500, 1_000)).await.unwrap(),
            failures
        );
    }
    mailboxes.attempt(&account, "INBOX", 7, &[2, 3]).await.unwrap();
    let mut saved = SavedPlace {
        uidvalidity: 7,
        cursor: 9,
        ..SavedPlace::default()
    };
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    let failed = mailboxes.unfetched(&account, "INBOX").await.unwrap();
    assert_eq!(
        failed.iter().map(|one| (one.uid, one.size, one.failures)).collect::<Vec<_>>(),
        [(2, 500, 3)]
    );
    assert_eq!(
        mailboxes.attempt(&account, "INBOX", 7, &[2, 3]).await.unwrap(),
        [2, 1],
        "its attempts are kept as well"
    );
    saved.fetched = vec![2];
    mailboxes.save(&account, "INBOX", &saved).await.unwrap();
    assert_eq!(mailboxes.unfetched(&account, "INBOX").await.unwrap(), []);
    // Another UIDVALIDITY: the UIDs mean other mails.
    mailboxes.fetch_failed(&account, "INBOX", 7, (2, 500, 1_000)).await.unwrap();
    assert_eq!(mailboxes.fetch_failed(&account, "INBOX", 8, (2, 500, 1_000)).await.unwrap(), 1);
    assert_eq!(mailboxes.unfetched(&account, "INBOX").await.unwrap().len(), 1);
}

pub(crate) async fn what_could_not_be_processed_is_counted_and_listed(place: &Place) {
    let (mailboxes, account) = (Mailboxes::new(place.store.clone()), account());
    let epoch = place.intake.register(&account).await.unwrap();
    let mut quarantined = String::new();
    for flags in [vec![], vec![Flag::Quarantined], vec![Flag::Automatic]] {
        let (from, to) = ("a@example.org".to_owned(), "mairie@example.fr".to_owned());
        let mut contact = Contact::new(account.clone(), epoch, Channel::Email, Dedup::Never, from, to, NOW);
        contact.flags = flags.clone();
        let request = place.intake.accept(contact).await.unwrap().request_id;
        if flags == [Flag::Quarantined] {
            quarantined = request;
        }
    }
    assert_eq!(mailboxes.quarantined(&account).await.unwrap(), 1);
    let filter = Filter {
        quarantined: true,
        ..Filter::default()
    };
    let listed = place.desk.list(&Actor::System, filter, 10).await.unwrap();
    assert_eq!(listed.items.into_iter().map(|row| row.id).collect::<Vec<_>>(), [quarantined]);
}
