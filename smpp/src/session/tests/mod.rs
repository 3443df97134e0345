//! A session against hand-written bytes, on virtual time.

mod asked;
mod measured;

use std::time::{Duration, Instant};

use super::*;
use crate::pdu::{Address, Credentials, Part};
use crate::submit::Extras;

const SECOND: Duration = Duration::from_secs(1);

/// A PDU written by hand, so that our codec cannot agree with its own mistake.
fn pdu(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [
        &length.to_be_bytes()[..],
        &id.to_be_bytes(),
        &status.to_be_bytes(),
        &sequence.to_be_bytes(),
        body,
    ]
    .concat()
}

fn deliver(sequence: u32, text: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x0133612345678\0\x06\x0036123\0\0\0\0\0\0\0\0\0\0".to_vec();
    body.push(u8::try_from(text.len()).unwrap());
    body.extend(text);
    pdu(5, 0, sequence, &body)
}

fn settings() -> Settings {
    Settings {
        bind: Bind::Transceiver,
        credentials: Credentials {
            system_id: "voxea".to_owned(),
            password: "secret".to_owned(),
            system_type: String::new(),
            version: 0x34,
        },
        window: 2,
        inbound_window: 3,
        enquire_interval: 30 * SECOND,
        response_timeout: 20 * SECOND,
    }
}

fn text_out() -> Submission {
    Submission {
        source: Address {
            ton: 3,
            npi: 0,
            number: "36123".to_owned(),
        },
        destination: Address {
            ton: 1,
            npi: 1,
            number: "33612345678".to_owned(),
        },
        data_coding: 0,
        message: b"Bonjour".to_vec(),
        extras: Extras::default(),
    }
}

struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn open(settings: Settings) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            session: Session::new(settings, now).unwrap(),
            now,
        };
        let (bytes, events) = bench.drain();
        assert_eq!(bytes, pdu(9, 0, 1, b"voxea\0secret\0\0\x34\0\0\0"));
        assert!(events.is_empty());
        bench
    }

    fn bound() -> Self {
        Self::bound_with(settings())
    }

    fn bound_with(settings: Settings) -> Self {
        let mut bench = Self::open(settings);
        let (bytes, events) = bench.feed(&pdu(0x8000_0009, 0, 1, b"smsc\0"));
        assert!(bytes.is_empty() && matches!(events[..], [Event::Bound]));
        bench
    }

    fn drain(&mut self) -> (Vec<u8>, Vec<Event>) {
        let (mut bytes, mut events) = (Vec::new(), Vec::new());
        loop {
            match self.session.poll_output() {
                Output::Event(event) => events.push(event),
                Output::Transmit(piece) => bytes.extend_from_slice(&piece),
                Output::Timeout(_) => return (bytes, events),
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<Event>) {
        let _ = self.session.handle_input(bytes, self.now);
        self.drain()
    }

    /// Lets time pass to the session's own next deadline, `longest` at most.
    fn sleep(&mut self, longest: Duration) -> (Vec<u8>, Vec<Event>) {
        let Output::Timeout(timeout) = self.session.poll_output() else {
            panic!("not drained")
        };
        let end = self.now + longest;
        self.now = timeout.map_or(end, |at| at.min(end)).max(self.now);
        self.session.handle_timeout(self.now);
        self.drain()
    }
}

fn handles(events: &[Event]) -> Vec<Handle> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Delivery { handle, .. } | Event::Undecodable { handle, .. } => Some(*handle),
            _ => None,
        })
        .collect()
}

fn ended(events: &[Event]) -> Option<End> {
    events.iter().find_map(|event| match event {
        Event::Ended(end) => Some(*end),
        _ => None,
    })
}

#[test]
fn a_text_is_answered_once_and_only_after_acknowledge() {
    let mut bench = Bench::bound();
    let (bytes, events) = bench.feed(&deliver(77, b"Bonjour"));
    assert!(bytes.is_empty(), "nothing before the commit");
    let [Event::Delivery { handle, delivery }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (delivery.source.number.as_str(), delivery.source.ton, &delivery.body[..]),
        ("33612345678", 1, &b"Bonjour"[..])
    );
    assert_eq!((delivery.destination.number.as_str(), delivery.esm_class), ("36123", 0));
    assert!(bench.session.acknowledge(*handle, 0));
    assert!(!bench.session.acknowledge(*handle, 0), "only once");
    assert_eq!(bench.drain().0, pdu(0x8000_0005, 0, 77, b"\0"));
}

