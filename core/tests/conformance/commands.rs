//! STOP, START, CONTACT and AIDE, and acknowledgements by text.
//!
//! Red when a command may join (`joining` left as it was), when its window is no day (`DAY` = 0), when a STOP of the same batch is
//! not seen (`opted_out.insert` taken out), and when the opt-out's `ON CONFLICT` is.

use futures_util::future::join_all;
use voxea_core::base::account::{Account, Kind};
use voxea_core::citizen::{Address, OptOutFilter, PointKind};
use voxea_core::contact::{AutomaticTexts, CommandAnswers, Contact, Intake, Outcome};
use voxea_rules::notice::{self, Acknowledgement, Answer, Inputs};

use crate::place::{CITIZEN, HOUR, NOW, Place, agent, part, sms_account, text, text_by};

/// An account that answers all there is to answer.
fn answers(per_hour: u32) -> AutomaticTexts {
    let inputs = Inputs {
        organisation: "Mairie de Saint-Exemple",
        telephone: Some("01 40 20 50 50"),
    };
    let answer = |wording| Answer::new(wording, &inputs).unwrap();
    AutomaticTexts {
        sender: Some(sms_account()),
        from: "36123".to_owned(),
        ours: Vec::new(),
        acknowledgement: Some(Acknowledgement::new(notice::ACKNOWLEDGEMENT, &inputs).unwrap()),
        commands: Some(CommandAnswers {
            stop: answer(notice::STOPPED),
            start: answer(notice::STARTED),
            contact: answer(notice::CONTACT),
            help: answer(notice::HELP),
        }),
        per_hour,
    }
}

async fn begin(place: &Place, per_hour: u32) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.answer_texts(&sms_account(), answers(per_hour));
}

/// What went out, by its kind's beginning, in order.
async fn sent(place: &Place) -> Vec<String> {
    let mut rows: Vec<(String, i64)> = Vec::new();
    let mut after = 0;
    loop {
        let listed = place
            .desk
            .list(
                &agent(),
                voxea_core::request::Filter {
                    after,
                    ..Default::default()
                },
                500,
            )
            .await
            .unwrap();
        for request in listed.items {
            for shown in place.interactions.of_request(&agent(), &request.id).await.unwrap() {
                if shown.row.direction == "out" {
                    rows.push((shown.row.text.unwrap(), shown.row.position));
                }
            }
        }
        match listed.next {
            Some(next) => after = next,
            None => break,
        }
    }
    rows.sort_by_key(|(_, position)| *position);
    rows.into_iter().map(|(text, _)| text).collect()
}

async fn from(intake: &Intake, number: &str, body: &str, at: i64) -> String {
    let mut contact = text(&format!("{number}/{body}/{at}"), at);
    contact.text = Some(body.to_owned());
    contact.from = number.to_owned();
    intake.accept(contact).await.unwrap().request_id
}

pub(crate) async fn a_stop_is_one_opt_out_and_is_confirmed_once(place: &Place) {
    begin(place, 100).await;
    let open = from(&place.intake, CITIZEN, "Bonjour", NOW).await;
    let mut requests = Vec::new();
    for (n, body) in ["STOP", "stop.", "« Stop »", "STOP 36123", "S.T.O.P", "Stop, merci"]
        .iter()
        .enumerate()
    {
        requests.push(from(&place.intake, CITIZEN, body, NOW + 1 + n as i64).await);
    }
    assert!(!requests.contains(&open), "a command does not join a conversation");
    let later = from(&place.intake, CITIZEN, "et sinon ?", NOW + 100).await;
    assert_eq!(later, open, "nor does it interrupt one");
    // An acknowledgement of the first text, and one confirmation.
    let out = sent(place).await;
    assert_eq!(out.len(), 2, "{out:?}");
    assert!(out[1].contains("c'est noté"), "{out:?}");
    let listed = place.opt_outs.list(&agent(), &OptOutFilter::default(), 10).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let opt_out = &listed.items[0];
    assert_eq!(
        (opt_out.address.as_str(), opt_out.how.as_deref(), opt_out.channel.as_str()),
        (CITIZEN, Some("STOP"), "sms")
    );
    assert_eq!((opt_out.at, place.number("SELECT COUNT(*) FROM opt_out").await), (NOW + 1, 1));
    let address = Address::read(PointKind::Phone, CITIZEN).unwrap();
    assert!(place.opt_outs.opted_out(&agent(), &address).await.unwrap());
    for id in &requests {
        assert_eq!(
            place.desk.get(&agent(), id).await.unwrap().status,
            "closed",
            "nobody has to work on it"
        );
        let shown = place.interactions.of_request(&agent(), id).await.unwrap();
        assert_eq!(shown[0].flags, ["command"]);
    }
    // The next day it is confirmed again, and is still the same opt-out.
    from(&place.intake, CITIZEN, "STOP", NOW + 25 * HOUR).await;
    assert_eq!(sent(place).await.len(), 3);
    assert_eq!(place.number("SELECT COUNT(*) FROM opt_out").await, 1);
    // Who wants to be written to again is, until the next STOP.
    place.opt_outs.clear(&agent(), &opt_out.id).await.unwrap();
    assert!(!place.opt_outs.opted_out(&agent(), &address).await.unwrap());
    from(&place.intake, CITIZEN, "stop", NOW + 26 * HOUR).await;
    assert!(place.opt_outs.opted_out(&agent(), &address).await.unwrap());
    assert_eq!(place.number("SELECT COUNT(*) FROM opt_out").await, 2);
}

