//! The mailbox machine: what to ask of the server next. No I/O, no clock.
//!
//! The shell does what [`Planner::step`] says and tells it what came of it; each [`Do`] names the [`Observed`] that
//! answers it. A connection that is lost ends the planner; the next one starts from what was saved. So does a
//! connection on which UIDVALIDITY changed: the shell closes it.
//!
//! The rules (field notes, e-mail, 2 to 7):
//! - A UID is settled once its mail is committed, and only then does the cursor pass it. `\Seen`, dates and sequence
//!   numbers decide nothing.
//! - UIDs that a pass skipped are looked for again for a day, over restarts: some servers show a mail later than its
//!   successors.
//! - When UIDVALIDITY changes, everything since the first connection is read again and known by its content. What is not known
//!   is new, and acknowledged, when it came since the folder was saved last.
//! - An attempt is counted before a mail is parsed. A mail at which the process died three times, alone with it, is
//!   quarantined; its neighbours are then taken one by one, so that no other mail shares its fate.
//! - A mail that does not come is tried last and alone, and taken in by its headers, or without anything, in the end.

mod batch;
mod gaps;
mod unfetched;
mod words;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use batch::{ATTEMPTS, Ahead, Listed, Taken};
pub use words::{Do, First, Observed, Place, Save, Settings, Unfetched};

use batch::Batches;
use gaps::Gaps;
use unfetched::{Ask, Failed};

/// IDLE is given anew at least this often, by our own clock (RFC 2177 §3).
pub const IDLE: Duration = Duration::from_secs(29 * 60);
/// The folder is selected anew at least this often, whatever IDLE says.
pub const SAFETY_POLL: Duration = Duration::from_secs(5 * 60);
/// The first IDLE after a pass is this short: a mail that came between the search and the IDLE is found by the next
/// search, also where the server does not tell an idling client.
pub const FIRST_IDLE: Duration = Duration::from_millis(500);
/// Most UIDs of which sizes are asked at once.
const SIZES: usize = 500;
/// How far before the first connection a mail may be dated and still be new: clocks differ.
const CLOCKS_MS: i64 = 3600 * 1000;

/// INTERNALDATE has whole seconds, and clocks that are set by the network differ by less than this.
const MINUTE_MS: i64 = 60 * 1000;

/// What follows once the place is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Search,
    Batch,
    Rest,
}

/// What the server is being asked of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Nothing,
    Sizes,
    Bytes,
}

