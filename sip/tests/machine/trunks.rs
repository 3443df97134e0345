//! What a trunk's configuration changes.

use std::time::Duration;

use voxea_sip::endpoint::{Event, Limits};

use crate::bench::{Bench, OFFER, beside, first_line, header, inside, invite, invite_with};

#[test]
fn a_trunk_has_so_many_calls_at_once_and_a_place_comes_back_with_each_end() {
    let mut trunk = Bench::pbx();
    trunk.max_calls = 1;
    let mut bench = Bench::of(trunk, Limits::default());
    let (_, tag) = bench.talking();
    let refused = bench.input(invite("2"));
    assert_eq!(first_line(&refused[0]), "SIP/2.0 503 Service Unavailable");
    assert_eq!(header(&refused[0], "Retry-After"), Some("5"));
    bench.input(inside("BYE", 2, &tag, "bye", ""));
    let call = bench.offered(invite("3")).call;
    assert!(bench.status(invite("4")).starts_with("SIP/2.0 503 "));
    bench.endpoint.reject(call, 486, None, bench.now).unwrap();
    bench.pass(Duration::ZERO);
    bench.offered(invite("5"));
    bench.input(beside("CANCEL", "5", ""));
    bench.events.clear();
    bench.offered(invite("6"));
    assert_eq!(bench.endpoint.calls_of(0), 1);
}

#[test]
fn a_trunk_has_so_many_new_calls_a_second() {
    let mut trunk = Bench::pbx();
    trunk.calls_per_second = 2;
    let mut bench = Bench::of(trunk, Limits::default());
    bench.offered(invite("1"));
    bench.offered(invite("2"));
    assert!(bench.status(invite("3")).starts_with("SIP/2.0 503 "));
    bench.pass(Duration::from_millis(600));
    bench.offered(invite("4"));
    bench.sent.clear();
    assert!(bench.status(invite("5")).starts_with("SIP/2.0 503 "));
}

#[test]
fn a_trunk_falls_back_on_the_status_that_it_was_promised() {
    let mut trunk = Bench::pbx();
    trunk.failure = 480;
    trunk.max_calls = 1;
    let mut bench = Bench::of(trunk, Limits::default());
    let call = bench.offered(invite("1")).call;
    let refused = bench.input(invite("2"));
    assert_eq!(first_line(&refused[0]), "SIP/2.0 480 Temporarily Unavailable");
    assert_eq!(header(&refused[0], "Retry-After"), Some("5"));
    bench.endpoint.decline(call, bench.now).unwrap();
    bench.pass(Duration::ZERO);
    assert_eq!(first_line(bench.last()), "SIP/2.0 480 Temporarily Unavailable");
    bench.endpoint.drain();
    assert_eq!(bench.status(invite("3")), "SIP/2.0 480 Temporarily Unavailable");
}

#[test]
fn who_calls_is_believed_only_of_a_trunk_that_is_trusted() {
    let extra = "P-Asserted-Identity: <tel:+33140000000>\r\nDiversion: <sip:+33150000000@h>\r\n";
    let mut bench = Bench::new();
    let call = bench.offered(invite_with("1", "3000", extra, OFFER));
    assert_eq!((call.caller.as_str(), call.facts.diverted_from("3000").len()), ("+33140000000", 1));
    let mut trunk = Bench::pbx();
    trunk.trusted = false;
    let mut bench = Bench::of(trunk, Limits::default());
    let call = bench.offered(invite_with("1", "3000", extra, OFFER));
    assert_eq!((call.caller.as_str(), call.facts.diverted_from("3000").len()), ("+33612345678", 0));
}

#[test]
fn why_a_caller_goes_is_told_and_so_is_why_we_go() {
    let because = |text: String, reason: &str| text.replace("Call-ID:", &format!("Reason: {reason}\r\nCall-ID:"));
    let mut bench = Bench::new();
    let (call, tag) = bench.talking();
    bench.input(because(inside("BYE", 2, &tag, "bye", ""), "Q.850 ;cause=16;text=\"Jean Dupont\""));
    bench.events.pop();
    assert!(
        matches!(bench.events.pop(), Some(Event::Reason { call: found, reason }) if found == call && reason == "Q.850;cause=16"),
        "the cause, and not the text"
    );
    let mut bench = Bench::new();
    bench.offered(invite("1"));
    bench.input(because(
        beside("CANCEL", "1", ""),
        "SIP;cause=200;text=\"Call completed elsewhere\"",
    ));
    assert!(matches!(&bench.events[0], Event::Reason { reason, .. } if reason == "SIP;cause=200"));
    let mut bench = Bench::new();
    let (call, _) = bench.talking();
    bench.hangup(call);
    assert_eq!(header(bench.last(), "Reason"), Some("Q.850;cause=16"));
}

#[test]
fn a_session_identifier_is_carried_through_the_whole_call() {
    let theirs = "47755a9de7794ba387653f2099600ef2";
    let mut bench = Bench::new();
    let extra = format!("Session-ID: {theirs};remote=00000000000000000000000000000000\r\n");
    let offered = bench.offered(invite_with("1", "3000", &extra, OFFER));
    assert_eq!(offered.facts.session_id.as_deref(), Some(theirs));
    let ok = bench.accept(offered.call);
    let said = header(&ok, "Session-ID").unwrap().to_owned();
    let (ours, rest) = said.split_once(';').unwrap();
    assert_eq!((ours.len(), rest), (32, format!("remote={theirs}").as_str()));
    let tag = crate::bench::tag(&ok);
    bench.input(inside("ACK", 1, &tag, "ack", ""));
    let again = bench.input(inside("INVITE", 2, &tag, "re", OFFER));
    assert_eq!(header(&again[0], "Session-ID"), Some(said.as_str()));
    bench.input(inside("ACK", 2, &tag, "ack2", ""));
    bench.hangup(offered.call);
    assert_eq!(header(bench.last(), "Session-ID"), Some(said.as_str()));
}

#[test]
fn a_transfer_is_refused_and_the_call_goes_on() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let refer = inside("REFER", 2, &tag, "refer", "").replace("Contact:", "Refer-To: <sip:elsewhere@h>\r\nContact:");
    let answers = bench.input(refer);
    assert_eq!(first_line(&answers[0]), "SIP/2.0 405 Method Not Allowed");
    assert!(header(&answers[0], "Allow").is_some_and(|methods| !methods.contains("REFER")));
    assert_eq!(bench.status(inside("INFO", 3, &tag, "info", "")), "SIP/2.0 200 OK");
    assert_eq!(bench.endpoint.calls(), 1);
}
