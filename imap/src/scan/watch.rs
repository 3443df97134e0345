//! When a file of a watched folder is complete. A machine: looks at the folder go in, with the time, and files that may be taken
//! come out.
//!
//! A share gives no word of a file that was closed: inotify sees nothing of what another machine writes over NFS or SMB, and a
//! copier keeps a file open, or writes it in pieces, for as long as its feeder takes. So a file is complete when nothing about it
//! has changed between two looks that lie [`Settings::settle`] apart. One that does not end as its kind does ([`Peeked`]) is
//! given [`Settings::patience`]: its writer may be at the next page. Times of files are compared with one another only, since the
//! clock of a share is not ours.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Unchanged for so long, a file that is whole is complete.
    pub settle: Duration,
    /// Unchanged for so long, one that is not whole, or empty, is taken all the same.
    pub patience: Duration,
}

/// All that tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds of the file system's clock.
    pub modified: i128,
    /// Last change of anything, likewise.
    pub changed: i128,
    /// Which file it is.
    pub inode: u64,
}

/// What the end of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// It ends as its kind does.
    Whole,
    /// It does not, or is of no kind that is known.
    Unsure,
}

/// A file that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready<N> {
    /// Its name.
    pub name: N,
    /// How it was when it was complete.
    pub stamp: Stamp,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    since: Duration,
    peeked: Option<Peeked>,
}

/// The folder as it was seen. `N` is a file's name; times are since any fixed moment.
#[derive(Debug, Clone)]
pub struct Watch<N> {
    settings: Settings,
    files: BTreeMap<N, Seen>,
}

impl<N: Ord + Clone> Watch<N> {
    /// Of a folder that was not looked at yet.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            files: BTreeMap::new(),
        }
    }

    /// Takes in what the folder holds now. Names of files that are being written must be left out ([`temporary`]).
    pub fn look(&mut self, listing: Vec<(N, Stamp)>, now: Duration) {
        let mut files = BTreeMap::new();
        for (name, stamp) in listing {
            let before = self.files.get(&name).copied().filter(|seen| seen.stamp == stamp);
            let seen = before.unwrap_or(Seen {
                stamp,
                since: now,
                peeked: None,
            });
            files.insert(name, seen);
        }
        self.files = files;
    }

    /// The files whose end should be looked at: unchanged for long enough, and not looked into since.
    #[must_use]
    pub fn to_peek(&self, now: Duration) -> Vec<N> {
        let settled = self
            .files
            .iter()
            .filter(|(_, seen)| seen.peeked.is_none() && seen.stamp.size > 0 && now.saturating_sub(seen.since) >= self.settings.settle);
        settled.map(|(name, _)| name.clone()).collect()
    }

    /// Takes in what the end of a file said.
    pub fn peeked(&mut self, name: &N, peeked: Peeked) {
        if let Some(seen) = self.files.get_mut(name) {
            seen.peeked = Some(peeked);
        }
    }

    /// The files that are complete, the longest unchanged first. They are handed out until they are gone or changed.
    #[must_use]
    pub fn ready(&self, now: Duration) -> Vec<Ready<N>> {
        let complete = |seen: &Seen| {
            let waited = now.saturating_sub(seen.since);
            let whole = seen.peeked == Some(Peeked::Whole) && waited >= self.settings.settle;
            whole || waited >= self.settings.patience
        };
        let mut ready: Vec<(Duration, Ready<N>)> = self
            .files
            .iter()
            .filter(|(_, seen)| complete(seen))
            .map(|(name, seen)| {
                let ready = Ready {
                    name: name.clone(),
                    stamp: seen.stamp,
                };
                (seen.since, ready)
            })
            .collect();
        ready.sort_by_key(|(since, _)| *since);
        ready.into_iter().map(|(_, ready)| ready).collect()
    }

    /// How many files wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.files.len()
    }
}

