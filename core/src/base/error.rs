//! What can go wrong at a door, told so that the caller can do something about it.

use voxea_rules::sms;

/// The error of every door of the core.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// There is no such thing, or the caller may not know that there is.
    #[error("there is no {what} with this id")]
    NotFound {
        /// `request`, `reply`, `recording`…
        what: &'static str,
    },
    /// The thing has changed since the caller read it.
    #[error("version {expected} was expected, but the current one is {current}")]
    Stale {
        /// The version in the caller's hands.
        expected: i64,
        /// The version now.
        current: i64,
    },
    /// The move is not allowed from where the thing stands.
    #[error("{0}")]
    Conflict(String),
    /// Well-formed, but not acceptable. Says which member and why.
    #[error("{message}")]
    Invalid {
        /// A JSON pointer to the member: `/status`.
        pointer: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The text does not fit the channel's one segment.
    #[error("the text needs {} of {} units", .0.units, .0.limit)]
    TextTooLong(Box<sms::Preview>),
    /// Another node has taken the account over; this one must stop writing for it.
    #[error("account {account} is fenced: this node's epoch is no longer the current one")]
    Fenced {
        /// `kind/name`.
        account: String,
    },
    /// What is asked for is in other hands, which did not answer in time; a later try may work.
    #[error("{0}")]
    Unanswered(String),
    /// The store cannot be reached or is full; nothing was stored and a later try may work.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is in object storage cannot be had now; a later try may work.
    #[error("{0}")]
    Away(String),
    /// The store refused, and trying again will not help.
    #[error("the store refused: {0}")]
    Store(String),
    /// What is stored does not open with the vault's keys. Says where it stands, and nothing of it.
    #[error("{place} of {id} cannot be decrypted: it was changed behind our back, or encrypted under other keys")]
    Sealed {
        /// `table.column`, or `blob`.
        place: &'static str,
        /// The row's id; of a blob, the beginning of its hash.
        id: String,
    },
    /// A position of the feed that it has not reached: it was given by another database, of which this one is an older copy.
    #[error("the feed ends at {head}, before the position {after} that was asked for")]
    FeedAhead {
        /// What was asked for.
        after: i64,
        /// The last position given.
        head: i64,
        /// The feed's epoch.
        epoch: String,
    },
    /// A position of the feed behind which events were removed, because their time was over.
    #[error("the events up to {floor} were removed, beyond the position {after} that was asked for")]
    FeedGone {
        /// What was asked for.
        after: i64,
        /// The last position that was removed.
        floor: i64,
        /// The feed's epoch.
        epoch: String,
    },
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    File {
        /// Which file, and what was being done with it.
        what: String,
        /// The operating system's word.
        source: std::io::Error,
    },
}

impl CoreError {
    /// An [`CoreError::Invalid`] of one member.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unanswered(_) | Self::Away(_))
    }
}

impl From<sqlx::Error> for CoreError {
    /// Tells what passes from what stays. A full disk passes: an operator frees it.
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
                Self::Unavailable(error.to_string())
            }
            E::Database(inner) => {
                let code = inner.code().unwrap_or_default();
                // SQLite: BUSY 5, LOCKED 6, READONLY 8, IOERR 10, FULL 13, CANTOPEN 14 in the low byte.
                // PostgreSQL: connection (08), resources (53), operator intervention (57), serialisation (40), I/O (58).
                let sqlite = code
                    .parse::<u32>()
                    .is_ok_and(|n| code.len() < 5 && matches!(n & 0xff, 5 | 6 | 8 | 10 | 13 | 14));
                let postgres = code.len() == 5 && ["08", "53", "57", "40", "58"].iter().any(|class| code.starts_with(class));
                if sqlite || postgres {
                    Self::Unavailable(error.to_string())
                } else {
                    Self::Store(error.to_string())
                }
            }
            _ => Self::Store(error.to_string()),
        }
    }
}

/// What a door answers.
pub type Result<T> = std::result::Result<T, CoreError>;
