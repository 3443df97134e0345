//! Packets of keys (RFC 4733) with any header and content: a packet that comes again is no other press.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::dtmf::event::{Decoder, Heard};

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

fn play(mut data: &[u8]) {
    let (mut decoder, at) = (Decoder::default(), Instant::now());
    let (mut reports, mut presses) = (0, 0);
    // Each packet: a timestamp (four octets), marker and length (one octet), then that much payload.
    while let [a, b, c, d, shape, rest @ ..] = data {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*shape & 0x7F)));
        data = rest;
        let timestamp = u32::from_be_bytes([*a, *b, *c, *d]);
        let heard = Heard { ssrc: 7, timestamp, marker: shape & 0x80 != 0, payload, at };
        reports += payload.len() / 4;
        let told = decoder.push(&heard);
        presses += told.len();
        assert!(told.iter().all(|press| press.digit.code() < 16));
        assert!(decoder.push(&heard).is_empty(), "the same packet again is no other press");
    }
    assert!(presses <= reports, "{presses} presses of {reports} reports");
}
