//! Which request a mail belongs to, and what it does to one that is over.

use futures_util::future::join_all;
use voxea_core::base::account::{Account, Kind};
use voxea_core::base::time::{self, Millis};
use voxea_core::citizen::{CitizenKind, NewCitizen, NewPoint, PointKind};
use voxea_core::contact::{Accepted, Contact, Flag, Joining, Twins};
use voxea_core::request::{Moving, Patch, RequestRow, Status};
use voxea_core::vault::ReplyTokens;

use crate::place::{HOUR, NOW, Place, acknowledgement, agent, mail, mailbox, thread};

const DAY: Millis = 24 * HOUR;

/// A mail that may join something.
fn answering(from: &str, key: &str, at: Millis, joining: Joining) -> Contact {
    let mut contact = mail(from, key, at);
    contact.joining = joining;
    contact.acknowledgement = Some(acknowledgement(from));
    contact
}

fn proved(token: &str) -> Joining {
    Joining::Thread {
        proofs: vec![token.to_owned()],
        message_ids: Vec::new(),
        reference: None,
        twins: Twins::default(),
    }
}

fn naming(reference: &str) -> Joining {
    Joining::Thread {
        proofs: Vec::new(),
        message_ids: Vec::new(),
        reference: Some(reference.to_owned()),
        twins: Twins::default(),
    }
}

fn copy_of(twin: &str) -> Joining {
    Joining::Thread {
        proofs: Vec::new(),
        message_ids: Vec::new(),
        reference: None,
        twins: Twins::of(twin),
    }
}

async fn take(place: &Place, contact: Contact) -> Accepted {
    place.intake.accept(contact).await.unwrap()
}

async fn request(place: &Place, id: &str) -> RequestRow {
    place.desk.get(&agent(), id).await.unwrap()
}

/// Moves a request through these states.
async fn become_in_turn(place: &Place, id: &str, states: &[Status]) {
    for status in states {
        let version = request(place, id).await.version;
        let patch = Patch {
            status: Some(*status),
            ..Patch::default()
        };
        place.desk.patch(&agent(), id, version, &patch).await.unwrap();
    }
}

async fn token_of(place: &Place, id: &str) -> String {
    let tokens = ReplyTokens::new(place.store.clone(), place.vault.clone());
    tokens.of(id).await.unwrap().unwrap()
}

pub(crate) async fn a_copy_joins_whoever_sent_it_and_whatever_became_of_the_first(place: &Place) {
    let other = Account::new(Kind::Mailbox, "voirie");
    place.intake.register(&mailbox()).await.unwrap();
    place.intake.register(&other).await.unwrap();
    let copy = |account: &Account, from: &str, key: &str| {
        let mut contact = answering(from, key, NOW, copy_of(&format!("mail:{key}")));
        contact.account = account.clone();
        if from.is_empty() {
            contact.acknowledgement = None;
        }
        contact
    };
    // Nobody's name stands on it.
    let first = take(place, copy(&mailbox(), "", "1")).await;
    assert_eq!(take(place, copy(&other, "", "1")).await.request_id, first.request_id);
    // An agent was faster than the second mailbox.
    let closed = take(place, copy(&mailbox(), "a@example.fr", "2")).await;
    become_in_turn(place, &closed.request_id, &[Status::Closed]).await;
    assert_eq!(take(place, copy(&other, "a@example.fr", "2")).await.request_id, closed.request_id);
    assert_eq!(request(place, &closed.request_id).await.status, "closed", "a copy says nothing new");
    assert_eq!(
        place.interactions.of_request(&agent(), &closed.request_id).await.unwrap().len(),
        3,
        "both copies, and one acknowledgement"
    );
    // Or took it for spam.
    let spam = take(place, copy(&mailbox(), "b@example.fr", "3")).await;
    become_in_turn(place, &spam.request_id, &[Status::Spam]).await;
    assert_eq!(take(place, copy(&other, "b@example.fr", "3")).await.request_id, spam.request_id);
    assert_eq!(request(place, &spam.request_id).await.status, "spam");
    // Or merged it with another.
    let merged = take(place, copy(&mailbox(), "c@example.fr", "4")).await;
    let moving = Moving {
        interaction_id: &merged.interaction_id,
        from: None,
        to: Some(&first.request_id),
    };
    let version = request(place, &merged.request_id).await.version;
    place.desk.move_interaction(&agent(), &moving, version).await.unwrap();
    assert_eq!(take(place, copy(&other, "c@example.fr", "4")).await.request_id, first.request_id);
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 4);
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction WHERE direction = 'in'").await, 8);
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 3, "one acknowledgement each");
}

