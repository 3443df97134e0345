//! A reply as it is stored.

use crate::base::account::Unknown;
use crate::base::time::Millis;
use crate::vault::{Opening, Place, Vault};

/// How long a text may be under way that does not say: two days.
pub(super) const LIFE_MS: Millis = 2 * 24 * 3600 * 1000;

/// Ids are used again by some peers: an older message than this is not meant.
pub(super) const MEMORY_MS: Millis = 15 * 24 * 3600 * 1000;

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyState {
    /// It waits for its channel.
    Queued,
    /// The peer took it: SMSC or mail server.
    Submitted,
    /// The peer says that it reached the citizen's phone.
    Delivered,
    /// It will not arrive; the reason says why.
    Rejected,
    /// Nobody can say whether it arrived. It is shown, and not sent again.
    Unknown,
    /// An agent took it back in time.
    Cancelled,
}

impl ReplyState {
    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// Somebody answers.
    Reply,
    /// Voxea says that the contact arrived; never an answer to be answered by a machine.
    Acknowledgement,
}

impl ReplyKind {
    /// The name that the database uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Acknowledgement => "acknowledgement",
        }
    }
}

impl std::str::FromStr for ReplyKind {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match text {
            "reply" => Ok(Self::Reply),
            "acknowledgement" => Ok(Self::Acknowledgement),
            other => Err(Unknown(other.to_owned())),
        }
    }
}

/// One row of `reply`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ReplyRow {
    /// UUIDv7.
    pub id: String,
    /// The request that it answers.
    pub request_id: String,
    /// Its outgoing interaction.
    pub interaction_id: String,
    /// See [`ReplyKind`].
    pub kind: String,
    /// `sms`, `email`.
    pub channel: String,
    /// The account that sends it, `kind/name`.
    pub account: String,
    /// The citizen's number or address.
    pub recipient: String,
    /// Of a mail.
    pub subject: Option<String>,
    /// As it goes out: typography is replaced in a text, and letters where its account says so.
    pub text: String,
    /// See [`ReplyState`].
    pub state: String,
    /// The peer's reason for a rejection, or why its fate is unknown.
    pub reason: Option<String>,
    /// The peer's id of it.
    pub native_id: Option<String>,
    /// When it was queued.
    pub created_at: Millis,
    /// When the peer took it.
    pub submitted_at: Option<Millis>,
    /// When its last state was known.
    pub settled_at: Option<Millis>,
    /// When the next try is due, while it is queued.
    pub due_at: Millis,
    /// Tries so far.
    pub attempts: i64,
    /// Not before this; 0 when it was to go at once.
    pub send_at: Millis,
    /// Of a text: after this it is not sent any more.
    pub expires_at: Option<Millis>,
    /// Of a text: 0 to 3.
    pub priority: i64,
    /// Of a text: in how many it goes out.
    pub segments: i64,
    /// Its peer is asked to forget it, from then on; `None` when nobody wants that, or it has answered.
    pub cancel_at: Option<Millis>,
    /// The reply whose place it takes, by its id.
    pub replaces: Option<String>,
    /// The text that its peer has and is asked to replace by it; `None`: it is sent like any other.
    pub instead_of: Option<String>,
}

impl ReplyRow {
    /// Opens what is sealed of it.
    pub(super) fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening
            .text(Place::ReplyRecipient, &mut self.recipient)
            .some(Place::ReplySubject, &mut self.subject)
            .text(Place::ReplyText, &mut self.text)
            .some(Place::ReplyReason, &mut self.reason);
        opening
    }
}

/// The columns of [`ReplyRow`], for a `SELECT`.
pub(super) const COLUMNS: &str = "id, request_id, interaction_id, kind, channel, account, recipient, subject, text, state, reason, native_id, \
                                  created_at, submitted_at, settled_at, due_at, attempts, send_at, expires_at, priority, segments, cancel_at, \
                                  replaces, instead_of";
