//! Packets of any header at any time: what comes out is gapless and in order, and bounded by the time that passed.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_recorder::codec::Codec;
use voxea_recorder::packet::Packet;
use voxea_recorder::timeline::{Placed, Timeline};

/// Longest stretch between two packets, so that a run stays short.
const STEP_MS: u64 = 2_000;

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

fn play(mut data: &[u8]) {
    let epoch = Instant::now();
    let mut timeline = Timeline::new(Codec::Pcma, epoch);
    let mut now = epoch;
    let mut next = 0;
    timeline.begin(epoch);
    // Each event: a step in ms (two octets), a length (one octet), then that much datagram.
    while let [high, low, length, rest @ ..] = data {
        now += Duration::from_millis(u64::from(u16::from_be_bytes([*high, *low])) % STEP_MS);
        let (datagram, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data = rest;
        if let Ok(packet) = Packet::parse(datagram) {
            timeline.push(&packet, now);
        }
        timeline.advance(now);
        drain(&mut timeline, &mut next);
        assert!(next <= samples(now - epoch), "more was handed out than time has passed");
    }
    let total = samples(now - epoch).max(next);
    timeline.finish(total);
    drain(&mut timeline, &mut next);
    assert_eq!(next, total, "the leg ends where the recording ends");
    assert_eq!(timeline.emitted(), total);
}

/// Takes everything that is ready; each stretch begins where the one before ended.
fn drain(timeline: &mut Timeline, next: &mut u64) {
    while let Some(placed) = timeline.poll() {
        let (offset, samples) = match placed {
            Placed::Octets { offset, octets } => (offset, octets.len() as u64),
            Placed::Silence { offset, samples } => (offset, samples),
        };
        assert_eq!(offset, *next);
        *next += samples;
    }
}

fn samples(time: Duration) -> u64 {
    time.as_millis() as u64 * 8
}
