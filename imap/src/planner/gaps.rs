//! UIDs below the cursor that were not there when it passed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most that are remembered; the oldest are forgotten first.
const MOST: usize = 200;
/// How long each is looked for.
const AGE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<u32, Instant>);

impl Gaps {
    pub(super) fn skipped(&mut self, uid: u32, now: Instant) {
        self.0.entry(uid).or_insert(now);
        while self.0.len() > MOST {
            self.0.pop_first();
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
        self.0.contains_key(&uid)
    }

    pub(super) fn settled(&mut self, uid: u32) {
        self.0.remove(&uid);
    }

    /// Those to look for, without those that are too old.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u32> {
        self.0.retain(|_, since| now.saturating_duration_since(*since) < AGE);
        self.0.keys().copied().collect()
    }
}
