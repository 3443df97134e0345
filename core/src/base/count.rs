//! Counts of what happened, and levels of what is held, for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::account::{Account, Kind};

type Key = (Kind, String, &'static str);

/// Counters and levels by account and name; clones share them. Names are constants, so the set is bounded.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<Key, u64>,
    levels: BTreeMap<Key, u64>,
}

impl Counters {
    /// Adds `n` occurrences of `event` on `account`.
    pub fn add(&self, account: &Account, event: &'static str, n: u64) {
        *self.lock().counts.entry(key(account, event)).or_default() += n;
    }

    /// Says how many of `what` an account holds now: calls, transactions, deadlines.
    pub fn set_level(&self, account: &Account, what: &'static str, n: u64) {
        self.lock().levels.insert(key(account, what), n);
    }

    /// Every counter that was ever raised.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Kind, String, &'static str, u64)> {
        rows(&self.lock().counts)
    }

    /// Every level as it was said last.
    #[must_use]
    pub fn levels(&self) -> Vec<(Kind, String, &'static str, u64)> {
        rows(&self.lock().levels)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(account: &Account, name: &'static str) -> Key {
    (account.kind, account.name.clone(), name)
}

fn rows(map: &BTreeMap<Key, u64>) -> Vec<(Kind, String, &'static str, u64)> {
    let row = |((kind, account, name), n): (&Key, &u64)| (*kind, account.clone(), *name, *n);
    map.iter().map(row).collect()
}
