//! UIDs below the cursor that were not there when it passed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most that are remembered; the oldest are forgotten first.
const MOST: usize = 200;
/// How long each is looked for.
const AGE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct Gaps {
    since: BTreeMap<u32, Instant>,
    /// They are not as they were saved.
    changed: bool,
}

impl Gaps {
    /// Those that were saved, each with how long ago it was noticed.
    pub(super) fn saved(gaps: &[(u32, Duration)], now: Instant) -> Self {
        let mut since: BTreeMap<u32, Instant> = gaps
            .iter()
            // A machine that was started since cannot tell such an instant; the gap is then new.
            .map(|(uid, ago)| (*uid, now.checked_sub(*ago).unwrap_or(now)))
            .collect();
        while since.len() > MOST {
            since.pop_first();
        }
        Self { since, changed: false }
    }

    /// Forgets all of them: the UIDs mean other mails now.
    pub(super) fn forget(&mut self) {
        self.changed |= !self.since.is_empty();
        self.since.clear();
    }

    pub(super) fn skipped(&mut self, uid: u32, now: Instant) {
        self.changed |= !self.since.contains_key(&uid);
        self.since.entry(uid).or_insert(now);
        while self.since.len() > MOST {
            self.since.pop_first();
        }
    }

    /// Notes what is missing between the cursor and what a search found, in rising order.
    pub(super) fn between(&mut self, cursor: u32, found: &[u32], now: Instant) {
        let mut last = cursor;
        for uid in found.iter().copied().filter(|uid| *uid > cursor) {
            // Of a wide gap (a folder that was emptied) only the newest few are plausible latecomers.
            for missing in uid.saturating_sub(20).max(last.saturating_add(1))..uid {
                self.skipped(missing, now);
            }
            last = uid;
        }
    }

    pub(super) fn holds(&self, uid: u32) -> bool {
        self.since.contains_key(&uid)
    }

    pub(super) fn settled(&mut self, uid: u32) {
        self.changed |= self.since.remove(&uid).is_some();
    }

    /// Those to look for, without those that are too old.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u32> {
        let before = self.since.len();
        self.since.retain(|_, since| now.saturating_duration_since(*since) < AGE);
        self.changed |= self.since.len() != before;
        self.since.keys().copied().collect()
    }

    /// Whether they must be saved.
    pub(super) const fn unsaved(&self) -> bool {
        self.changed
    }

    /// What is to be saved, each with how long ago it was noticed; nothing when that is saved already.
    pub(super) fn take_unsaved(&mut self, now: Instant) -> Option<Vec<(u32, Duration)>> {
        let age = |(uid, since): (&u32, &Instant)| (*uid, now.saturating_duration_since(*since));
        std::mem::take(&mut self.changed).then(|| self.since.iter().map(age).collect())
    }
}