pub(crate) async fn a_copy_of_which_less_is_known_is_found(place: &Place) {
    let other = Account::new(Kind::Mailbox, "voirie");
    place.intake.register(&mailbox()).await.unwrap();
    place.intake.register(&other).await.unwrap();
    let copy = |account: &Account, key: &str, kept: &[&str], sought: &[&str]| {
        let text = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let mut contact = answering("a@example.fr", key, NOW, copy_of("x"));
        contact.account = account.clone();
        let Joining::Thread { twins, .. } = &mut contact.joining else {
            unreachable!()
        };
        (twins.kept, twins.sought) = (text(kept), text(sought));
        contact
    };
    // The whole mail came first, then its header alone; and the other way round.
    let whole = take(place, copy(&mailbox(), "1", &["mail:1", "of:1"], &["mail:1", "head:1"])).await;
    let head = take(place, copy(&other, "2", &["head:1"], &["head:1", "of:1"])).await;
    assert_eq!(head.request_id, whole.request_id);
    let head = take(place, copy(&mailbox(), "3", &["head:2"], &["head:2", "of:2"])).await;
    let whole = take(place, copy(&other, "4", &["mail:2", "of:2"], &["mail:2", "head:2"])).await;
    assert_eq!(head.request_id, whole.request_id);
    // In one batch as well.
    let (one, two) = tokio::join!(
        place
            .intake
            .accept(copy(&mailbox(), "5", &["mail:3", "of:3"], &["mail:3", "head:3"])),
        place.intake.accept(copy(&other, "6", &["head:3"], &["head:3", "of:3"]))
    );
    assert_eq!(one.unwrap().request_id, two.unwrap().request_id);
    // Another body under the same header is another mail, although both are kept under that header.
    let first = take(place, copy(&mailbox(), "7", &["mail:4", "of:4"], &["mail:4", "head:4"])).await;
    let another = take(place, copy(&other, "8", &["mail:5", "of:4"], &["mail:5", "head:4"])).await;
    assert_ne!(first.request_id, another.request_id);
    // And its own copy finds it, although its header was taken.
    let its_copy = take(place, copy(&mailbox(), "9", &["mail:5", "of:4"], &["mail:5", "head:4"])).await;
    assert_eq!(its_copy.request_id, another.request_id);
}

pub(crate) async fn an_answer_reopens_what_was_closed_lately(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    become_in_turn(place, &first.request_id, &[Status::Closed]).await;
    let answer = answering("a@example.fr", "2", time::now() + 29 * DAY, thread(&["<1@example.fr>"]));
    let answered = take(place, answer.clone()).await;
    assert_eq!(answered.request_id, first.request_id);
    let now = request(place, &first.request_id).await;
    assert_eq!((now.status.as_str(), now.version), ("reopened", 3));
    assert_eq!(
        place.number("SELECT COUNT(*) FROM reply").await,
        0,
        "who is answered needs no acknowledgement"
    );
    let history = place.desk.history(&agent(), &first.request_id).await.unwrap();
    let reopened = history.iter().find(|entry| entry.action == "reopened").unwrap();
    assert!(
        reopened.detail.contains("\"closed\"") && reopened.detail.contains(&answered.interaction_id),
        "{}",
        reopened.detail
    );
    assert!(reopened.actor.contains("mailbox/mairie"), "{}", reopened.actor);
    let moves = "SELECT COUNT(*) FROM transition WHERE from_status = 'closed' AND to_status = 'reopened' AND version = 3";
    assert_eq!(place.number(moves).await, 1);
    let events = place.events().await;
    let last = events.last().unwrap();
    assert_eq!(last.kind, "request.status_changed");
    assert!(last.data.contains("\"reopened\""), "{}", last.data);
    // The same mail again changes nothing, and the next one joins like any other.
    take(place, answer).await;
    assert_eq!(request(place, &first.request_id).await.version, 3);
    let next = answering("a@example.fr", "3", time::now(), thread(&["<2@example.fr>"]));
    assert_eq!(take(place, next).await.request_id, first.request_id);
    assert_eq!(place.count("request.status_changed").await, 2);
}

