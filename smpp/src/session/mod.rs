//! One bind, from the first byte of a connection to its last.
//!
//! After every call drain [`Session::poll_output`] down to [`Output::Timeout`]. Events come
//! before the bytes, and the bytes of many acknowledgements come as one piece.

mod event;
mod outbind;
mod state;
mod submits;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rusmpp::Pdu;
use rusmpp::pdus::{DataSmResp, DeliverSmResp};

pub use event::{End, Event, Handle, Settings, SubmitError};
pub use outbind::{Doorman, Verdict};
pub use state::State;

use crate::frame::{Frame, Framer, Unframed};
use crate::held::{self, Question};
use crate::pdu::{self, Bind, Unwritable, command, status};
use crate::signals;
use crate::submit::{self, Submission};
use state::Cause;
use submits::{ANSWERS, Submits};

/// The last sequence number; the next is 1 (SMPP 3.4 §5.1.4).
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;
/// How long an unbind, ours or theirs, may keep a link open.
const GOODBYE: Duration = Duration::from_secs(5);
/// PDUs that are kept for [`Session::take_seen`]; who never asks holds no more.
const SEEN: usize = 8192;
/// From here on an SMSC calls itself nearly congested, and congested (SMPP 5.0 §4.8.4.18).
const CONGESTION: (u8, u8) = (90, 100);

/// What a session wants done.
#[derive(Debug)]
pub enum Output {
    /// Something happened.
    Event(Event),
    /// These bytes are to be written.
    Transmit(Bytes),
    /// Nothing more for now; call `handle_timeout` at this time, if there is one.
    Timeout(Option<Instant>),
}

/// A request of the SMSC that waits for our answer.
struct Owed {
    sequence: u32,
    command: u32,
}

/// One bind.
pub struct Session {
    settings: Settings,
    state: State,
    framer: Framer,
    out: BytesMut,
    events: VecDeque<Event>,
    sequence: u32,
    handles: u64,
    inbound: HashMap<Handle, Owed>,
    submits: Submits,
    seen: Vec<Frame>,
    /// How loaded the SMSC said last that it is.
    congestion: Option<u8>,
    /// The bind or unbind that waits for its response, or the SMSC's unbind that waits for us.
    step: Option<(u32, Instant)>,
    /// The enquire_link that waits for its response.
    probe: Option<(u32, Instant)>,
    probed: Instant,
    heard: Instant,
    paused: bool,
    /// While nothing is read, no silence is the SMSC's fault before this time.
    grace: Option<Instant>,
}

impl Session {
    /// Begins on a fresh connection: the bind request is the first output.
    ///
    /// # Errors
    /// [`Unwritable`] when the credentials do not fit their fields.
    pub fn new(settings: Settings, now: Instant) -> Result<Self, Unwritable> {
        let request = pdu::bind(settings.bind, &settings.credentials)?;
        let mut session = Self {
            settings,
            state: State::Open,
            framer: Framer::default(),
            out: BytesMut::new(),
            events: VecDeque::new(),
            sequence: 0,
            handles: 0,
            inbound: HashMap::new(),
            submits: Submits::default(),
            seen: Vec::new(),
            congestion: None,
            step: None,
            probe: None,
            probed: now,
            heard: now,
            paused: false,
            grace: None,
        };
        let sequence = session.request(request);
        session.step = Some((sequence, now + session.settings.response_timeout));
        session.enter(Cause::BindSent);
        Ok(session)
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Tells that nothing is read for a while, or again: the SMSC's silence is not its fault then.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether more may be read: false while paused, or while too much waits for acknowledgement.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.state != State::Closed && !self.paused && self.inbound.len() < self.settings.inbound_window
    }

