//! A dialogue of datagrams with the whole signalling machine, time passing between them: it answers, forgets, and
//! stays within its limits.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::endpoint::{Config, Endpoint, Event, Limits, Output};
use voxea_sip::flow::{Flow, Transport};
use voxea_sip::policy::Trunk;

const LIMITS: Limits = Limits { calls: 4, transactions: 16, refusals: 50, retry_after: 5 };

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

fn play(data: &[u8]) {
    let trunk = Trunk::new("pbx", vec!["127.0.0.0/8".parse().expect("a network")]);
    let mut endpoint =
        Endpoint::new(Config { secret: [7; 32], trunks: vec![trunk], lines: vec!["3000".to_owned()], limits: LIMITS });
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let flow = Flow { remote: address(5062), local: address(5060), transport: Transport::Udp };
    let mut now = Instant::now();
    // Datagrams stand between NULs; the octet after a NUL says what is done and how long it takes.
    for (number, part) in data.split(|&octet| octet == 0).enumerate().take(64) {
        let (step, datagram) = part.split_first().map_or((0, part), |(step, rest)| if number == 0 { (0, part) } else { (*step, rest) });
        now += Duration::from_millis(u64::from(step) * 50);
        endpoint.handle_timeout(now);
        drain(&mut endpoint, step, now);
        endpoint.handle_input(Bytes::copy_from_slice(datagram), flow, now);
        drain(&mut endpoint, step, now);
        assert!(endpoint.calls() <= LIMITS.calls && endpoint.transactions() <= LIMITS.transactions);
    }
    // Whatever was left open is over some time later, with nobody answering.
    for _ in 0..10_000 {
        match drain(&mut endpoint, 0, now) {
            Some(at) => now = at.max(now),
            None => break,
        }
        endpoint.handle_timeout(now);
    }
    assert!(drain(&mut endpoint, 0, now).is_none(), "a timer that never ends");
}

/// Does what the machine wants until it waits; until when.
fn drain(endpoint: &mut Endpoint, step: u8, now: Instant) -> Option<Instant> {
    loop {
        match endpoint.poll_output() {
            Output::Event(Event::IncomingCall(incoming)) => {
                let media = ([127, 0, 0, 1], 40_000).into();
                let _ = match step % 3 {
                    0 => endpoint.accept(incoming.call, media, now),
                    1 => endpoint.reject(incoming.call, 486, None, now),
                    _ => Ok(()),
                };
            }
            Output::Event(Event::Answered { call, .. }) => {
                // A call that the caller never ends would stay, as it should: end it.
                let _ = endpoint.hangup(call, now);
            }
            Output::Event(_) => {}
            Output::Transmit { bytes, .. } => assert!(bytes.starts_with(b"SIP/2.0 ") || bytes.starts_with(b"BYE ")),
            Output::Timeout(at) => return at,
        }
    }
}