pub(crate) async fn a_late_answer_opens_a_request_that_continues_the_old_one(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    become_in_turn(place, &first.request_id, &[Status::Closed]).await;
    let late = time::now() + 31 * DAY;
    let second = take(place, answering("a@example.fr", "2", late, thread(&["<1@example.fr>"]))).await;
    assert_ne!(second.request_id, first.request_id);
    assert_eq!(request(place, &first.request_id).await.status, "closed");
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 1, "a new request is acknowledged");
    let links = request(place, &second.request_id).await.links;
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].kind.as_str(), links[0].request_id.as_str(), links[0].earlier),
        ("continues", first.request_id.as_str(), true)
    );
    let back = request(place, &first.request_id).await.links;
    assert_eq!((back[0].request_id.as_str(), back[0].earlier), (second.request_id.as_str(), false));
    // However the next answer names the old one, it finds the new one; a token too.
    let token = token_of(place, &first.request_id).await;
    for (key, joining) in [
        ("3", thread(&["<1@example.fr>"])),
        ("4", naming(&first.reference)),
        ("5", proved(&token)),
    ] {
        let next = take(place, answering("a@example.fr", key, late, joining)).await;
        assert_eq!(next.request_id, second.request_id, "{key}");
    }
    // In one batch too.
    become_in_turn(place, &second.request_id, &[Status::Closed]).await;
    let later = late + 40 * DAY;
    let many = join_all((0..8).map(|n| {
        let joining = thread(&["<2@example.fr>"]);
        place.intake.accept(answering("a@example.fr", &format!("many {n}"), later, joining))
    }));
    let many: std::collections::BTreeSet<String> = many.await.into_iter().map(|one| one.unwrap().request_id).collect();
    assert_eq!(many.len(), 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 3);
}

pub(crate) async fn a_token_proves_the_request_whoever_writes(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    let other = take(place, mail("a@example.fr", "2", NOW)).await;
    let token = token_of(place, &first.request_id).await;
    let mut contact = answering("neighbour@example.org", "3", NOW, proved(&token));
    if let Joining::Thread {
        message_ids, reference, ..
    } = &mut contact.joining
    {
        message_ids.push("<2@example.fr>".to_owned());
        *reference = Some(other.reference.clone());
    }
    assert_eq!(
        take(place, contact).await.request_id,
        first.request_id,
        "it outweighs ids and references"
    );
    become_in_turn(place, &first.request_id, &[Status::Closed]).await;
    let again = answering("a@example.fr", "4", time::now(), proved(&token.to_uppercase()));
    assert_eq!(take(place, again).await.request_id, first.request_id);
    assert_eq!(request(place, &first.request_id).await.status, "reopened");
    // Another process over the same database reads the same key.
    assert_eq!(token_of(place, &first.request_id).await, token);
    let again = place.intake_again();
    let read = again.accept(answering("c@example.fr", "5", NOW, proved(&token))).await.unwrap();
    assert_eq!(read.request_id, first.request_id);
    let stored = "SELECT COUNT(*) FROM secret WHERE name = 'reply_tokens' AND value LIKE 'v1:%'";
    assert_eq!(
        place.number(stored).await == 1,
        place.vault.is_on(),
        "the key is sealed where personal data is"
    );
}

pub(crate) async fn a_forged_token_is_counted_and_ignored(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    let token = token_of(place, &first.request_id).await;
    let forged = |at: usize| {
        let mut text = token.clone().into_bytes();
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(text).unwrap()
    };
    // The id, the proof, and one of a request that there is not.
    let stale = token_of(place, "01900000-0000-7000-8000-000000000000").await;
    for (key, token) in [("2", forged(3)), ("3", forged(30)), ("4", stale), ("5", "x".to_owned())] {
        let other = take(place, answering("mallory@example.org", key, NOW, proved(&token))).await;
        assert_ne!(other.request_id, first.request_id, "{key}");
        assert!(place.interaction(&other).await.row.flags == "[]");
    }
    let counted = place.counters.snapshot();
    let count = |wanted| counted.iter().find(|(_, _, event, _)| *event == wanted).map_or(0, |found| found.3);
    assert_eq!((count("reply_token_forged"), count("reply_token_stale")), (3, 1));
    assert_eq!(place.number("SELECT COUNT(*) FROM request_link").await, 0);
}

pub(crate) async fn a_reference_counts_for_who_takes_part(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let point = |raw: &str| NewPoint {
        kind: PointKind::Email,
        raw: raw.to_owned(),
        label: None,
        verified_how: None,
    };
    let mut zoe = NewCitizen::new(CitizenKind::Person);
    zoe.points = vec![point("zoe@example.fr"), point("zoe@work.example")];
    place.citizens.create(&agent(), &zoe, None).await.unwrap();
    let first = take(place, mail("zoe@example.fr", "1", NOW)).await;
    let joins = async |from: &str, key: &str| {
        let taken = take(place, answering(from, key, NOW, naming(&first.reference))).await;
        (taken.request_id == first.request_id, taken)
    };
    assert!(joins("ZOE@example.fr", "2").await.0, "who opened it");
    assert!(joins("zoe@work.example", "3").await.0, "another address of its citizen");
    let (joined, stranger) = joins("stranger@example.org", "4").await;
    assert!(!joined);
    let shown = place.interaction(&stranger).await;
    assert_eq!(shown.row.flags, "[\"mention\"]");
    let links = request(place, &stranger.request_id).await.links;
    assert_eq!(
        (links[0].kind.as_str(), links[0].request_id.as_str()),
        ("mentions", first.request_id.as_str())
    );
    // Who wrote to it before takes part in it; a machine that did does not.
    take(place, answering("neighbour@example.org", "5", NOW, thread(&["<1@example.fr>"]))).await;
    assert!(joins("neighbour@example.org", "6").await.0);
    let mut robot = answering("robot@example.org", "7", NOW, thread(&["<1@example.fr>"]));
    robot.flags.push(Flag::Automatic);
    assert_eq!(take(place, robot).await.request_id, first.request_id);
    assert!(!joins("robot@example.org", "8").await.0);
    let nobody = answering("", "9", NOW, naming(&first.reference));
    assert_ne!(take(place, nobody).await.request_id, first.request_id);
}

