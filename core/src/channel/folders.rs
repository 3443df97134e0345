//! What is known of the folders of a mailbox while they are followed, and whether one of them has fallen silent.
//!
//! The mailbox's task writes, the API, the metrics and the readiness read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::time::{self, Millis, rfc3339};

/// What is known of one folder.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderStatus {
    /// Its name.
    pub name: String,
    /// When its task began in this process.
    pub since: Millis,
    /// The last time that a look for new mail came to its end, or mails were taken in.
    pub last_success: Option<Millis>,
    /// Mails that are known to wait.
    pub waiting: u64,
    /// When the server had the oldest of those of which that is known.
    pub oldest_waiting: Option<Millis>,
    /// Mails that could not be fetched so far; they are tried again.
    pub unfetched: u64,
    /// What went wrong last with this folder. Says nothing about citizens.
    pub last_error: Option<String>,
    /// A pass over many mails.
    pub progress: Option<Progress>,
}

/// How far a pass over many mails has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Mails that are done.
    pub done: u64,
    /// Mails that were found.
    pub total: u64,
    /// Mails a second since it began.
    pub per_second: f64,
}

#[derive(Debug)]
struct Inner {
    status: FolderStatus,
    /// After so long without success there is an alarm, milliseconds.
    patience: Millis,
    /// When the pass began, and how many mails it found.
    pass: Option<(Millis, u64)>,
}

/// What is measured of one folder; clones share it, over all lives of its task.
#[derive(Debug, Clone)]
pub struct FolderMeter(Arc<Mutex<Inner>>);

/// A pass over fewer mails shows no progress.
const MANY: u64 = 200;

impl FolderMeter {
    /// Of a folder that nobody has looked into yet. There is an alarm after `patience` without success, milliseconds.
    pub(super) fn new(name: &str, patience: Millis) -> Self {
        let status = FolderStatus {
            name: name.to_owned(),
            since: time::now(),
            last_success: None,
            waiting: 0,
            oldest_waiting: None,
            unfetched: 0,
            last_error: None,
            progress: None,
        };
        Self(Arc::new(Mutex::new(Inner {
            status,
            patience,
            pass: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is now.
    #[must_use]
    pub fn status(&self) -> FolderStatus {
        self.lock().status.clone()
    }

    /// A look came to its end, or mails were taken in.
    pub fn success(&self) {
        self.lock().status.last_success = Some(time::now());
    }

    /// What waits: how many mails, since when the oldest, and how many of them could not be fetched so far. Returns how far a
    /// pass over many has come.
    pub fn waits(&self, waiting: u64, oldest: Option<Millis>, unfetched: u64) -> Option<Progress> {
        let mut inner = self.lock();
        let status = &mut inner.status;
        (status.waiting, status.oldest_waiting, status.unfetched) = (waiting, oldest, unfetched);
        let left = waiting.saturating_sub(unfetched);
        let now = time::now();
        inner.pass = match inner.pass {
            _ if left == 0 => None,
            // More came while it runs.
            Some((began, total)) => Some((began, total.max(left))),
            None if left >= MANY => Some((now, left)),
            None => None,
        };
        inner.status.progress = inner.pass.map(|(began, total)| progress(total - left, total, now - began));
        inner.status.progress
    }

    /// Something went wrong, or no longer.
    pub fn trouble(&self, words: Option<&str>) {
        self.lock().status.last_error = words.map(str::to_owned);
    }

    /// What somebody should look at, if the folder is silent.
    #[must_use]
    pub fn alarm(&self, now: Millis) -> Option<String> {
        let inner = self.lock();
        let since = inner.status.last_success.unwrap_or(inner.status.since);
        if now.saturating_sub(since) < inner.patience {
            return None;
        }
        let name = &inner.status.name;
        Some(match inner.status.last_success {
            Some(at) => format!("no look for mail in {name} has succeeded since {}", rfc3339(at)),
            None => format!("no look for mail in {name} has succeeded yet"),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "mails of a folder, and milliseconds, are few enough")]
fn progress(done: u64, total: u64, took: Millis) -> Progress {
    Progress {
        done,
        total,
        per_second: done as f64 * 1000.0 / took.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_an_alarm_and_success_ends_it() {
        let meter = FolderMeter::new("INBOX", 900_000);
        let began = meter.status().since;
        assert_eq!(meter.alarm(began + 899_999), None);
        assert!(meter.alarm(began + 900_000).is_some_and(|words| words.contains("yet")));
        meter.success();
        let at = meter.status().last_success.unwrap();
        assert_eq!(meter.alarm(at + 899_999), None);
        assert!(meter.alarm(at + 900_000).is_some_and(|words| words.contains(&rfc3339(at))));
    }

    #[test]
    fn a_pass_over_many_shows_how_far_it_is() {
        let meter = FolderMeter::new("INBOX", 900_000);
        assert_eq!(meter.waits(199, None, 0), None);
        assert_eq!(meter.waits(1_000, Some(5), 0).map(|one| (one.done, one.total)), Some((0, 1_000)));
        assert_eq!(meter.waits(601, Some(6), 1).map(|one| (one.done, one.total)), Some((400, 1_000)));
        let status = meter.status();
        assert_eq!((status.waiting, status.oldest_waiting, status.unfetched), (601, Some(6), 1));
        // More came meanwhile.
        assert_eq!(meter.waits(1_500, None, 0).map(|one| (one.done, one.total)), Some((0, 1_500)));
        // What cannot be fetched now is no reason to be busy.
        assert_eq!(meter.waits(1, None, 1), None);
        assert!(progress(500, 1_000, 2_000).per_second > 249.0);
    }
}
