//! What a session tells, and how it is set up.

use std::time::Duration;

use bytes::Bytes;

use crate::held::Told;
use crate::pdu::{Address, Bind, Credentials, Delivery, Unreadable};

/// Names a message while it is under way, in either direction; never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub(super) u64);

/// How a session behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In which directions messages pass.
    pub bind: Bind,
    /// Who we are.
    pub credentials: Credentials,
    /// How many texts of ours may wait for their response.
    pub window: usize,
    /// How many of the SMSC's may wait for our acknowledgement before no more is read.
    pub inbound_window: usize,
    /// After so long a silence the SMSC is asked whether it is there.
    pub enquire_interval: Duration,
    /// How long a response may take.
    pub response_timeout: Duration,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// We asked for it.
    Asked,
    /// The SMSC asked for it.
    PeerUnbound,
    /// The SMSC refused the bind, with this command_status.
    Refused {
        /// command_status.
        status: u32,
    },
    /// The SMSC answers nothing any more: the link is half-open.
    Deaf,
    /// The SMSC sent a length that is none.
    Unframed,
    /// The connection was closed.
    Lost,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The bind was accepted; texts may pass.
    Bound,
    /// A message or a receipt came. It waits for `acknowledge`.
    Delivery {
        /// By which it is acknowledged.
        handle: Handle,
        /// What came.
        delivery: Delivery,
    },
    /// Something came that cannot be read. It is to be kept, and waits for `acknowledge` as well.
    Undecodable {
        /// By which it is acknowledged.
        handle: Handle,
        /// The PDU as it came.
        raw: Bytes,
        /// What could be found in it all the same.
        unreadable: Unreadable,
    },
    /// The SMSC answered a submit: taken when `status` is 0.
    Answered {
        /// Which submit.
        handle: Handle,
        /// command_status.
        status: u32,
        /// Its id for the message.
        message_id: Option<String>,
    },
    /// The SMSC says what became of a text (query_sm_resp, SMPP 3.4 §4.8.2).
    Told {
        /// Which question.
        handle: Handle,
        /// What it says.
        told: Told,
    },
    /// No answer to a submit came in time, or none will come: its fate is not known.
    Unanswered {
        /// Which submit.
        handle: Handle,
    },
    /// A phone that could not be reached can be again (SMPP 3.4 §4.12).
    Alert {
        /// Whose; `None` when it cannot be read.
        source: Option<Address>,
    },
    /// A request was refused as unknown or out of place; for counting.
    Odd {
        /// command_id.
        command: u32,
    },
    /// Nothing more will come. Every submit without an answer was told of before.
    Ended(End),
}

/// Why a text was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Not bound, or bound for receiving only.
    #[error("the bind does not take texts")]
    NotBound,
    /// As many as the window allows wait for their response.
    #[error("the window is full")]
    WindowFull,
    /// It does not fit SMPP's fields; no other try would help.
    #[error(transparent)]
    Unwritable(#[from] crate::pdu::Unwritable),
}
