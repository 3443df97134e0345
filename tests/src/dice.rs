//! Random numbers that a run can be repeated with.

use std::time::Duration;

/// Xorshift64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A time from `least`, at most `spread` longer.
    pub fn time(&mut self, least: Duration, spread: Duration) -> Duration {
        let spread = u64::try_from(spread.as_millis()).unwrap_or(1).max(1);
        least + Duration::from_millis(self.below(spread))
    }
}
