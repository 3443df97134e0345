//! Which request a contact belongs to.

use futures_util::future::join_all;
use serde_json::Value;
use voxea_core::base::account::{Account, Kind};
use voxea_core::base::time;
use voxea_core::contact::{Contact, Joining, Twins};
use voxea_core::request::{Patch, Status};

use crate::place::{HOUR, NOW, Place, agent, alone, mail, mailbox, sms_account, text, thread};

/// The request that a contact went to.
async fn to(place: &Place, contact: Contact) -> String {
    place.intake.accept(contact).await.unwrap().request_id
}

fn with(mut contact: Contact, reference: Option<&str>, keyword: bool) -> Contact {
    contact.joining = Joining::Conversation {
        within: 24 * HOUR,
        reference: reference.map(str::to_owned),
        keyword,
    };
    contact
}

pub(crate) async fn texts_of_a_day_share_a_request(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = to(place, text("un", NOW)).await;
    assert_eq!(to(place, text("deux", NOW + 20 * HOUR)).await, first);
    // The day counts from the latest contact.
    assert_eq!(to(place, text("trois", NOW + 44 * HOUR)).await, first);
    let other = to(place, text("quatre", NOW + 44 * HOUR + 24 * HOUR + 1)).await;
    assert_ne!(other, first);
    assert_eq!(to(place, text("cinq", NOW + 69 * HOUR)).await, other);
    let mut stranger = text("six", NOW + 69 * HOUR);
    stranger.from = "+33698765432".to_owned();
    let stranger = to(place, stranger).await;
    assert!(stranger != first && stranger != other);
    // A withheld number is nobody's: two such texts are two people's.
    let withheld = |body: &str| {
        let mut contact = text(body, NOW);
        contact.from = String::new();
        contact
    };
    assert_ne!(to(place, withheld("sept")).await, to(place, withheld("huit")).await);
}

pub(crate) async fn texts_of_one_batch_share_a_request(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let accepted = join_all((0..50).map(|n| {
        let mut contact = text(&n.to_string(), NOW + n);
        contact.from = format!("+3360000000{}", n % 5);
        place.intake.accept(contact)
    }))
    .await;
    let requests: std::collections::BTreeSet<String> = accepted.into_iter().map(|one| one.unwrap().request_id).collect();
    assert_eq!(requests.len(), 5);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM request WHERE version = 10").await,
        5,
        "ten contacts each, nine of which joined"
    );
    assert_eq!(place.number("SELECT COUNT(*) FROM request_interaction").await, 50);
}

pub(crate) async fn a_keyword_stands_alone(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = to(place, text("bonjour", NOW)).await;
    let keyword = to(place, with(text("VOIRIE trou", NOW + 1), None, true)).await;
    assert_ne!(keyword, first, "a keyword opens a request of its own");
    let after = to(place, text("et alors", NOW + 2)).await;
    assert!(after != keyword && after != first, "what follows a keyword does not join it");
    assert_eq!(to(place, text("merci", NOW + 3)).await, after);
}

pub(crate) async fn a_reference_counts_for_its_own_citizen(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text("un", NOW)).await.unwrap();
    let later = NOW + 100 * HOUR;
    let mut stranger = with(text("c'est moi", later), Some(&first.reference), false);
    stranger.from = "+33698765432".to_owned();
    assert_ne!(
        to(place, stranger).await,
        first.request_id,
        "a reference that somebody overheard opens nobody's file"
    );
    assert_eq!(
        to(place, with(text("suite", later), Some(&first.reference), true)).await,
        first.request_id
    );
    assert_ne!(
        to(place, with(alone("faux", later + 30 * HOUR), Some("2026-9999999-0"), false)).await,
        first.request_id
    );
}

pub(crate) async fn a_request_that_is_over_takes_nothing_in(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let first = place.intake.accept(text("un", NOW)).await.unwrap();
    let mailed = to(place, mail("a@example.fr", "1", NOW)).await;
    place.change("UPDATE request SET status = 'closed'").await;
    let second = to(place, with(text("deux", NOW + 1), Some(&first.reference), false)).await;
    assert_ne!(second, first.request_id);
    place.change("UPDATE request SET status = 'spam' WHERE channel = 'email'").await;
    let mut answer = mail("a@example.fr", "2", NOW);
    answer.joining = thread(&["<1@example.fr>"]);
    let answered = to(place, answer).await;
    assert_ne!(answered, mailed);
    // The thread goes on in the request that the answer opened.
    let mut next = mail("a@example.fr", "3", NOW);
    next.joining = thread(&["<1@example.fr>"]);
    assert_eq!(to(place, next).await, answered);
}

pub(crate) async fn an_answer_finds_its_thread(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = place.intake.accept(mail("a@example.fr", "1", NOW)).await.unwrap();
    let unrelated = to(place, mail("a@example.fr", "2", NOW)).await;
    assert_ne!(unrelated, first.request_id, "a mail that answers nothing is a demand of its own");
    // The neighbour who was in copy answers: the id is known, whoever writes.
    let mut answer = mail("b@example.fr", "3", NOW);
    answer.joining = thread(&["<never-seen@example.fr>", "<1@example.fr>", "<2@example.fr>"]);
    assert_eq!(to(place, answer).await, first.request_id, "the first id that is known decides");
    let with_reference = |from: &str, key: &str| {
        let mut contact = mail(from, key, NOW);
        contact.joining = Joining::Thread {
            proofs: Vec::new(),
            message_ids: Vec::new(),
            reference: Some(first.reference.clone()),
            twins: Twins::default(),
        };
        contact
    };
    assert_eq!(
        to(place, with_reference("A@Example.fr", "4")).await,
        first.request_id,
        "addresses ignore case"
    );
    assert_ne!(to(place, with_reference("c@example.fr", "5")).await, first.request_id);
}

