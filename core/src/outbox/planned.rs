//! A reply between the question whether it can be and its rows.

use super::door::Sender;
use super::file::ReplyFile;
use super::row::ReplyRow;
use super::texting::Joined;
use crate::base::error::Result;
use crate::feed::NewEvent;
use crate::vault::{Place, Vault};

/// What a reply must know of its request.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Demand {
    pub(super) id: String,
    pub(super) channel: String,
    pub(super) account: Option<String>,
    pub(super) status: String,
    pub(super) subject: Option<String>,
    pub(super) from_address: String,
    pub(super) theme: Option<String>,
}

/// Where a mail stands in its thread.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) message_id: Option<String>,
    pub(super) in_reply_to: Option<String>,
    pub(super) references: Option<String>,
}

/// A reply that may be written.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) row: ReplyRow,
    pub(super) sender: Sender,
    pub(super) thread: Thread,
    /// What goes with a mail.
    pub(super) files: Vec<ReplyFile>,
    /// Of several segments, how they are held together.
    pub(super) joined: Option<Joined>,
    /// So many segments must be said to have arrived.
    pub(super) receipts: i64,
    /// What became of the one whose place it takes.
    pub(super) events: Vec<NewEvent>,
}

impl Demand {
    /// Opens what is sealed of it.
    pub(super) fn open(&mut self, vault: &Vault) -> Result<()> {
        let mut opening = vault.opening(&self.id);
        opening
            .some(Place::RequestSubject, &mut self.subject)
            .text(Place::RequestFromAddress, &mut self.from_address);
        opening.strict()
    }
}
