//! A reply in the place of another: of one that waits, of one that the peer has; and what the peer is asked when nothing is
//! heard of a text.

use voxea_core::base::account::Channel;
use voxea_core::base::error::CoreError;
use voxea_core::base::time;
use voxea_core::outbox::{Ask, NewReply, ReceiptIn, ReceiptState, ReplyRow, Sending, Settlement, Texting};

use crate::outgoing::{Core, lease, lease_mails, open, request, short_number, state};
use crate::place::{CITIZEN, HOUR, Place, agent};

const ALL: Texting = Texting {
    alphabet: voxea_rules::sms::Alphabet::Gsm7,
    letters: voxea_rules::sms::Letters::Propose,
    most_segments: 5,
    joined: voxea_core::outbox::Joined::Udh8,
    life: 2 * 24 * HOUR,
    one_receipt: false,
    cancel: true,
    replace: true,
    query: true,
};

fn new(text: &str) -> NewReply {
    NewReply {
        channel: None,
        text: text.to_owned(),
        subject: None,
    }
}

async fn send(core: &Core, request: &str, text: &str) -> String {
    core.outbox.reply(&agent(), request, &new(text)).await.unwrap().id
}

async fn replace(core: &Core, request: &str, text: &str, replaces: &str) -> Result<ReplyRow, CoreError> {
    core.outbox
        .replace(&agent(), request, &new(text), &Sending::default(), replaces)
        .await
}

async fn settle(core: &Core, id: &str, settlement: Settlement) {
    core.outbox.settle(vec![(id.to_owned(), settlement)]).await.unwrap();
}

fn taken(native: &str) -> Settlement {
    Settlement::Submitted {
        native_id: Some(native.to_owned()),
        last_word: false,
    }
}

fn refused() -> Settlement {
    Settlement::Rejected {
        reason: "ESME_RREPLACEFAIL (0x13)".to_owned(),
    }
}

fn unanswered() -> Settlement {
    Settlement::Unknown {
        reason: "the SMSC did not answer".to_owned(),
    }
}

async fn receipt(core: &Core, id: &str, state: ReceiptState) {
    let receipt = ReceiptIn {
        from: Some(CITIZEN.to_owned()),
        ids: vec![id.to_owned()],
        state,
        reason: (state == ReceiptState::Rejected).then(|| "UNDELIV".to_owned()),
        at: time::now(),
    };
    core.outbox.receipt(&short_number(), &receipt).await.unwrap();
}

async fn reason(core: &Core, id: &str) -> String {
    core.outbox.get(&agent(), id).await.unwrap().reason.unwrap_or_default()
}

/// A request, and a text to it that the peer has.
async fn submitted(core: &Core, text: &str, native: &str) -> (String, String) {
    let ask = request(core, Channel::Sms, CITIZEN).await;
    core.outbox.set_texting(&short_number(), ALL);
    let id = send(core, &ask, text).await;
    assert_eq!(lease(core).await.len(), 1);
    settle(core, &id, taken(native)).await;
    (ask, id)
}

/// Leases the one replacement that is due.
async fn ask_for(core: &Core, native: &str, before: &str) -> String {
    let mut leased = lease(core).await;
    assert_eq!(leased.len(), 1);
    let expected = Ask::Replace {
        native_id: native.to_owned(),
        text: before.to_owned(),
    };
    let leased = leased.remove(0);
    assert_eq!(leased.ask, expected);
    leased.reply_id
}

pub(crate) async fn what_waits_gives_way_at_once(place: &Place) {
    let core = open(place);
    let ask = request(&core, Channel::Sms, CITIZEN).await;
    let first = send(&core, &ask, "Lundi").await;
    let between = send(&core, &ask, "Bonjour").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap();
    assert_eq!(
        (second.replaces.as_deref(), second.instead_of, second.state.as_str()),
        (Some(&first[..]), None, "queued")
    );
    assert_eq!(state(&core, &first).await, "cancelled");
    assert_eq!(reason(&core, &first).await, format!("replaced by reply {}", second.id));
    // What took its place is replaced like any other, and what is gone is not.
    let third = replace(&core, &ask, "Mercredi", &second.id).await.unwrap().id;
    let again = replace(&core, &ask, "Jeudi", &first).await;
    assert!(matches!(again, Err(CoreError::Conflict(why)) if why.contains("cancelled")));
    let leased: Vec<(String, Ask)> = lease(&core).await.into_iter().map(|one| (one.reply_id, one.ask)).collect();
    assert_eq!(
        leased,
        [(between, Ask::Send), (third.clone(), Ask::Send)],
        "in the order in which they were written"
    );
    let held = replace(&core, &ask, "Vendredi", &third).await;
    assert!(matches!(held, Err(CoreError::Conflict(why)) if why.contains("being sent")));
}

