//! Counts of what happened, for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::account::{Account, Kind};

type Key = (Kind, String, &'static str);

/// Counters by account and event; clones share them. Event names are constants, so the set is bounded.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<Key, u64>>>);

impl Counters {
    /// Adds `n` occurrences of `event` on `account`.
    pub fn add(&self, account: &Account, event: &'static str, n: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((account.kind, account.name.clone(), event)).or_default() += n;
    }

    /// Every counter that was ever raised.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Kind, String, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((kind, name, event), n)| (*kind, name.clone(), *event, *n))
            .collect()
    }
}
