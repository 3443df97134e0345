//! A TCP stream from something that may not be an SMSC, through the whole session machine: every event is taken, every
//! message acknowledged, and one of its answers is owed for each request at most.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_smpp::frame::Framer;
use voxea_smpp::pdu::{Bind, Credentials, read_delivery};
use voxea_smpp::session::{Event, Output, Session, Settings, State};

fuzz_target!(|data: &[u8]| {
    let Some((&cut, stream)) = data.split_first() else { return };
    let cut = usize::from(cut).max(1);
    assert_eq!(bounded(|| frames(stream, stream.len().max(1))), bounded(|| frames(stream, cut)), "cuts matter");
    bounded(|| converse(stream, cut));
});

/// The PDUs as they came, and whether the stream broke.
fn frames(stream: &[u8], cut: usize) -> (Vec<Bytes>, bool) {
    let mut framer = Framer::default();
    let mut frames = Vec::new();
    for piece in stream.chunks(cut) {
        framer.push(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    let _ = read_delivery(&frame);
                    frames.push(frame.bytes().clone());
                }
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn converse(stream: &[u8], cut: usize) {
    let settings = Settings {
        bind: Bind::Transceiver,
        credentials: Credentials {
            system_id: "voxea".to_owned(),
            password: "secret".to_owned(),
            system_type: String::new(),
            version: 0x34,
        },
        window: 10,
        inbound_window: 8,
        enquire_interval: Duration::from_secs(30),
        response_timeout: Duration::from_secs(10),
    };
    let mut now = Instant::now();
    let mut session = Session::new(settings, now).expect("credentials that fit");
    drain(&mut session);
    // The session is bound from the start, or few inputs would ever get that far.
    let bound = [&21_u32.to_be_bytes()[..], &0x8000_0009_u32.to_be_bytes(), &[0; 4], &1_u32.to_be_bytes(), b"smsc\0"].concat();
    let _ = session.handle_input(&bound, now);
    drain(&mut session);
    for piece in stream.chunks(cut.max(stream.len() / 64)) {
        now += Duration::from_secs(1);
        let broken = session.handle_input(piece, now).is_err();
        drain(&mut session);
        session.handle_timeout(now);
        drain(&mut session);
        if broken {
            assert_eq!(session.state(), State::Closed);
        }
    }
    session.handle_lost();
    drain(&mut session);
    assert_eq!(session.state(), State::Closed);
}

fn drain(session: &mut Session) {
    loop {
        match session.poll_output() {
            Output::Event(Event::Delivery { handle, .. } | Event::Undecodable { handle, .. }) => {
                if session.state() != State::Closed {
                    assert!(session.acknowledge(handle, 0), "what was told can be acknowledged");
                    assert!(!session.acknowledge(handle, 0), "and once only");
                }
            }
            Output::Event(_) | Output::Transmit(_) => {}
            Output::Timeout(_) => return,
        }
    }
}
