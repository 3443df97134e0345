//! The deposit call: commit, 200, ACK, greeting, beep, message, end, recording.

use std::time::Instant;

use voxea_core::artefact::{CallEnd, Ending, RecordingOutcome};
use voxea_core::base::id;
use voxea_core::base::time;
use voxea_core::contact::{Accepted, IntakeError, Outcome};
use voxea_recorder::codec::Codec;

use super::deposit::{self, Deposit, Stage};
use super::driver::{Done, Driver};
use super::orders::Wanted;
use super::sound::Sound;
use super::{evidence, orders, quality, records, said};
use crate::call::{CallHandle, EndedBy, IncomingCall};
use crate::config::KEEP_DAYS;
use crate::media::{LegId, MediaEnd, MediaEvent};
use crate::sdp::Negotiated;

impl Driver {
    /// Somebody calls. Ports first, because without them there is no answer; then the store; then the 200.
    pub(super) fn offered(&mut self, call: &IncomingCall) {
        self.count("calls");
        if self.is_overloaded() {
            return self.refuse(call.call, "overload");
        }
        let Some(place) = Sound::new(&self.config).place(call.local.ip(), call.media) else {
            // Its sound could not be received: the PBX shall offer another address, or send the call elsewhere.
            self.count("no_family");
            let _ = self.endpoint.reject(call.call, 488, None, Instant::now());
            return;
        };
        let Ok(leg) = self.media.reserve_on(place.bind) else {
            return self.refuse(call.call, "no_port");
        };
        let recording = id::new();
        // Stored with the call, before a sample is written under it.
        let Ok(key) = self.core.vault.new_data_key() else {
            return self.refuse(call.call, "no_random");
        };
        let line = self.config.line(&call.line);
        let keep_days = line.map_or(KEEP_DAYS, |line| line.keep_days);
        let mut contact = records::contact(call, self.account.clone(), self.epoch, &recording, key.clone(), keep_days);
        contact.default_theme = line.and_then(|line| line.theme.clone());
        let deposit = Deposit {
            leg: leg.id(),
            stage: Stage::Committing(leg),
            recording,
            key: key.as_ref().map(evidence::key),
            codec: records::codec(call),
            line: call.line.clone(),
            reliable: call.reliable,
            local: place.shown,
            interaction: None,
            request: None,
            end: None,
            reason: None,
            quality: None,
            moved: None,
            early: Vec::new(),
            themes: Vec::new(),
            storing: None,
            wanted: Wanted::new(&call.call_id),
        };
        self.legs.insert(deposit.leg, call.call);
        self.calls.insert(call.call, deposit);
        self.commits.add((call.call, contact));
    }

