//! The two stages of stopping.

use tokio_util::sync::CancellationToken;

/// Soft: no new work, finish or hand back what is in hand, close politely. Hard: end now.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Cancelled first.
    pub soft: CancellationToken,
    /// Cancelled when the time for a soft stop has run out.
    pub hard: CancellationToken,
}

impl Stop {
    /// A pair that nothing has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A pair that its parent cancels too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            soft: self.soft.child_token(),
            hard: self.hard.child_token(),
        }
    }
}
