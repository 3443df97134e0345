//! Mails at which fetching failed: the server refused it, hung up in the middle, or declared more than we take.
//!
//! They are tried last and alone, so that they hold up no other mail, with growing pauses: the whole mail once among others
//! and three times alone, then its headers three times. A mail of which not even those come is taken in as a request that
//! names its UID. Who counts the failures is the store, so that a server at which our connection dies is not asked for ever.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::batch::Listed;
use super::words::Unfetched;

/// Failures after which only the headers are asked for: one among others and three alone.
const WHOLE: u32 = 4;
/// Failures after which nothing is asked for.
const HEADERS: u32 = WHOLE + 3;

/// What to ask for of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Its size and date first, which did not come.
    Size,
    Whole,
    Headers,
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    listed: Listed,
    failures: u32,
    due: Instant,
    /// The last search has seen it.
    there: bool,
}

#[derive(Debug, Default)]
pub(super) struct Failed {
    mails: BTreeMap<u32, Failing>,
    again: Duration,
    /// Settled since the last save.
    settled: Vec<u32>,
    /// Its failure is being counted.
    noting: Option<Listed>,
}

impl Failed {
    /// Those that were saved under this UIDVALIDITY.
    pub(super) fn saved(unfetched: &[Unfetched], validity: u32, again: Duration, now: Instant) -> Self {
        let mut failed = Self { again, ..Self::default() };
        for one in unfetched.iter().filter(|one| one.validity == validity) {
            let since = now.checked_sub(one.ago).unwrap_or(now);
            failed.insert(one.listed, one.failures, since);
        }
        failed
    }

    /// Fetching this one has failed, and is being counted.
    pub(super) const fn noting(&mut self, listed: Listed) {
        self.noting = Some(listed);
    }

    /// How often it has.
    pub(super) fn counted(&mut self, failures: u32, now: Instant) {
        if let Some(listed) = self.noting.take() {
            self.insert(listed, failures, now);
        }
    }

    fn insert(&mut self, listed: Listed, failures: u32, now: Instant) {
        let failing = Failing {
            listed,
            failures,
            due: now + self.pause(failures),
            there: true,
        };
        self.mails.insert(listed.uid, failing);
    }

    /// After the first failure of a kind, and before what asks for nothing, there is nothing to wait for.
    fn pause(&self, failures: u32) -> Duration {
        let again = match failures {
            WHOLE.. => failures.saturating_sub(WHOLE),
            _ => failures.saturating_sub(1),
        };
        match again {
            0 => Duration::ZERO,
            _ if failures >= HEADERS => Duration::ZERO,
            again => self.again.saturating_mul(again),
        }
    }

    pub(super) fn holds(&self, uid: u32) -> bool {
        self.mails.contains_key(&uid)
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = u32> + '_ {
        self.mails.keys().copied()
    }

    /// Their INTERNALDATEs.
    pub(super) fn waiting_since(&self) -> impl Iterator<Item = i64> + '_ {
        self.mails.values().map(|one| one.listed.internal_ms)
    }

    pub(super) fn len(&self) -> usize {
        self.mails.len()
    }

    /// What a search found, rising; those that are gone are returned, and settled.
    pub(super) fn found(&mut self, uids: &[u32]) -> Vec<u32> {
        for (uid, failing) in &mut self.mails {
            failing.there = uids.binary_search(uid).is_ok();
        }
        let gone: Vec<u32> = self.mails.iter().filter(|(_, one)| !one.there).map(|(uid, _)| *uid).collect();
        for uid in &gone {
            self.settle(*uid);
        }
        gone
    }

    /// The next one to be tried, and what to ask for.
    pub(super) fn next(&self, now: Instant) -> Option<(Listed, Ask)> {
        let failing = self.mails.values().find(|one| one.there && one.due <= now)?;
        let ask = match failing.failures {
            HEADERS.. => Ask::Nothing,
            WHOLE.. => Ask::Headers,
            _ if failing.listed.size == 0 => Ask::Size,
            _ => Ask::Whole,
        };
        Some((failing.listed, ask))
    }

    /// When the next one is to be tried.
    pub(super) fn due(&self) -> Option<Instant> {
        self.mails.values().filter(|one| one.there).map(|one| one.due).min()
    }

    pub(super) fn settle(&mut self, uid: u32) {
        if self.mails.remove(&uid).is_some() {
            self.settled.push(uid);
        }
    }

    /// Whether there is something to be saved.
    pub(super) fn unsaved(&self) -> bool {
        !self.settled.is_empty()
    }

    pub(super) fn take_unsaved(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.settled)
    }
}
