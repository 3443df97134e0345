//! What a telephone system hears when a call cannot be taken in for reasons of ours: the status on which it is configured to
//! try the next way, with the time after which it may come back.

use std::time::Duration;

use voxea_sip::endpoint::{Event, Limits};
use voxea_sip::policy::Trunk;

use crate::bench::{Bench, OFFER, beside, first_line, header, inside, invite, invite_with, tag};

const BUSY: &str = "SIP/2.0 480 Temporarily Unavailable";

/// A bench whose trunk falls back on 480.
fn bench(limits: Limits, change: impl FnOnce(&mut Trunk)) -> Bench {
    let mut trunk = Bench::pbx();
    trunk.failure = 480;
    change(&mut trunk);
    Bench::of(trunk, limits)
}

fn busy(text: &str) {
    assert_eq!(
        (first_line(text).as_str(), header(text, "Retry-After")),
        (BUSY, Some("5")),
        "{text}"
    );
}

/// The only answer to a new call.
fn refused(bench: &mut Bench, id: &str) {
    let answers = bench.input(invite(id));
    assert_eq!(answers.len(), 1, "{answers:#?}");
    busy(&answers[0]);
}

#[test]
fn every_limit_says_so() {
    let one = Limits {
        calls: 1,
        ..Limits::default()
    };
    for (limits, max_calls, rate) in [(one, 9, 0), (Limits::default(), 1, 0), (Limits::default(), 9, 1)] {
        let mut bench = bench(limits, |trunk| {
            trunk.max_calls = max_calls;
            trunk.calls_per_second = rate;
        });
        bench.offered(invite("1"));
        refused(&mut bench, "2");
        let tally = bench.endpoint.tally(0);
        assert_eq!((tally.calls, tally.refused), (1, 1));
    }
}

#[test]
fn a_full_table_refuses_new_calls_from_no_state_and_ends_no_old_one() {
    let mut bench = bench(
        Limits {
            transactions: 1,
            ..Limits::default()
        },
        |_| {},
    );
    let (_, tag) = bench.talking();
    assert_eq!(bench.endpoint.transactions(), 1, "the INVITE's");
    refused(&mut bench, "2");
    let first = bench.last().to_owned();
    refused(&mut bench, "2");
    assert_eq!(bench.last(), first, "the same answer to the same request");
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.tally(0).refused), (1, 2));
    // What the trunk falls back on would end the call: RFC 5057 §5.1 lets 503 fail the request only.
    let answers = bench.input(inside("INVITE", 2, &tag, "again", OFFER));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 503 Service Unavailable");
    assert_eq!(header(&answers[0], "Retry-After"), Some("5"));
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.status(inside("BYE", 3, &tag, "bye", "")), "SIP/2.0 200 OK");
    assert_eq!(bench.endpoint.tally(0).refused, 2, "a re-INVITE is no call");
}

#[test]
fn a_stop_says_so() {
    let mut bench = bench(Limits::default(), |_| {});
    bench.endpoint.drain();
    refused(&mut bench, "1");
}

#[test]
fn what_the_user_cannot_take_in_and_what_nobody_decides() {
    let mut bench = bench(Limits::default(), |_| {});
    let call = bench.offered(invite("1")).call;
    bench.endpoint.decline(call, bench.now).unwrap();
    bench.pass(Duration::ZERO);
    busy(bench.last());
    assert!(bench.endpoint.decline(call, bench.now).is_err(), "once");
    bench.input(beside("ACK", "1", &format!(";tag={}", tag(bench.last()))));
    let call = bench.offered(invite("2")).call;
    bench.pass(Duration::from_millis(60_100));
    busy(bench.last());
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));
}

#[test]
fn who_hears_something_before_the_answer_is_sent_elsewhere_too() {
    let mut bench = bench(Limits::default(), |_| {});
    let call = bench.offered(invite_with("1", "3000", "Supported: 100rel\r\n", OFFER)).call;
    let ours = "192.0.2.10:40000".parse().unwrap();
    bench.endpoint.announce(call, ours, bench.now).unwrap();
    bench.pass(Duration::ZERO);
    assert_eq!(first_line(bench.last()), "SIP/2.0 183 Session Progress");
    bench.endpoint.decline(call, bench.now).unwrap();
    bench.pass(Duration::ZERO);
    busy(bench.last());
    assert!(matches!(bench.events.pop(), Some(Event::Cancelled { call: found }) if found == call));
    let (call, _) = {
        let call = bench.offered(invite("2")).call;
        (call, bench.accept(call))
    };
    assert!(bench.endpoint.decline(call, bench.now).is_err(), "an answered call ends with BYE");
}
