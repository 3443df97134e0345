//! Who is answered how, before there is a call.

use std::path::Path;
use std::time::Duration;

use crate::bench::{Bench, OFFER, beside, first_line, header, invite, invite_with, message};
use voxea_sip::endpoint::{Event, Limits};
use voxea_sip::wire::stream::{Frame, Framer};

fn request(method: &str, extra: &str) -> String {
    let head = format!("From: <sip:a@h>;tag=1\r\nTo: <sip:3000@h>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n{extra}");
    message(method, "sip:3000@192.0.2.10", method, &head, "")
}

#[test]
fn a_stranger_gets_403_from_no_state_and_not_too_often() {
    let mut bench = Bench::with(Limits {
        refusals: 3,
        ..Limits::default()
    });
    bench.flow.remote = "198.51.100.1:5060".parse().unwrap();
    let answers = bench.input(invite("1"));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 403 Forbidden");
    assert!(header(&answers[0], "Server").is_none() && !answers[0].to_ascii_lowercase().contains("voxea"));
    assert_eq!(bench.input(invite("1")), answers, "the same request, the same answer");
    assert!(bench.input(beside("ACK", "1", "")).is_empty());
    assert!(bench.input(invite("1")).is_empty(), "no more this second");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.status(request("OPTIONS", "")), "SIP/2.0 403 Forbidden");
    assert_eq!(bench.status(request("REGISTER", "")), "SIP/2.0 403 Forbidden");
    assert!(bench.endpoint.is_idle() && bench.events.is_empty(), "nothing was started");
}

#[test]
fn statuses_by_the_book() {
    let mut bench = Bench::new();
    for (text, expected) in [
        (request("OPTIONS", ""), "SIP/2.0 200 OK"),
        (request("REGISTER", ""), "SIP/2.0 405 Method Not Allowed"),
        (request("SUBSCRIBE", ""), "SIP/2.0 405 Method Not Allowed"),
        (request("FROBNICATE", ""), "SIP/2.0 501 Not Implemented"),
        (request("BYE", ""), "SIP/2.0 481 Call Transaction Does Not Exist"),
        (request("INFO", "Max-Forwards: 0\r\n"), "SIP/2.0 483 Too Many Hops"),
        (
            request("UPDATE", "Require: gruu, 100rel, timer, x\r\n"),
            "SIP/2.0 420 Bad Extension",
        ),
        (invite_with("4", "4000", "", OFFER), "SIP/2.0 404 Not Found"),
        (
            invite_with("5", "3000", "", "v=0\r\nm=audio 1 RTP/AVP 18\r\n"),
            "SIP/2.0 488 Not Acceptable Here",
        ),
        (
            invite("6").replace("application/sdp", "text/plain"),
            "SIP/2.0 415 Unsupported Media Type",
        ),
        (
            invite("7").replace("INVITE sip:3000@192.0.2.10", "INVITE urn:service:sos"),
            "SIP/2.0 416 Unsupported Uri Scheme",
        ),
        (
            invite("8").replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"),
            "SIP/2.0 505 Version Not Supported",
        ),
        (
            invite("9").replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
            "SIP/2.0 400 CSeq Method Differs",
        ),
    ] {
        assert_eq!(bench.status(text.clone()), expected, "{text}");
    }
    assert!(bench.events.is_empty());
    let refused = bench.sent.iter().find(|(_, _, text)| text.contains(" 420 ")).unwrap();
    assert_eq!(header(&refused.2, "Unsupported"), Some("gruu, x"));
    let options = bench.sent.iter().find(|(_, _, text)| text.contains(" 200 ")).unwrap();
    assert_eq!(
        header(&options.2, "Allow"),
        Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK")
    );
}

#[test]
fn a_copy_of_a_request_that_came_another_way_is_482() {
    let mut bench = Bench::new();
    bench.offered(invite("1"));
    assert_eq!(
        bench.status(invite("1").replace("z9hG4bK1", "z9hG4bKother")),
        "SIP/2.0 482 Loop Detected"
    );
    assert!(bench.events.is_empty());
}

#[test]
fn forked_legs_with_another_tag_are_calls_of_their_own() {
    let mut bench = Bench::new();
    let first = bench.offered(invite("1")).call;
    let second = bench
        .offered(invite("1").replace("z9hG4bK1", "z9hG4bK2").replace("tag=a1", "tag=b1"))
        .call;
    assert_ne!(first, second);
}

#[test]
fn more_than_is_held_hears_503_before_any_work() {
    let mut bench = Bench::with(Limits {
        calls: 1,
        transactions: 2,
        retry_after: 7,
        ..Limits::default()
    });
    bench.offered(invite("1"));
    let answers = bench.input(invite("2"));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 503 Service Unavailable");
    assert_eq!(header(&answers[0], "Retry-After"), Some("7"));
    assert_eq!(bench.endpoint.transactions(), 2);
    assert!(bench.status(invite("3")).starts_with("SIP/2.0 503 "));
    assert_eq!(bench.endpoint.transactions(), 2, "no state beyond the limit");
    assert!(bench.events.is_empty());
}

#[test]
fn draining_takes_no_new_call_and_loses_no_old_one() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    bench.endpoint.drain();
    assert!(bench.status(invite("2")).starts_with("SIP/2.0 503 "));
    assert_eq!(bench.status(crate::bench::inside("BYE", 2, &tag, "bye", "")), "SIP/2.0 200 OK");
}

#[test]
fn a_call_on_which_nobody_decides_is_given_back() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    bench.pass(Duration::from_secs(61));
    assert_eq!(bench.times("SIP/2.0 503").len(), 2, "once, and once again without an ACK");
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));
}