pub(crate) async fn a_mail_that_waits_gives_way_and_is_no_ancestor(place: &Place) {
    let core = open(place);
    let ask = request(&core, Channel::Email, "claire@citizen.example").await;
    let first = send(&core, &ask, "Lundi").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
    assert_eq!(state(&core, &first).await, "cancelled");
    let leased = lease_mails(&core).await;
    assert_eq!(leased.iter().map(|mail| &mail.reply_id).collect::<Vec<_>>(), [&second]);
    assert_eq!(leased[0].references, ["<one@citizen.example>"], "nobody got the first one");
    let gone = Settlement::Submitted {
        native_id: None,
        last_word: true,
    };
    settle(&core, &second, gone).await;
    let sent = replace(&core, &ask, "Mercredi", &second).await;
    assert!(matches!(sent, Err(CoreError::Conflict(why)) if why.contains("mail")));
}

pub(crate) async fn what_the_peer_has_is_replaced_there(place: &Place) {
    let core = open(place);
    let (ask, first) = submitted(&core, "Lundi", "7").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
    assert_eq!(state(&core, &first).await, "submitted", "until the peer has replaced it");
    let twice = replace(&core, &ask, "Mercredi", &first).await;
    assert!(matches!(twice, Err(CoreError::Conflict(why)) if why.contains(&second)));
    assert!(
        core.outbox.cancel(&agent(), &first).await.is_err(),
        "nor is it asked back meanwhile"
    );
    assert_eq!(ask_for(&core, "7", "Lundi").await, second);
    settle(&core, &second, taken("7")).await;
    assert_eq!(
        (state(&core, &first).await, state(&core, &second).await),
        ("cancelled".into(), "submitted".into())
    );
    assert_eq!(reason(&core, &first).await, format!("replaced by reply {second}"));
    // And once more; then the receipt of the id is the last one's.
    let third = replace(&core, &ask, "Mercredi", &second).await.unwrap().id;
    assert_eq!(ask_for(&core, "7", "Mardi").await, third);
    settle(&core, &third, taken("7")).await;
    receipt(&core, "7", ReceiptState::Delivered).await;
    receipt(&core, "7", ReceiptState::Delivered).await;
    assert_eq!(
        (state(&core, &first).await, state(&core, &second).await, state(&core, &third).await),
        ("cancelled".into(), "cancelled".into(), "delivered".into())
    );
    let arrived = replace(&core, &ask, "Jeudi", &third).await;
    assert!(matches!(arrived, Err(CoreError::Conflict(why)) if why.contains("delivered")));

    // What waits to replace gives way to another that does.
    let (ask, first) = submitted(&core, "Lundi", "8").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
    let third = replace(&core, &ask, "Mercredi", &second).await.unwrap();
    assert_eq!((third.replaces, third.instead_of), (Some(second.clone()), Some(first.clone())));
    assert_eq!(state(&core, &second).await, "cancelled");
    assert_eq!(ask_for(&core, "8", "Lundi").await, third.id);
    settle(&core, &third.id, refused()).await;
    assert_eq!(
        (state(&core, &first).await, reason(&core, &third.id).await),
        ("submitted".into(), "ESME_RREPLACEFAIL (0x13)".into())
    );
    receipt(&core, "8", ReceiptState::Delivered).await;
    assert_eq!(
        (state(&core, &first).await, state(&core, &third.id).await),
        ("delivered".into(), "rejected".into())
    );
}

/// The mutant that turns it red: a receipt that is not kept while the answer is out settles the earlier text.
pub(crate) async fn a_receipt_while_the_peer_is_asked_waits_for_the_answer(place: &Place) {
    let core = open(place);
    let put_off = Settlement::Retry {
        at: time::now() + HOUR,
        reason: "ESME_RSYSERR".to_owned(),
    };
    for (number, answer, earlier, later) in [
        (11, taken("11"), "cancelled", "delivered"),
        (12, refused(), "delivered", "rejected"),
        (13, put_off, "delivered", "queued"),
        (14, Settlement::Return, "delivered", "queued"),
    ] {
        let (ask, first) = submitted(&core, "Lundi", &number.to_string()).await;
        let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
        lease(&core).await;
        receipt(&core, &number.to_string(), ReceiptState::Delivered).await;
        assert_eq!(state(&core, &first).await, "submitted");
        settle(&core, &second, answer.clone()).await;
        assert_eq!(
            (state(&core, &first).await, state(&core, &second).await),
            (earlier.into(), later.into()),
            "{answer:?}"
        );
        if later == "queued" {
            settle(
                &core,
                &second,
                Settlement::Retry {
                    at: 0,
                    reason: String::new(),
                },
            )
            .await;
            assert!(lease(&core).await.is_empty(), "there is nothing left to replace");
            assert_eq!(reason(&core, &second).await, "what it was to replace is delivered by now");
        }
    }
}

