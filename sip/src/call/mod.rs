//! A call in which we are called, from the INVITE to the last BYE.

pub(crate) mod facts;
pub(crate) mod parties;

pub use self::facts::{Diversion, Facts, History};
pub use self::parties::{RemoteParty, Verification};

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::interval::Interval;
use crate::sdp::{Codec, Description, Local, Negotiated};
use crate::timers::{T1, T1X64, T2};
use crate::wire::Request;

/// Names one call of an endpoint; never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallHandle(pub(crate) u64);

/// A call that came and waits for [`Endpoint::accept`](crate::endpoint::Endpoint::accept) or a refusal.
#[derive(Debug, Clone)]
pub struct IncomingCall {
    /// Its handle.
    pub call: CallHandle,
    /// The trunk's name.
    pub trunk: String,
    /// The line's number as configured: the dialled one, or `*`.
    pub line: String,
    /// Who calls: P-Asserted-Identity's user part (RFC 3325), else From's; a whole URI when there is no user part.
    pub caller: String,
    /// The display name that came with it.
    pub caller_name: Option<String>,
    /// The user part of the Request-URI.
    pub dialled: String,
    /// Whether the caller asked that its number be kept back; `caller` is `anonymous` then.
    pub withheld: bool,
    /// What the optional header fields say, who diverted the call among it.
    pub facts: Facts,
    /// Call-ID.
    pub call_id: String,
    /// What a repeated INVITE has in common with this one, also for a process that never saw the first.
    pub identity: String,
    /// Our address as the peer knows it.
    pub local: SocketAddr,
    /// Where the offer wants its sound, an unspecified address included; `None` when the INVITE brought no offer.
    pub media: Option<IpAddr>,
    /// Whether the caller can be let hear something before an answer, with [`Endpoint::announce`](crate::endpoint::Endpoint::announce).
    pub reliable: bool,
    /// The codec that an answer will agree on; `None` when the INVITE brought no offer.
    pub codec: Option<Codec>,
    /// The INVITE as it came.
    pub invite: Bytes,
}

/// Who ended a call that we had answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The caller's BYE.
    Caller,
    /// No ACK came for 32 s (RFC 3261 §13.3.1.4).
    NoAck,
    /// The ACK brought no description that we can use.
    NoMedia,
    /// Nobody refreshed the session in time (RFC 4028 §10).
    Expired,
    /// We hung up.
    Us,
}

/// A call, by how far it has come.
#[derive(Debug)]
pub(crate) enum Call {
    /// The user decides. `transaction` is that of the INVITE.
    Offered { transaction: u64, offered: Box<Offered> },
    /// Our 2xx is out.
    Established(Box<Established>),
}

#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) invite: Box<Request>,
    /// Where the INVITE really came from.
    pub(crate) source: Flow,
    /// The trunk's place in the configuration.
    pub(crate) trunk: usize,
    pub(crate) offer: Option<Description>,
    /// The session interval to answer with.
    pub(crate) session: Option<Interval>,
}

#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) dialog: Dialog,
    /// The trunk's place in the configuration.
    pub(crate) trunk: usize,
    pub(crate) local: Local,
    /// `None` while the answer to our offer is awaited.
    pub(crate) media: Option<Negotiated>,
    /// A 2xx that no ACK has confirmed yet.
    pub(crate) pending: Option<Pending>,
    /// Whether the first ACK came.
    pub(crate) answered: bool,
    pub(crate) phase: Phase,
    /// The session interval, when there is one.
    pub(crate) session: Option<Interval>,
    /// Whether the peer answers UPDATE.
    pub(crate) updates: bool,
    /// The description that we sent last: what a refresh by INVITE says again.
    pub(crate) sdp: String,
    /// Whether an INVITE of ours has no final answer yet.
    pub(crate) asking: bool,
    /// What waits for the peer's PRACK; the INVITE has no final answer until then.
    pub(crate) early: Option<Box<Early>>,
}

/// A reliable 183 that no PRACK has confirmed yet (RFC 3262 §3).
#[derive(Debug)]
pub(crate) struct Early {
    /// That of the INVITE.
    pub(crate) transaction: u64,
    pub(crate) offered: Offered,
    pub(crate) rseq: u32,
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    /// When it is sent again next; doubled each time.
    pub(crate) interval: Duration,
    /// Whether the 200 follows the PRACK, or waits for the user.
    pub(crate) then: Then,
}

/// What follows the PRACK for a reliable 183.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The 200.
    Answer,
    /// The user, who lets the caller hear something before it is answered, or refused.
    Ask,
    /// It came: the user was asked.
    Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Talking,
    /// We want to hang up, but must not before the ACK (RFC 3261 §15).
    Leaving,
    /// Our BYE is out.
    Over,
}

/// A 2xx to an INVITE, which its user repeats until the ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(crate) struct Pending {
    /// That of the INVITE.
    pub(crate) transaction: u64,
    pub(crate) cseq: u32,
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    /// Whether it holds our offer, so that the ACK holds the answer.
    pub(crate) offers: bool,
    interval: Duration,
}

impl Pending {
    pub(crate) const fn new(transaction: u64, cseq: u32, bytes: Bytes, flow: Flow, offers: bool) -> Self {
        Self {
            transaction,
            cseq,
            bytes,
            flow,
            offers,
            interval: T1,
        }
    }

    /// When it is sent again first, and when one gives up.
    pub(crate) fn deadlines(now: Instant) -> (Instant, Instant) {
        (now + T1, now + T1X64)
    }

    /// It was sent again: when it is next.
    pub(crate) fn sent_again(&mut self, now: Instant) -> Instant {
        self.interval = (self.interval * 2).min(T2);
        now + self.interval
    }
}
