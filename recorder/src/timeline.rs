//! One leg's timeline: RTP packets in, octets at sample offsets out.
//!
//! Samples are placed by RTP timestamp, never by appending packets. How a
//! timestamp maps to the recording is learnt from the arrival clock: a
//! packet's first sample stands where the packet arrived, and of the first
//! 100 ms of a stream the packet with the shortest way counts. A ring of one
//! second holds samples for 200 ms, so that what is late or out of order by up
//! to that much falls into its place; then they are handed out, with silence
//! where nothing came.
//!
//! A packet that fits no place (another SSRC, a timestamp that jumped) opens a
//! *candidate*: if the present stream stays away for the candidate's 100 ms,
//! the candidate becomes the stream, anchored anew on the arrival clock, with
//! nothing lost; one packet of the present stream ends it. So a sender that
//! restarts is followed, and a burst of old packets or an injector that talks
//! over a living stream is not.
//!
//! Sans-IO: call [`Timeline::push`] and [`Timeline::advance`], and take all
//! that [`Timeline::poll`] has before the next call. Memory is bounded by the
//! ring, a candidate of 64 packets, and what is not polled.

mod stream;

use std::collections::VecDeque;
use std::time::Instant;

use crate::codec::Codec;
use crate::packet::{COMFORT_NOISE, Packet};
use crate::ring::{LEN, Ring, Run};
pub use stream::HOLD;
use stream::{Candidate, Fit, Stream};

/// How long a new stream or anchor is watched before it counts: 100 ms.
const PROBATION: i64 = 800;

/// Octets that a stretch has room for from its beginning: what a sweep of 100 ms finds.
const STRETCH: usize = 800;

/// Gaps listed; more are only counted.
const MAX_GAPS: usize = 512;

/// A stretch of the recording for which nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// First sample of the gap.
    pub offset: u64,
    /// Its length in samples.
    pub samples: u64,
}

/// The next stretch of the leg; each begins where the one before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// Octets of the leg's codec, silence filled in.
    Octets {
        /// Sample offset of the first.
        offset: u64,
        /// One octet a sample.
        octets: Vec<u8>,
    },
    /// A long silence, said in one word.
    Silence {
        /// Sample offset of its start.
        offset: u64,
        /// Its length in samples.
        samples: u64,
    },
}

/// What was counted on one leg, from its first packet on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of the leg's codec, or comfort noise, that were placed.
    pub received: u64,
    /// Packets that never came, by sequence number (RFC 3550 §A.3).
    pub lost: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets that were placed after one with a higher number.
    pub reordered: u64,
    /// Packets that came after their place had been handed out.
    pub late: u64,
    /// Packets of another payload type, or of a candidate that was given up.
    pub ignored: u64,
    /// New anchors after the first: another SSRC, a jump, drift.
    pub anchored_again: u32,
    /// Gaps beyond those listed.
    pub unlisted_gaps: u64,
}

/// One leg of a call. See the module's text.
#[derive(Debug)]
pub struct Timeline {
    codec: Codec,
    epoch: Instant,
    ring: Ring,
    stream: Option<Stream>,
    candidate: Option<Candidate>,
    /// Position of sample 0 on the leg's axis, once recording has begun.
    start: Option<i64>,
    /// From here on the peer said it would send nothing (comfort noise).
    quiet_from: Option<i64>,
    ready: VecDeque<Placed>,
    /// What the ring hands out, on its way to `ready`.
    taken: Vec<u8>,
    runs: Vec<Run>,
    emitted: u64,
    gaps: Vec<Gap>,
    counts: Counts,
}

