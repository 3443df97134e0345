//! How one RTP stream's timestamps map to a leg's axis, and the stream that
//! may follow it.

use crate::codec::{Codec, Decoder};
use crate::packet::Packet;

/// How long samples wait for what is late: 200 ms.
pub const HOLD: i64 = 1_600;

/// How far before its time a packet may come: the first anchor was late.
const AHEAD: i64 = 4_000;

/// RFC 3550 §A.1: a sequence number this far back is a late packet, further a
/// restart.
const MISORDER: i16 = 100;

/// RFC 3550 §A.1: a jump forward beyond this is a restart.
const DROPOUT: i16 = 3_000;

/// Clocks are compared over 10 s, by the packet with the shortest way.
const DRIFT_WINDOW: i64 = 80_000;

/// Drift beyond 40 ms is corrected, at the next silent packet.
const DRIFT: i64 = 320;

/// Packets in a drift window below which it says nothing.
const DRIFT_PACKETS: u32 = 100;

/// PCM16 value below which a packet is silent enough to move an anchor in.
const QUIET: u16 = 200;

/// Packets after which a decoder of wideband has forgotten where it began.
const HEARD: u32 = 10;

/// Packets a candidate holds at most: 100 ms of 10 ms packets, six times over.
const MAX_CANDIDATE: usize = 64;

/// Where a packet belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// At this position of the axis.
    At(i64),
    /// It was here before.
    Duplicate,
    /// Its place has been handed out.
    Late,
    /// It does not belong to this stream as anchored.
    Elsewhere,
}

/// The stream that is being followed.
#[derive(Debug)]
pub(super) struct Stream {
    ssrc: u32,
    /// position = extended timestamp + offset
    offset: i64,
    timestamp: i64,
    sequence: i64,
    first_sequence: i64,
    received: u64,
    reordered: u64,
    /// Bit n: sequence - n was seen.
    seen: u128,
    drift: DriftWindow,
}

#[derive(Debug, Default)]
struct DriftWindow {
    opened: Option<i64>,
    packets: u32,
    least: i64,
    correction: Option<i64>,
    /// Listens for silence while there is something to correct. One of wideband has to hear some packets first.
    ear: Option<(Decoder, u32)>,
}

impl Stream {
    fn new(ssrc: u32, sequence: i64, timestamp: i64, offset: i64) -> Self {
        Self {
            ssrc,
            offset,
            timestamp,
            sequence,
            first_sequence: sequence,
            received: 1,
            reordered: 0,
            seen: 1,
            drift: DriftWindow::default(),
        }
    }

    /// Finds the packet's place, and remembers it if it has one.
    pub(super) fn fit(&mut self, packet: &Packet<'_>, arrival: i64) -> Fit {
        if packet.ssrc != self.ssrc {
            return Fit::Elsewhere;
        }
        let step = packet.sequence.wrapping_sub(self.sequence as u16) as i16;
        if step <= 0 && u32::from(step.unsigned_abs()) < u128::BITS && self.seen >> step.unsigned_abs() & 1 == 1 {
            return Fit::Duplicate;
        }
        let position = self.extend_timestamp(packet.timestamp) + self.offset;
        let lateness = arrival - position;
        if !(-AHEAD..=HOLD).contains(&lateness) {
            return if (-MISORDER..=0).contains(&step) && lateness > 0 {
                Fit::Late
            } else {
                Fit::Elsewhere
            };
        }
        self.remember(packet.sequence, step);
        self.timestamp = self.timestamp.max(position - self.offset);
        self.drift.note(arrival, lateness);
        Fit::At(position)
    }

    /// Notes a packet that is not audio (a telephone-event, RFC 4733), so that
    /// its number does not count as lost. True if it is of this stream.
    pub(super) fn pass(&mut self, packet: &Packet<'_>) -> bool {
        let step = packet.sequence.wrapping_sub(self.sequence as u16) as i16;
        let ours = packet.ssrc == self.ssrc && (1..=DROPOUT).contains(&step);
        if ours {
            self.remember(packet.sequence, step);
        }
        ours
    }

    /// Its SSRC.
    pub(super) const fn source(&self) -> u32 {
        self.ssrc
    }

    /// Packets that came after one with a higher number.
    pub(super) const fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets missing so far, by sequence number.
    pub(super) fn lost(&self) -> u64 {
        let expected = (self.sequence - self.first_sequence + 1).max(0) as u64;
        expected.saturating_sub(self.received)
    }

    /// Moves the anchor when the clocks have drifted apart and this packet is
    /// silent. True if it did.
    pub(super) fn correct_drift(&mut self, codec: Codec, payload: &[u8]) -> bool {
        let Some(correction) = self.drift.correction else {
            return false;
        };
        let (ear, packets) = self.drift.ear.get_or_insert_with(|| (Decoder::new(codec), 0));
        *packets += 1;
        let mut loud = codec == Codec::G722 && *packets <= HEARD;
        for &octet in payload {
            loud |= ear.push(octet).samples().iter().any(|sample| sample.unsigned_abs() > QUIET);
        }
        if loud {
            return false;
        }
        self.offset += correction;
        self.drift = DriftWindow::default();
        true
    }

