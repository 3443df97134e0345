//! The mailbox machine: what to ask of the server next. No I/O, no clock.
//!
//! The shell does what [`Planner::step`] says and tells it what came of it; each [`Do`] names the [`Observed`] that
//! answers it. A connection that is lost ends the planner; the next one starts from what was saved. So does a
//! connection on which UIDVALIDITY changed: the shell closes it.
//!
//! The rules (field notes, e-mail, 2 to 7):
//! - A UID is settled once its mail is committed, and only then does the cursor pass it. `\Seen`, dates and sequence
//!   numbers decide nothing.
//! - UIDs that a pass skipped are looked for again for a day: some servers show a mail later than its successors.
//! - When UIDVALIDITY changes, everything since the first connection is read again and known by its content.
//! - An attempt is counted before a mail is parsed. A mail at which the process died three times, alone with it, is
//!   quarantined; its neighbours are then taken one by one, so that no other mail shares its fate.

mod batch;
mod gaps;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use batch::{Listed, Taken};

pub use batch::ATTEMPTS;
use batch::Batches;
use gaps::Gaps;

/// IDLE is given anew at least this often, by our own clock (RFC 2177 §3).
pub const IDLE: Duration = Duration::from_secs(29 * 60);
/// The folder is selected anew at least this often, whatever IDLE says.
pub const SAFETY_POLL: Duration = Duration::from_secs(5 * 60);
/// The first IDLE after a pass is this short: a mail that came between the search and the IDLE is found by the next
/// search, also where the server does not tell an idling client.
pub const FIRST_IDLE: Duration = Duration::from_secs(2);
/// Most UIDs of which sizes are asked at once.
const SIZES: usize = 500;
/// How far before the first connection a mail may be dated and still be new: clocks differ.
const CLOCKS_MS: i64 = 3600 * 1000;

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
}

/// Where the folder stood when it was saved last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// UIDVALIDITY.
    pub validity: u32,
    /// Every UID up to here is settled.
    pub cursor: u32,
    /// Whether the import of the first connection is over.
    pub imported: bool,
    /// When the mailbox was connected to first, milliseconds UTC.
    pub began_at: i64,
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
    /// The server refused the FETCH, or a mail was larger than it had said.
    Refused,
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
        /// Mails too large to be fetched whole.
        headers: Vec<u32>,
    },
    /// Count an attempt at each, durably → [`Observed::Attempted`].
    Attempt(Vec<u32>),
    /// Parse and commit these, in this order → [`Observed::Accepted`].
    Accept(Vec<Taken>),
    /// Mark or move these → [`Observed::Marked`].
    Mark(Vec<u32>),
    /// Save where the folder stands → [`Observed::Saved`].
    Save {
        /// UIDVALIDITY.
        validity: u32,
        /// The cursor.
        cursor: u32,
        /// Whether the import is over.
        imported: bool,
    },
    /// IDLE until the server says something, at most until then → [`Observed::Woken`].
    Idle(Instant),
    /// Wait without IDLE until then → [`Observed::Woken`].
    Wait(Instant),
}

/// What follows once the place is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Search,
    Batch,
    Rest,
}

/// The machine of one folder on one connection.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    place: Option<Place>,
    validity: u32,
    cursor: u32,
    imported: bool,
    /// UIDs below this were there at the first connection or the rescan: they are not acknowledged.
    import_below: u32,
    /// Mails that the server received before this are passed over.
    floor_ms: Option<i64>,
    /// Nothing is saved before a rescan is over, so that a crash begins it anew with the same floor.
    rescan: bool,
    found: VecDeque<u32>,
    batches: Batches,
    gaps: Gaps,
    after_save: Next,
    /// The last pass found nothing, and the short IDLE after it is over.
    rested: bool,
    next_poll: Option<Instant>,
}

impl Planner {
    /// A machine for a folder that stood at `place`; `None` for one that was never connected.
    #[must_use]
    pub fn new(settings: Settings, place: Option<Place>) -> Self {
        let batches = Batches::new(settings.batch, settings.batch_bytes, settings.oversize);
        Self {
            settings,
            place,
            validity: 0,
            cursor: 0,
            imported: true,
            import_below: 0,
            floor_ms: None,
            rescan: false,
            found: VecDeque::new(),
            batches,
            gaps: Gaps::default(),
            after_save: Next::Search,
            rested: false,
            next_poll: None,
        }
    }

    /// Takes what came of the last [`Do`] and says the next.
    pub fn step(&mut self, observed: Observed, now: Instant) -> Do {
        match observed {
            Observed::Connected => Do::Select,
            Observed::Selected { validity, next } => self.selected(validity, next, now),
            Observed::Found(uids) => self.found(uids, now),
            Observed::Sized(listed) => {
                let passed = self.batches.sized(listed, self.floor_ms);
                for gone in &passed.gone {
                    self.gaps.skipped(*gone, now);
                }
                self.next_batch(now)
            }
            Observed::Fetched(arrived) => self.fetched(&arrived, now),
            Observed::Refused => {
                for skipped in self.batches.refused() {
                    self.gaps.skipped(skipped, now);
                }
                self.next_batch(now)
            }
            Observed::Attempted(counts) => {
                self.batches.attempted(&counts);
                self.accept(now)
            }
            Observed::Accepted => {
                let uids = self.batches.accepting();
                for uid in &uids {
                    self.gaps.settled(*uid);
                }
                if self.settings.marks { Do::Mark(uids) } else { self.settled(now) }
            }
            Observed::Marked => self.settled(now),
            Observed::Saved => match self.after_save {
                Next::Search => self.search(now),
                Next::Batch => self.accept(now),
                Next::Rest => self.rest(now),
            },
            Observed::Woken => {
                if self.next_poll.is_some_and(|poll| now >= poll) {
                    Do::Select
                } else {
                    self.search(now)
                }
            }
        }
    }

