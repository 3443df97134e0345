//! What the random lives found, each as one story.

use voxea_sip::call::EndedBy;
use voxea_sip::endpoint::Event;

use crate::bench::{Bench, OFFER, first_line, inside, invite, tag};

#[test]
fn an_update_that_overtakes_the_ack_is_no_renegotiation_of_a_call_that_nobody_knows_of() {
    let mut bench = Bench::new();
    let call = bench.offered(invite("1")).call;
    let ok = bench.accept(call);
    let moved = OFFER.replace("6000", "6002");
    assert_eq!(bench.status(inside("UPDATE", 2, &tag(&ok), "update", &moved)), "SIP/2.0 200 OK");
    assert!(bench.events.is_empty(), "{:?}", bench.events);
    bench.input(inside("ACK", 1, &tag(&ok), "ack", ""));
    let Some(Event::Answered { media, .. }) = bench.events.pop() else {
        panic!("not answered")
    };
    assert_eq!(media.remote, Some("192.0.2.1:6002".parse().unwrap()), "what is agreed on now");
}

#[test]
fn an_ack_that_comes_after_our_bye_is_no_event() {
    let mut bench = Bench::new();
    let (call, tag) = bench.talking();
    let answers = bench.input(inside("INVITE", 2, &tag, "re", ""));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 200 OK");
    bench.hangup(call);
    assert!(matches!(bench.events.pop(), Some(Event::Ended { by: EndedBy::Us, .. })));
    bench.input(inside("ACK", 2, &tag, "ack2", OFFER));
    assert!(bench.events.is_empty(), "the handle is void: {:?}", bench.events);
}

#[test]
fn an_update_with_an_offer_while_ours_is_unanswered_is_491() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    bench.input(inside("INVITE", 2, &tag, "re", ""));
    let status = bench.status(inside("UPDATE", 3, &tag, "update", OFFER));
    assert!(status.starts_with("SIP/2.0 491 "), "RFC 3311 §5.2: {status}");
    bench.input(inside("ACK", 2, &tag, "ack2", OFFER));
    assert_eq!(bench.status(inside("UPDATE", 4, &tag, "again", OFFER)), "SIP/2.0 200 OK");
}
