//! How fast an account may send: what its contract allows a second, and pauses when the SMSC has enough.
//!
//! One for all binds of an account: the SMSC counts them together.

use std::time::{Duration, Instant};

/// The first pause after the SMSC said that it has enough, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A token bucket that holds a second's worth, and a pause that doubles.
#[derive(Debug)]
pub struct Pace {
    per_second: Option<f64>,
    tokens: f64,
    filled: Option<Instant>,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl Pace {
    /// `per_second` messages on average, and as many at once; `None`: as fast as the window lets.
    #[must_use]
    pub fn new(per_second: Option<u32>) -> Self {
        Self {
            per_second: per_second.map(f64::from),
            tokens: per_second.map_or(0.0, f64::from),
            filled: None,
            pause: PAUSE.0,
            paused_until: None,
        }
    }

    /// When sending may go on after a pause; `None` when there is none.
    #[must_use]
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// When the next message may go; `None` at once.
    pub fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.paused_until(now) {
            return Some(until);
        }
        let per_second = self.per_second?;
        self.fill(now);
        let lacking = 1.0 - self.tokens;
        (lacking > 0.0).then(|| now + Duration::from_secs_f64(lacking / per_second).max(Duration::from_millis(1)))
    }

    /// How many may go now, at most `wanted`.
    pub fn allowed(&mut self, wanted: usize, now: Instant) -> usize {
        if self.paused_until(now).is_some() {
            return 0;
        }
        if self.per_second.is_none() {
            return wanted;
        }
        self.fill(now);
        let mut allowed = 0;
        while allowed < wanted && f64::from(u32::try_from(allowed).unwrap_or(u32::MAX)) + 1.0 <= self.tokens {
            allowed += 1;
        }
        allowed
    }

    /// One goes.
    pub fn take(&mut self, now: Instant) {
        if self.per_second.is_some() {
            self.fill(now);
            self.tokens -= 1.0;
        }
    }

    /// The SMSC has enough: nothing goes until then. Longer each time; what was in flight together pauses once.
    pub fn throttled(&mut self, now: Instant) -> Instant {
        let until = self.paused_until(now).unwrap_or_else(|| {
            let until = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSE.1);
            until
        });
        self.paused_until = Some(until);
        until
    }

    /// The SMSC took one.
    pub fn eased(&mut self) {
        self.pause = PAUSE.0;
    }

    fn fill(&mut self, now: Instant) {
        let Some(per_second) = self.per_second else { return };
        let since = self.filled.map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        self.tokens = (self.tokens + since.as_secs_f64() * per_second).min(per_second);
        self.filled = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_so_many_and_no_more() {
        let begin = Instant::now();
        let mut pace = Pace::new(Some(10));
        let mut sent = 0;
        for millis in 0..3000 {
            let now = begin + Duration::from_millis(millis);
            while pace.allowed(1, now) == 1 {
                pace.take(now);
                sent += 1;
            }
            assert!(pace.ready_at(now).is_some());
        }
        assert!((39..=40).contains(&sent), "ten at once, and ten a second: {sent}");
        assert_eq!(Pace::new(None).allowed(64, begin), 64);
        assert_eq!(Pace::new(None).ready_at(begin), None);
    }

    #[test]
    fn pauses_double_and_end_with_success() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(None);
        assert_eq!(pace.throttled(now), now + second);
        assert_eq!(pace.throttled(now), now + second, "one pause for what was in flight together");
        assert_eq!((pace.allowed(9, now), pace.ready_at(now)), (0, Some(now + second)));
        let mut later = now + second;
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pace.throttled(later), later + seconds * second);
            later += seconds * second;
        }
        pace.eased();
        assert_eq!(pace.throttled(later), later + second);
    }
}
