//! How long to wait before a channel is tried again.

use std::time::Duration;

/// Waits after a failure of peer or network: the first and the longest.
pub const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Waits after a refusal, which an operator must see to: the first and the longest.
pub const HALT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));
/// Waits after refused credentials: servers lock accounts, and ban addresses, that try too often.
pub const DENIED: (Duration, Duration) = (Duration::from_secs(2 * 60), Duration::from_secs(60 * 60));
/// What worked for this long starts anew.
pub const STABLE: Duration = Duration::from_secs(60);

/// Doubling waits with jitter, so that a hundred town halls do not knock at one SMSC in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first`, doubling up to `last`.
    #[must_use]
    pub const fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, failures: 0 }
    }

    /// The channel worked for a while: the next failure starts anew.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait; `random` lies in 0.0..1.0 and takes up to half of it away.
    pub fn next(&mut self, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(30);
        doubled.min(self.last).mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }
}

/// A number in 0.0..1.0 from the system's source; the middle when there is none.
#[must_use]
pub fn random() -> f64 {
    use ring::rand::SecureRandom;
    let mut bytes = [0_u8; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_start_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_millis(500));
        for _ in 0..100 {
            assert!(backoff.next(0.0) <= Duration::from_secs(60));
            assert!((0.0..1.0).contains(&random()));
        }
    }
}
