//! Calls go to the store in company.
//!
//! Those that come within a few milliseconds go together: the store makes one transaction of what waits at the same moment,
//! and one of five calls costs little more than one of one. The first after a pause does not wait. A caller notices nothing:
//! it repeats its INVITE after half a second.

use std::time::{Duration, Instant};

/// From one transaction to the next.
const PACE: Duration = Duration::from_millis(5);

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
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn add(&mut self, one: T) {
        self.waiting.push(one);
    }

    /// When those that wait go.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.next.unwrap_or(now))
    }

    /// Those that are due, all of them or none.
    pub(super) fn take(&mut self, now: Instant) -> Vec<T> {
        if self.due(now).is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.next = Some(now + PACE);
        std::mem::take(&mut self.waiting)
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