/// Whether a file of this name is being written, or is nobody's document: hidden, an office program's lock, a half-sent upload.
#[must_use]
pub fn temporary(name: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".tmp",
        ".temp",
        ".part",
        ".partial",
        ".filepart",
        ".crdownload",
        ".swp",
        ".lock",
        ".lck",
    ];
    const NAMES: [&str; 2] = ["thumbs.db", "desktop.ini"];
    let lower = name.to_lowercase();
    lower.starts_with(['.', '~'])
        || lower.ends_with('~')
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
        || NAMES.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings {
        settle: Duration::from_secs(3),
        patience: Duration::from_secs(120),
    };

    const fn stamp(size: u64, modified: i128) -> Stamp {
        Stamp {
            size,
            modified,
            changed: modified,
            inode: 1,
        }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn names(watch: &Watch<&'static str>, now: Duration) -> Vec<&'static str> {
        watch.ready(now).into_iter().map(|ready| ready.name).collect()
    }

    #[test]
    fn a_file_is_taken_once_it_is_whole_and_nothing_changes() {
        let mut watch = Watch::new(SETTINGS);
        watch.look(vec![("a.pdf", stamp(10, 1))], at(0));
        assert_eq!((watch.to_peek(at(2)), names(&watch, at(2))), (vec![], vec![]));
        watch.look(vec![("a.pdf", stamp(20, 2))], at(2));
        watch.look(vec![("a.pdf", stamp(20, 2))], at(4));
        assert!(watch.to_peek(at(4)).is_empty(), "it grew two seconds ago");
        watch.look(vec![("a.pdf", stamp(20, 2))], at(6));
        assert_eq!(watch.to_peek(at(6)), ["a.pdf"]);
        watch.peeked(&"a.pdf", Peeked::Whole);
        assert_eq!(names(&watch, at(6)), ["a.pdf"]);
        watch.look(vec![], at(8));
        assert!(names(&watch, at(8)).is_empty(), "somebody took it away");
    }

    #[test]
    fn a_slow_feeder_is_waited_for() {
        let mut watch = Watch::new(SETTINGS);
        watch.look(vec![("a.pdf", stamp(10, 1)), ("empty.pdf", stamp(0, 1))], at(0));
        watch.peeked(&"a.pdf", Peeked::Unsure);
        assert!(names(&watch, at(119)).is_empty());
        // The next page after a minute: the count begins anew, and so does the look into it.
        watch.look(vec![("a.pdf", stamp(30, 60)), ("empty.pdf", stamp(0, 1))], at(60));
        assert_eq!(names(&watch, at(121)), ["empty.pdf"]);
        assert_eq!(watch.to_peek(at(63)), ["a.pdf"]);
        watch.peeked(&"a.pdf", Peeked::Unsure);
        assert_eq!(names(&watch, at(180)), ["empty.pdf", "a.pdf"]);
    }

    #[test]
    fn a_file_that_is_replaced_begins_anew() {
        let mut watch = Watch::new(SETTINGS);
        watch.look(vec![("a.pdf", stamp(10, 1))], at(0));
        watch.peeked(&"a.pdf", Peeked::Whole);
        let other = Stamp { inode: 2, ..stamp(10, 1) };
        watch.look(vec![("a.pdf", other)], at(5));
        assert!(names(&watch, at(7)).is_empty());
    }

    #[test]
    fn what_is_being_written_is_left_alone() {
        for name in [".a.pdf", "~$a.docx", "a.pdf.part", "A.TMP", "a.pdf~", "Thumbs.db", "a.filepart"] {
            assert!(temporary(name), "{name}");
        }
        for name in ["a.pdf", "partial.pdf", "tmp", "scan 001.tif"] {
            assert!(!temporary(name), "{name}");
        }
    }

    proptest! {
        /// However it is written and looked at, a file is never handed out less than `settle` after its last change.
        #[test]
        fn nothing_is_taken_too_early(steps in proptest::collection::vec((0_u64..5, any::<bool>(), any::<bool>()), 1..40)) {
            let mut watch = Watch::new(SETTINGS);
            let (mut now, mut size, mut changed) = (0, 1, 0);
            for (wait, grows, whole) in steps {
                now += wait;
                if grows {
                    size += 1;
                    changed = now;
                }
                watch.look(vec![("a", stamp(size, i128::from(size)))], at(now));
                for name in watch.to_peek(at(now)) {
                    watch.peeked(&name, if whole { Peeked::Whole } else { Peeked::Unsure });
                }
                prop_assert!(watch.ready(at(now)).is_empty() || now - changed >= 3);
            }
        }
    }
}
