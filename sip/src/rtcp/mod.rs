//! RTCP (RFC 3550 §6) of a leg with one peer: reports about every five seconds, and what the peer's say. A machine: datagrams
//! and instants go in, datagrams come out. The bytes are `rtcp-types`'.

mod mos;
mod reception;
mod reporter;

use std::time::Duration;

pub use mos::mos;
pub use reporter::Reporter;

/// Units of a timestamp in a second. That of G.722 too, whose samples are twice as many (RFC 3551 §4.5.2).
const CLOCK: u32 = 8_000;

/// What we have sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// RTP packets, modulo 2³².
    pub packets: u32,
    /// Octets of their payloads, modulo 2³².
    pub octets: u32,
    /// The timestamp that a packet of this instant would have.
    pub timestamp: u32,
}

/// What the reports say of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Interarrival jitter of what we heard (RFC 3550 §A.8), as it was last; `None` when nothing was.
    pub jitter: Option<Duration>,
    /// Mean of the round trips measured.
    pub round_trip: Option<Duration>,
    /// Packets of ours that the peer missed.
    pub remote_lost: Option<u32>,
    /// Jitter of ours at the peer.
    pub remote_jitter: Option<Duration>,
    /// Reports that came.
    pub heard: u64,
}

/// A datagram is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RTCP packet")]
pub struct Malformed;

/// Whether a report is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Goes,
    Leaves,
}

/// Whether a datagram on a port that both share is RTCP (RFC 5761 §4): its packet types lie where no payload type with a
/// marker may.
#[must_use]
pub const fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [_, 192..=223, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_on_one_port_are_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]) && is_rtcp(&[0x81, 205]));
        // PCMA with and without the marker, and a telephone event with it.
        assert!(!is_rtcp(&[0x80, 8]) && !is_rtcp(&[0x80, 0x88]) && !is_rtcp(&[0x80, 0xE5]) && !is_rtcp(&[0x80]));
    }
}
