//! What a session measures and is told beside messages, and that each request gets one answer.

use proptest::prelude::*;

use super::*;

#[test]
fn a_phone_that_is_back_is_told_of_and_not_answered() {
    let mut bench = Bench::bound();
    let (bytes, events) = bench.feed(&pdu(0x102, 0, 4, b"\x01\x0133612345678\0\x03\x0036123\0\x04\x22\0\x01\0"));
    assert!(bytes.is_empty());
    assert!(matches!(&events[..], [Event::Alert { source: Some(address) }] if address.number == "33612345678"));
    let (bytes, events) = bench.feed(&pdu(0x102, 0, 5, b"\x01"));
    assert!(bytes.is_empty() && matches!(events[..], [Event::Alert { source: None }]));
}

#[test]
fn an_smsc_of_5_0_that_is_congested_gets_less() {
    let mut settings = Settings { window: 4, ..settings() };
    settings.credentials.version = 0x50;
    let now = Instant::now();
    let mut bench = Bench {
        session: Session::new(settings, now).unwrap(),
        now,
    };
    assert_eq!(bench.drain().0, pdu(9, 0, 1, b"voxea\0secret\0\0\x50\0\0\0"), "5.0 is asked for");
    bench.feed(&pdu(0x8000_0009, 0, 1, b"smsc\0\x04\x28\0\x01\x1e"));
    assert_eq!((bench.session.congestion(), bench.session.room()), (Some(30), 4));
    for (sequence, state, room) in [(2, 95, 2), (3, 100, 1), (4, 89, 4)] {
        bench.session.submit(&text_out(), bench.now).unwrap();
        bench.drain();
        bench.feed(&pdu(0x8000_0004, 0, sequence, &[b'i', 0, 0x04, 0x28, 0, 1, state]));
        assert_eq!((bench.session.congestion(), bench.session.room()), (Some(state), room));
    }
    // What means nothing changes nothing, and 3.4 has no such thing.
    bench.feed(&pdu(0x8000_0004, 0, 9, &[b'i', 0, 0x04, 0x28, 0, 1, 200]));
    assert_eq!(bench.session.congestion(), Some(89));
    let mut old = Bench::bound();
    old.feed(&pdu(0x8000_0004, 0, 9, &[b'i', 0, 0x04, 0x28, 0, 1, 100]));
    assert_eq!(old.session.congestion(), None);
    // A broadcast, and the other commands of 5.0, are none of ours.
    for id in [0x0111, 0x0112, 0x0113] {
        assert_eq!(bench.feed(&pdu(id, 0, 40, b"x")).0, pdu(0x8000_0000, 3, 40, b""));
    }
}

#[test]
fn round_trips_are_measured_on_texts_and_on_silence() {
    let mut bench = Bench::bound();
    bench.session.submit(&text_out(), bench.now).unwrap();
    bench.drain();
    bench.now += SECOND / 4;
    bench.feed(&pdu(0x8000_0004, 0, 2, b"i\0"));
    assert_eq!(bench.session.round_trip(), Some(SECOND / 4));
    let mut bench = Bench::bound();
    bench.sleep(60 * SECOND);
    bench.now += SECOND / 10;
    bench.feed(&pdu(0x8000_0015, 0, 2, b""));
    assert_eq!(bench.session.round_trip(), Some(SECOND / 10));
    assert_eq!(bench.session.take_seen().len(), 2, "the bind's response and this one");
    assert!(bench.session.take_seen().is_empty());
}

#[test]
fn a_link_that_dies_while_texts_go_out_is_found_within_a_minute() {
    let mut bench = Bench::bound_with(Settings {
        window: 1000,
        ..settings()
    });
    let dead = bench.now;
    let mut end = None;
    // A text a second goes out, so that we are never idle; nothing comes back.
    while end.is_none() && bench.now - dead < 120 * SECOND {
        let _ = bench.session.submit(&text_out(), bench.now);
        bench.drain();
        let (_, events) = bench.sleep(SECOND);
        end = ended(&events);
    }
    assert_eq!(end, Some(End::Deaf));
    assert!(bench.now - dead <= 60 * SECOND, "{:?}", bench.now - dead);
}

proptest! {
    /// Whatever stands in a frame, unbind included, and however the bytes are cut: no panic, no answer to a response, and each
    /// request that came while the link stood is answered exactly once in the end. Red without any one of the answers.
    #[test]
    fn every_request_is_answered_once(
        frames in proptest::collection::vec((
            prop_oneof![
                8 => Just(5_u32), 4 => Just(0x103), 4 => Just(0x15), 2 => Just(4), 2 => Just(0x8000_0004), 1 => Just(6), 1 => Just(0x0B),
                1 => Just(0x102), 1 => Just(0x8000_0000), 1 => Just(0x8000_0006), 1 => Just(9), 4 => any::<u32>()
            ],
            proptest::collection::vec(any::<u8>(), 0..80),
            any::<bool>(),
        ), 1..40),
        cut in 1_usize..200,
    ) {
        let mut bench = Bench::bound_with(Settings { inbound_window: 1000, ..settings() });
        let (mut answers, mut owed, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for ((id, body, acknowledge), sequence) in frames.iter().zip(100_u32..) {
            let unanswerable = [command::OUTBIND, command::ALERT_NOTIFICATION].contains(id);
            if id & command::RESPONSE == 0 && !unanswerable && bench.session.state() != State::Closed {
                requests.push(sequence);
            }
            for piece in pdu(*id, 0, sequence, body).chunks(cut) {
                let (bytes, events) = bench.feed(piece);
                answers.extend(bytes);
                owed.extend(handles(&events));
            }
            if *acknowledge && let Some(handle) = owed.pop() {
                prop_assert!(bench.session.acknowledge(handle, 0));
                answers.extend(bench.drain().0);
            }
        }
        for handle in owed {
            prop_assert!(bench.session.acknowledge(handle, 0), "nothing is owed by a link that is closed");
            answers.extend(bench.drain().0);
        }
        let (mut framer, mut answered) = (Framer::default(), Vec::new());
        framer.push(&answers);
        while let Some(frame) = framer.next_frame().unwrap() {
            prop_assert!(frame.id() & command::RESPONSE != 0);
            answered.push(frame.sequence());
        }
        answered.sort_unstable();
        prop_assert_eq!(answered, requests);
    }
}