impl Timeline {
    /// A leg whose packets may come from `epoch` on. Nothing is handed out
    /// before [`begin`](Self::begin).
    #[must_use]
    pub fn new(codec: Codec, epoch: Instant) -> Self {
        Self {
            codec,
            epoch,
            ring: Ring::new(-HOLD, codec.silence()),
            stream: None,
            candidate: None,
            start: None,
            quiet_from: None,
            ready: VecDeque::new(),
            taken: Vec::new(),
            runs: Vec::new(),
            emitted: 0,
            gaps: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Recording begins: `at` is the instant of sample 0. To be called no later
    /// than 200 ms after it, or what was already let go is silence.
    pub fn begin(&mut self, at: Instant) {
        if self.start.is_none() {
            let start = self.position(at);
            self.start = Some(start);
            let let_go = self.ring.floor() - start;
            if let_go > 0 {
                self.emit_silence(let_go as u64);
            }
        }
    }

    /// Takes one packet that came at `arrival`.
    pub fn push(&mut self, packet: &Packet<'_>, arrival: Instant) {
        let arrival = self.position(arrival);
        self.advance_to(arrival);
        if packet.payload_type != self.codec.payload_type() && packet.payload_type != COMFORT_NOISE {
            self.counts.ignored += 1;
            if let Some(stream) = &mut self.stream
                && stream.pass(packet)
            {
                self.candidate = None;
            }
            return;
        }
        let fit = match &mut self.stream {
            Some(stream) => stream.fit(packet, arrival),
            None => Fit::Elsewhere,
        };
        match fit {
            Fit::At(position) => {
                if let Some(candidate) = self.candidate.take() {
                    self.counts.ignored += candidate.len() as u64;
                }
                self.place(packet.payload_type, packet.payload, position);
            }
            Fit::Duplicate => self.counts.duplicated += 1,
            Fit::Late => self.counts.late += 1,
            Fit::Elsewhere => self.consider(packet, arrival),
        }
    }

    /// Takes note of a packet of the peer's that is no sound, a key for instance (RFC 4733): it shares the sequence of the
    /// sound, so that its number is not missing there. It is counted nowhere here.
    pub fn pass(&mut self, packet: &Packet<'_>, arrival: Instant) {
        self.advance_to(self.position(arrival));
        if let Some(stream) = &mut self.stream
            && stream.pass(packet)
        {
            self.candidate = None;
        }
    }

    /// Lets the clock pass: hands out what has been held long enough.
    pub fn advance(&mut self, now: Instant) {
        self.advance_to(self.position(now));
    }

    /// The next stretch that is ready.
    pub fn poll(&mut self) -> Option<Placed> {
        self.ready.pop_front()
    }

    /// The recording ends at sample `total`: hands out everything up to there
    /// without waiting for what may still be late, and closes the gap list.
    /// What was handed out beyond `total` is for the writer to cut.
    pub fn finish(&mut self, total: u64) {
        let end = self.start.unwrap_or_default() + total.min(i64::MAX as u64 / 2) as i64;
        let passed = |candidate: &Candidate| end - candidate.since() >= PROBATION;
        if self.stream.is_none() || self.candidate.as_ref().is_some_and(passed) {
            self.adopt();
        }
        if self.start.is_some() {
            self.let_go(end);
        }
        self.gaps.retain_mut(|gap| {
            gap.samples = gap.samples.min(total.saturating_sub(gap.offset));
            gap.samples > 0
        });
    }

    /// Samples handed out since [`begin`](Self::begin).
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Where nothing was received, in order, of what has been handed out.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The leg's counters as of now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.lost += self.stream.as_ref().map_or(0, Stream::lost);
        counts.reordered += self.stream.as_ref().map_or(0, Stream::reordered);
        counts
    }

    /// The source (SSRC) that is being followed, once there is one.
    #[must_use]
    pub fn source(&self) -> Option<u32> {
        self.stream.as_ref().map(Stream::source)
    }

    /// The offset in the recording of an instant, negative before its start;
    /// none before [`begin`](Self::begin).
    #[must_use]
    pub fn offset_of(&self, instant: Instant) -> Option<i64> {
        Some(self.position(instant) - self.start?)
    }

    fn position(&self, instant: Instant) -> i64 {
        let samples = |span: std::time::Duration| (span.as_nanos().saturating_add(62_500) / 125_000) as i64;
        match instant.checked_duration_since(self.epoch) {
            Some(after) => samples(after),
            None => -samples(self.epoch.duration_since(instant)),
        }
    }

    fn advance_to(&mut self, now: i64) {
        if self
            .candidate
            .as_ref()
            .is_some_and(|candidate| now - candidate.since() >= PROBATION)
        {
            self.adopt();
        }
        self.let_go(now - HOLD);
    }

    /// Keeps a packet that is not the stream's, as what may be the next one.
    fn consider(&mut self, packet: &Packet<'_>, arrival: i64) {
        let candidate = self.candidate.get_or_insert_with(|| Candidate::new(packet, arrival));
        if candidate.take_in(packet, arrival) {
            return;
        }
        self.counts.ignored += 1;
        // Before there is any stream the first to come is it. Later each new
        // claim starts the probation again: many claims never pass it.
        if self.stream.is_some() {
            self.counts.ignored += candidate.len() as u64 - 1;
            let mut fresh = Candidate::new(packet, arrival);
            fresh.take_in(packet, arrival);
            self.candidate = Some(fresh);
        }
    }

    /// The candidate becomes the stream.
    fn adopt(&mut self) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        if let Some(old) = self.stream.take() {
            self.counts.lost += old.lost();
            self.counts.reordered += old.reordered();
            self.counts.anchored_again += 1;
        }
        self.counts.duplicated += candidate.duplicated();
        let (stream, packets) = candidate.into_stream();
        self.stream = Some(stream);
        for packet in packets {
            self.place(packet.payload_type, &packet.payload, packet.position);
        }
    }