pub(crate) async fn a_merged_request_is_followed(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let all = [
        take(place, mail("a@example.fr", "1", NOW)).await,
        take(place, mail("a@example.fr", "2", NOW)).await,
        take(place, mail("b@example.fr", "3", NOW)).await,
    ];
    let token = token_of(place, &all[0].request_id).await;
    place
        .change(&format!(
            "INSERT INTO message_id (message_id, request_id, at) VALUES ('{}', '{}', 0)",
            place.vault.index(voxea_core::vault::Index::MessageId, "<ours@example.fr>"),
            all[0].request_id
        ))
        .await;
    for (from, to) in [(0, 1), (1, 2)] {
        let moved = place.interactions.of_request(&agent(), &all[from].request_id).await.unwrap();
        for one in moved {
            let version = request(place, &all[from].request_id).await.version;
            let moving = Moving {
                interaction_id: &one.row.id,
                from: None,
                to: Some(&all[to].request_id),
            };
            place.desk.move_interaction(&agent(), &moving, version).await.unwrap();
        }
        assert_eq!(request(place, &all[from].request_id).await.status, "merged");
    }
    let joinings = [
        ("4", thread(&["<1@example.fr>"])),
        ("5", thread(&["<ours@example.fr>"])),
        ("6", proved(&token)),
        ("7", naming(&all[0].reference)),
    ];
    for (key, joining) in joinings {
        let taken = take(place, answering("a@example.fr", key, NOW, joining)).await;
        assert_eq!(taken.request_id, all[2].request_id, "{key}");
    }
    // One that was taken out of the merger stands for itself again.
    become_in_turn(place, &all[0].request_id, &[Status::Reopened]).await;
    let taken = take(place, answering("a@example.fr", "8", NOW, naming(&all[0].reference))).await;
    assert_eq!(taken.request_id, all[0].request_id);
}

pub(crate) async fn a_machine_brings_nothing_back(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    become_in_turn(place, &first.request_id, &[Status::Closed]).await;
    for (key, at) in [("2", time::now()), ("3", time::now() + 90 * DAY)] {
        let mut robot = answering("a@example.fr", key, at, thread(&["<1@example.fr>"]));
        robot.flags.push(Flag::Automatic);
        assert_eq!(
            take(place, robot).await.request_id,
            first.request_id,
            "it is kept with what it answers"
        );
        assert_eq!(request(place, &first.request_id).await.status, "closed");
    }
    assert_eq!(place.count("request.status_changed").await, 1);
}

pub(crate) async fn an_answer_may_overtake_its_question(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let answer = take(place, answering("b@example.fr", "2", NOW, thread(&["<1@example.fr>"]))).await;
    let question = take(place, mail("a@example.fr", "1", NOW)).await;
    assert_eq!(question.request_id, answer.request_id);
    // Another mail under an id that was seen is another mail.
    let mut again = mail("a@example.fr", "again", NOW);
    again.message_ids = vec!["<1@example.fr>".to_owned()];
    assert_ne!(take(place, again).await.request_id, question.request_id);
}

pub(crate) async fn of_many_answers_at_once_one_reopens(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = take(place, mail("a@example.fr", "1", NOW)).await;
    become_in_turn(place, &first.request_id, &[Status::Closed]).await;
    let other = place.intake_again();
    let answers = (0..20).map(|n| {
        let intake = if n % 2 == 0 { &place.intake } else { &other };
        intake.accept(answering(
            "a@example.fr",
            &format!("answer {n}"),
            time::now(),
            thread(&["<1@example.fr>"]),
        ))
    });
    for answer in join_all(answers).await {
        assert_eq!(answer.unwrap().request_id, first.request_id);
    }
    let now = request(place, &first.request_id).await;
    assert_eq!((now.status.as_str(), now.version), ("reopened", 22));
    assert_eq!(place.number("SELECT COUNT(*) FROM history WHERE action = 'reopened'").await, 1);
    assert_eq!(place.count("request.status_changed").await, 2);
}
