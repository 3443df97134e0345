//! Client transactions for what is no INVITE (RFC 3261 §17.1.2): our BYE, and OPTIONS as a probe.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Alarm, Step};
use crate::flow::Flow;
use crate::timers::{T1, T1X64, T2, T4};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) branch: String,
    pub(crate) flow: Flow,
    /// Another way, for when that connection is gone.
    pub(crate) otherwise: Option<Flow>,
    bytes: Bytes,
    state: State,
    interval: Duration,
}

impl Client {
    pub(crate) fn start(branch: String, flow: Flow, bytes: Bytes, now: Instant) -> (Self, Step) {
        let resend = if flow.transport.is_reliable() {
            Alarm::Keep
        } else {
            Alarm::At(now + T1)
        }; // E
        let step = Step {
            send: Some(bytes.clone()),
            resend,
            end: Alarm::At(now + T1X64),
        }; // F
        (
            Self {
                branch,
                flow,
                otherwise: None,
                bytes,
                state: State::Trying,
                interval: T1,
            },
            step,
        )
    }

    /// A response. Says whether it is the first final one.
    pub(crate) fn response(&mut self, status: u16, now: Instant) -> (bool, Step) {
        match self.state {
            State::Completed => (false, Step::default()),
            _ if status < 200 => {
                self.state = State::Proceeding;
                (false, Step::default())
            }
            _ => {
                self.state = State::Completed;
                let wait = if self.flow.transport.is_reliable() { Duration::ZERO } else { T4 };
                (
                    true,
                    Step {
                        send: None,
                        resend: Alarm::Off,
                        end: Alarm::At(now + wait),
                    },
                ) // K
            }
        }
    }

    /// The connection is gone: the other one has its place, if there is one. Gives the request, to be sent on it.
    pub(crate) fn moved(&mut self) -> Option<Bytes> {
        self.flow = self.otherwise.take()?;
        Some(self.bytes.clone())
    }

    /// Timer E.
    pub(crate) fn resend(&mut self, now: Instant) -> Step {
        if self.state == State::Completed {
            return Step::default();
        }
        self.interval = if self.state == State::Proceeding {
            T2
        } else {
            (self.interval * 2).min(T2)
        };
        Step {
            send: Some(self.bytes.clone()),
            resend: Alarm::At(now + self.interval),
            end: Alarm::Keep,
        }
    }

    /// Whether its end came without an answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.state != State::Completed
    }
}