    fn extend_timestamp(&self, timestamp: u32) -> i64 {
        self.timestamp + i64::from(timestamp.wrapping_sub(self.timestamp as u32) as i32)
    }

    fn remember(&mut self, sequence: u16, step: i16) {
        let lost = self.lost() as i64;
        self.received += 1;
        if !(-MISORDER..=DROPOUT).contains(&step) {
            // The numbers jumped and the times did not: count on from here.
            self.sequence = i64::from(sequence);
            self.first_sequence = self.sequence + 1 - self.received as i64 - lost;
            self.seen = 1;
        } else if step > 0 {
            self.sequence += i64::from(step);
            self.seen = self.seen.checked_shl(u32::from(step.unsigned_abs())).unwrap_or(0) | 1;
        } else {
            self.reordered += 1;
            self.seen |= 1u128.checked_shl(step.unsigned_abs().into()).unwrap_or(0);
        }
    }
}

impl DriftWindow {
    fn note(&mut self, arrival: i64, lateness: i64) {
        let opened = *self.opened.get_or_insert(arrival);
        self.least = if self.packets == 0 { lateness } else { self.least.min(lateness) };
        self.packets += 1;
        if arrival - opened >= DRIFT_WINDOW && self.packets >= DRIFT_PACKETS {
            let correction = (self.least.abs() > DRIFT).then_some(self.least);
            *self = Self {
                correction,
                ..Self::default()
            };
        }
    }
}

/// Packets that may be the beginning of the next stream.
#[derive(Debug)]
pub(super) struct Candidate {
    ssrc: u32,
    since: i64,
    sequence: i64,
    timestamp: i64,
    packets: Vec<Held>,
    duplicated: u64,
}

#[derive(Debug)]
struct Held {
    payload_type: u8,
    sequence: i64,
    timestamp: i64,
    arrival: i64,
    payload: Vec<u8>,
}

/// A candidate's packet with its place.
#[derive(Debug)]
pub(super) struct Positioned {
    pub(super) payload_type: u8,
    pub(super) position: i64,
    pub(super) payload: Vec<u8>,
}

impl Candidate {
    /// A candidate that `packet` opens; it still has to be taken in.
    pub(super) fn new(packet: &Packet<'_>, arrival: i64) -> Self {
        Self {
            ssrc: packet.ssrc,
            since: arrival,
            sequence: i64::from(packet.sequence),
            timestamp: i64::from(packet.timestamp),
            packets: Vec::new(),
            duplicated: 0,
        }
    }

    /// When its first packet came.
    pub(super) fn since(&self) -> i64 {
        self.since
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Packets that came twice.
    pub(super) const fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// Takes the packet in, unless it belongs to yet another stream.
    pub(super) fn take_in(&mut self, packet: &Packet<'_>, arrival: i64) -> bool {
        let step = packet.sequence.wrapping_sub(self.sequence as u16) as i16;
        let elapsed = packet.timestamp.wrapping_sub(self.timestamp as u32) as i32;
        let lateness = arrival - self.since - i64::from(elapsed);
        if packet.ssrc != self.ssrc || !(-AHEAD..=AHEAD).contains(&lateness) {
            return false;
        }
        let sequence = self.sequence + i64::from(step);
        let known = self.packets.iter().any(|held| held.sequence == sequence);
        if known {
            self.duplicated += 1;
        } else if self.packets.len() < MAX_CANDIDATE {
            self.packets.push(Held {
                payload_type: packet.payload_type,
                sequence,
                timestamp: self.timestamp + i64::from(elapsed),
                arrival,
                payload: packet.payload.to_vec(),
            });
        }
        true
    }

    /// Anchors on the packet that had the shortest way.
    pub(super) fn into_stream(self) -> (Stream, Vec<Positioned>) {
        let offset = self.packets.iter().map(|held| held.arrival - held.timestamp).min();
        let offset = offset.unwrap_or(self.since - self.timestamp);
        let mut packets = self.packets;
        let mut highest = i64::MIN;
        let after_higher = |held: &&Held| {
            highest = highest.max(held.sequence);
            held.sequence < highest
        };
        let reordered = packets.iter().filter(after_higher).count() as u64;
        packets.sort_by_key(|held| held.sequence);
        let first = packets.first().map_or(self.sequence, |held| held.sequence);
        let last = packets.last().map_or(self.sequence, |held| held.sequence);
        let latest = packets.iter().map(|held| held.timestamp).max().unwrap_or(self.timestamp);
        let mut stream = Stream::new(self.ssrc, last, latest, offset);
        stream.first_sequence = first;
        stream.received = packets.len() as u64;
        stream.reordered = reordered;
        for held in &packets {
            stream.seen |= 1u128.checked_shl((last - held.sequence) as u32).unwrap_or(0);
        }
        let positioned = packets.into_iter().map(|held| Positioned {
            payload_type: held.payload_type,
            position: held.timestamp + offset,
            payload: held.payload,
        });
        (stream, positioned.collect())
    }
}
