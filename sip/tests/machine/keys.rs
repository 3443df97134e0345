//! Keys in INFO, on virtual time.

use std::time::Duration;

use crate::bench::{Bench, first_line, header, inside};
use voxea_sip::dtmf::Digit;
use voxea_sip::endpoint::Event;

/// An INFO of the call; `branch` tells two apart.
fn info(cseq: u32, tag: &str, branch: &str, kind: &str, body: &str) -> String {
    let text = inside("INFO", cseq, tag, branch, body);
    let described = format!("Content-Type: {kind}\r\nContent-Length");
    text.replace("Content-Type: application/sdp\r\n", "")
        .replace("Content-Length", &described)
}

fn keys(bench: &mut Bench) -> Vec<Digit> {
    let digit = |event: Event| match event {
        Event::Digit { digit, .. } => Some(digit),
        _ => None,
    };
    std::mem::take(&mut bench.events).into_iter().filter_map(digit).collect()
}

#[test]
fn a_key_is_told_once_and_answered_each_time() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let pressed = info(2, &tag, "k1", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    assert_eq!(bench.status(pressed.clone()), "SIP/2.0 200 OK");
    assert_eq!(bench.status(pressed.clone()), "SIP/2.0 200 OK", "a repetition");
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.status(pressed), "SIP/2.0 200 OK");
    assert_eq!(keys(&mut bench), [Digit::of_char('5').unwrap()]);
    assert_eq!(bench.status(info(3, &tag, "k2", "application/dtmf", "5")), "SIP/2.0 200 OK");
    assert_eq!(
        keys(&mut bench),
        [Digit::of_char('5').unwrap()],
        "the same key again is another press"
    );
}

#[test]
fn what_is_no_key_is_answered_as_what_it_is() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let other = bench.input(info(2, &tag, "k1", "application/media_control+xml", "<media_control/>"));
    assert_eq!(first_line(&other[0]), "SIP/2.0 415 Unsupported Media Type");
    assert_eq!(header(&other[0], "Accept"), Some("application/dtmf-relay, application/dtmf"));
    assert_eq!(bench.status(inside("INFO", 3, &tag, "k2", "")), "SIP/2.0 200 OK");
    assert_eq!(
        bench.status(info(4, &tag, "k3", "application/dtmf-relay", "Signal=55\r\n")),
        "SIP/2.0 400 Bad Key"
    );
    let package = info(5, &tag, "k4", "application/dtmf", "5").replace("Content-Type", "Info-Package: x\r\nContent-Type");
    let refused = bench.input(package);
    assert_eq!(first_line(&refused[0]), "SIP/2.0 469 Bad Info Package");
    assert!(keys(&mut bench).is_empty());
    // Of a dialog that is not ours.
    assert_eq!(
        bench.status(info(6, "nobody", "k5", "application/dtmf", "5")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
    assert_eq!(bench.status(inside("BYE", 7, &tag, "bye", "")), "SIP/2.0 200 OK");
    assert_eq!(
        bench.status(info(8, &tag, "k6", "application/dtmf", "5")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
}