pub(crate) async fn without_an_answer_nobody_knows_which_text_is_read(place: &Place) {
    let core = open(place);
    let (ask, first) = submitted(&core, "Lundi", "21").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
    lease(&core).await;
    // The daemon dies, and the receipt comes before anybody has said so.
    receipt(&core, "21", ReceiptState::Delivered).await;
    core.outbox.take_over(&short_number()).await.unwrap();
    assert!(lease(&core).await.is_empty(), "it is never asked again");
    for (id, other) in [(&first, &second), (&second, &first)] {
        assert_eq!(state(&core, id).await, "unknown");
        let expected = format!("delivered, with this text or with that of reply {other}: the SMSC did not say which");
        assert_eq!(reason(&core, id).await, expected);
    }

    // That it did not arrive is true of both.
    let (ask, first) = submitted(&core, "Lundi", "22").await;
    let second = replace(&core, &ask, "Mardi", &first).await.unwrap().id;
    lease(&core).await;
    settle(&core, &second, unanswered()).await;
    assert_eq!(state(&core, &first).await, "submitted");
    let doubtful = replace(&core, &ask, "Mercredi", &first).await;
    assert!(matches!(doubtful, Err(CoreError::Conflict(why)) if why.contains("may have taken its place")));
    receipt(&core, "22", ReceiptState::Rejected).await;
    for id in [&first, &second] {
        assert_eq!(
            (state(&core, id).await, reason(&core, id).await),
            ("rejected".into(), "UNDELIV".into())
        );
    }
}

pub(crate) async fn what_cannot_be_replaced_says_why(place: &Place) {
    let core = open(place);
    let (ask, first) = submitted(&core, "Lundi", "31").await;
    let invalid = async |text: &str, id: &str, sending: Sending, at: &str| {
        let refused = core.outbox.replace(&agent(), &ask, &new(text), &sending, id).await;
        assert!(
            matches!(&refused, Err(CoreError::Invalid { pointer, .. }) if pointer == at),
            "{at}: {refused:?}"
        );
    };
    invalid("Mardi", "nobody", Sending::default(), "/replaces").await;
    invalid("Prêt mardi", &first, Sending::default(), "/text").await;
    let urgent = Sending {
        priority: 1,
        ..Sending::default()
    };
    invalid("Mardi", &first, urgent, "/priority").await;
    let split = Sending {
        split: true,
        ..Sending::default()
    };
    let long = core.outbox.replace(&agent(), &ask, &new(&"a".repeat(161)), &split, &first).await;
    assert!(matches!(long, Err(CoreError::TextTooLong(preview)) if preview.segments == 2));
    let conflict = async |request: &str, id: &str, words: &str| {
        let refused = replace(&core, request, "Mardi", id).await;
        assert!(
            matches!(&refused, Err(CoreError::Conflict(why)) if why.contains(words)),
            "{words}: {refused:?}"
        );
    };
    let other = request(&core, Channel::Sms, "+33698765432").await;
    conflict(&other, &first, "another request").await;
    core.outbox.cancel(&agent(), &first).await.unwrap();
    conflict(&ask, &first, "asked to forget it").await;
    core.outbox.set_texting(&short_number(), Texting { replace: false, ..ALL });
    conflict(&ask, &first, "replace = true").await;
    assert_eq!(lease(&core).await.len(), 1);
    settle(&core, &first, Settlement::Cancelled).await;

    let (ask, ucs2) = submitted(&core, "Prêt lundi", "32").await;
    let alphabet = replace(&core, &ask, "Mardi", &ucs2).await;
    assert!(matches!(alphabet, Err(CoreError::Invalid { pointer, .. }) if pointer == "/replaces"));
    let long = core
        .outbox
        .reply_with(&agent(), &ask, &new(&"a".repeat(161)), &split)
        .await
        .unwrap()
        .id;
    lease(&core).await;
    for number in 1..=2 {
        let native_id = Some(format!("33{number}"));
        let end = voxea_core::outbox::PartEnd::Submitted { native_id };
        settle(&core, &long, Settlement::Part { number, end }).await;
    }
    conflict(&ask, &long, "2 segments").await;
    let lost = send(&core, &ask, "Perdu").await;
    lease(&core).await;
    settle(&core, &lost, unanswered()).await;
    conflict(&ask, &lost, "it is unknown").await;
}