#[test]
fn a_peer_of_rfc_2543_is_served() {
    let mut bench = Bench::new();
    let old = |text: String| text.replace(";branch=z9hG4bK1;rport", "");
    bench.offered(old(invite("1")));
    bench.pass(Duration::from_millis(200));
    assert_eq!(bench.status(old(invite("1"))), "SIP/2.0 100 Trying", "its retransmission is known");
    assert!(bench.events.is_empty());
}

#[test]
fn an_answer_goes_to_the_port_of_sent_by_unless_rport_asks() {
    let mut bench = Bench::new();
    bench.flow.remote = "192.0.2.99:40000".parse().unwrap();
    bench.input(request("OPTIONS", ""));
    assert_eq!(bench.sent[0].1, "192.0.2.99:40000".parse().unwrap());
    assert!(
        header(&bench.sent[0].2, "Via")
            .unwrap()
            .contains(";rport=40000;received=192.0.2.99")
    );
    bench.input(request("OPTIONS", "").replace(";rport", "x"));
    assert_eq!(bench.sent[1].1, "192.0.2.99:5060".parse().unwrap());
}

#[test]
fn byte_at_a_time_over_tcp() {
    let mut bench = Bench::new().tcp();
    let mut framer = Framer::default();
    let stream = format!("{}\r\n\r\n{}", invite("1"), request("OPTIONS", ""));
    let mut frames = 0;
    for byte in stream.bytes() {
        framer.push(&[byte]);
        while let Some(frame) = framer.next() {
            frames += 1;
            if let Frame::Message(bytes) = frame {
                bench.input(bytes);
            }
        }
    }
    assert_eq!(frames, 3, "two messages and a keep-alive between them");
    let lines: Vec<String> = bench.sent.iter().map(|(_, _, text)| first_line(text)).collect();
    assert_eq!(lines, ["SIP/2.0 200 OK"]);
    assert!(matches!(bench.events.as_slice(), [Event::IncomingCall(_)]));
}

#[test]
fn a_probe_hears_the_peer_or_silence() {
    let mut bench = Bench::new();
    let first = bench.endpoint.probe(bench.flow, bench.now);
    bench.pass(Duration::from_millis(1));
    let options = bench.last().to_owned();
    assert!(options.starts_with("OPTIONS sip:192.0.2.1:5060 SIP/2.0\r\n"));
    let copy = |name| format!("{name}: {}\r\n", header(&options, name).unwrap());
    let head: String = ["Via", "From", "To", "Call-ID", "CSeq"].into_iter().map(copy).collect();
    bench.input(format!("SIP/2.0 405 No\r\n{head}\r\n"));
    assert!(matches!(bench.events.pop(), Some(Event::Probed { probe, status: Some(405) }) if probe == first));
    bench.endpoint.probe(bench.flow, bench.now);
    bench.pass(Duration::from_secs(33));
    assert!(matches!(bench.events.pop(), Some(Event::Probed { status: None, .. })));
    assert!(bench.endpoint.is_idle());
}

/// As a datagram each, the requests of RFC 4475 get these statuses; `None` for responses.
const TORTURE: [(&str, Option<u16>); 49] = [
    ("wsinv", Some(481)),
    ("intmeth", Some(501)),
    ("esc01", Some(404)),
    ("escnull", Some(405)),
    ("esc02", Some(501)),
    ("lwsdisp", Some(200)),
    ("longreq", Some(404)),
    ("dblreq", Some(405)),
    ("semiuri", Some(200)),
    ("transports", Some(200)),
    ("mpart01", Some(405)),
    ("unreason", None),
    ("noreason", None),
    ("badinv01", Some(400)),
    ("clerr", Some(400)),
    ("ncl", Some(400)),
    ("scalar02", Some(400)),
    ("scalarlg", None),
    ("quotbal", Some(400)),
    ("ltgtruri", Some(400)),
    ("lwsruri", Some(400)),
    ("lwsstart", Some(404)),
    ("trws", Some(200)),
    ("escruri", Some(404)),
    ("baddate", Some(404)),
    ("regbadct", Some(405)),
    ("badaspec", Some(200)),
    ("baddn", Some(200)),
    ("badvers", Some(505)),
    ("mismatch01", Some(400)),
    ("mismatch02", Some(400)),
    ("bigcode", None),
    ("badbranch", Some(200)),
    ("insuf", Some(400)),
    ("unkscm", Some(416)),
    ("novelsc", Some(416)),
    ("unksm2", Some(405)),
    ("bext01", Some(420)),
    ("invut", Some(404)),
    ("regaut01", Some(405)),
    ("multi01", Some(400)),
    ("mcl01", Some(400)),
    ("bcast", None),
    ("zeromf", Some(483)),
    ("cparam01", Some(405)),
    ("cparam02", Some(405)),
    ("regescrt", Some(405)),
    ("sdp01", Some(404)),
    ("inv2543", Some(404)),
];

#[test]
fn no_request_of_rfc_4475_is_met_with_silence() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/rfc4475");
    for (name, expected) in TORTURE {
        let mut bench = Bench::new();
        let bytes = std::fs::read(folder.join(format!("{name}.dat"))).unwrap();
        let answers = bench.input(bytes);
        let status = answers.first().map(|text| text.split(' ').nth(1).unwrap().parse::<u16>().unwrap());
        assert_eq!((name, status, answers.len()), (name, expected, usize::from(expected.is_some())));
        assert!(bench.events.is_empty(), "{name}");
    }
}
