//! The deposit call's signalling, on virtual time.

use std::time::Duration;

use crate::bench::{Bench, OFFER, beside, first_line, header, inside, invite, invite_with, tag};
use voxea_sip::call::EndedBy;
use voxea_sip::endpoint::{Event, Gone};
use voxea_sip::sdp::{Codec, Direction};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_call_from_invite_to_bye() {
    let mut bench = Bench::new();
    let extra = "P-Asserted-Identity: <tel:+33-1-23>\r\nDiversion: <sip:second@h>\r\nDiversion: <sip:first@h>\r\n";
    let offered = bench.offered(invite_with("1", "3000", extra, OFFER));
    assert_eq!((offered.caller.as_str(), offered.caller_name.as_deref()), ("+33123", Some("Zoé")));
    assert_eq!(
        (offered.dialled.as_str(), offered.line.as_str(), offered.trunk.as_str()),
        ("3000", "3000", "pbx")
    );
    assert_eq!(offered.facts.diverted_from("3000"), ["first", "second"]);
    assert_eq!((offered.call_id.as_str(), offered.codec), ("call-1", Some(Codec::Pcma)));
    assert!(offered.invite.starts_with(b"INVITE sip:3000@"));

    let ok = bench.accept(offered.call);
    assert_eq!(first_line(&ok), "SIP/2.0 200 OK");
    assert_eq!(
        header(&ok, "Via"),
        Some("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.1")
    );
    assert_eq!(header(&ok, "Contact"), Some("<sip:192.0.2.10:5060>"));
    assert!(ok.contains("m=audio 40000 RTP/AVP 8 101\r\n") && ok.contains("c=IN IP4 192.0.2.10\r\n"));
    assert!(!ok.to_ascii_lowercase().contains("voxea"), "no answer names the product");

    assert!(bench.input(inside("ACK", 1, &tag(&ok), "ack", "")).is_empty());
    let Some(Event::Answered { call, media }) = bench.events.pop() else {
        panic!("not answered")
    };
    assert_eq!((call, media.remote), (offered.call, Some("192.0.2.1:6000".parse().unwrap())));
    assert_eq!(
        (media.codec, media.events, media.direction),
        (Codec::Pcma, Some(101), Direction::BOTH)
    );

    bench.pass(40 * SECOND);
    assert_eq!(bench.times("SIP/2.0 200").len(), 1, "a confirmed 200 is not repeated");
    assert_eq!(bench.status(inside("BYE", 2, &tag(&ok), "bye", "")), "SIP/2.0 200 OK");
    assert!(matches!(
        bench.events.pop(),
        Some(Event::Ended {
            by: EndedBy::Caller,
            answered: true,
            ..
        })
    ));
    bench.pass(33 * SECOND);
    assert!(bench.endpoint.is_idle(), "something is left over");
}

#[test]
fn a_retransmitted_invite_is_answered_from_the_transaction() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    assert!(bench.input(invite("1")).is_empty());
    bench.pass(Duration::from_millis(500));
    assert_eq!(bench.times("SIP/2.0 100 Trying"), [200]);
    assert_eq!(bench.status(invite("1")), "SIP/2.0 100 Trying");
    assert_eq!(bench.status(invite("1")), "SIP/2.0 100 Trying");
    assert!(bench.events.is_empty(), "one call, one event");
    bench.accept(call);
    // RFC 6026 §7.1: absorbed in the Accepted state; the 200 is repeated by its own timer.
    assert!(bench.input(invite("1")).is_empty());
    assert!(bench.events.is_empty());
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut bench = Bench::new();
    let answers = bench.input(invite_with("1", "4000", "", OFFER));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 404 Not Found");
    bench.pass(Duration::from_millis(4000));
    assert_eq!(bench.times("SIP/2.0 404"), [0, 500, 1500, 3500]);
    assert!(bench.input(beside("ACK", "1", &format!(";tag={}", tag(&answers[0])))).is_empty());
    bench.pass(40 * SECOND);
    assert_eq!(bench.times("SIP/2.0 404").len(), 4);
    assert!(bench.events.is_empty() && bench.endpoint.is_idle());
}

#[test]
fn a_lost_ack_has_the_200_repeated_and_then_a_bye() {
    for tcp in [false, true] {
        let mut bench = if tcp { Bench::new().tcp() } else { Bench::new() };
        let call = bench.offered(invite("1")).call;
        bench.accept(call);
        bench.pass(33 * SECOND);
        let expected = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(bench.times("SIP/2.0 200"), expected, "RFC 3261 §13.3.1.4, on every transport");
        assert_eq!(bench.times("BYE sip:pbx@192.0.2.1:5080 SIP/2.0")[0], 32_000);
        assert!(matches!(
            bench.events.pop(),
            Some(Event::Ended {
                by: EndedBy::NoAck,
                answered: false,
                ..
            })
        ));
        bench.pass(40 * SECOND);
        assert!(bench.endpoint.is_idle() && bench.events.is_empty());
    }
}

