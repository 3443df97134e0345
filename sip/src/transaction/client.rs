//! Client transactions: requests of ours.
//!
//! | state      | INVITE (RFC 3261 §17.1.1, RFC 6026 §7.2)             | others (RFC 3261 §17.1.2)        |
//! |------------|------------------------------------------------------|----------------------------------|
//! | Trying     | repeated (A) until an answer or B                    | repeated (E) until F             |
//! | Proceeding | not repeated; as long again for the final answer     | repeated at T2 until F           |
//! | Completed  | our ACK repeated for a repeated answer, until D or M | repeated answers absorbed, to K  |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Alarm, Step};
use crate::flow::Flow;
use crate::hop::Hop;
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
    otherwise: Option<Flow>,
    bytes: Bytes,
    invite: bool,
    /// Our ACK, once there was a final answer to an INVITE.
    ack: Option<(Flow, Bytes)>,
    state: State,
    interval: Duration,
}

impl Client {
    pub(crate) fn start(branch: String, hop: Hop, bytes: Bytes, invite: bool, now: Instant) -> (Self, Step) {
        let Hop { flow, otherwise } = hop;
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
                otherwise,
                bytes,
                invite,
                ack: None,
                state: State::Trying,
                interval: T1,
            },
            step,
        )
    }

    /// Whether it is an INVITE's.
    pub(crate) const fn is_invite(&self) -> bool {
        self.invite
    }

    /// The ACK for the final answer, which is sent again whenever that comes again.
    pub(crate) fn acknowledge(&mut self, flow: Flow, ack: Bytes) {
        self.ack = Some((flow, ack));
    }

    /// Our ACK, for a final answer that came again.
    pub(crate) fn again(&self) -> Option<(Flow, Bytes)> {
        self.ack.clone()
    }

    /// A response. Says whether it is the first final one.
    pub(crate) fn response(&mut self, status: u16, now: Instant) -> (bool, Step) {
        match self.state {
            State::Completed => (false, Step::default()),
            _ if status < 200 => {
                self.state = State::Proceeding;
                let step = Step {
                    send: None,
                    resend: if self.invite { Alarm::Off } else { Alarm::Keep },
                    end: if self.invite { Alarm::At(now + T1X64) } else { Alarm::Keep },
                };
                (false, step)
            }
            _ => {
                self.state = State::Completed;
                let reliable = self.flow.transport.is_reliable();
                let wait = match (self.invite, status) {
                    // M: a 2xx is repeated end to end, whatever carries it.
                    (true, 200..=299) => T1X64,
                    _ if reliable => Duration::ZERO,
                    (true, _) => T1X64, // D
                    (false, _) => T4,
                };
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

    /// Timers A and E.
    pub(crate) fn resend(&mut self, now: Instant) -> Step {
        if self.state == State::Completed {
            return Step::default();
        }
        self.interval = match self.state {
            State::Proceeding => T2,
            _ if self.invite => self.interval * 2,
            _ => (self.interval * 2).min(T2),
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
