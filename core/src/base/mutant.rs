//! Faults kept on purpose, so that a test can show that it would see them.
//!
//! `VOXEA_MUTANT=name[,name]` turns one on in a debug build. A release build has none of them: there
//! [`active`] is `false` at compile time.

#[cfg(debug_assertions)]
use std::sync::OnceLock;

/// Whether the named fault is on.
#[must_use]
#[cfg(debug_assertions)]
pub fn active(name: &str) -> bool {
    static ACTIVE: OnceLock<Vec<String>> = OnceLock::new();
    let active = ACTIVE.get_or_init(|| {
        std::env::var("VOXEA_MUTANT")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default()
    });
    active.iter().any(|candidate| candidate == name)
}

/// Whether the named fault is on: never, in a release build.
#[must_use]
#[cfg(not(debug_assertions))]
pub const fn active(_name: &str) -> bool {
    false
}