pub(crate) async fn a_named_id_leads_nobody_else(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    // Three answers to a newsletter that never went through here.
    let answer = |from: &str, key: &str| {
        let mut contact = mail(from, key, NOW);
        contact.joining = thread(&["<newsletter@example.fr>"]);
        contact
    };
    let first = to(place, answer("a@example.fr", "1")).await;
    assert_eq!(to(place, answer("a@example.fr", "2")).await, first, "the same citizen goes on");
    assert_ne!(to(place, answer("b@example.fr", "3")).await, first, "another one is another demand");
}

pub(crate) async fn the_same_mail_in_two_mailboxes(place: &Place) {
    let other = Account::new(Kind::Mailbox, "voirie");
    place.intake.register(&mailbox()).await.unwrap();
    place.intake.register(&other).await.unwrap();
    let copy = |account: &Account, twin: &str, key: &str| {
        let mut contact = mail("a@example.fr", key, NOW);
        contact.account = account.clone();
        contact.joining = Joining::Thread {
            proofs: Vec::new(),
            message_ids: Vec::new(),
            reference: None,
            twins: Twins::of(twin),
        };
        contact.acknowledgement = Some(crate::place::acknowledgement("a@example.fr"));
        contact
    };
    let first = to(place, copy(&mailbox(), "mail:x", "1")).await;
    assert_eq!(to(place, copy(&other, "mail:x", "1")).await, first);
    assert_ne!(to(place, copy(&other, "mail:y", "2")).await, first);
    // In one batch as well.
    let (one, two) = tokio::join!(
        place.intake.accept(copy(&mailbox(), "mail:z", "3")),
        place.intake.accept(copy(&other, "mail:z", "3"))
    );
    assert_eq!(one.unwrap().request_id, two.unwrap().request_id);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM interaction WHERE direction = 'in'").await,
        5,
        "each copy is recorded"
    );
    assert_eq!(
        place.number("SELECT COUNT(*) FROM reply").await,
        3,
        "each mail is acknowledged once"
    );
}

pub(crate) async fn an_answer_to_a_question_joins_for_three_days(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let now = time::now();
    let asked = place.intake.accept(alone("un arbre", now - 200 * HOUR)).await.unwrap();
    let ask = Patch {
        status: Some(Status::AwaitingCitizen),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &asked.request_id, 1, &ask).await.unwrap();
    // A later demand does not hide the question, and neither does a word that is one of the catalogue's.
    let other = place.intake.accept(alone("un chat", now + HOUR)).await.unwrap().request_id;
    assert_eq!(
        to(place, with(text("voirie, devant le 12", now + 2 * HOUR), None, true)).await,
        asked.request_id
    );
    assert_eq!(to(place, text("au 14", now + 71 * HOUR)).await, asked.request_id);
    // A stranger answers nobody's question.
    let mut stranger = text("moi aussi", now + 2 * HOUR);
    stranger.from = "+33698765432".to_owned();
    assert_ne!(to(place, stranger).await, asked.request_id);
    // After three days it is a text like any other: that of within a day is the same conversation, a keyword begins anew.
    let late = now + 73 * HOUR;
    assert_eq!(
        to(place, text("au 16", late)).await,
        asked.request_id,
        "the last contact was within a day"
    );
    let apart = to(place, with(text("VOIRIE trou", late + 1), None, true)).await;
    assert!(apart != asked.request_id && apart != other);
    assert_ne!(to(place, text("au 18", late + 30 * HOUR)).await, asked.request_id);
    // Who is no longer waited for answers nothing.
    let version = place.desk.get(&agent(), &asked.request_id).await.unwrap().version;
    let on = Patch {
        status: Some(Status::InProgress),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &asked.request_id, version, &on).await.unwrap();
    assert_ne!(to(place, with(text("voirie", now + 3 * HOUR), None, true)).await, asked.request_id);
}

pub(crate) async fn versions_and_events_tell_of_every_join(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = to(place, text("0", NOW)).await;
    join_all((1..20).map(|n| place.intake.accept(text(&n.to_string(), NOW + n)))).await;
    let events = place.events().await;
    let versions: Vec<i64> = events
        .iter()
        .filter(|event| event.kind.starts_with("request."))
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(data["request_id"], Value::from(first.as_str()));
            assert_eq!(data["status"], "received");
            data["version"].as_i64().unwrap()
        })
        .collect();
    assert_eq!(versions, (1..=20).collect::<Vec<_>>());
    assert_eq!(place.number("SELECT version FROM request").await, 20);
    assert_eq!(place.number("SELECT last_contact_at FROM request").await, NOW + 19);
    assert_eq!(place.number("SELECT COUNT(*) FROM history WHERE action = 'joined'").await, 19);
    assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position));
}