#[test]
fn bytes_one_at_a_time() {
    let mut bench = Bench::bound();
    let mut seen = Vec::new();
    for byte in [deliver(1, b"un"), deliver(2, b"deux")].concat() {
        seen.extend(bench.feed(&[byte]).1);
    }
    assert_eq!(handles(&seen).len(), 2);
}

#[test]
fn what_is_on_the_wire_of_a_submit() {
    let mut bench = Bench::bound();
    bench.session.submit(&text_out(), bench.now).unwrap();
    let (bytes, _) = bench.drain();
    // service_type, source 3:0, destination 1:1, esm_class 0, protocol, priority, times, registered_delivery 1, …
    let body = b"\0\x03\x0036123\0\x01\x0133612345678\0\x00\x00\x00\0\0\x01\x00\x00\x00\x07Bonjour";
    assert_eq!(bytes, pdu(4, 0, 2, body));
}

#[test]
fn what_else_a_submit_may_say() {
    let mut bench = Bench::bound();
    let extras = Extras {
        has_header: true,
        priority: 2,
        validity: "000002000000000R".to_owned(),
        sar: None,
    };
    bench.session.submit(&Submission { extras, ..text_out() }, bench.now).unwrap();
    let body = b"\0\x03\x0036123\0\x01\x0133612345678\0\x40\x00\x02\x00000002000000000R\0\x01\x00\x00\x00\x07Bonjour";
    assert_eq!(bench.drain().0, pdu(4, 0, 2, body));
    let sar = Some(Part {
        reference: 0x1234,
        total: 3,
        number: 2,
    });
    let extras = Extras { sar, ..Extras::default() };
    bench.session.submit(&Submission { extras, ..text_out() }, bench.now).unwrap();
    let body = b"\0\x03\x0036123\0\x01\x0133612345678\0\x00\x00\x00\0\0\x01\x00\x00\x00\x07Bonjour\
                 \x02\x0C\x00\x02\x12\x34\x02\x0E\x00\x01\x03\x02\x0F\x00\x01\x02";
    assert_eq!(bench.drain().0, pdu(4, 0, 3, body));
    let odd = Extras {
        validity: "tomorrow".to_owned(),
        ..Extras::default()
    };
    assert!(bench.session.submit(&Submission { extras: odd, ..text_out() }, bench.now).is_err());
}

#[test]
fn the_window_is_kept_and_answers_find_their_submit() {
    let mut bench = Bench::bound();
    let first = bench.session.submit(&text_out(), bench.now).unwrap();
    let second = bench.session.submit(&text_out(), bench.now).unwrap();
    assert_eq!(bench.session.submit(&text_out(), bench.now), Err(SubmitError::WindowFull));
    bench.drain();
    let (_, events) = bench.feed(&[pdu(0x8000_0004, 0, 3, b"id-2\0"), pdu(0x8000_0004, 0x58, 2, b"")].concat());
    let [
        Event::Answered {
            handle: a,
            status: 0,
            message_id: Some(id),
        },
        Event::Answered {
            handle: b,
            status: 0x58,
            message_id: None,
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*a, *b, id.as_str()), (second, first, "id-2"));
    assert_eq!(bench.session.room(), 2);
}

#[test]
fn an_id_that_breaks_the_rules_is_an_id() {
    let mut bench = Bench::bound();
    bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    let (_, events) = bench.feed(&pdu(0x8000_0004, 0, 2, b"without-end"));
    assert!(matches!(&events[..], [Event::Answered { message_id: Some(id), .. }] if id == "without-end"));
}

#[test]
fn a_lost_response_is_unknown_and_frees_the_window() {
    let mut bench = Bench::bound();
    let lost = bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    let (_, events) = bench.sleep(60 * SECOND);
    assert!(matches!(events[..], [Event::Unanswered { handle }] if handle == lost));
    assert_eq!(bench.session.room(), 2);
    // What it says after all is heard, and once.
    let response = pdu(0x8000_0004, 0, 2, b"id\0");
    let (_, late) = bench.feed(&response);
    assert!(matches!(&late[..], [Event::Answered { handle, .. }] if *handle == lost), "{late:?}");
    assert_eq!(bench.session.room(), 2);
    let (_, again) = bench.feed(&response);
    assert!(again.is_empty());
}

