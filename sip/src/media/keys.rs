//! The keys of one leg, by whichever way they come.

use std::time::Instant;

use voxea_recorder::packet::Packet;

use crate::dtmf::Digit;
use crate::dtmf::both::{Both, Way};
use crate::dtmf::event::{Decoder, Heard, Press};

/// What was heard of keys.
#[derive(Debug)]
pub(super) struct Keyboard {
    /// The negotiated payload type.
    pub(super) events: Option<u8>,
    /// Packets of it.
    pub(super) packets: u64,
    decoder: Decoder,
    both: Both,
}

impl Keyboard {
    pub(super) fn new(events: Option<u8>) -> Self {
        Self {
            events,
            packets: 0,
            decoder: Decoder::default(),
            both: Both::default(),
        }
    }

    /// The presses of a packet of events; `None` for any other packet. One of a pause is heard by nobody: neither what was
    /// pressed nor how often.
    pub(super) fn hear(&mut self, packet: &Packet<'_>, arrival: Instant, paused: bool) -> Option<Vec<Press>> {
        if self.events != Some(packet.payload_type) {
            return None;
        }
        if paused {
            return Some(Vec::new());
        }
        self.packets += 1;
        Some(self.decoder.push(&Heard {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
            at: arrival,
        }))
    }

    /// Whether nobody told of this press before.
    pub(super) fn is_new(&mut self, way: Way, digit: Digit, at: Instant) -> bool {
        self.both.is_new(way, digit, at)
    }
}