pub(crate) async fn each_command_is_answered_for_itself(place: &Place) {
    begin(place, 100).await;
    for body in ["Contact ?", "AIDE", "aide svp", "CONTACT", "STOP"] {
        from(&place.intake, CITIZEN, body, NOW).await;
    }
    // A short code, a name, a range of machines, ourselves, and nobody.
    for number in ["36124", "IMPOTS", "+33937000000", "36123", "", "+33899123456"] {
        from(&place.intake, number, "AIDE", NOW).await;
        from(&place.intake, number, "Bonjour", NOW).await;
    }
    let out = sent(place).await;
    assert_eq!(out.len(), 3, "{out:?}");
    assert!(
        out[0].contains("01 40 20 50 50") && out[1].contains("CONTACT : nous joindre") && out[2].contains("c'est noté"),
        "{out:?}"
    );
    assert_eq!(
        place.number("SELECT COUNT(*) FROM interaction WHERE direction = 'in'").await,
        17,
        "no contact is lost"
    );
}

pub(crate) async fn a_stop_that_comes_again_is_answered_once(place: &Place) {
    begin(place, 100).await;
    let stop = |link: &str, at| {
        let mut contact = text_by(link, 60, "STOP", at);
        contact.text = Some("STOP".to_owned());
        contact
    };
    let first = place.intake.accept(stop("one", NOW)).await.unwrap();
    // Its answer never left us, and the process died.
    let again = place.intake_again();
    again.answer_texts(&sms_account(), answers(100));
    let repeated = again.accept(stop("two", NOW + 1)).await.unwrap();
    assert_eq!(
        (repeated.outcome, &repeated.interaction_id),
        (Outcome::Known, &first.interaction_id)
    );
    assert_eq!(sent(place).await.len(), 1);
    // Many at once are one batch: one opt-out each number, one answer.
    join_all((0..64).map(|n| {
        from(
            &place.intake,
            if n % 2 == 0 { "+33600000001" } else { "+33600000002" },
            "Stop",
            NOW + n,
        )
    }))
    .await;
    assert_eq!(sent(place).await.len(), 3);
    assert_eq!(place.number("SELECT COUNT(*) FROM opt_out").await, 3);
    assert_eq!(place.number("SELECT COUNT(*) FROM request WHERE status = 'closed'").await, 65);
}

pub(crate) async fn a_stop_may_come_in_parts(place: &Place) {
    begin(place, 100).await;
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    place.intake.part(part("a", 2, 2, &utf16("OP"), "one", NOW)).await.unwrap();
    let whole = place
        .intake
        .part(part("a", 1, 2, &utf16("ST"), "one", NOW))
        .await
        .unwrap()
        .whole
        .unwrap();
    assert_eq!(place.desk.get(&agent(), &whole.request_id).await.unwrap().status, "closed");
    assert_eq!(place.number("SELECT COUNT(*) FROM opt_out").await, 1);
    // What lacks a part is for people.
    place.intake.part(part("b", 1, 2, &utf16("STOP"), "one", NOW)).await.unwrap();
    assert_eq!(place.intake.expire_parts(NOW + 25 * HOUR).await.unwrap(), 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM request WHERE status = 'received'").await, 1);
}

pub(crate) async fn a_request_by_text_is_acknowledged_once_and_never_after_a_stop(place: &Place) {
    begin(place, 1000).await;
    let opened = from(&place.intake, CITIZEN, "Un lampadaire est cassé", NOW).await;
    assert_eq!(from(&place.intake, CITIZEN, "rue Foch", NOW + 1).await, opened);
    let reference = place.desk.get(&agent(), &opened).await.unwrap().reference;
    let out = sent(place).await;
    assert_eq!(
        out,
        [format!(
            "Mairie de Saint-Exemple : votre demande {reference} est enregistrée. Pour la compléter, répondez à ce message."
        )]
    );
    from(&place.intake, CITIZEN, "STOP", NOW + 2).await;
    from(&place.intake, CITIZEN, "Autre chose", NOW + 48 * HOUR).await;
    assert_eq!(sent(place).await.len(), 2, "the confirmation, and nothing that was not asked for");
    // In one batch too: who says STOP and goes on.
    let before = place.number("SELECT COUNT(*) FROM reply").await;
    let second = "+33698765432";
    let (stop, _) = tokio::join!(
        from(&place.intake, second, "STOP", NOW),
        from(&place.intake, second, "Bonjour", NOW + 1)
    );
    assert_eq!(place.desk.get(&agent(), &stop).await.unwrap().status, "closed");
    assert_eq!(
        place.number("SELECT COUNT(*) FROM reply").await,
        before + 1,
        "the confirmation alone"
    );
    // A number gets six an hour, whatever it sends, and the account as many as it was given.
    for n in 0..20 {
        from(&place.intake, "+33611111111", "Bonjour", NOW + 25 * n * HOUR / 250).await;
    }
    let limited = Account::new(Kind::Smpp, "limited");
    place.intake.register(&limited).await.unwrap();
    place.intake.answer_texts(
        &limited,
        AutomaticTexts {
            sender: Some(limited.clone()),
            ..answers(3)
        },
    );
    let before = place.number("SELECT COUNT(*) FROM reply").await;
    for n in 0..10 {
        let mut contact: Contact = text(&format!("limited {n}"), NOW);
        contact.account = limited.clone();
        contact.from = format!("+3361234000{n}");
        place.intake.accept(contact).await.unwrap();
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await - before, 3);
    assert!(place.intake.forget(NOW + 100 * HOUR).await.unwrap() > 0);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM breaker").await,
        0,
        "counts of numbers are not kept"
    );
}

