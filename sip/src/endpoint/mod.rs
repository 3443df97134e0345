//! The endpoint: what comes off the wire becomes calls, and what the user decides goes back to it.
//!
//! Invariant: after every call of a method that takes `now`, drain [`Endpoint::poll_output`] down to
//! [`Output::Timeout`] before the next one.

mod admission;
mod dialogs;
mod early;
mod info;
mod invite;
mod receive;
mod reinvite;
mod session;
mod tables;
mod user;

pub use self::user::Gone;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::call::{Call, CallHandle, EndedBy, IncomingCall};
use crate::dtmf::Digit;
use crate::flow::Flow;
use crate::ids::Ids;
use crate::policy::{Bucket, Gate, Trunk};
use crate::sdp::Negotiated;
use crate::timers::Timers;
use crate::transaction::client::Client;
use crate::transaction::server::Server;

/// What an endpoint is told once.
#[derive(Clone)]
pub struct Config {
    /// 32 random bytes, fresh for every start: tags and branches come from them.
    pub secret: [u8; 32],
    /// Who may call.
    pub trunks: Vec<Trunk>,
    /// Numbers that are answered; `*` stands for any other.
    pub lines: Vec<String>,
    /// What is held at most.
    pub limits: Limits,
}

/// What is held at most; beyond it a peer hears 503 before any work is done.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls that are offered, going on or being ended.
    pub calls: usize,
    /// Server transactions.
    pub transactions: usize,
    /// Answers a second to strangers; the rest is dropped.
    pub refusals: u32,
    /// Seconds in Retry-After.
    pub retry_after: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 2_000,
            transactions: 20_000,
            refusals: 50,
            retry_after: 5,
        }
    }
}

/// What the machine wants.
#[derive(Debug)]
pub enum Output {
    /// Bytes for the wire.
    Transmit {
        /// Between whom.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Something that the user must know.
    Event(Event),
    /// Nothing more until input comes, or this moment.
    Timeout(Option<Instant>),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody calls one of our lines. Answer with `accept` or `reject`.
    IncomingCall(Box<IncomingCall>),
    /// The caller confirmed our 200: sound may flow from now on, and not before.
    Answered {
        /// Which call.
        call: CallHandle,
        /// What was agreed on.
        media: Negotiated,
    },
    /// The caller confirmed our 183: it may hear something, though the call is not answered.
    Early {
        /// Which call.
        call: CallHandle,
        /// What was agreed on.
        media: Negotiated,
    },
    /// The caller put us on hold, took us back, or moved its sound elsewhere.
    Renegotiated {
        /// Which call.
        call: CallHandle,
        /// What is agreed on now.
        media: Negotiated,
    },
    /// The caller pressed a key, told by INFO.
    Digit {
        /// Which call.
        call: CallHandle,
        /// Which key.
        digit: Digit,
        /// When it came.
        at: Instant,
    },
    /// The caller gave up before we answered; the handle is void.
    Cancelled {
        /// Which call.
        call: CallHandle,
    },
    /// Why the other side is about to end a call, in its words: `Q.850;cause=16` (RFC 3326). What follows says that it ended.
    Reason {
        /// Which call.
        call: CallHandle,
        /// Protocol and cause.
        reason: String,
    },
    /// A call that we had answered is over; the handle is void.
    Ended {
        /// Which call.
        call: CallHandle,
        /// By whom.
        by: EndedBy,
        /// Whether the caller had confirmed our 200.
        answered: bool,
    },
    /// An OPTIONS of ours came to its end; no status means that nobody answered.
    Probed {
        /// As returned by `probe`.
        probe: u64,
        /// The final status.
        status: Option<u16>,
    },
    /// Something for a counter: `forbidden`, `malformed`, `overload`, `retransmission`, …
    Counted(&'static str),
}

/// The deadlines of an endpoint; transactions and calls are named by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    ServerResend(u64),
    ServerEnd(u64),
    ClientResend(u64),
    ClientEnd(u64),
    /// The user has not decided at once: the caller hears 100.
    Trying(CallHandle),
    /// A 2xx without ACK is sent again.
    CallResend(CallHandle),
    /// No ACK came, or the user never decided.
    CallGiveUp(CallHandle),
    /// The session wants its refresh from us, or had none from the peer.
    Session(CallHandle),
    /// Nobody has answered our refresh in time.
    SessionEnd(CallHandle),
}

/// What a client transaction is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Bye(CallHandle),
    /// The session's, by UPDATE.
    Refresh(CallHandle),
    /// The session's, by INVITE.
    Reinvite(CallHandle),
    Probe,
}

/// The signalling machine of one node.
#[derive(Debug)]
pub struct Endpoint {
    trunks: Vec<Trunk>,
    /// What goes on of each trunk, in the same order.
    gates: Vec<Gate>,
    lines: Vec<String>,
    limits: Limits,
    ids: Ids,
    refusals: Bucket,
    draining: bool,
    last_id: u64,
    servers: HashMap<u64, Server>,
    /// Server transactions by [`crate::transaction::key`].
    keys: HashMap<String, u64>,
    /// Server transactions by [`crate::transaction::merge_key`].
    merges: HashMap<String, u64>,
    clients: HashMap<u64, (Client, Purpose)>,
    branches: HashMap<String, u64>,
    calls: HashMap<CallHandle, Call>,
    /// Offered calls by the transaction of their INVITE.
    offered: HashMap<u64, CallHandle>,
    /// Established calls by [`crate::dialog::key`].
    dialogs: HashMap<String, CallHandle>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// An endpoint that nobody has called yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            gates: config.trunks.iter().map(Gate::new).collect(),
            trunks: config.trunks,
            lines: config.lines,
            refusals: Bucket::new(config.limits.refusals),
            limits: config.limits,
            ids: Ids::new(config.secret),
            draining: false,
            last_id: 0,
            servers: HashMap::new(),
            keys: HashMap::new(),
            merges: HashMap::new(),
            clients: HashMap::new(),
            branches: HashMap::new(),
            calls: HashMap::new(),
            offered: HashMap::new(),
            dialogs: HashMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do; [`Output::Timeout`] when there is nothing more.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// Calls that are not wholly over.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Server transactions that are still remembered.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.servers.len()
    }

    /// From now on new calls hear 503, so that the last ones can end.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.outputs.push_back(Output::Transmit { flow, bytes });
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
