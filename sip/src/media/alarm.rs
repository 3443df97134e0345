//! Whether the disk takes recordings: what is wrong when it does not, until it does again.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use voxea_recorder::error::Error;

/// Octets of the file by which room is looked for: some chunks, and a manifest.
const PROBE: usize = 65_536;

/// The name of that file; what an end in between leaves is written over by the next one.
const NAME: &str = "room.probe";

/// Shared by the threads that write and seal, and read by who shows it.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    /// Recordings that are waiting for the disk: under way or ended, and ended without their manifest.
    writing: usize,
    late: usize,
}

#[derive(Debug)]
struct Trouble {
    folder: PathBuf,
    words: String,
}

impl Alarm {
    /// The disk did not take something of a recording. Said in the log when it begins.
    pub(super) fn raise(&self, error: &Error) {
        let Error::File { path, source, .. } = error else { return };
        if !may_pass(error) {
            return;
        }
        let mut state = self.lock();
        if state.trouble.is_none() {
            let words = format!("recordings cannot be written: {source}");
            let folder = path.parent().unwrap_or(path).to_path_buf();
            tracing::error!(
                folder = %folder.display(),
                "{words}; make room there, or let the daemon's user write there: calls go on meanwhile, and what they say waits in memory for a while"
            );
            state.trouble = Some(Trouble { folder, words });
        }
    }

    /// So many recordings under way, or ended, cannot be written now.
    pub(super) fn writing(&self, count: usize) {
        self.lock().writing = count;
    }

    /// So many have ended and wait for their manifest.
    pub(super) fn late(&self, count: usize) {
        self.lock().late = count;
    }

    /// Recordings that wait for the disk.
    pub(super) fn failing(&self) -> usize {
        let state = self.lock();
        state.writing + state.late
    }

    /// What is wrong, if anything is. Names no file.
    pub(super) fn words(&self) -> Option<String> {
        self.lock().trouble.as_ref().map(|trouble| trouble.words.clone())
    }

    /// Withdraws it when nothing waits any more and there is room; to be called now and then, by a thread that may wait.
    pub(super) fn look(&self) {
        let state = self.lock();
        let folder = state.trouble.as_ref().map(|trouble| trouble.folder.clone());
        let idle = state.writing + state.late == 0;
        drop(state);
        if let Some(folder) = folder.filter(|_| idle)
            && probe(&folder).is_ok()
        {
            self.lock().trouble = None;
            tracing::info!("there is room for recordings again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what the disk refused may be taken later: a file that is in the way stays there.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error, Error::File { source, .. } if source.kind() != ErrorKind::AlreadyExists)
}

/// Whether a file finds room, down to the disk.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(NAME);
    let written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&[0; PROBE]).and_then(|()| file.sync_all()));
    // Also after a failure: it may have taken the last room there was.
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(path: PathBuf) -> Error {
        Error::File {
            path,
            doing: "write",
            source: ErrorKind::StorageFull.into(),
        }
    }

    #[test]
    fn it_stays_until_nothing_waits_and_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("recordings");
        let alarm = Alarm::default();
        alarm.look();
        assert_eq!((alarm.words(), alarm.failing()), (None, 0));
        alarm.raise(&full(below.join("r.vrec")));
        alarm.writing(2);
        alarm.late(1);
        let words = alarm.words().unwrap();
        assert!(
            words.starts_with("recordings cannot be written: ") && !words.contains("r.vrec"),
            "{words}"
        );
        assert_eq!(alarm.failing(), 3);
        alarm.writing(0);
        alarm.late(0);
        alarm.look();
        assert!(alarm.words().is_some(), "its folder is not there");
        std::fs::create_dir(&below).unwrap();
        alarm.writing(1);
        alarm.look();
        assert!(alarm.words().is_some(), "one still waits");
        alarm.writing(0);
        alarm.look();
        assert_eq!(alarm.words(), None);
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0, "what was tried with is gone");
    }

    #[test]
    fn what_is_no_matter_of_the_disk_raises_none() {
        let alarm = Alarm::default();
        alarm.raise(&Error::NoRandom);
        assert_eq!(alarm.words(), None);
        let path = PathBuf::from("/nowhere/r.vrec");
        assert!(may_pass(&full(path.clone())) && !may_pass(&Error::NoRandom));
        let source = ErrorKind::AlreadyExists.into();
        assert!(!may_pass(&Error::File {
            path,
            doing: "create",
            source
        }));
    }
}