#[test]
fn a_deaf_smsc_is_found_within_a_minute() {
    let mut bench = Bench::bound();
    let submit_at = bench.now + 29 * SECOND;
    bench.sleep(29 * SECOND);
    assert_eq!(bench.now, submit_at);
    let (bytes, _) = bench.sleep(60 * SECOND);
    assert_eq!(bytes, pdu(0x15, 0, 2, b""));
    let begin = bench.now - 30 * SECOND;
    let open = bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    let (_, events) = bench.sleep(60 * SECOND);
    assert!(matches!(events[..], [Event::Unanswered { handle }, Event::Ended(End::Deaf)] if handle == open));
    assert!(bench.now - begin <= 60 * SECOND);
    assert!(bench.session.submit(&text_out(), bench.now).is_err());
}

#[test]
fn a_living_smsc_is_asked_again_and_again() {
    let mut bench = Bench::bound();
    for sequence in 2..10 {
        let (bytes, _) = bench.sleep(60 * SECOND);
        assert_eq!(bytes, pdu(0x15, 0, sequence, b""));
        let (bytes, events) = bench.feed(&pdu(0x8000_0015, 0, sequence, b""));
        assert!(bytes.is_empty() && events.is_empty());
    }
    let (bytes, _) = bench.feed(&pdu(0x15, 0, 4242, b""));
    assert_eq!(bytes, pdu(0x8000_0015, 0, 4242, b""));
}

#[test]
fn the_inbound_window_stops_the_reading_and_excuses_the_smsc() {
    let mut bench = Bench::bound();
    let (_, events) = bench.feed(&[deliver(1, b"1"), deliver(2, b"2"), deliver(3, b"3")].concat());
    assert!(!bench.session.wants_input());
    for _ in 0..10 {
        let (_, silent) = bench.sleep(60 * SECOND);
        assert!(ended(&silent).is_none(), "it is we who do not read");
    }
    bench.session.acknowledge(handles(&events)[1], 0);
    assert!(bench.session.wants_input());
}

