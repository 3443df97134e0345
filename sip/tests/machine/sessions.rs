//! Session timers in both roles, on virtual time (RFC 4028).

use std::time::Duration;

use voxea_sip::call::{CallHandle, EndedBy};
use voxea_sip::endpoint::Event;

use crate::bench::{Bench, OFFER, first_line, header, inside, invite_with, tag};

const SECOND: Duration = Duration::from_secs(1);

/// A call whose INVITE has these fields more, answered and confirmed; our 200 and our tag.
fn talking(bench: &mut Bench, extra: &str) -> (CallHandle, String, String) {
    let call = bench.offered(invite_with("1", "3000", extra, OFFER)).call;
    let ok = bench.accept(call);
    let tag = tag(&ok);
    assert!(bench.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
    assert!(matches!(bench.events.pop(), Some(Event::Answered { .. })));
    (call, ok, tag)
}

/// The peer's answer to the last request of ours.
fn answer(bench: &Bench, status: &str, extra: &str) -> String {
    let copy = |name| format!("{name}: {}\r\n", header(bench.last(), name).unwrap());
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"].into_iter().map(copy).collect();
    format!("SIP/2.0 {status}\r\n{copied}{extra}Content-Length: 0\r\n\r\n")
}

fn expired(bench: &mut Bench) -> bool {
    matches!(
        bench.events.pop(),
        Some(Event::Ended {
            by: EndedBy::Expired,
            answered: true,
            ..
        })
    )
}

#[test]
fn a_peer_that_does_not_refresh_is_hung_up() {
    let mut bench = Bench::new();
    let (_, ok, tag) = talking(&mut bench, "Supported: timer\r\nSession-Expires: 90\r\n");
    assert_eq!(header(&ok, "Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(header(&ok, "Require"), Some("timer"));
    // 90 less a third: RFC 4028 §10.
    bench.pass(59 * SECOND);
    assert!(bench.events.is_empty());
    let refresh =
        inside("UPDATE", 2, &tag, "u1", "").replace("Contact:", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nContact:");
    let answers = bench.input(refresh);
    assert_eq!(
        (first_line(&answers[0]).as_str(), header(&answers[0], "Session-Expires")),
        ("SIP/2.0 200 OK", Some("90;refresher=uac"))
    );
    bench.pass(59 * SECOND);
    assert!(bench.events.is_empty(), "the time began anew");
    bench.pass(2 * SECOND);
    assert!(expired(&mut bench));
    assert_eq!(bench.times("BYE ")[0], 119_000);
    bench.pass(40 * SECOND);
    assert!(bench.endpoint.is_idle());
}

#[test]
fn we_refresh_at_half_the_interval_where_we_shall() {
    let mut bench = Bench::new();
    let extra = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\nSession-Expires: 200;refresher=uas\r\n";
    let (_, ok, _) = talking(&mut bench, extra);
    assert_eq!(header(&ok, "Session-Expires"), Some("200;refresher=uas"));
    bench.pass(100 * SECOND);
    let update = bench.last().to_owned();
    assert_eq!(first_line(&update), "UPDATE sip:pbx@192.0.2.1:5080 SIP/2.0");
    assert_eq!(
        header(&update, "Session-Expires"),
        Some("200;refresher=uac"),
        "of this request we are the client"
    );
    assert!(header(&update, "Contact").is_some());
    bench.input(answer(&bench, "200 OK", "Session-Expires: 200;refresher=uac\r\n"));
    bench.pass(100 * SECOND);
    assert_eq!(bench.times("UPDATE "), [100_000, 200_000]);
    // A longer interval is wanted, and is had at once.
    bench.input(answer(&bench, "422 Session Interval Too Small", "Min-SE: 400\r\n"));
    assert_eq!(header(bench.last(), "Session-Expires"), Some("400;refresher=uac"));
    bench.input(answer(&bench, "200 OK", "Session-Expires: 400;refresher=uac\r\n"));
    bench.pass(199 * SECOND);
    assert_eq!(bench.times("UPDATE ").len(), 3);
    assert!(bench.events.is_empty());
}

#[test]
fn a_refresh_that_fails_ends_the_call() {
    for (status, at) in [("481 Call Does Not Exist", 100_000), ("408 Request Timeout", 100_000)] {
        let mut bench = Bench::new();
        talking(
            &mut bench,
            "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 200;refresher=uas\r\n",
        );
        bench.pass(100 * SECOND);
        bench.input(answer(&bench, status, ""));
        assert!(expired(&mut bench), "{status}");
        assert_eq!(bench.times("BYE "), [at]);
    }
    // Nobody answers: 32 s later the transaction is over.
    let mut bench = Bench::new();
    talking(
        &mut bench,
        "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 200;refresher=uas\r\n",
    );
    bench.pass(133 * SECOND);
    assert!(expired(&mut bench));
    assert_eq!(bench.times("BYE ")[0], 132_000);
    bench.pass(40 * SECOND);
    assert!(bench.endpoint.is_idle());
}

#[test]
fn a_refresh_that_waits_is_tried_again_until_the_end() {
    let mut bench = Bench::new();
    talking(
        &mut bench,
        "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 90;refresher=uas\r\n",
    );
    bench.pass(45 * SECOND);
    for _ in 0..7 {
        assert!(first_line(bench.last()).starts_with("UPDATE "));
        bench.input(answer(&bench, "491 Request Pending", ""));
        bench.pass(2 * SECOND);
    }
    bench.pass(2 * SECOND);
    assert!(expired(&mut bench));
    assert_eq!(bench.times("BYE ")[0], 60_000);
}

/// A call that we refresh by INVITE, up to the first one.
fn reinviting(bench: &mut Bench) -> (CallHandle, String) {
    let (call, ok, tag) = talking(bench, "Supported: timer\r\nSession-Expires: 200;refresher=uas\r\n");
    assert_eq!(header(&ok, "Session-Expires"), Some("200;refresher=uas"));
    bench.pass(100 * SECOND);
    assert_eq!(first_line(bench.last()), "INVITE sip:pbx@192.0.2.1:5080 SIP/2.0");
    let body = |text: &str| text.split("\r\n\r\n").nth(1).unwrap().to_owned();
    assert_eq!(body(bench.last()), body(&ok), "what was agreed on, unchanged");
    (call, tag)
}

#[test]
fn whoever_answers_no_update_is_refreshed_by_an_invite() {
    let mut bench = Bench::new();
    reinviting(&mut bench);
    bench.pass(2 * SECOND);
    assert_eq!(bench.times("INVITE "), [100_000, 100_500, 101_500], "a lost one is repeated");
    bench.input(answer(&bench, "100 Trying", ""));
    bench.pass(5 * SECOND);
    assert_eq!(bench.times("INVITE ").len(), 3, "and no more once it was heard");
    let ok = answer(
        &bench,
        "200 OK",
        "Session-Expires: 200;refresher=uac\r\nContact: <sip:moved@192.0.2.7:5090>\r\n",
    );
    let acks = bench.input(ok.clone());
    assert_eq!(first_line(&acks[0]), "ACK sip:pbx@192.0.2.1:5080 SIP/2.0");
    assert_eq!(header(&acks[0], "CSeq"), Some("1 ACK"));
    assert_eq!(bench.input(ok), acks, "a repeated 200 has its ACK again");
    bench.pass(100 * SECOND);
    assert_eq!(first_line(bench.last()), "INVITE sip:moved@192.0.2.7:5090 SIP/2.0");
    assert_eq!(header(bench.last(), "CSeq"), Some("2 INVITE"));
    assert!(bench.events.is_empty());
}

#[test]
fn two_invites_at_once_yield_to_each_other() {
    let mut bench = Bench::new();
    let (_, tag) = reinviting(&mut bench);
    let ours = bench.last().to_owned();
    assert_eq!(
        bench.status(inside("INVITE", 2, &tag, "glare", OFFER)),
        "SIP/2.0 491 Request Pending"
    );
    bench.input(inside("ACK", 2, &tag, "glare", ""));
    assert_eq!(
        bench.status(inside("UPDATE", 3, &tag, "glare2", OFFER)),
        "SIP/2.0 491 Request Pending"
    );
    assert_eq!(
        bench.status(inside("UPDATE", 4, &tag, "u", "")),
        "SIP/2.0 200 OK",
        "it changes nothing"
    );
    bench.sent.retain(|(_, _, text)| *text == ours);
    let acks = bench.input(answer(&bench, "491 Request Pending", ""));
    assert_eq!(
        header(&acks[0], "Via"),
        header(&ours, "Via"),
        "the ACK of a refusal is its transaction's"
    );
    bench.sent.clear();
    bench.pass(2 * SECOND);
    assert!(
        bench.times("INVITE ").is_empty(),
        "no session timer is left after an UPDATE without one"
    );

    let mut bench = Bench::new();
    reinviting(&mut bench);
    bench.input(answer(&bench, "491 Request Pending", ""));
    bench.sent.clear();
    bench.pass(2 * SECOND);
    let again = bench.times("INVITE ");
    assert!(again.first().is_some_and(|at| (101_500..=102_000).contains(at)), "{again:?}");
}

#[test]
fn an_invite_of_ours_that_nobody_answers_ends_the_call() {
    let mut bench = Bench::new();
    reinviting(&mut bench);
    bench.pass(33 * SECOND);
    assert!(expired(&mut bench));
    bench.pass(40 * SECOND);
    assert!(bench.endpoint.is_idle());
}

#[test]
fn an_answer_to_our_invite_may_move_the_sound() {
    let mut bench = Bench::new();
    let (call, _) = reinviting(&mut bench);
    let sdp = OFFER.replace("192.0.2.1", "192.0.2.9");
    let ok = answer(&bench, "200 OK", "Session-Expires: 200\r\nContent-Type: application/sdp\r\n");
    let ok = ok.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()));
    bench.input(ok);
    assert!(matches!(bench.events.pop(), Some(Event::Renegotiated { call: found, .. }) if found == call));
}

#[test]
fn a_peer_may_take_the_refresh_over_or_end_the_timer() {
    let extra = "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 200;refresher=uas\r\n";
    let mut bench = Bench::new();
    talking(&mut bench, extra);
    bench.pass(100 * SECOND);
    bench.input(answer(&bench, "200 OK", "Session-Expires: 90;refresher=uas\r\n"));
    bench.pass(59 * SECOND);
    assert!(bench.events.is_empty());
    bench.pass(2 * SECOND);
    assert!(expired(&mut bench), "it was the peer's to refresh");

    let mut bench = Bench::new();
    talking(&mut bench, extra);
    bench.pass(100 * SECOND);
    bench.input(answer(&bench, "200 OK", ""));
    bench.pass(500 * SECOND);
    assert!(bench.events.is_empty() && bench.times("UPDATE ").len() == 1);
}

#[test]
fn whoever_does_not_know_the_extension_has_no_timer() {
    let mut bench = Bench::new();
    let (_, ok, _) = talking(&mut bench, "Session-Expires: 200\r\n");
    assert_eq!(header(&ok, "Session-Expires"), None, "it does not know the extension");
    bench.pass(300 * SECOND);
    assert!(bench.events.is_empty() && bench.times("UPDATE ").is_empty());
}

#[test]
fn a_refresh_without_the_field_ends_the_timer() {
    let mut bench = Bench::new();
    let (_, _, tag) = talking(&mut bench, "Supported: timer\r\nSession-Expires: 90\r\n");
    assert_eq!(bench.status(inside("UPDATE", 2, &tag, "u1", "")), "SIP/2.0 200 OK");
    bench.pass(300 * SECOND);
    assert!(bench.events.is_empty(), "RFC 4028 §7.4");
}
