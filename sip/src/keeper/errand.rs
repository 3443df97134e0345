//! One sort of request of a keeper: when it is due, and how far it is.

use std::time::Instant;

use crate::ids::Ids;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Whether the peer is there.
    Options,
    /// To be registered with it, or no longer.
    Register,
}

impl Task {
    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// A flow is wished for.
    Reaching,
    /// The request is out, and answered until then.
    Waiting(Instant),
}

#[derive(Debug)]
pub(super) struct Errand {
    pub(super) due: Option<Instant>,
    pub(super) phase: Phase,
    /// Challenges that were answered in this attempt.
    pub(super) proofs: u8,
    /// Whether a longer time was asked for in this attempt.
    pub(super) raised: bool,
    /// The same for all registrations (RFC 3261 §10.2).
    pub(super) call_id: String,
    pub(super) tag: String,
    pub(super) cseq: u32,
}

impl Errand {
    pub(super) fn new(ids: &mut Ids) -> Self {
        Self {
            due: None,
            phase: Phase::Idle,
            proofs: 0,
            raised: false,
            call_id: ids.token(),
            tag: ids.token(),
            cseq: 0,
        }
    }

    /// An attempt begins.
    pub(super) const fn begin(&mut self) {
        (self.due, self.phase, self.proofs, self.raised) = (None, Phase::Reaching, 0, false);
    }

    /// It is over; the next one is due then.
    pub(super) const fn rest(&mut self, due: Option<Instant>) {
        (self.due, self.phase) = (due, Phase::Idle);
    }

    pub(super) const fn next(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => self.due,
            Phase::Reaching => None,
            Phase::Waiting(until) => Some(until),
        }
    }
}