    /// How many of the SMSC's messages wait for `acknowledge`.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.inbound.len()
    }

    /// How many of our texts wait for their response.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.submits.len()
    }

    /// How many texts may be submitted now. Of an SMSC that says that it is nearly congested we want half of what the window
    /// allows, of one that is congested one text at a time (SMPP 5.0 §4.8.4.18).
    #[must_use]
    pub fn room(&self) -> usize {
        if self.state != State::Bound || self.settings.bind == Bind::Receiver {
            return 0;
        }
        let window = match self.congestion {
            Some(state) if state >= CONGESTION.1 => 1,
            Some(state) if state >= CONGESTION.0 => self.settings.window.div_ceil(2),
            _ => self.settings.window,
        };
        window.saturating_sub(self.submits.len())
    }

    /// From a request of ours to its response, smoothed; `None` before the first.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.submits.round_trip()
    }

    /// How loaded the SMSC said last that it is, 0 to 100; `None`: it does not say (SMPP 5.0 §4.8.4.18).
    #[must_use]
    pub const fn congestion(&self) -> Option<u8> {
        self.congestion
    }

    /// The PDUs that came since the last call, for a capture.
    pub fn take_seen(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.seen)
    }

    /// Takes bytes as they came from the connection.
    ///
    /// # Errors
    /// [`Unframed`]: the SMSC was told so, and the session is over.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> Result<(), Unframed> {
        if self.state == State::Closed {
            return Ok(());
        }
        self.framer.push(bytes);
        loop {
            match self.framer.next_frame() {
                Ok(Some(frame)) => self.handle_frame(&frame, now),
                Ok(None) => return Ok(()),
                Err(unframed) => {
                    pdu::write(&mut self.out, status::INVALID_LENGTH, unframed.sequence, Pdu::GenericNack);
                    self.end(End::Unframed);
                    return Err(unframed);
                }
            }
            if self.state == State::Closed {
                return Ok(());
            }
        }
    }

    /// The connection was closed by the SMSC, or broke.
    pub fn handle_lost(&mut self) {
        let end = if self.state == State::Unbinding { End::Asked } else { End::Lost };
        self.end(end);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.wants_input() && self.state.takes_deliveries() {
            // Responses may well have come; it is we who do not read.
            self.grace = Some(now + self.settings.response_timeout);
        }
        if let Some((sequence, until)) = self.step
            && until <= now
        {
            return match self.state {
                State::Leaving => self.leave(sequence),
                State::Unbinding => self.end(End::Asked),
                _ => self.end(End::Deaf),
            };
        }
        if self.probe.is_some_and(|(_, until)| self.excused(until) <= now) {
            return self.end(End::Deaf);
        }
        while self.submits.deadline().is_some_and(|until| self.excused(until) <= now)
            && let Some(given_up) = self.submits.give_up()
        {
            self.events.extend(given_up.map(|handle| Event::Unanswered { handle }));
        }
        if self.enquire_at().is_some_and(|at| at <= now) {
            let sequence = self.request(Pdu::EnquireLink);
            self.probe = Some((sequence, now + self.settings.response_timeout));
            self.probed = now;
        }
    }

    /// The next thing to do; call it until it says [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if !self.out.is_empty() {
            return Output::Transmit(self.out.split().freeze());
        }
        Output::Timeout(self.next_timeout())
    }

    /// Sends a text. What becomes of it is told by [`Event::Answered`] or [`Event::Unanswered`], or by the one after the other when
    /// the response comes late.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was sent.
    pub fn submit(&mut self, submission: &Submission, now: Instant) -> Result<Handle, SubmitError> {
        self.send(submit::submit(submission)?, now)
    }

    /// Asks the SMSC about a text that it has. It takes a place in the window, and ends as [`Session::submit`] does, or with
    /// [`Event::Told`].
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was sent.
    pub fn ask(&mut self, question: &Question, now: Instant) -> Result<Handle, SubmitError> {
        self.send(held::question(question)?, now)
    }

    fn send(&mut self, request: Pdu, now: Instant) -> Result<Handle, SubmitError> {
        if self.state != State::Bound || self.settings.bind == Bind::Receiver {
            return Err(SubmitError::NotBound);
        }
        if self.room() == 0 {
            return Err(SubmitError::WindowFull);
        }
        let sequence = self.request(request);
        let handle = self.next_handle();
        self.submits.sent(sequence, handle, now, self.settings.response_timeout);
        Ok(handle)
    }

    /// Answers a message of the SMSC, after it was committed. Once only: `false` when the handle
    /// was answered before or the link is gone.
    pub fn acknowledge(&mut self, handle: Handle, status: u32) -> bool {
        if self.state == State::Closed {
            return false;
        }
        let Some(owed) = self.inbound.remove(&handle) else { return false };
        let response = if owed.command == command::DATA_SM {
            Pdu::DataSmResp(DataSmResp::default())
        } else {
            Pdu::DeliverSmResp(DeliverSmResp::default())
        };
        pdu::write(&mut self.out, status, owed.sequence, response);
        if self.state == State::Leaving
            && self.inbound.is_empty()
            && let Some((sequence, _)) = self.step
        {
            self.leave(sequence);
        }
        true
    }

    /// Ends the bind politely: unbind, and its response or five seconds.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Open | State::Binding => self.end(End::Asked),
            State::Bound => {
                let sequence = self.request(Pdu::Unbind);
                self.step = Some((sequence, now + GOODBYE));
                self.probe = None;
                self.enter(Cause::UnbindSent);
            }
            State::Unbinding | State::Leaving | State::Closed => {}
        }
    }

    fn handle_frame(&mut self, frame: &Frame, now: Instant) {
        self.heard = now;
        if let Some((sequence, _)) = self.probe.take()
            && (frame.id(), frame.sequence()) == (command::ENQUIRE_LINK_RESP, sequence)
        {
            self.submits.took(now.saturating_duration_since(self.probed));
        }
        if self.seen.len() < SEEN {
            self.seen.push(frame.clone());
        }
        if frame.id() & command::RESPONSE == 0 {
            self.handle_request(frame, now);
        } else {
            self.handle_response(frame, now);
        }
    }

    fn handle_request(&mut self, frame: &Frame, now: Instant) {
        let sequence = frame.sequence();
        match frame.id() {
            command::ENQUIRE_LINK => pdu::write(&mut self.out, status::OK, sequence, Pdu::EnquireLinkResp),
            command::UNBIND => self.handle_unbind(sequence, now),
            command::DELIVER_SM | command::DATA_SM => self.handle_delivery(frame),
            // Neither has a response (§4.1.7, §4.12).
            command::OUTBIND => {}
            command::ALERT_NOTIFICATION => {
                let source = signals::alerted(frame);
                self.events.push_back(Event::Alert { source });
            }
            command => {
                pdu::write(&mut self.out, status::INVALID_COMMAND, sequence, Pdu::GenericNack);
                self.events.push_back(Event::Odd { command });
            }
        }
    }

    fn handle_unbind(&mut self, sequence: u32, now: Instant) {
        match self.state.after(Cause::PeerUnbinds) {
            Some(State::Leaving) if !self.inbound.is_empty() => {
                self.enter(Cause::PeerUnbinds);
                self.step = Some((sequence, now + GOODBYE));
            }
            Some(State::Unbinding) => {
                pdu::write(&mut self.out, status::OK, sequence, Pdu::UnbindResp);
            }
            // Asked again while the first still waits for what we owe: each is answered, and the first ends it.
            _ if self.state == State::Leaving => {
                pdu::write(&mut self.out, status::INVALID_BIND_STATE, sequence, Pdu::UnbindResp);
            }
            _ => self.leave(sequence),
        }
    }

    fn handle_delivery(&mut self, frame: &Frame) {
        let owed = Owed {
            sequence: frame.sequence(),
            command: frame.id(),
        };
        let handle = self.next_handle();
        self.inbound.insert(handle, owed);
        if !self.state.takes_deliveries() {
            self.acknowledge(handle, status::INVALID_BIND_STATE);
            self.events.push_back(Event::Odd { command: frame.id() });
            return;
        }
        self.events.push_back(match pdu::read_delivery(frame) {
            Ok(delivery) => Event::Delivery { handle, delivery },
            Err(unreadable) => Event::Undecodable {
                handle,
                raw: frame.bytes().clone(),
                unreadable,
            },
        });
    }

    fn handle_response(&mut self, frame: &Frame, now: Instant) {
        let sequence = frame.sequence();
        let nack = frame.id() == command::GENERIC_NACK;
        if self.settings.credentials.version >= pdu::VERSION_5
            && let Some(state) = signals::congestion(frame)
        {
            self.congestion = Some(state);
        }
        match (self.state, self.step) {
            (State::Binding, Some((ours, _))) if ours == sequence && (nack || frame.id() == self.settings.bind.response()) => {
                if !nack && frame.status() == status::OK {
                    self.step = None;
                    self.enter(Cause::BindAccepted);
                    self.events.push_back(Event::Bound);
                } else {
                    self.end(End::Refused { status: frame.status() });
                }
            }
            (State::Unbinding, Some((ours, _))) if ours == sequence && (nack || frame.id() == command::UNBIND_RESP) => {
                self.end(End::Asked);
            }
            _ if nack || ANSWERS.contains(&frame.id()) => self.handle_submit_response(frame, nack, now),
            _ => {}
        }
    }

    fn handle_submit_response(&mut self, frame: &Frame, nack: bool, now: Instant) {
        let Some(handle) = self.submits.answered(frame.sequence(), now) else {
            return;
        };
        // A nack with status 0 would be nonsense, and certainly no acceptance.
        let status = if nack && frame.status() == status::OK {
            status::INVALID_COMMAND
        } else {
            frame.status()
        };
        let message_id = if status == status::OK { pdu::message_id(frame) } else { None };
        self.events.push_back(match held::told(frame) {
            Some(told) if status == status::OK => Event::Told { handle, told },
            _ => Event::Answered {
                handle,
                status,
                message_id,
            },
        });
    }

    /// Answers the SMSC's unbind.
    fn leave(&mut self, sequence: u32) {
        pdu::write(&mut self.out, status::OK, sequence, Pdu::UnbindResp);
        self.end(End::PeerUnbound);
    }

    fn enter(&mut self, cause: Cause) {
        if let Some(state) = self.state.after(cause) {
            self.state = state;
        }
    }

    fn end(&mut self, end: End) {
        if self.state == State::Closed {
            return;
        }
        self.enter(Cause::Over);
        (self.step, self.probe) = (None, None);
        self.inbound.clear();
        let unanswered = self.submits.drain();
        self.events
            .extend(unanswered.into_iter().map(|handle| Event::Unanswered { handle }));
        self.events.push_back(Event::Ended(end));
    }

    /// Writes a request under the next free sequence number.
    fn request(&mut self, pdu: Pdu) -> u32 {
        loop {
            self.sequence = if self.sequence >= LAST_SEQUENCE { 1 } else { self.sequence + 1 };
            if !self.submits.has(self.sequence) {
                break;
            }
        }
        pdu::write(&mut self.out, status::OK, self.sequence, pdu);
        self.sequence
    }

    fn next_handle(&mut self) -> Handle {
        self.handles += 1;
        Handle(self.handles)
    }

    fn excused(&self, until: Instant) -> Instant {
        self.grace.map_or(until, |grace| until.max(grace))
    }

    fn enquire_at(&self) -> Option<Instant> {
        let due = matches!(self.state, State::Bound) && self.probe.is_none();
        due.then(|| self.heard + self.settings.enquire_interval)
    }

    fn next_timeout(&self) -> Option<Instant> {
        let step = self.step.map(|(_, until)| until);
        let probe = self.probe.map(|(_, until)| self.excused(until));
        let submit = self.submits.deadline().map(|until| self.excused(until));
        [step, probe, submit, self.enquire_at()].into_iter().flatten().min()
    }
}