#[test]
fn a_cancel_before_the_200_ends_the_call() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let answers = bench.input(beside("CANCEL", "1", ""));
    let lines: Vec<String> = answers.iter().map(|text| first_line(text)).collect();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    assert_eq!(tag(&answers[0]), tag(&answers[1]), "RFC 3261 §9.2");
    assert_eq!(header(&answers[1], "CSeq"), Some("1 INVITE"));
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));
    let late = bench.endpoint.accept(call, "192.0.2.10:40000".parse().unwrap(), bench.now);
    assert_eq!(late, Err(Gone), "the commit came too late");
    bench.input(beside("ACK", "1", &format!(";tag={}", tag(&answers[1]))));
    bench.pass(40 * SECOND);
    assert!(bench.endpoint.is_idle() && bench.events.is_empty());
}

#[test]
fn a_cancel_after_the_200_has_no_effect() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    assert_eq!(bench.status(beside("CANCEL", "1", "")), "SIP/2.0 200 OK");
    assert!(bench.events.is_empty());
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    assert!(matches!(bench.events.pop(), Some(Event::Answered { .. })));
}

#[test]
fn a_cancel_of_nothing_is_481() {
    assert!(Bench::new().status(beside("CANCEL", "1", "")).starts_with("SIP/2.0 481 "));
}

#[test]
fn a_retransmitted_bye_gets_its_200_again() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let bye = inside("BYE", 2, &tag, "bye", "");
    assert_eq!(bench.status(bye.clone()), "SIP/2.0 200 OK");
    assert_eq!(bench.status(bye.clone()), "SIP/2.0 200 OK");
    assert_eq!(bench.events.len(), 1, "one end");
    bench.pass(33 * SECOND);
    assert!(bench.status(bye).starts_with("SIP/2.0 481 "), "its transaction is over");
}

#[test]
fn a_bye_instead_of_the_ack_ends_the_call() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    assert_eq!(bench.status(inside("BYE", 2, &tag(&ok), "bye", "")), "SIP/2.0 200 OK");
    assert!(matches!(
        bench.events.pop(),
        Some(Event::Ended {
            by: EndedBy::Caller,
            answered: false,
            ..
        })
    ));
    bench.pass(40 * SECOND);
    assert_eq!(bench.times("SIP/2.0 200").len(), 2, "the INVITE's and the BYE's, once each");
    assert!(bench.endpoint.is_idle());
}

#[test]
fn our_bye_is_repeated_until_answered() {
    let mut bench = Bench::new();
    let (call, _) = bench.talking();
    bench.hangup(call);
    assert!(matches!(
        bench.events.pop(),
        Some(Event::Ended {
            by: EndedBy::Us,
            answered: true,
            ..
        })
    ));
    bench.pass(Duration::from_millis(3600));
    let byes = bench.times("BYE ");
    assert_eq!(byes, [0, 500, 1500, 3500]);
    let bye = bench.last().to_owned();
    assert_eq!(header(&bye, "CSeq"), Some("1 BYE"));
    assert_eq!(header(&bye, "To"), Some("\"Zoé\" <sip:+33612345678@192.0.2.1>;tag=a1"));
    assert_eq!(bench.sent.last().unwrap().1, "192.0.2.1:5080".parse().unwrap(), "to the Contact");
    let copy = |name| format!("{name}: {}\r\n", header(&bye, name).unwrap());
    let ok: String = ["Via", "From", "To", "Call-ID", "CSeq"].into_iter().map(copy).collect();
    assert!(bench.input(format!("SIP/2.0 200 OK\r\n{ok}\r\n")).is_empty());
    assert_eq!(bench.endpoint.calls(), 0);
    bench.pass(33 * SECOND);
    assert_eq!(bench.times("BYE ").len(), 4);
    assert!(bench.endpoint.is_idle());
}

#[test]
fn a_bye_that_nobody_answers_is_given_up() {
    let mut bench = Bench::new();
    let (call, _) = bench.talking();
    bench.hangup(call);
    bench.pass(31 * SECOND);
    assert_eq!(bench.endpoint.calls(), 1);
    bench.pass(2 * SECOND);
    assert!(bench.endpoint.is_idle());
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    bench.hangup(call);
    assert!(bench.times("BYE ").is_empty(), "RFC 3261 §15");
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    assert_eq!(bench.times("BYE ").len(), 1);
}

#[test]
fn an_invite_without_offer_is_answered_with_ours() {
    let mut bench = Bench::new();
    let offered = bench.offered(invite_with("1", "3000", "", ""));
    assert_eq!(offered.codec, None);
    let ok = bench.accept(offered.call);
    assert!(ok.contains("m=audio 40000 RTP/AVP 8 0 9 101\r\n"));
    let answer = OFFER.replace("8 0 101", "0");
    bench.input(inside("ACK", 1, &tag(&ok), "ack", &answer));
    assert!(matches!(bench.events.pop(), Some(Event::Answered { media, .. }) if media.codec == Codec::Pcmu));
}

#[test]
fn an_ack_without_the_answer_it_owes_ends_the_call() {
    let mut bench = Bench::new();
    let call = bench.offered(invite_with("1", "3000", "", "")).call;
    let ok = bench.accept(call);
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    assert!(matches!(bench.events.pop(), Some(Event::Ended { by: EndedBy::NoMedia, .. })));
    assert_eq!(bench.times("BYE ").len(), 1);
}

