//! Calls on their way into the store.
//!
//! Those that come within a few milliseconds go together: the store makes one transaction of what waits at the same moment,
//! and one of five calls costs little more than one of one. The first after a pause does not wait. A caller waits for its
//! 200 for a person to answer; it would repeat its INVITE after half a second.

use std::time::{Duration, Instant};

use voxea_core::contact::Outcome;

use super::driver::{Done, Driver, ORPHANED};
use super::records;

/// From one transaction to the next.
const PACE: Duration = Duration::from_millis(5);

/// Commits and notes that may be under way at once; beyond, callers hear 503. Two seconds of a thousand calls each: the
/// store stands still for a part of one when it brings its log into the file, and a caller waits that long without
/// repeating more than an INVITE or two.
const MOST: usize = 2_048;

/// What goes in company, a pace apart.
#[derive(Debug)]
pub(super) struct Paced<T> {
    waiting: Vec<T>,
    /// When the next may go; none went before when there is none.
    next: Option<Instant>,
}

impl<T> Default for Paced<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            next: None,
        }
    }
}

impl<T> Paced<T> {
    pub(super) fn add(&mut self, one: T) {
        self.waiting.push(one);
    }

    /// When those that wait go.
    fn due(&self, now: Instant) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.next.unwrap_or(now))
    }

    fn take(&mut self, now: Instant) -> Vec<T> {
        if self.due(now).is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.next = Some(now + PACE);
        std::mem::take(&mut self.waiting)
    }
}

impl Driver {
    /// Whether there is more to store than may be.
    pub(super) fn is_overloaded(&self) -> bool {
        self.tasks.len() + self.commits.waiting.len() >= MOST
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_at_once_and_the_next_together() {
        let (mut calls, now) = (Paced::default(), Instant::now());
        assert_eq!(calls.due(now), None);
        calls.add(1);
        assert_eq!(calls.take(now), [1]);
        calls.add(2);
        calls.add(3);
        assert_eq!(calls.due(now), Some(now + PACE));
        assert!(calls.take(now + PACE / 2).is_empty());
        assert_eq!(calls.take(now + PACE), [2, 3]);
        assert_eq!(calls.due(now + PACE), None);
    }
}
