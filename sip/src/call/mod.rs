//! A call in which we are called, from the INVITE to the last BYE.

pub(crate) mod facts;

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
    /// Who diverted the call, the first diversion first (RFC 5806, else RFC 7044).
    pub diversions: Vec<String>,
    /// Call-ID.
    pub call_id: String,
    /// What a repeated INVITE has in common with this one, also for a process that never saw the first.
    pub identity: String,
    /// Our address as the peer knows it.
    pub local: SocketAddr,
    /// Where the offer wants its sound, an unspecified address included; `None` when the INVITE brought no offer.
    pub media: Option<IpAddr>,
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
    pub(crate) offer: Option<Description>,
    /// The session interval to answer with.
    pub(crate) session: Option<Interval>,
}

#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) dialog: Dialog,
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
    pub(crate) cseq: u32,
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    /// Whether it holds our offer, so that the ACK holds the answer.
    pub(crate) offers: bool,
    interval: Duration,
}

impl Pending {
    pub(crate) const fn new(cseq: u32, bytes: Bytes, flow: Flow, offers: bool) -> Self {
        Self {
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