    /// How many mails are known to wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.found.len() + self.batches.waiting()
    }

    fn selected(&mut self, validity: u32, next: u32, now: Instant) -> Do {
        self.next_poll = Some(now + SAFETY_POLL);
        if self.validity == validity && self.validity != 0 {
            return self.search(now);
        }
        self.validity = validity;
        self.found.clear();
        self.batches.clear();
        self.gaps = Gaps::default();
        (self.floor_ms, self.rescan) = (None, false);
        match self.place.filter(|place| place.validity == validity) {
            Some(place) => {
                (self.cursor, self.imported) = (place.cursor, place.imported);
                if !self.imported {
                    self.import_below = next;
                    self.floor_ms = self.settings.first.floor();
                }
                self.search(now)
            }
            None => {
                self.import_below = next;
                if let Some(place) = self.place {
                    // RFC 9051 §2.3.1.1: the UIDs mean other mails now.
                    (self.cursor, self.imported, self.rescan) = (0, false, true);
                    // Everything is looked at again and known by its content; but what was not new at the first
                    // connection is not new now.
                    self.floor_ms = match self.settings.first {
                        First::New => Some(place.began_at.saturating_sub(CLOCKS_MS)),
                        first => first.floor(),
                    };
                    return self.search(now);
                }
                self.floor_ms = self.settings.first.floor();
                let new = self.settings.first == First::New;
                // Without UIDNEXT the first search of "new" tells where to begin.
                self.imported = new && next > 0;
                self.cursor = if new { next.saturating_sub(1) } else { 0 };
                self.save(Next::Search)
            }
        }
    }

    fn search(&mut self, now: Instant) -> Do {
        Do::Search {
            from: self.cursor.saturating_add(1),
            also: self.gaps.due(now),
        }
    }

    fn found(&mut self, mut uids: Vec<u32>, now: Instant) -> Do {
        // `n:*` names the last mail also when its UID is below n (RFC 9051 §9, seq-range).
        uids.retain(|uid| *uid > self.cursor || self.gaps.holds(*uid));
        uids.sort_unstable();
        uids.dedup();
        if self.settings.first == First::New && self.place.is_none() && !self.imported && self.import_below == 0 {
            (self.cursor, self.imported) = (uids.last().copied().unwrap_or(0), true);
            return self.save(Next::Rest);
        }
        self.gaps.between(self.cursor, &uids, now);
        self.found = uids.into();
        self.next_batch(now)
    }

    /// The next FETCH of what was found, or rest.
    fn next_batch(&mut self, now: Instant) -> Do {
        if let Some((whole, headers)) = self.batches.fetch() {
            self.rested = false;
            return Do::Fetch { whole, headers };
        }
        if !self.found.is_empty() {
            let asked: Vec<u32> = self.found.drain(..self.found.len().min(SIZES)).collect();
            self.batches.asked(asked.clone());
            return Do::Sizes(asked);
        }
        let passed = self.batches.take_passed();
        let moved = passed > self.cursor;
        self.cursor = self.cursor.max(passed);
        if !self.imported || moved {
            // The pass is over, and with it the import.
            (self.imported, self.rescan) = (true, false);
            return self.save(Next::Rest);
        }
        self.rest(now)
    }

    fn fetched(&mut self, arrived: &[u32], now: Instant) -> Do {
        for gone in self.batches.fetched(arrived) {
            self.gaps.skipped(gone, now);
        }
        let uids = self.batches.arrived();
        if uids.is_empty() { self.next_batch(now) } else { Do::Attempt(uids) }
    }

    fn accept(&mut self, now: Instant) -> Do {
        let import_below = if self.imported { 0 } else { self.import_below };
        match self.batches.accept(import_below, self.rescan) {
            Some(taken) => Do::Accept(taken),
            None => self.next_batch(now),
        }
    }

    /// What was accepted is behind us.
    fn settled(&mut self, now: Instant) -> Do {
        self.cursor = self.cursor.max(self.batches.settled());
        if self.rescan { self.accept(now) } else { self.save(Next::Batch) }
    }

    fn save(&mut self, next: Next) -> Do {
        self.after_save = next;
        Do::Save {
            validity: self.validity,
            cursor: self.cursor,
            imported: self.imported,
        }
    }

    fn rest(&mut self, now: Instant) -> Do {
        let poll = self.next_poll.unwrap_or(now);
        if !self.settings.idle {
            return Do::Wait(poll.min(now + self.settings.poll));
        }
        let first = !std::mem::replace(&mut self.rested, true);
        Do::Idle(if first { now + FIRST_IDLE } else { poll.min(now + IDLE).max(now) })
    }
}

impl First {
    const fn floor(self) -> Option<i64> {
        match self {
            Self::Since(since) => Some(since),
            Self::New | Self::All => None,
        }
    }
}

#[cfg(test)]
mod tests;