    fn refuse(&mut self, call: CallHandle, why: &'static str) {
        self.count(why);
        let _ = self.endpoint.decline(call, Instant::now());
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Committed {
                call,
                result: Ok(accepted),
            } => self.committed(call, accepted),
            Done::Committed { call, result: Err(error) } => self.not_committed(call, &error),
            Done::Chosen { call } => self.choice_stored(call),
            Done::Noted => {}
        }
    }

    /// The store has the call: now, and not before, it may be answered.
    fn committed(&mut self, call: CallHandle, accepted: Accepted) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        if accepted.outcome == Outcome::Known {
            // A repetition of an INVITE that a crash left unanswered goes on where it stopped.
            let Some(orphan) = self.orphans.remove(&accepted.interaction_id) else {
                self.drop_call(call);
                let _ = self.endpoint.reject(call, 500, None, Instant::now());
                return;
            };
            let Ok(key) = self
                .core
                .recordings
                .key(&orphan)
                .inspect_err(|error| tracing::error!(%error, "a call cannot go on"))
            else {
                self.drop_call(call);
                let _ = self.endpoint.reject(call, 500, None, Instant::now());
                return;
            };
            deposit.key = key.as_ref().map(evidence::key);
            deposit.recording = orphan.id;
        }
        deposit.wanted.entered = Some(self.core.recordings.enter(&deposit.recording, self.orders.sender()));
        deposit.interaction = Some(accepted.interaction_id);
        deposit.request = Some(accepted.request_id);
        if let Some((end, _)) = deposit.end {
            return self.over(call, end);
        }
        if self.stopping.is_some() {
            let _ = self.endpoint.decline(call, Instant::now());
            return self.over(call, CallEnd::Shutdown);
        }
        let Stage::Committing(leg) = std::mem::replace(&mut deposit.stage, Stage::Over) else {
            return;
        };
        let address = (deposit.local, leg.port()).into();
        deposit.stage = Stage::Answering(leg);
        let line = self.config.line(&deposit.line);
        // Who only hears that the line is closed need not pay for it, where its system can do without an answer.
        let refuses = deposit.reliable && line.is_some_and(|line| !said::said(line, &self.core, time::now()).plan.records);
        let now = Instant::now();
        let done = if refuses {
            self.endpoint.announce(call, address, now)
        } else {
            self.endpoint.accept(call, address, now)
        };
        if done.is_err() {
            self.over(call, CallEnd::Cancelled);
        }
    }

    fn not_committed(&mut self, call: CallHandle, error: &IntakeError) {
        tracing::warn!(%error, "a call was not taken in");
        self.drop_call(call);
        match error {
            // Not the caller's fault: elsewhere somebody may answer.
            IntakeError::Invalid(_) => self.refuse(call, "invalid"),
            IntakeError::Fenced => {
                self.fenced = true;
                self.refuse(call, "fenced");
            }
            IntakeError::Unavailable(_) => self.refuse(call, "store_unavailable"),
        }
    }

    /// The ACK came: sound may leave.
    pub(super) fn answered(&mut self, call: CallHandle, media: &Negotiated) {
        let deposit = self.calls.get(&call);
        let interaction = deposit.and_then(|deposit| deposit.interaction.clone());
        let agreed = Codec::from(media.codec);
        let codec = deposit.filter(|deposit| deposit.codec != agreed).map(|_| agreed.as_str());
        let (core, at) = (self.core.clone(), records::civil(self.moment));
        self.tasks.spawn(async move {
            if let Some(interaction) = interaction
                && let Err(error) = core.recordings.answered(&interaction, at, codec).await
            {
                tracing::warn!(%error, interaction, "the time of an answer could not be stored");
            }
            Done::Noted
        });
        self.begin(call, media);
    }

    /// The caller has confirmed where it is, by its ACK or its PRACK: it hears what is said on the line.
    pub(super) fn begin(&mut self, call: CallHandle, media: &Negotiated) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        let Stage::Answering(mut leg) = std::mem::replace(&mut deposit.stage, Stage::Over) else {
            return;
        };
        let Some(line) = self.config.line(&deposit.line) else { return };
        let said = said::said(line, &self.core, time::now());
        let kept = evidence::kept(&self.core, &deposit.recording, deposit.key.clone());
        let start = deposit::media_call(line, &said, kept, media);
        deposit.themes = said.themes;
        if let Err(error) = leg.start(&start) {
            tracing::error!(%error, "a recording could not be started");
            self.count("recording_failed");
            self.leave(call);
            return self.silent(call, CallEnd::Crash, format!("the recording could not be started: {error}"));
        }
        if let Some(peer) = deposit.moved.take() {
            leg.redirect(peer);
        }
        for (digit, at) in std::mem::take(&mut deposit.early) {
            leg.press(digit, at);
        }
        if let Some((_, at)) = deposit.end {
            // We wanted to end it before the caller had confirmed.
            leg.stop(at);
        } else {
            deposit.stage = Stage::Talking(leg);
        }
    }

    /// Hold, resume, or sound that moves.
    pub(super) fn renegotiated(&mut self, call: CallHandle, media: &Negotiated) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        let peer = deposit::peer(media);
        match &deposit.stage {
            Stage::Talking(leg) => leg.redirect(peer),
            _ => deposit.moved = Some(peer),
        }
    }

    /// The machine says that a call is over that we had answered.
    pub(super) fn ended(&mut self, call: CallHandle, by: EndedBy, answered: bool) {
        match by {
            EndedBy::Caller if answered => self.over(call, CallEnd::Caller),
            EndedBy::Expired => {
                if let Some(deposit) = self.calls.get_mut(&call) {
                    deposit.reason.get_or_insert_with(|| "SIP;cause=408".to_owned());
                }
                self.over(call, CallEnd::RtpTimeout);
            }
            EndedBy::Us => self.over(call, CallEnd::Shutdown),
            EndedBy::Caller | EndedBy::NoAck | EndedBy::NoMedia => self.over(call, CallEnd::Abandoned),
        }
    }

    /// We want a call to end. Before the ACK the machine keeps the BYE back.
    pub(super) fn hang_up(&mut self, call: CallHandle, end: CallEnd) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        let committing = matches!(deposit.stage, Stage::Committing(_));
        if !committing {
            deposit.ends(end, self.moment);
            if end == CallEnd::Shutdown {
                self.leave(call);
            } else {
                let _ = self.endpoint.hangup(call, Instant::now());
            }
        }
    }

    /// Ends a call for a reason of our own: one that is not answered yet is refused, so that its trunk falls back.
    fn leave(&mut self, call: CallHandle) {
        let now = Instant::now();
        if self.endpoint.decline(call, now).is_err() {
            let _ = self.endpoint.hangup(call, now);
        }
    }

    /// A call is over. Its end is noted at once when there is no sound, else when the recording is on the disk.
    pub(super) fn over(&mut self, call: CallHandle, end: CallEnd) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        deposit.ends(end, self.moment);
        let end = deposit.end.map_or(end, |(end, _)| end);
        match &mut deposit.stage {
            // The store has not answered: its answer will find the end.
            Stage::Committing(_) if deposit.interaction.is_none() => {}
            Stage::Committing(_) | Stage::Answering(_) => {
                self.silent(call, end, deposit::silent_because(end).to_owned());
            }
            Stage::Talking(leg) => leg.stop(self.moment),
            // Its last event comes.
            Stage::Over => {}
        }
    }

    /// What the media say.
    pub(super) fn heard(&mut self, leg: LegId, event: MediaEvent) {
        let Some(&call) = self.legs.get(&leg) else { return };
        match event {
            MediaEvent::RecordingStarted { .. } => {
                if let Some(deposit) = self.calls.get_mut(&call) {
                    deposit.wanted.begun = true;
                }
            }
            MediaEvent::Chosen { digit } => self.chosen(call, digit),
            MediaEvent::Ended { end } => self.hang_up(call, deposit::call_end(end)),
            MediaEvent::Finished(finished) => {
                let Some(mut deposit) = self.drop_call(call) else { return };
                deposit.wanted.pauses = orders::pauses(&finished.pauses);
                deposit.quality = quality::of(&finished);
                if finished.rejected > 0 {
                    self.core.counters.add(&self.account, "rtp_rejected", finished.rejected);
                }
                if finished.refused_reports > 0 {
                    self.core.counters.add(&self.account, "rtcp_rejected", finished.refused_reports);
                }
                let by_itself = finished.end.map(deposit::call_end);
                let (mut end, at) = deposit.end.unwrap_or((by_itself.unwrap_or(CallEnd::Shutdown), self.moment));
                if finished.end == Some(MediaEnd::Refused) {
                    // Also when the caller then hung up faster than we.
                    end = CallEnd::RefusedRecording;
                }
                if finished.events > 0 {
                    self.core.counters.add(&self.account, "key_packets", finished.events);
                }
                let started = finished.started.map(records::civil);
                self.note(deposit, end, records::civil(at), started, deposit::outcome(&finished, end));
            }
        }
    }

    /// A call without sound is over.
    fn silent(&mut self, call: CallHandle, end: CallEnd, reason: String) {
        let Some(deposit) = self.drop_call(call) else { return };
        let at = deposit.end.map_or_else(time::now, |(_, at)| records::civil(at));
        self.note(deposit, end, at, None, RecordingOutcome::Failed { reason });
    }

    fn note(&mut self, deposit: Deposit, end: CallEnd, at: i64, started: Option<i64>, outcome: RecordingOutcome) {
        let Some(interaction) = deposit.interaction else { return };
        let (core, stop, storing) = (self.core.clone(), self.stop.hard.clone(), deposit.storing);
        let ending = Ending {
            by: end,
            at,
            reason: deposit.reason,
            quality: deposit.quality,
            pauses: deposit.wanted.pauses,
            stopped_by: deposit.wanted.stopped_by,
        };
        let waiting = deposit.wanted.waiting;
        let discarded = deposit.wanted.discarded.then_some(deposit.recording);
        self.tasks.spawn(async move {
            if let Some(storing) = storing {
                // It ends when the other task does, whatever came of it.
                let _ = storing.await;
            }
            if records::ended(&core, interaction, ending, started, outcome, stop).await {
                if let Some(recording) = discarded
                    && let Err(error) = core.recordings.erase_discarded(&core.blobs, &recording).await
                {
                    tracing::error!(%error, recording, "a discarded recording's file is taken away later");
                }
                orders::tell(waiting);
            }
            Done::Noted
        });
    }

    fn drop_call(&mut self, call: CallHandle) -> Option<Deposit> {
        let deposit = self.calls.remove(&call)?;
        self.orders.paused.remove(&deposit.wanted.call_id);
        self.legs.remove(&deposit.leg);
        Some(deposit)
    }
}
