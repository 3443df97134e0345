//! Named places at which a debug build can be made to die, between a commit and its acknowledgement above all.
//!
//! `VOXEA_FAILPOINT=name=N` aborts the process when the place is passed for the N-th time. A release build has none.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// Passes a named place.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("VOXEA_FAILPOINT").ok()?;
        let (name, count) = text.split_once('=')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((wanted, count)) = plan
        && wanted == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        std::process::abort();
    }
}

/// Passes a named place: nothing, in a release build.
#[cfg(not(debug_assertions))]
pub const fn hit(_name: &str) {}
