//! Reliable provisional answers, on virtual time (RFC 3262).

use std::time::Duration;

use voxea_sip::call::{CallHandle, EndedBy};
use voxea_sip::endpoint::Event;

use crate::bench::{Bench, OFFER, beside, first_line, header, inside, invite_with, tag};

/// A call that requires reliable answers, accepted: its handle, our 183, our tag, the RAck for it.
fn progressing(bench: &mut Bench, sdp: &str) -> (CallHandle, String, String, String) {
    let call = bench.offered(invite_with("1", "3000", "Require: 100rel\r\n", sdp)).call;
    let progress = bench.accept(call);
    assert_eq!(first_line(&progress), "SIP/2.0 183 Session Progress");
    assert_eq!(header(&progress, "Require"), Some("100rel"));
    let rack = format!("{} 1 INVITE", header(&progress, "RSeq").unwrap());
    let tag = tag(&progress);
    (call, progress, tag, rack)
}

fn prack(tag: &str, cseq: u32, branch: &str, rack: &str, sdp: &str) -> String {
    inside("PRACK", cseq, tag, branch, sdp).replace("Contact:", &format!("RAck: {rack}\r\nContact:"))
}

#[test]
fn the_200_waits_for_the_prack_and_says_nothing_of_the_session_again() {
    let mut bench = Bench::new();
    let (call, progress, tag, rack) = progressing(&mut bench, OFFER);
    assert!(progress.contains("m=audio 40000"));
    let answers = bench.input(prack(&tag, 2, "p", &rack, ""));
    assert_eq!(
        answers.iter().map(|text| first_line(text)).collect::<Vec<_>>(),
        ["SIP/2.0 200 OK"; 2]
    );
    assert_eq!(header(&answers[0], "CSeq"), Some("2 PRACK"));
    assert_eq!(header(&answers[1], "CSeq"), Some("1 INVITE"));
    assert!(answers[1].ends_with("Content-Length: 0\r\n\r\n"));
    assert!(bench.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
    assert!(matches!(bench.events.pop(), Some(Event::Answered { call: found, .. }) if found == call));
    assert_eq!(
        bench.status(prack(&tag, 3, "p2", &rack, "")),
        "SIP/2.0 481 Call Transaction Does Not Exist",
        "it is confirmed already"
    );
    assert_eq!(bench.status(inside("BYE", 4, &tag, "bye", "")), "SIP/2.0 200 OK");
    bench.pass(Duration::from_secs(40));
    assert!(bench.endpoint.is_idle());
}

#[test]
fn without_a_prack_the_183_is_repeated_and_the_call_refused() {
    let mut bench = Bench::new();
    let (call, _, tag, rack) = progressing(&mut bench, OFFER);
    assert_eq!(
        bench.status(prack(&tag, 2, "p", "7 1 INVITE", "")),
        "SIP/2.0 481 Call Transaction Does Not Exist",
        "another answer's"
    );
    bench.pass(Duration::from_secs(31));
    assert_eq!(bench.times("SIP/2.0 183"), [0, 500, 1_500, 3_500, 7_500, 15_500]);
    assert!(bench.events.is_empty());
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.times("SIP/2.0 504")[0], 32_000);
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));
    assert_eq!(
        bench.status(prack(&tag, 3, "p3", &rack, "")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
    assert_eq!(bench.endpoint.calls(), 0);
}

#[test]
fn our_offer_stands_in_the_183_and_the_answer_in_the_prack() {
    let mut bench = Bench::new();
    let (_, progress, tag, rack) = progressing(&mut bench, "");
    assert!(progress.contains("m=audio 40000 RTP/AVP 8 0 9 101"));
    let answers = bench.input(prack(&tag, 2, "p", &rack, OFFER));
    assert_eq!(answers.len(), 2);
    bench.input(inside("ACK", 1, &tag, "ack", ""));
    assert!(matches!(bench.events.pop(), Some(Event::Answered { media, .. }) if media.remote.is_some()));

    let mut bench = Bench::new();
    let (_, _, tag, rack) = progressing(&mut bench, "");
    let answers = bench.input(prack(&tag, 2, "p", &rack, ""));
    assert!(
        answers.iter().all(|text| first_line(text) == "SIP/2.0 488 Not Acceptable Here"),
        "no answer, no call"
    );
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { .. })));
}

