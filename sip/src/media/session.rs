//! One leg on its media thread.

mod playing;
mod wanted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use voxea_recorder::activity::Activity;
use voxea_recorder::packet::Packet;
use voxea_recorder::timeline::{Placed, Timeline};

use super::events::Events;
use super::kept::Kept;
use super::keys::Keyboard;
use super::latch::Latch;
use super::leg::{Call, Control, Finished, LegId, MediaEnd, MediaEvent, Outcome, Peer};
use super::outgoing::{Outgoing, Then};
use super::pause::Pauses;
use super::pipe::Pipe;
use super::ports::Pair;
use super::reports::Reports;
use super::seal::Seal;
use super::secure::Secure;
use super::socket::{BATCH, Datagram, Receiver};
use super::sources::Sources;
use crate::dtmf::Digit;
use crate::dtmf::both::Way;

/// Ticks of 20 ms from one sweep of a leg's socket to the next.
const SWEEP: u64 = 5;

/// Datagrams read in one sweep at most: a flood on one leg is not to hold up
/// the others. The kernel's buffer holds less.
const SWEEP_PACKETS: usize = 512;

/// So many datagrams in one sweep are a flood: before the next one the kernel's
/// buffer, which holds some 250, would be full, and the peer's own be lost.
const CROWD: usize = 48;

/// Everything of one started leg.
#[derive(Debug)]
pub(super) struct Session {
    id: LegId,
    pair: Pair,
    control: Arc<Control>,
    outgoing: Outgoing,
    keyboard: Keyboard,
    latch: Latch,
    sources: Sources,
    reports: Reports,
    secure: Secure,
    timeline: Timeline,
    /// The octet of silence.
    silence: u8,
    activity: Activity,
    pipe: Arc<Pipe>,
    kept: Kept,
    limits: Limits,
    events: Events,
    tick: u64,
    /// So much came that the socket is read at every tick.
    crowded: bool,
    /// Sample 0, once the beep is out.
    begun: Option<Instant>,
    pauses: Pauses,
    /// The announcement came to its end without a recording, or the caller refused one.
    over: Option<MediaEnd>,
    refused: bool,
    /// Nothing of the recording is to stay.
    discarded: bool,
    /// Since when the network takes nothing of the announcement, or the caller does not listen.
    unheard: Option<Instant>,
    /// Samples that `activity` has heard.
    heard: u64,
    /// The sample at which the last hold ended: silence counts from there.
    resumed: u64,
    last_rtp: Instant,
    /// Since when the peer holds the call.
    held: Option<Instant>,
    emptied: Instant,
    rejected: u64,
    malformed: u64,
}

#[derive(Debug)]
struct Limits {
    max: u64,
    silence: u64,
    rtp_timeout: Duration,
    hold: Duration,
}

/// How and where the recording ends.
#[derive(Debug)]
pub(super) struct End {
    reason: Option<MediaEnd>,
    samples: u64,
}