#[test]
fn hold_and_resume_do_not_break_the_call() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let hold = format!("{OFFER}a=sendonly\r\n");
    for (cseq, offer, ours) in [(2, hold.as_str(), "a=recvonly"), (3, OFFER, "a=sendrecv")] {
        let answers = bench.input(inside("INVITE", cseq, &tag, &format!("re{cseq}"), offer));
        assert_eq!(first_line(&answers[0]), "SIP/2.0 200 OK");
        assert!(answers[0].contains(ours) && answers[0].contains("m=audio 40000 "), "{}", answers[0]);
        assert!(matches!(bench.events.pop(), Some(Event::Renegotiated { .. })));
        assert!(bench.input(inside("ACK", cseq, &tag, &format!("ack{cseq}"), "")).is_empty());
    }
    bench.pass(40 * SECOND);
    assert_eq!(bench.endpoint.calls(), 1);
    assert!(bench.times("BYE ").is_empty());
}

#[test]
fn a_reinvite_with_nothing_for_us_is_488_and_the_call_goes_on() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let answers = bench.input(inside("INVITE", 2, &tag, "re", &OFFER.replace("8 0 101", "18")));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 488 Not Acceptable Here");
    bench.input(inside("ACK", 2, &tag, "re", ""));
    assert_eq!(bench.status(inside("INFO", 3, &tag, "info", "")), "SIP/2.0 200 OK");
    assert!(bench.events.is_empty());
}

#[test]
fn requests_inside_a_dialog() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    assert_eq!(bench.status(inside("INFO", 5, &tag, "1", "")), "SIP/2.0 200 OK");
    assert_eq!(bench.status(inside("OPTIONS", 6, &tag, "2", "")), "SIP/2.0 200 OK");
    assert_eq!(bench.status(inside("UPDATE", 7, &tag, "3", OFFER)), "SIP/2.0 200 OK");
    assert!(bench.last().contains("m=audio 40000 "));
    assert_eq!(
        bench.status(inside("INFO", 4, &tag, "4", "")),
        "SIP/2.0 500 Server Internal Error",
        "an old CSeq"
    );
    assert!(bench.status(inside("BYE", 9, "nobody", "5", "")).starts_with("SIP/2.0 481 "));
    assert!(bench.status(inside("REFER", 9, &tag, "6", "")).starts_with("SIP/2.0 405 "));
    assert_eq!(bench.endpoint.calls(), 1);
}

#[test]
fn a_reinvite_while_the_last_one_is_unconfirmed_is_491() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    assert!(
        bench
            .status(inside("INVITE", 2, &tag(&ok), "re", OFFER))
            .starts_with("SIP/2.0 491 ")
    );
}

#[test]
fn the_route_set_is_copied_and_followed() {
    let loose = "Record-Route: <sip:192.0.2.7;lr>, <sip:192.0.2.8:5070;lr>\r\n";
    let mut bench = Bench::new();
    let call = bench.offered(invite_with("1", "3000", loose, OFFER)).call;
    let ok = bench.accept(call);
    assert_eq!(header(&ok, "Record-Route"), Some("<sip:192.0.2.7;lr>, <sip:192.0.2.8:5070;lr>"));
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    bench.hangup(call);
    let (_, to, bye) = bench.sent.last().unwrap();
    assert_eq!(*to, "192.0.2.7:5060".parse().unwrap());
    assert!(bye.starts_with("BYE sip:pbx@192.0.2.1:5080 SIP/2.0\r\n"));
    let routes: Vec<&str> = bye.lines().filter_map(|line| line.strip_prefix("Route: ")).collect();
    assert_eq!(routes, ["<sip:192.0.2.7;lr>", "<sip:192.0.2.8:5070;lr>"]);
}

#[test]
fn a_strict_router_gets_its_own_address() {
    let mut bench = Bench::new();
    let call = bench
        .offered(invite_with("1", "3000", "Record-Route: <sip:192.0.2.7>\r\n", OFFER))
        .call;
    let ok = bench.accept(call);
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    bench.hangup(call);
    assert!(bench.last().starts_with("BYE sip:192.0.2.7 SIP/2.0\r\n"));
    assert_eq!(header(bench.last(), "Route"), Some("<sip:pbx@192.0.2.1:5080>"));
}

#[test]
fn session_timers_are_answered_politely() {
    let mut bench = Bench::new();
    let extra = "Supported: timer\r\nSession-Expires: 1800\r\n";
    let call = bench.offered(invite_with("1", "3000", extra, OFFER)).call;
    assert_eq!(header(&bench.accept(call), "Session-Expires"), Some("1800;refresher=uac"));
    let short = bench.input(invite_with("2", "3000", "Supported: timer\r\nSession-Expires: 30\r\n", OFFER));
    assert_eq!(
        (first_line(&short[0]).as_str(), header(&short[0], "Min-SE")),
        ("SIP/2.0 422 Session Interval Too Small", Some("90"))
    );
}