/// Red when a START of the same batch is not seen (`opted_out.remove` taken out), when both rows of one address are written
/// (`opt_outs.remove` taken out), and when it ends the opt-outs of others.
pub(crate) async fn a_start_ends_a_stop_until_the_next(place: &Place) {
    begin(place, 100).await;
    let address = Address::read(PointKind::Phone, CITIZEN).unwrap();
    let me = agent();
    let opted_out = || place.opt_outs.opted_out(&me, &address);
    let neighbour = "+33698765432";
    from(&place.intake, neighbour, "STOP", NOW).await;
    // Of nobody who had said STOP it changes nothing, and is answered all the same.
    let start = from(&place.intake, CITIZEN, "Start !", NOW).await;
    assert_eq!(place.desk.get(&agent(), &start).await.unwrap().status, "closed");
    assert!(!opted_out().await.unwrap());
    // By text or at the counter: who has the number says so.
    place.opt_outs.put(&agent(), &address, Some("au guichet")).await.unwrap();
    from(&place.intake, CITIZEN, "unstop", NOW + 1).await;
    assert!(!opted_out().await.unwrap());
    from(&place.intake, CITIZEN, "STOP", NOW + 2).await;
    assert!(opted_out().await.unwrap());
    from(&place.intake, CITIZEN, "START", NOW + 3).await;
    assert!(!opted_out().await.unwrap());
    let out = sent(place).await;
    assert_eq!(out.len(), 3, "each once a day: {out:?}");
    assert!(out[1].contains("de nouveau") && out[2].contains("ne recevrez plus"), "{out:?}");
    // When there was one stays known, and who ended it.
    let ended = "SELECT COUNT(*) FROM opt_out WHERE cleared_at IS NOT NULL AND cleared_by LIKE '%short-number%'";
    assert_eq!(
        (place.number(ended).await, place.number("SELECT COUNT(*) FROM opt_out").await),
        (2, 3)
    );
    // Acknowledgements come again.
    from(&place.intake, CITIZEN, "Un banc est cassé", NOW + 4).await;
    assert_eq!(sent(place).await.len(), 4);
    // Who says START and goes on is acknowledged, in one batch too.
    let before = sent(place).await.len();
    tokio::join!(
        from(&place.intake, neighbour, "START", NOW + 5),
        from(&place.intake, neighbour, "Un trou", NOW + 6)
    );
    assert_eq!(sent(place).await.len(), before + 2);
    // Of one batch the last word counts.
    let many = (0..64).map(|n| {
        let number = if n % 2 == 0 { "+33600000001" } else { "+33600000002" };
        let word = if (n / 2 + n) % 2 == 0 { "STOP" } else { "START" };
        from(&place.intake, number, word, NOW + n)
    });
    join_all(many).await;
    let rows = "SELECT COUNT(*) FROM opt_out WHERE cleared_at IS NULL";
    // The one's last is a START, the other's a STOP.
    assert_eq!(place.number(rows).await, 1);
    from(&place.intake, "+33600000002", "START", NOW + 100).await;
    assert_eq!(place.number(rows).await, 0);
}

/// STOP, START and the same STOP again within the time in which it could be the first one's repetition: it is heeded all the same.
///
/// Red when `stop_again` does nothing.
pub(crate) async fn a_stop_counts_though_it_may_be_a_repetition(place: &Place) {
    begin(place, 100).await;
    let address = Address::read(PointKind::Phone, CITIZEN).unwrap();
    let me = agent();
    let said = |word: &str, at| {
        let mut contact = text_by("one", 60, word, at);
        contact.text = Some(word.to_owned());
        contact
    };
    let first = place.intake.accept(said("STOP", NOW)).await.unwrap();
    place.flushed(first.delivery, NOW).await;
    place.intake.accept(said("START", NOW + 600)).await.unwrap();
    assert!(!place.opt_outs.opted_out(&me, &address).await.unwrap());
    let again = place.intake.accept(said("STOP", NOW + 1200)).await.unwrap();
    assert_eq!((again.outcome, again.interaction_id), (Outcome::Known, first.interaction_id));
    assert!(place.opt_outs.opted_out(&me, &address).await.unwrap());
    assert_eq!(sent(place).await.len(), 2, "it is answered once a day");
}