impl Session {
    pub(super) fn new(
        id: LegId,
        pair: Pair,
        control: Arc<Control>,
        ((outgoing, then), entropy): ((Outgoing, Then), [u8; 20]),
        call: &Call,
        sender: mpsc::Sender<(LegId, MediaEvent)>,
        now: Instant,
    ) -> Self {
        let samples = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX).saturating_mul(8);
        let limits = Limits {
            max: samples(call.max),
            silence: samples(call.silence),
            rtp_timeout: call.rtp_timeout,
            hold: call.hold,
        };
        let reports = Reports::new(outgoing.ssrc(), entropy, &call.peer, now);
        let mut session = Self {
            id,
            pair,
            control,
            outgoing,
            keyboard: Keyboard::new(call.peer.events),
            latch: Latch::new(call.peer.remote),
            sources: Sources::new(call.peer.sources),
            reports,
            secure: Secure::new(call.peer.srtp.as_ref()),
            timeline: Timeline::new(call.codec, now),
            silence: call.codec.silence(),
            activity: Activity::new(call.codec),
            pipe: Arc::default(),
            kept: call.kept.clone(),
            limits,
            events: Events::new(id, sender),
            // Legs take turns at being swept.
            tick: id.0,
            crowded: false,
            begun: None,
            pauses: Pauses::default(),
            over: None,
            refused: false,
            discarded: false,
            unheard: None,
            heard: 0,
            resumed: 0,
            last_rtp: now,
            held: call.peer.holds.then_some(now),
            // What came before the ACK only tells the peer's clock.
            emptied: now.checked_sub(Duration::from_secs(60)).unwrap_or(now),
            rejected: 0,
            malformed: 0,
        };
        session.then(then, now);
        session
    }

    /// For the thread that writes.
    pub(super) fn pipe(&self) -> Arc<Pipe> {
        Arc::clone(&self.pipe)
    }

    /// Does what is due now. Some when the leg has ended.
    pub(super) fn tick(&mut self, receiver: &mut Receiver, now: Instant) -> Option<End> {
        self.events.flush();
        let (stop, moved, keys, stored, pauses) = {
            let mut wishes = self.control.lock();
            self.discarded = wishes.discarded;
            let (keys, pauses) = (std::mem::take(&mut wishes.keys), std::mem::take(&mut wishes.pauses));
            (wishes.stop, wishes.moved.take(), keys, wishes.stored, pauses)
        };
        for wanted in pauses {
            self.obey(wanted);
        }
        if let Some(peer) = moved {
            self.moved(&peer, now);
        }
        if stored {
            self.outgoing.stored();
        }
        for (digit, at) in keys {
            if !self.is_hushed(at) {
                self.pressed(Way::Info, digit, at);
            }
        }
        self.tick += 1;
        if let Some(at) = stop {
            self.sweep(receiver, now);
            self.reports.read(receiver, &self.pair, &mut self.secure, now);
            return Some(self.end_at(None, at));
        }
        self.send(now);
        self.report(now, false);
        self.reports.sweep(receiver, &self.pair, &mut self.secure, self.tick, now);
        if let Some(end) = self.over.or_else(|| self.is_unheard(now)) {
            return Some(self.end_at(Some(end), now));
        }
        if !self.crowded && !self.tick.is_multiple_of(SWEEP) {
            return None;
        }
        self.sweep(receiver, now);
        self.timeline.advance(now);
        // Of a recording that was refused nothing is kept; it ends when the caller was told.
        if self.refused {
            return None;
        }
        self.drain().or_else(|| self.limit(now))
    }

    /// Ends the leg because the engine stops.
    pub(super) fn abort(&mut self, now: Instant) -> End {
        self.end_at(Some(MediaEnd::Shutdown), now)
    }

    /// Closes the sockets, and hands the recording to the thread that seals it.
    pub(super) fn into_seal(mut self, mut end: End, now: Instant) -> Seal {
        self.ends();
        if self.refused {
            // However it ended: nothing was recorded, and nothing stays on the disk.
            end = End {
                reason: Some(MediaEnd::Refused),
                samples: 0,
            };
        }
        if self.discarded {
            end.samples = 0;
        }
        if let Some(reason) = end.reason {
            self.events.send(MediaEvent::Ended { end: reason });
        }
        self.timeline.finish(end.samples);
        while let Some(mut placed) = self.timeline.poll() {
            self.pauses.hush(&mut placed, self.silence);
            self.pipe.push(placed);
        }
        let announced = self.begun.map(|_| self.outgoing.announced());
        let finished = Finished {
            end: end.reason,
            started: self.begun,
            outcome: Outcome::Nothing,
            gaps: self.timeline.gaps().to_vec(),
            pauses: std::mem::take(&mut self.pauses).finish(end.samples),
            counts: self.timeline.counts(),
            events: self.keyboard.packets,
            rejected: self.rejected,
            malformed: self.malformed,
            refused_reports: self.reports.refused,
            reports: self.reports.summary(),
        };
        self.report(now, true);
        drop(self.pair);
        Seal {
            pipe: self.pipe,
            kept: self.kept,
            announced,
            samples: end.samples,
            error: None,
            finished,
            events: self.events,
        }
    }

    /// The peer is elsewhere, or has begun or ended to hold the call.
    fn moved(&mut self, peer: &Peer, now: Instant) {
        self.latch = Latch::new(peer.remote);
        self.sources.moved(peer.sources);
        self.keyboard.events = peer.events;
        self.reports.moved(peer);
        self.secure.moved(peer.srtp.as_ref());
        if !peer.holds && self.held.is_some() {
            // Who was away has as long to say something as who has just been greeted.
            self.last_rtp = now;
            self.resumed = self.timeline.offset_of(now).unwrap_or(0).max(0) as u64;
        }
        self.held = peer.holds.then(|| self.held.unwrap_or(now));
    }

    fn begin(&mut self, at: Instant) {
        self.begun = Some(at);
        self.timeline.begin(at);
        self.events.send(MediaEvent::RecordingStarted { at });
    }

    fn report(&mut self, now: Instant, last: bool) {
        let sockets = [&self.pair.rtp, &self.pair.rtcp];
        let clock = self.outgoing.clock(now);
        self.reports.send(sockets, &mut self.secure, self.latch.target(), clock, last, now);
    }

    /// A key was pressed. Sockets are read late: what counts is when it came. During the message it does nothing.
    fn pressed(&mut self, way: Way, digit: Digit, at: Instant) {
        if !self.keyboard.is_new(way, digit, at) || self.begun.is_some_and(|begun| at >= begun) {
            return;
        }
        let (reaction, then) = self.outgoing.press(digit);
        if reaction.refused {
            self.refused = true;
            self.begun = None;
        }
        if let Some(digit) = reaction.chosen {
            self.events.send(MediaEvent::Chosen { digit });
        }
        self.then(then, self.outgoing.due());
    }

    fn sweep(&mut self, receiver: &mut Receiver, now: Instant) {
        let mut read = 0;
        loop {
            let came = match receiver.fill(&self.pair.rtp, self.pair.v6, self.emptied) {
                Ok(came) => came,
                Err(error) => {
                    tracing::debug!(leg = self.id.0, %error, "RTP socket");
                    break;
                }
            };
            for index in 0..came {
                if let Some(datagram) = receiver.datagram(index) {
                    self.hear(&datagram);
                }
            }
            read += came;
            if came < BATCH {
                self.emptied = now;
                break;
            }
            if read >= SWEEP_PACKETS {
                break;
            }
        }
        self.crowded = read >= CROWD;
    }

    fn hear(&mut self, datagram: &Datagram<'_>) {
        let arrival = datagram.arrival;
        if !self.latch.considers(datagram.from) {
            self.rejected += 1;
            return;
        }
        let is_report = self.reports.is_report(datagram.octets);
        let opened = if is_report {
            self.secure.open_report(datagram.octets)
        } else {
            self.secure.open(datagram.octets)
        };
        // Before anything is learnt of it.
        let Ok(opened) = opened else {
            self.rejected += 1;
            return;
        };
        if !self.latch.accepts(datagram.from, arrival) {
            self.rejected += 1;
            return;
        }
        if is_report {
            return self.reports.hear(&opened, arrival);
        }
        let Ok(packet) = Packet::parse(&opened) else {
            self.malformed += 1;
            return;
        };
        if !self.sources.accepts(packet.ssrc, arrival) {
            self.rejected += 1;
            return;
        }
        self.last_rtp = self.last_rtp.max(arrival);
        let presses = self.keyboard.hear(&packet, arrival, self.is_hushed(arrival));
        if self.timeline.source() == Some(packet.ssrc) {
            self.reports.hear_rtp(&packet, presses.is_none(), arrival);
        }
        match presses {
            None => self.timeline.push(&packet, arrival),
            Some(presses) => {
                self.timeline.pass(&packet, arrival);
                for press in presses {
                    self.pressed(Way::Media, press.digit, press.at);
                }
            }
        }
    }

    /// Takes what the timeline has ready; some when the caller fell silent.
    fn drain(&mut self) -> Option<End> {
        while let Some(mut placed) = self.timeline.poll() {
            let hushed = self.pauses.hush(&mut placed, self.silence);
            if hushed {
                // A pause ends no call by its silence, and after it there is as long to speak as after the beep.
                self.activity.restart();
            }
            // What the timeline held back of a hold is no silence of who has come back.
            let away = hushed || self.held.is_some() || self.heard < self.resumed;
            let limit = if away { u64::MAX } else { self.limits.silence };
            let (silent_at, length) = match &placed {
                Placed::Octets { octets, .. } => (self.activity.push(octets, limit).map(|at| at as u64), octets.len() as u64),
                Placed::Silence { samples, .. } => (self.activity.push_silence(*samples, limit), *samples),
            };
            self.pipe.push(placed);
            if let Some(at) = silent_at {
                let samples = (self.heard + at).min(self.limits.max);
                let reason = if samples == self.limits.max {
                    MediaEnd::MaxLength
                } else {
                    MediaEnd::Silence
                };
                return Some(End {
                    reason: Some(reason),
                    samples,
                });
            }
            self.heard += length;
            if away {
                self.activity.restart();
            }
        }
        None
    }

    fn limit(&self, now: Instant) -> Option<End> {
        let recorded = self.timeline.offset_of(now).unwrap_or(0).max(0) as u64;
        if recorded >= self.limits.max {
            return Some(End {
                reason: Some(MediaEnd::MaxLength),
                samples: self.limits.max,
            });
        }
        let (since, limit) = match self.held {
            Some(held) => (self.last_rtp.max(held), self.limits.hold),
            None => (self.last_rtp, self.limits.rtp_timeout),
        };
        let quiet = now.saturating_duration_since(since) >= limit;
        // Neither side's sound gets through: what matters is that nothing was recorded, and why.
        let reason = self.unheard.map_or(MediaEnd::RtpTimeout, |_| MediaEnd::Unheard);
        quiet.then(|| self.end_at(Some(reason), now))
    }

    fn end_at(&self, reason: Option<MediaEnd>, at: Instant) -> End {
        let samples = self.timeline.offset_of(at).unwrap_or(0).max(0) as u64;
        End {
            reason,
            samples: samples.min(self.limits.max),
        }
    }
}
