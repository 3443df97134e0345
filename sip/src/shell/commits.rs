//! Calls on their way into the store.

use std::time::Instant;

use voxea_core::contact::Outcome;

use super::driver::{Done, Driver, ORPHANED};
use super::records;

/// Commits and notes that may be under way at once; beyond, callers hear 503. Two seconds of a thousand calls each: the
/// store stands still for a part of one when it brings its log into the file, and a caller waits that long without
/// repeating more than an INVITE or two.
const MOST: usize = 2_048;

impl Driver {
    /// Whether there is more to store than may be.
    pub(super) fn is_overloaded(&self) -> bool {
        self.tasks.len() + self.commits.len() >= MOST
    }

    /// Hands the store what is due; gives the moment when more is.
    pub(super) fn commit(&mut self) -> Option<Instant> {
        let now = Instant::now();
        // Soon after the start, a call that the store knows is one of before a crash; later it is a peer that uses a
        // Call-ID twice.
        let may_be_repeated = self.since.elapsed() < ORPHANED;
        for (call, contact) in self.commits.take(now) {
            let core = self.core.clone();
            self.tasks.spawn(async move {
                let result = records::commit(&core, contact.clone()).await;
                let known = matches!(&result, Ok(accepted) if accepted.outcome == Outcome::Known);
                let result = if known && !may_be_repeated {
                    records::commit(&core, records::apart(contact)).await
                } else {
                    result
                };
                Done::Committed { call, result }
            });
        }
        self.commits.due(now)
    }
}