/// Sixteen agents replace one text at once: one of them does.
pub(crate) async fn of_many_replacements_one_is_made(place: &Place) {
    let core = open(place);
    let (ask, first) = submitted(&core, "Lundi", "41").await;
    let many = (0..16).map(|number| {
        let (core, ask, first) = (core.clone(), ask.clone(), first.clone());
        tokio::spawn(async move { replace(&core, &ask, &format!("Mardi {number}"), &first).await })
    });
    let mut made = 0;
    for one in many.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => made += 1,
            Err(CoreError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((made, lease(&core).await.len()), (1, 1));
}

pub(crate) async fn a_peer_is_asked_once_what_became_of_a_text(place: &Place) {
    let core = open(place);
    // Its life is over: two days, and the minute.
    let later = time::now() + 49 * HOUR;
    let asked = async |native: &str| {
        let (_, id) = submitted(&core, "Lundi", native).await;
        assert_eq!(core.outbox.queue_queries(time::now() + HOUR).await.unwrap(), 0, "it may still come");
        assert_eq!(core.outbox.queue_queries(later).await.unwrap(), 1);
        assert_eq!(core.outbox.queue_queries(later).await.unwrap(), 0, "once");
        // The job's clock is ahead of the lease's.
        let sql = "UPDATE reply SET query_at = 1 WHERE query_at > 0";
        let mut tx = place.store.begin().await.unwrap();
        on!(Tx, &mut tx, db => sqlx::query(sql).execute(db).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();
        let leased = lease(&core).await;
        assert_eq!((leased.len(), &leased[0].ask), (1, &Ask::Query(vec![native.to_owned()])));
        assert!(lease(&core).await.is_empty());
        id
    };
    let heard = |native: &str, state| Settlement::Heard {
        native_id: native.to_owned(),
        state,
        reason: (state == ReceiptState::Rejected).then(|| "EXPIRED".to_owned()),
    };
    let first = asked("51").await;
    settle(&core, &first, heard("51", ReceiptState::Delivered)).await;
    assert_eq!(state(&core, &first).await, "delivered");
    let second = asked("52").await;
    settle(&core, &second, heard("52", ReceiptState::Rejected)).await;
    assert_eq!(
        (state(&core, &second).await, reason(&core, &second).await),
        ("rejected".into(), "EXPIRED".into())
    );
    let third = asked("53").await;
    settle(&core, &third, Settlement::Unsaid).await;
    assert_eq!(state(&core, &third).await, "submitted", "it says nothing");
    assert_eq!(core.outbox.queue_queries(later).await.unwrap(), 0);
    assert!(lease(&core).await.is_empty());
    assert_eq!(core.outbox.expire_receipts(later + HOUR).await.unwrap(), 1);
    assert_eq!(state(&core, &third).await, "unknown");
    // A receipt that came first stands.
    let fourth = asked("54").await;
    receipt(&core, "54", ReceiptState::Delivered).await;
    settle(&core, &fourth, heard("54", ReceiptState::Rejected)).await;
    assert_eq!(state(&core, &fourth).await, "delivered");
    // Where the account does not say so, nobody asks.
    let (_, fifth) = submitted(&core, "Lundi", "55").await;
    core.outbox.set_texting(&short_number(), Texting { query: false, ..ALL });
    assert_eq!(core.outbox.queue_queries(later).await.unwrap(), 0);
    assert_eq!(state(&core, &fifth).await, "submitted");
}

/// Of several segments, those of which nothing was heard.
pub(crate) async fn the_segments_of_a_text_are_asked_about_one_by_one(place: &Place) {
    let core = open(place);
    let (ask, _) = submitted(&core, "Lundi", "61").await;
    receipt(&core, "61", ReceiptState::Delivered).await;
    let split = Sending {
        split: true,
        ..Sending::default()
    };
    let id = core
        .outbox
        .reply_with(&agent(), &ask, &new(&"a".repeat(400)), &split)
        .await
        .unwrap()
        .id;
    lease(&core).await;
    for number in 1..=3 {
        let native_id = Some(format!("62{number}"));
        let end = voxea_core::outbox::PartEnd::Submitted { native_id };
        settle(&core, &id, Settlement::Part { number, end }).await;
    }
    receipt(&core, "622", ReceiptState::Delivered).await;
    let sql = "UPDATE reply SET expires_at = 1 WHERE segments = 3";
    let mut tx = place.store.begin().await.unwrap();
    on!(Tx, &mut tx, db => sqlx::query(sql).execute(db).await.map(|_| ())).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(core.outbox.queue_queries(time::now()).await.unwrap(), 1);
    let leased = lease(&core).await;
    assert_eq!(leased[0].ask, Ask::Query(vec!["621".to_owned(), "623".to_owned()]));
    for native in ["621", "623"] {
        assert_eq!(state(&core, &id).await, "submitted");
        let heard = Settlement::Heard {
            native_id: native.to_owned(),
            state: ReceiptState::Delivered,
            reason: None,
        };
        settle(&core, &id, heard).await;
    }
    assert_eq!(state(&core, &id).await, "delivered");
}