/// The machine of one folder on one connection.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    place: Option<Place>,
    validity: u32,
    cursor: u32,
    imported: bool,
    /// UIDs below this were there at the first connection: they are not acknowledged. 0: nobody knows yet.
    import_below: u32,
    /// Mails that the server received before this are passed over.
    floor_ms: Option<i64>,
    /// A rescan after another UIDVALIDITY: what the server received before this was there before. Nothing is saved before it
    /// is over, so that a crash begins it anew with the same floor.
    rescan: Option<i64>,
    found: VecDeque<u32>,
    batches: Batches,
    gaps: Gaps,
    failed: Failed,
    asking: Asking,
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
            rescan: None,
            found: VecDeque::new(),
            batches,
            gaps: Gaps::default(),
            failed: Failed::default(),
            asking: Asking::Nothing,
            after_save: Next::Search,
            rested: false,
            next_poll: None,
        }
    }

    /// Takes what came of the last [`Do`] and says the next.
    pub fn step(&mut self, observed: Observed, now: Instant) -> Do {
        let next = self.decide(observed, now);
        self.asking = match &next {
            Do::Sizes(_) => Asking::Sizes,
            Do::Fetch { .. } => Asking::Bytes,
            _ => Asking::Nothing,
        };
        next
    }

    fn decide(&mut self, observed: Observed, now: Instant) -> Do {
        match observed {
            Observed::Connected => Do::Select,
            Observed::Selected { validity, next } => self.selected(validity, next, now),
            Observed::Found(uids) => self.found(uids, now),
            Observed::Sized(listed) => {
                let passed = self.batches.sized(listed, self.floor_ms);
                for gone in &passed.gone {
                    self.gaps.skipped(*gone, now);
                }
                for uid in passed.gone.iter().chain(&passed.old) {
                    self.failed.settle(*uid);
                }
                self.next_batch(now)
            }
            Observed::Fetched(arrived) => self.fetched(&arrived, now),
            Observed::Refused => match self.batches.refused() {
                Some(alone) => {
                    self.failed.noting(alone);
                    Do::Note(alone)
                }
                None => self.next_batch(now),
            },
            Observed::Noted(failures) => {
                self.failed.counted(failures, now);
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
                    self.failed.settle(*uid);
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

    /// The connection was lost while the server was asked for mails, of which these came: the mail to which that is laid.
    /// It is noted before the next connection, as [`Do::Note`] says.
    #[must_use]
    pub fn to_blame(&self, arrived: &[u32]) -> Option<Listed> {
        match self.asking {
            Asking::Nothing => None,
            Asking::Sizes => self.batches.not_sized(arrived),
            Asking::Bytes => self.batches.not_fetched(arrived),
        }
    }

    /// The FETCH that will be asked for once the mails that are being accepted are settled, so that it can be made while they
    /// are committed. What comes of it is told when [`Do::Fetch`] asks for just that; when something else is asked for, it is
    /// as if it had not been made. `None` when nobody knows.
    #[must_use]
    pub fn ahead(&self) -> Option<Ahead> {
        self.batches.ahead()
    }

    /// Bytes of the whole mails that are being fetched, as the server says.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.batches.bytes()
    }

    /// How many mails are known to wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.found.len() + self.batches.waiting() + self.failed.len()
    }

    /// How many mails could not be fetched so far.
    #[must_use]
    pub fn unfetched(&self) -> usize {
        self.failed.len()
    }

    /// When the server had the oldest of the waiting mails of which it has said so, milliseconds UTC.
    #[must_use]
    pub fn oldest_ms(&self) -> Option<i64> {
        let waiting = self.batches.waiting_since().chain(self.failed.waiting_since());
        waiting.filter(|at| *at > 0).min()
    }

    fn selected(&mut self, validity: u32, next: u32, now: Instant) -> Do {
        self.next_poll = Some(now + self.settings.safety.min(SAFETY_POLL));
        if self.validity == validity && self.validity != 0 {
            return self.search(now);
        }
        self.validity = validity;
        self.found.clear();
        self.batches.clear();
        (self.floor_ms, self.rescan, self.import_below) = (None, None, next);
        let unfetched = self.place.as_ref().map(|place| place.unfetched.as_slice()).unwrap_or_default();
        self.failed = Failed::saved(unfetched, validity, self.settings.again, now);
        let Some(place) = &self.place else {
            self.floor_ms = self.settings.first.floor();
            let new = self.settings.first == First::New;
            // Without UIDNEXT the first search tells where to begin.
            self.imported = new && next > 0;
            self.cursor = if new { next.saturating_sub(1) } else { 0 };
            return if next > 0 { self.save(Next::Search, now) } else { self.search(now) };
        };
        self.gaps = Gaps::saved(&place.gaps, now);
        if place.validity == validity {
            // What came since the first connection is new, however long its import takes.
            (self.cursor, self.imported, self.import_below) = (place.cursor, place.imported, place.import_below);
            if !self.imported {
                self.floor_ms = self.settings.first.floor();
            }
            return self.search(now);
        }
        // RFC 9051 §2.3.1.1: the UIDs mean other mails now.
        self.gaps.forget();
        (self.cursor, self.imported, self.import_below) = (0, false, 0);
        let known_until = if place.imported {
            place.saved_at.saturating_sub(CLOCKS_MS)
        } else {
            place.began_at
        };
        self.rescan = Some(known_until.max(place.began_at.saturating_sub(MINUTE_MS)));
        // Everything is looked at again and known by its content; but what was not new at the first connection is not
        // new now.
        self.floor_ms = match self.settings.first {
            First::New => Some(place.began_at.saturating_sub(CLOCKS_MS)),
            first => first.floor(),
        };
        self.search(now)
    }

    fn search(&mut self, now: Instant) -> Do {
        let mut also = self.gaps.due(now);
        also.extend(self.failed.uids().filter(|uid| *uid <= self.cursor));
        Do::Search {
            from: self.cursor.saturating_add(1),
            also,
        }
    }

    fn found(&mut self, mut uids: Vec<u32>, now: Instant) -> Do {
        uids.sort_unstable();
        uids.dedup();
        let begins = !self.imported && self.import_below == 0 && self.rescan.is_none();
        if begins {
            // The server said no UIDNEXT. What is there now was there before us.
            self.import_below = uids.last().map_or(1, |last| last.saturating_add(1));
            if self.settings.first == First::New && self.place.is_none() {
                (self.cursor, self.imported) = (uids.last().copied().unwrap_or(0), true);
                return self.save(Next::Rest, now);
            }
        }
        for gone in self.failed.found(&uids) {
            self.gaps.skipped(gone, now);
        }
        // `n:*` names the last mail also when its UID is below n (RFC 9051 §9, seq-range).
        uids.retain(|uid| *uid > self.cursor || self.gaps.holds(*uid));
        self.gaps.between(self.cursor, &uids, now);
        // These come last.
        uids.retain(|uid| !self.failed.holds(*uid));
        self.found = uids.into();
        if begins {
            self.save(Next::Batch, now)
        } else {
            self.next_batch(now)
        }
    }

    /// The next FETCH of what was found, or rest.
    fn next_batch(&mut self, now: Instant) -> Do {
        if !self.found.is_empty() && self.batches.runs_low() {
            let asked: Vec<u32> = self.found.drain(..self.found.len().min(SIZES)).collect();
            self.batches.asked(asked.clone());
            return Do::Sizes(asked);
        }
        if let Some((whole, headers)) = self.batches.fetch() {
            self.rested = false;
            return Do::Fetch { whole, headers };
        }
        if let Some((listed, ask)) = self.failed.next(now) {
            self.rested = false;
            return match ask {
                Ask::Size => {
                    self.batches.asked(vec![listed.uid]);
                    Do::Sizes(vec![listed.uid])
                }
                Ask::Whole | Ask::Headers => {
                    let (whole, headers) = self.batches.alone(listed, ask == Ask::Headers);
                    Do::Fetch { whole, headers }
                }
                Ask::Nothing => {
                    self.batches.nothing_of(listed);
                    self.accept(now)
                }
            };
        }
        let passed = self.batches.take_passed();
        let moved = passed > self.cursor;
        self.cursor = self.cursor.max(passed);
        if !self.imported || moved || self.gaps.unsaved() || self.failed.unsaved() {
            // The pass is over, and with it the import.
            (self.imported, self.rescan) = (true, None);
            return self.save(Next::Rest, now);
        }
        self.rest(now)
    }

    fn fetched(&mut self, arrived: &[u32], now: Instant) -> Do {
        for gone in self.batches.fetched(arrived) {
            self.gaps.skipped(gone, now);
            self.failed.settle(gone);
        }
        let uids = self.batches.arrived();
        if uids.is_empty() { self.next_batch(now) } else { Do::Attempt(uids) }
    }

    fn accept(&mut self, now: Instant) -> Do {
        let (known_until, import_below) = (self.rescan, self.import_below);
        let was_there = |one: &Taken| match known_until {
            // Without a date nobody can tell, and what is known gets no acknowledgement in any case.
            Some(until) => one.internal_ms > 0 && one.internal_ms < until,
            None => one.uid < import_below,
        };
        match self.batches.accept(was_there) {
            Some(taken) => Do::Accept(taken),
            None => self.next_batch(now),
        }
    }

    /// What was accepted is behind us.
    fn settled(&mut self, now: Instant) -> Do {
        self.cursor = self.cursor.max(self.batches.settled());
        if self.rescan.is_some() {
            self.accept(now)
        } else {
            self.save(Next::Batch, now)
        }
    }

    fn save(&mut self, next: Next, now: Instant) -> Do {
        self.after_save = next;
        Do::Save(Save {
            validity: self.validity,
            cursor: self.cursor,
            imported: self.imported,
            import_below: self.import_below,
            gaps: self.gaps.take_unsaved(now),
            fetched: self.failed.take_unsaved(),
        })
    }

    fn rest(&mut self, now: Instant) -> Do {
        let poll = self.next_poll.unwrap_or(now);
        let again = self.failed.due().map_or(poll, |due| due.min(poll)).max(now);
        if !self.settings.idle {
            return Do::Wait(again.min(now + self.settings.poll));
        }
        let first = !std::mem::replace(&mut self.rested, true);
        Do::Idle(if first { now + FIRST_IDLE } else { again.min(now + IDLE) })
    }
}

#[cfg(test)]
mod tests;
