//! What can go wrong, by what a caller can do about it.

use std::path::{Path, PathBuf};

/// The recorder's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A prompt cannot be used; the text says what is wrong and what would be
    /// right, for the person who configured it.
    #[error("{name}: {problem}")]
    Prompt {
        /// The file, as configured.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system refused a file operation.
    #[error("{}: cannot {doing}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The disk once refused to keep what had been written, or gives back something else; the file may have holes that only
    /// a reading after a restart would show.
    #[error("{}: an earlier write did not reach the disk, or was changed there", path.display())]
    Unsafe {
        /// The recording.
        path: PathBuf,
    },
    /// The disk took nothing for so long that what was heard did not fit in memory any more.
    #[error("{}: {ms} ms of it are silence, since the disk took nothing for too long", path.display())]
    Lost {
        /// The recording.
        path: PathBuf,
        /// How much was lost, in ms.
        ms: u64,
    },
    /// What was heard last never reached the disk.
    #[error("{}: its last {ms} ms are missing: {why}", path.display())]
    Cut {
        /// The recording.
        path: PathBuf,
        /// How much is missing, in ms.
        ms: u64,
        /// What the disk said.
        why: String,
    },
    /// The file is there, but is not one of our recordings.
    #[error("{}: not a recording: {problem}", path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: &'static str,
    },
    /// The file is encrypted, and no key was given; or a key was given, and the file is not encrypted.
    #[error("{}: {problem}", path.display())]
    Locked {
        /// The recording.
        path: PathBuf,
        /// Which of the two.
        problem: &'static str,
    },
    /// A chunk of an encrypted file does not open: it was changed, or sealed under another key.
    #[error("{}: chunk {chunk} was changed, or is sealed under another key", path.display())]
    Damaged {
        /// The recording.
        path: PathBuf,
        /// Which, from 0 on.
        chunk: u64,
    },
    /// A manifest that is there already does not fit its recording.
    #[error("{}: {fault}", path.display())]
    Evidence {
        /// The recording.
        path: PathBuf,
        /// What does not fit.
        fault: Box<crate::fault::Fault>,
    },
    /// It holds less than it did when it was closed, so somebody changed it since: it is left as it is.
    #[error(
        "{}: {samples} samples of it can be read, and it had {least} when it was closed: it was changed since, is left as it is, and is not signed",
        path.display()
    )]
    Shorter {
        /// The recording.
        path: PathBuf,
        /// Samples that can be read.
        samples: u64,
        /// Samples that there were.
        least: u64,
    },
    /// A recording cannot be given in this form.
    #[error("{}: {problem}", path.display())]
    Export {
        /// The recording.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The system gives no random octets, without which nothing can be encrypted.
    #[error("the system gives no random bytes, so a recording cannot be encrypted")]
    NoRandom,
    /// A recording's id would not be a plain file name.
    #[error("recording id {0:?} is not made of 1 to 64 letters, digits, '-' or '_'")]
    BadId(String),
    /// More audio waits to be written than may wait: one leg is too far ahead
    /// of the other, or the disk has refused writes for too long.
    #[error("{}: {waiting} samples wait to be written, more than the {limit} that may", path.display())]
    Backlog {
        /// The recording.
        path: PathBuf,
        /// Samples waiting on the fuller leg.
        waiting: usize,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// What it says, without the path: for people who have no business with the machine's folders.
    #[must_use]
    pub fn words(&self) -> String {
        let text = self.to_string();
        let Some(path) = self.path() else { return text };
        text.strip_prefix(&format!("{}: ", path.display()))
            .map_or(text.clone(), str::to_owned)
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. }
            | Self::Unsafe { path }
            | Self::Lost { path, .. }
            | Self::Cut { path, .. }
            | Self::NotARecording { path, .. }
            | Self::Locked { path, .. }
            | Self::Damaged { path, .. }
            | Self::Evidence { path, .. }
            | Self::Shorter { path, .. }
            | Self::Export { path, .. }
            | Self::Backlog { path, .. } => Some(path),
            Self::Prompt { .. } | Self::NoRandom | Self::BadId(_) => None,
        }
    }

    pub(crate) fn unsafe_(path: &Path) -> Self {
        Self::Unsafe { path: path.to_path_buf() }
    }

    pub(crate) fn file(path: &Path, doing: &'static str, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_path_buf(),
            doing,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_no_folder() {
        let path = PathBuf::from("/var/lib/voxea/blobs/r.vrec");
        let full = Error::file(&path, "write", std::io::ErrorKind::StorageFull.into());
        assert_eq!(full.words(), "cannot write: no storage space");
        let cut = Error::Cut {
            path,
            ms: 18_200,
            why: full.words(),
        };
        assert_eq!(cut.words(), "its last 18200 ms are missing: cannot write: no storage space");
        assert_eq!(Error::NoRandom.words(), Error::NoRandom.to_string());
    }
}
