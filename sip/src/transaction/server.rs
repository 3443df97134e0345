//! Server transactions (RFC 3261 §17.2; the Accepted state of RFC 6026 §7.1).
//!
//! | state      | INVITE                                      | others                          |
//! |------------|---------------------------------------------|---------------------------------|
//! | Proceeding | 100 is repeated for a repeated INVITE       | repeated requests are absorbed  |
//! | Completed  | non-2xx, repeated (G) until ACK or H        | answer repeated on demand, to J |
//! | Confirmed  | late ACKs are absorbed until I              |                                 |
//! | Accepted   | 2xx: repeated INVITEs are absorbed until L  |                                 |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Alarm, Step};
use crate::flow::Flow;
use crate::timers::{T1, T1X64, T2, T4};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) key: String,
    pub(crate) merge: Option<String>,
    /// Where responses go.
    pub(crate) flow: Flow,
    /// Where they go when that connection is gone (RFC 3261 §18.2.2).
    pub(crate) otherwise: Option<Flow>,
    /// The To tag of all its responses.
    pub(crate) tag: String,
    pub(crate) state: State,
    invite: bool,
    last: Option<Bytes>,
    interval: Duration,
}

impl Server {
    pub(crate) const fn new(key: String, merge: Option<String>, flow: Flow, tag: String, invite: bool) -> Self {
        Self {
            key,
            merge,
            flow,
            otherwise: None,
            tag,
            state: State::Proceeding,
            invite,
            last: None,
            interval: T1,
        }
    }

    /// The user answers.
    pub(crate) fn respond(&mut self, status: u16, bytes: Bytes, now: Instant) -> Step {
        if self.state != State::Proceeding {
            return Step::default();
        }
        self.last = Some(bytes.clone());
        let reliable = self.flow.transport.is_reliable();
        let mut step = Step {
            send: Some(bytes),
            ..Step::default()
        };
        if status < 200 {
            return step;
        }
        if self.invite && status < 300 {
            self.state = State::Accepted;
            self.last = None; // its user repeats it, not the transaction
            step.end = Alarm::At(now + T1X64); // L
        } else {
            self.state = State::Completed;
            if self.invite {
                if !reliable {
                    step.resend = Alarm::At(now + self.interval); // G
                }
                step.end = Alarm::At(now + T1X64); // H
            } else {
                step.end = Alarm::At(if reliable { now } else { now + T1X64 }); // J
            }
        }
        step
    }

    /// The connection is gone: the other one has its place, if there is one. Gives what must be sent again on it:
    /// a refusal that may never have left. A 2xx is its call's to repeat.
    pub(crate) fn moved(&mut self) -> Option<Bytes> {
        self.flow = self.otherwise.take()?;
        match self.state {
            State::Completed => self.last.clone(),
            State::Proceeding | State::Confirmed | State::Accepted => None,
        }
    }

    /// The peer repeats its request.
    pub(crate) fn repeated(&self) -> Option<Bytes> {
        match self.state {
            State::Proceeding | State::Completed => self.last.clone(),
            State::Confirmed | State::Accepted => None,
        }
    }

    /// An ACK of this transaction. Says whether it was one for a refusal; those for a 2xx are the dialog's.
    pub(crate) fn acknowledged(&mut self, now: Instant) -> (bool, Step) {
        match self.state {
            State::Completed if self.invite => {
                self.state = State::Confirmed;
                let wait = if self.flow.transport.is_reliable() { Duration::ZERO } else { T4 };
                (
                    true,
                    Step {
                        send: None,
                        resend: Alarm::Off,
                        end: Alarm::At(now + wait),
                    },
                ) // I
            }
            State::Accepted => (false, Step::default()),
            _ => (true, Step::default()),
        }
    }

    /// Timer G.
    pub(crate) fn resend(&mut self, now: Instant) -> Step {
        if self.state != State::Completed {
            return Step::default();
        }
        self.interval = (self.interval * 2).min(T2);
        Step {
            send: self.last.clone(),
            resend: Alarm::At(now + self.interval),
            end: Alarm::Keep,
        }
    }
}
