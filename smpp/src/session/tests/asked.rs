//! What is asked about a text that the SMSC has, octet by octet, and its answers.

use super::*;
use crate::held::{Held, Question, Replacement, Told};

fn held() -> Held {
    Held {
        source: text_out().source,
        message_id: "7".to_owned(),
    }
}

/// Asks; the handle, and what is on the wire.
fn asked(bench: &mut Bench, question: &Question) -> (Handle, Vec<u8>) {
    let handle = bench.session.ask(question, bench.now).unwrap();
    (handle, bench.drain().0)
}

#[test]
fn a_text_is_asked_back() {
    let mut bench = Bench::bound();
    let (handle, bytes) = asked(&mut bench, &Question::Forget(held()));
    // service_type, message_id, source 3:0, no destination.
    assert_eq!(bytes, pdu(8, 0, 2, b"\0\x37\0\x03\x0036123\0\x00\x00\0"));
    assert_eq!(bench.session.room(), 1, "it takes a place in the window");
    let (_, events) = bench.feed(&pdu(0x8000_0008, 0x11, 2, b""));
    let [
        Event::Answered {
            handle: answered, status, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*answered, *status), (handle, 0x11));
}

#[test]
fn a_text_is_replaced() {
    let mut bench = Bench::bound();
    let replacement = Replacement {
        held: held(),
        validity: "000002000000000R".to_owned(),
        message: b"Bonsoir".to_vec(),
    };
    let (handle, bytes) = asked(&mut bench, &Question::Replace(replacement.clone()));
    // message_id, source 3:0, no other hour, validity, registered_delivery 1, no canned text, short_message.
    let body = b"\x37\0\x03\x0036123\0\x00000002000000000R\0\x01\x00\x07Bonsoir";
    assert_eq!(bytes, pdu(7, 0, 2, body));
    let (_, events) = bench.feed(&pdu(0x8000_0007, 0, 2, b""));
    assert!(
        matches!(&events[..], [Event::Answered { handle: answered, status: 0, message_id: None }] if *answered == handle),
        "{events:?}"
    );
    let (handle, _) = asked(&mut bench, &Question::Replace(replacement.clone()));
    let (_, events) = bench.feed(&pdu(0x8000_0007, 0x13, 3, b""));
    assert!(matches!(&events[..], [Event::Answered { handle: answered, status: 0x13, .. }] if *answered == handle));
    // Without a validity the earlier one's stays (§4.10.1); what does not fit is not cut.
    let plain = Replacement {
        validity: String::new(),
        ..replacement.clone()
    };
    let (_, bytes) = asked(&mut bench, &Question::Replace(plain));
    assert_eq!(bytes, pdu(7, 0, 4, b"\x37\0\x03\x0036123\0\0\0\x01\x00\x07Bonsoir"));
    let odd = Replacement {
        message: vec![b'a'; 256],
        ..replacement
    };
    assert!(bench.session.ask(&Question::Replace(odd), bench.now).is_err());
}

#[test]
fn what_became_of_a_text_is_asked_and_told() {
    let mut bench = Bench::bound();
    let (handle, bytes) = asked(&mut bench, &Question::State(held()));
    assert_eq!(bytes, pdu(3, 0, 2, b"\x37\0\x03\x0036123\0"));
    // message_id, final_date, message_state, error_code.
    let (_, events) = bench.feed(&pdu(0x8000_0003, 0, 2, b"\x37\x00261124080100004+\0\x05\x0b"));
    let expected = Told { state: 5, error: 11 };
    assert!(
        matches!(&events[..], [Event::Told { handle: answered, told }] if *answered == handle && *told == expected),
        "{events:?}"
    );
    for (sequence, answer) in [
        // Refused; cut off; a nack.
        (3, pdu(0x8000_0003, 0x67, 3, b"\0\0\x07\0")),
        (4, pdu(0x8000_0003, 0, 4, b"\x37\0")),
        (5, pdu(0x8000_0000, 3, 5, b"")),
    ] {
        let (handle, _) = asked(&mut bench, &Question::State(held()));
        let (_, events) = bench.feed(&answer);
        assert!(
            matches!(&events[..], [Event::Answered { handle: answered, .. }] if *answered == handle),
            "{sequence}: {events:?}"
        );
    }
    let (handle, _) = asked(&mut bench, &Question::State(held()));
    let (_, events) = bench.sleep(60 * SECOND);
    assert!(matches!(events[..], [Event::Unanswered { handle: lost }] if lost == handle));
}