    fn place(&mut self, payload_type: u8, payload: &[u8], position: i64) {
        self.counts.received += 1;
        if payload_type == COMFORT_NOISE {
            // RFC 3389 §4: from here on silence is meant, until speech comes.
            self.quiet_from = Some(self.quiet_from.map_or(position, |earlier| earlier.min(position)));
            return;
        }
        if let Some(quiet) = self.quiet_from.take_if(|quiet| *quiet < position) {
            self.ring.place_silence(quiet, position);
        }
        self.ring.place(position, payload);
        if let Some(stream) = &mut self.stream
            && stream.correct_drift(self.codec, payload)
        {
            self.counts.anchored_again += 1;
        }
    }

    /// Moves the floor, and hands out what is at or after sample 0.
    fn let_go(&mut self, to: i64) {
        while self.ring.floor() < to {
            let from = self.ring.floor();
            let until = to.min(from + LEN);
            if let Some(quiet) = self.quiet_from {
                self.ring.place_silence(quiet, until);
            }
            let (mut octets, mut runs) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.runs));
            octets.clear();
            runs.clear();
            self.ring.take(until, &mut octets, |run| runs.push(run));
            self.emit(from, &octets, &runs);
            (self.taken, self.runs) = (octets, runs);
            if until < to {
                // The whole ring was taken: the rest is silence, however long.
                let silent = to - self.start.unwrap_or(to).clamp(until, to);
                self.ring.skip_to(to);
                if silent > 0 {
                    self.emit_silence(silent as u64);
                }
            }
        }
    }

    fn emit(&mut self, from: i64, octets: &[u8], runs: &[Run]) {
        let Some(start) = self.start else { return };
        let before = (start - from).clamp(0, octets.len() as i64) as usize;
        let octets = &octets[before..];
        if octets.is_empty() {
            return;
        }
        let mut at = from;
        for run in runs {
            let end = at + run.samples;
            if !run.received && end > start {
                let offset = at.max(start) - start;
                self.note_gap(offset as u64, (end - start - offset) as u64);
            }
            at = end;
        }
        let offset = self.emitted;
        self.emitted += octets.len() as u64;
        // Every packet moves the floor: what is not polled in between is one stretch.
        match self.ready.back_mut() {
            Some(Placed::Octets { octets: open, .. }) if open.len() < STRETCH => open.extend_from_slice(octets),
            _ => {
                let mut open = Vec::with_capacity(octets.len().max(STRETCH));
                open.extend_from_slice(octets);
                self.ready.push_back(Placed::Octets { offset, octets: open });
            }
        }
    }

    fn emit_silence(&mut self, samples: u64) {
        let offset = self.emitted;
        if self.quiet_from.is_none() {
            self.note_gap(offset, samples);
        }
        self.emitted += samples;
        if let Some(Placed::Silence { samples: open, .. }) = self.ready.back_mut() {
            *open += samples;
        } else {
            self.ready.push_back(Placed::Silence { offset, samples });
        }
    }

    fn note_gap(&mut self, offset: u64, samples: u64) {
        let listed = self.gaps.len();
        match self.gaps.last_mut() {
            Some(last) if last.offset + last.samples == offset => last.samples += samples,
            _ if listed < MAX_GAPS => self.gaps.push(Gap { offset, samples }),
            _ => self.counts.unlisted_gaps += 1,
        }
    }
}

#[cfg(test)]
mod tests;