#[test]
fn malformed_pdus_get_their_answer_and_the_session_lives() {
    let mut bench = Bench::bound();
    let cut = pdu(5, 0, 9, b"\0\x01\x0133612345678\0\x06\x0036123\0\0\0\0\0\0\0\0\0\0\xffab");
    let (bytes, events) = bench.feed(&cut);
    assert!(bytes.is_empty());
    let [Event::Undecodable { handle, raw, unreadable }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(raw[..], cut[..]);
    assert_eq!(unreadable.source.as_ref().unwrap().number, "33612345678");
    bench.session.acknowledge(*handle, status::PERMANENT_REFUSAL);
    assert_eq!(bench.drain().0, pdu(0x8000_0005, 0x65, 9, b"\0"));

    let (bytes, _) = bench.feed(&pdu(0x0000_0666, 0, 10, b"what"));
    assert_eq!(bytes, pdu(0x8000_0000, 3, 10, b""));
    let (bytes, events) = bench.feed(&pdu(0x8000_0666, 0, 11, b"what"));
    assert!(bytes.is_empty() && events.is_empty(), "a response is never answered");
    let (bytes, _) = bench.feed(&pdu(0x15, 0, 12, b""));
    assert_eq!(bytes, pdu(0x8000_0015, 0, 12, b""));
}

#[test]
fn a_length_that_is_none_ends_it_after_a_nack() {
    let mut bench = Bench::bound();
    let open = bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    let (bytes, events) = bench.feed(&[0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 42]);
    assert_eq!(bytes, pdu(0x8000_0000, 2, 42, b""));
    assert!(matches!(events[..], [Event::Unanswered { handle }, Event::Ended(End::Unframed)] if handle == open));
    assert!(bench.feed(&deliver(1, b"late")).1.is_empty());
}

#[test]
fn refused_binds_tell_their_status() {
    for refusal in [status::BIND_FAILED, status::INVALID_PASSWORD, status::INVALID_SYSTEM_ID] {
        for id in [0x8000_0009, 0x8000_0000] {
            let mut bench = Bench::open(settings());
            let (_, events) = bench.feed(&pdu(id, refusal, 1, b""));
            assert_eq!(ended(&events), Some(End::Refused { status: refusal }));
        }
    }
    let mut bench = Bench::open(settings());
    let (_, events) = bench.sleep(60 * SECOND);
    assert_eq!(ended(&events), Some(End::Deaf));
}

#[test]
fn a_delivery_before_the_bind_is_refused() {
    let mut bench = Bench::open(settings());
    let (bytes, _) = bench.feed(&deliver(5, b"early"));
    assert_eq!(bytes, pdu(0x8000_0005, 4, 5, b"\0"));
}

#[test]
fn unbind_of_ours() {
    let mut bench = Bench::bound();
    bench.session.close(bench.now);
    assert_eq!(bench.drain().0, pdu(6, 0, 2, b""));
    assert!(bench.session.submit(&text_out(), bench.now).is_err());
    let (_, events) = bench.feed(&deliver(8, b"just before"));
    assert!(bench.session.acknowledge(handles(&events)[0], 0), "what crossed is still taken");
    let (_, events) = bench.feed(&pdu(0x8000_0006, 0, 2, b""));
    assert_eq!(ended(&events), Some(End::Asked));
}

#[test]
fn unbind_of_theirs_waits_for_what_we_owe() {
    let mut bench = Bench::bound();
    let (_, events) = bench.feed(&[deliver(1, b"1"), pdu(6, 0, 2, b"")].concat());
    assert_eq!(ended(&events), None);
    bench.session.acknowledge(handles(&events)[0], 0);
    let (bytes, events) = bench.drain();
    assert_eq!(bytes, [pdu(0x8000_0005, 0, 1, b"\0"), pdu(0x8000_0006, 0, 2, b"")].concat());
    assert_eq!(ended(&events), Some(End::PeerUnbound));

    let mut bench = Bench::bound();
    bench.feed(&[deliver(1, b"1"), pdu(6, 0, 2, b"")].concat());
    let (bytes, events) = bench.sleep(60 * SECOND);
    assert_eq!(bytes, pdu(0x8000_0006, 0, 2, b""), "but not for ever");
    assert_eq!(ended(&events), Some(End::PeerUnbound));
}

#[test]
fn a_second_unbind_is_answered_and_the_first_still_waits() {
    let mut bench = Bench::bound();
    let (_, events) = bench.feed(&[deliver(1, b"1"), pdu(6, 0, 2, b""), pdu(6, 0, 3, b"")].concat());
    assert_eq!(ended(&events), None);
    assert!(bench.session.acknowledge(handles(&events)[0], 0), "what was owed still is");
    let (bytes, events) = bench.drain();
    assert_eq!(bytes, [pdu(0x8000_0005, 0, 1, b"\0"), pdu(0x8000_0006, 0, 2, b"")].concat());
    assert_eq!(ended(&events), Some(End::PeerUnbound));
}

#[test]
fn unbinds_that_cross() {
    let mut bench = Bench::bound();
    bench.session.close(bench.now);
    bench.drain();
    let (bytes, events) = bench.feed(&pdu(6, 0, 70, b""));
    assert_eq!((bytes, ended(&events)), (pdu(0x8000_0006, 0, 70, b""), None));
    let (_, events) = bench.feed(&pdu(0x8000_0006, 0, 2, b""));
    assert_eq!(ended(&events), Some(End::Asked));

    let mut bench = Bench::bound();
    bench.session.close(bench.now);
    bench.drain();
    let (_, events) = bench.sleep(60 * SECOND);
    assert_eq!(ended(&events), Some(End::Asked), "no response ends it as well");
}

#[test]
fn sequence_numbers_wrap_to_one_and_skip_what_is_open() {
    let mut bench = Bench::bound();
    let first = bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    bench.session.submits.drain();
    bench.session.submits.sent(1, first, bench.now, 20 * SECOND);
    bench.session.sequence = LAST_SEQUENCE - 1;
    let last = bench.session.submit(&text_out(), bench.now).unwrap();
    assert_eq!(bench.drain().0[12..16], LAST_SEQUENCE.to_be_bytes());
    bench.feed(&pdu(0x8000_0004, 0, LAST_SEQUENCE, b"a\0"));
    assert_ne!(last, first);
    bench.session.submit(&text_out(), bench.now).unwrap();
    assert_eq!(bench.drain().0[12..16], 2_u32.to_be_bytes());
}

#[test]
fn data_sm_is_a_delivery_too() {
    let mut bench = Bench::bound();
    let mut body = b"\0\x01\x0133612345678\0\x06\x0036123\0\x00\x00\x08".to_vec();
    body.extend([0x04, 0x24, 0, 2, 0x00, 0xE9]);
    let (_, events) = bench.feed(&pdu(0x103, 0, 6, &body));
    let [Event::Delivery { handle, delivery }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&delivery.body[..], delivery.data_coding), (&[0x00, 0xE9][..], 8));
    bench.session.acknowledge(*handle, 0);
    assert_eq!(bench.drain().0, pdu(0x8000_0103, 0, 6, b"\0"));
}
