//! What the planner is told, and what it says.

use std::time::{Duration, Instant};

use super::batch::{Listed, Taken};

/// What the first connection takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// What comes from now on.
    New,
    /// Everything.
    All,
    /// What the server received since, milliseconds UTC.
    Since(i64),
}

impl First {
    /// What the server received before this is passed over, milliseconds UTC.
    pub(super) const fn floor(self) -> Option<i64> {
        match self {
            Self::Since(since) => Some(since),
            Self::New | Self::All => None,
        }
    }
}

/// The mailbox's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the first connection takes in.
    pub first: First,
    /// Whether mails are marked or moved after their commit.
    pub marks: bool,
    /// Mails a FETCH, at most.
    pub batch: usize,
    /// Bytes a FETCH, at most, unless one mail alone has more.
    pub batch_bytes: u64,
    /// Mails larger than this are taken in from their headers.
    pub oversize: u32,
    /// Whether the server has IDLE.
    pub idle: bool,
    /// How often to look where it has not.
    pub poll: Duration,
    /// How often to look where it has, whatever it says; never more seldom than [`super::SAFETY_POLL`].
    pub safety: Duration,
    /// Before a mail that could not be fetched twice is tried again; the third pause is twice as long.
    pub again: Duration,
}

/// Where the folder stood when it was saved last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// UIDVALIDITY.
    pub validity: u32,
    /// Every UID up to here is settled, but for the gaps and what could not be fetched.
    pub cursor: u32,
    /// Whether the import of the first connection is over.
    pub imported: bool,
    /// UIDs below this were there at the first connection; 0 when nobody knows.
    pub import_below: u32,
    /// When the mailbox was connected to first, milliseconds UTC.
    pub began_at: i64,
    /// When this was saved, milliseconds UTC.
    pub saved_at: i64,
    /// UIDs that were skipped, and how long ago.
    pub gaps: Vec<(u32, Duration)>,
    /// Mails that could not be fetched, of every UIDVALIDITY.
    pub unfetched: Vec<Unfetched>,
}

/// A mail at which fetching failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfetched {
    /// The UIDVALIDITY of its UID.
    pub validity: u32,
    /// What the server said of it; the size is 0 when it said nothing.
    pub listed: Listed,
    /// How often.
    pub failures: u32,
    /// How long ago it failed last.
    pub ago: Duration,
}

/// What came of the last [`Do`].
#[derive(Debug, Clone)]
pub enum Observed {
    /// The connection is logged in.
    Connected,
    /// The folder is selected.
    Selected {
        /// UIDVALIDITY.
        validity: u32,
        /// UIDNEXT; 0 when the server does not say.
        next: u32,
    },
    /// The UIDs that the search found, in any order.
    Found(Vec<u32>),
    /// What those mails are; those that are gone are missing.
    Sized(Vec<Listed>),
    /// The mails that came; those that are gone are missing.
    Fetched(Vec<u32>),
    /// The server refused the FETCH; the connection lives.
    Refused,
    /// How often fetching that mail has failed, this time included.
    Noted(u32),
    /// How often each has been attempted, this time included.
    Attempted(Vec<i64>),
    /// All of them are committed.
    Accepted,
    /// Marked or moved, or the server would not.
    Marked,
    /// Saved.
    Saved,
    /// IDLE or the wait is over: the server said something, or the time has come.
    Woken,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// SELECT the folder → [`Observed::Selected`].
    Select,
    /// NOOP, then UID SEARCH of `from:*` and of `also` → [`Observed::Found`].
    Search {
        /// The first UID after the cursor.
        from: u32,
        /// Skipped UIDs below it.
        also: Vec<u32>,
    },
    /// UID FETCH of RFC822.SIZE and INTERNALDATE → [`Observed::Sized`].
    Sizes(Vec<u32>),
    /// UID FETCH of `BODY.PEEK[]` for some and `BODY.PEEK[HEADER]` for others → [`Observed::Fetched`] or
    /// [`Observed::Refused`].
    Fetch {
        /// Whole mails.
        whole: Vec<u32>,
        /// Mails too large to be fetched whole, or of which the whole does not come.
        headers: Vec<u32>,
    },
    /// Count a failed FETCH of this mail, durably → [`Observed::Noted`].
    Note(Listed),
    /// Count an attempt at each, durably → [`Observed::Attempted`].
    Attempt(Vec<u32>),
    /// Parse and commit these, in this order → [`Observed::Accepted`].
    Accept(Vec<Taken>),
    /// Mark or move these → [`Observed::Marked`].
    Mark(Vec<u32>),
    /// Save where the folder stands → [`Observed::Saved`].
    Save(Save),
    /// IDLE until the server says something, at most until then → [`Observed::Woken`].
    Idle(Instant),
    /// Wait without IDLE until then → [`Observed::Woken`].
    Wait(Instant),
}

/// Where a folder stands, to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// UIDVALIDITY.
    pub validity: u32,
    /// The cursor.
    pub cursor: u32,
    /// Whether the import is over.
    pub imported: bool,
    /// UIDs below this were there at the first connection.
    pub import_below: u32,
    /// UIDs that were skipped, and how long ago; `None` when they are as they were saved.
    pub gaps: Option<Vec<(u32, Duration)>>,
    /// Mails that could not be fetched before, and are settled now.
    pub fetched: Vec<u32>,
}
