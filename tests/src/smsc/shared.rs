//! How it behaves, and what its tasks share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ledger::{Answer, Ledger, Receipts};

/// How it behaves; may be changed at any time.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Messages in flight at once.
    pub window: usize,
    /// Answer binds with this command_status instead of accepting them.
    pub refuse_bind: Option<u32>,
    /// Hear nothing: what is answered is lost, and the message counts as not answered.
    pub deaf: bool,
    /// Of so many responses one is lost; its message is delivered again at once, on the same link.
    pub lose_one_in: Option<u32>,
    /// Responses are lost at random; what they were about is delivered again.
    pub loss: Loss,
    /// Answer nothing, enquire_link included: a half-open link.
    pub mute: bool,
    /// Answer cancel_sm with this command_status.
    pub refuse_cancel: Option<u32>,
    /// What to answer every replace_sm.
    pub replace: Answer,
    /// The message_state to answer query_sm with (SMPP 3.4 §5.2.28); refused when there is none.
    pub state: Option<u8>,
    /// What follows a submit_sm.
    pub receipts: Receipts,
    /// Keep every PDU of both sides in [`Ledger::wire`].
    pub tap: bool,
    /// Write message ids in hexadecimal in the response and in decimal in the receipt.
    pub hexadecimal_ids: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            window: 64,
            refuse_bind: None,
            deaf: false,
            lose_one_in: None,
            loss: Loss::default(),
            mute: false,
            refuse_cancel: None,
            replace: Answer::Take,
            state: None,
            receipts: Receipts::Delivered,
            tap: false,
            hexadecimal_ids: false,
        }
    }
}

/// Responses that are lost, in a thousand, of the two ways in which one can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Its bytes are dropped, and its message is delivered again at once on the same link.
    pub dropped: u64,
    /// The link is cut before it is read, and all without an answer is delivered again on the next.
    pub cut: u64,
}

/// What the test does to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Cut,
    Unbind,
    Enquire,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) system_id: String,
    pub(super) password: String,
    pub(super) manner: Mutex<Manner>,
    pub(super) ledger: Mutex<Ledger>,
    /// Rises with every change of ledger or manner.
    pub(super) changed: watch::Sender<u64>,
    pub(super) deeds: watch::Sender<(u64, Option<Deed>)>,
}

impl Shared {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn manner(&self) -> Manner {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn touch(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}
