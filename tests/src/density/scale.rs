//! What all parts of the measurement share.

use std::time::Duration;

/// The daemon's core.
pub(super) const OURS: usize = 0;
/// The callers' core.
pub(super) const THEIRS: usize = 1;
/// Sound before the measurement begins: greetings are over, all recordings have their file.
pub(super) const BEFORE: Duration = Duration::from_secs(5);

/// Of so much CPU, ms a call and second.
pub(super) fn each(spent: Duration, span: Duration, calls: usize) -> f64 {
    spent.as_secs_f64() * 1_000.0 / (span.as_secs_f64() * calls as f64)
}