#[test]
fn an_early_call_can_be_given_up_by_either_side() {
    let mut bench = Bench::new();
    let (call, ..) = progressing(&mut bench, OFFER);
    let answers = bench.input(beside("CANCEL", "1", ""));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 200 OK");
    assert_eq!(first_line(&answers[1]), "SIP/2.0 487 Request Terminated");
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));

    let mut bench = Bench::new();
    let (_, _, tag, _) = progressing(&mut bench, OFFER);
    let answers = bench.input(inside("BYE", 2, &tag, "bye", ""));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 200 OK");
    assert_eq!(first_line(&answers[1]), "SIP/2.0 487 Request Terminated");
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { .. })));

    let mut bench = Bench::new();
    let (call, ..) = progressing(&mut bench, OFFER);
    bench.hangup(call);
    assert_eq!(first_line(bench.last()), "SIP/2.0 480 Temporarily Unavailable");
    bench.input(beside("ACK", "1", ""));
    bench.pass(Duration::from_secs(40));
    assert!(bench.endpoint.is_idle());
}

#[test]
fn nothing_else_may_change_an_early_session() {
    let mut bench = Bench::new();
    let (_, _, tag, rack) = progressing(&mut bench, OFFER);
    for (number, method) in ["INVITE", "UPDATE"].iter().enumerate() {
        let cseq = 2 + u32::try_from(number).unwrap();
        let answers = bench.input(inside(method, cseq, &tag, method, OFFER));
        assert_eq!(first_line(&answers[0]), "SIP/2.0 500 Server Internal Error", "{method}");
        assert_eq!(header(&answers[0], "Retry-After"), Some("1"));
    }
    assert_eq!(bench.input(prack(&tag, 9, "p", &rack, "")).len(), 2, "and the call goes on");
    bench.pass(Duration::from_secs(33));
    assert!(matches!(bench.events.pop(), Some(Event::Ended { by: EndedBy::NoAck, .. })));
}

#[test]
fn a_caller_may_hear_something_and_be_refused() {
    let mut bench = Bench::new();
    let offered = bench.offered(invite_with("1", "3000", "Supported: 100rel\r\n", OFFER));
    assert!(offered.reliable);
    bench
        .endpoint
        .announce(offered.call, "192.0.2.10:40000".parse().unwrap(), bench.now)
        .unwrap();
    bench.pass(Duration::ZERO);
    let progress = bench.last().to_owned();
    assert_eq!(first_line(&progress), "SIP/2.0 183 Session Progress");
    let rack = format!("{} 1 INVITE", header(&progress, "RSeq").unwrap());
    let tag = tag(&progress);
    assert!(
        bench.events.is_empty(),
        "nobody is played anything before it answers from where it says it is"
    );
    assert_eq!(bench.status(prack(&tag, 2, "p", &rack, "")), "SIP/2.0 200 OK");
    assert!(matches!(bench.events.pop(), Some(Event::Early { call, .. }) if call == offered.call));
    assert_eq!(
        bench.status(prack(&tag, 3, "p3", &rack, "")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.times("SIP/2.0 183").len(), 1);
    bench.hangup(offered.call);
    assert_eq!(first_line(bench.last()), "SIP/2.0 480 Temporarily Unavailable");
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { .. })));

    // Nobody may be held for ever.
    let mut bench = Bench::new();
    let offered = bench.offered(invite_with("1", "3000", "Supported: 100rel\r\n", OFFER));
    bench
        .endpoint
        .announce(offered.call, "192.0.2.10:40000".parse().unwrap(), bench.now)
        .unwrap();
    bench.pass(Duration::ZERO);
    let rack = format!("{} 1 INVITE", header(bench.last(), "RSeq").unwrap());
    let tag = crate::bench::tag(bench.last());
    bench.input(prack(&tag, 2, "p", &rack, ""));
    bench.events.clear();
    bench.pass(Duration::from_secs(200));
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { .. })));
    assert!(bench.endpoint.is_idle());
}

#[test]
fn who_only_knows_the_extension_hears_no_183() {
    let mut bench = Bench::new();
    let call = bench.offered(invite_with("1", "3000", "Supported: 100rel\r\n", OFFER)).call;
    assert_eq!(first_line(&bench.accept(call)), "SIP/2.0 200 OK");
}
