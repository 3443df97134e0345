//! How a recording is kept: its file, its key, and who signs what is said of it.

use std::path::PathBuf;
use std::sync::Arc;

use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::error::Error;
use voxea_recorder::manifest::{self, Facts, Sign};
use voxea_recorder::repair::{self, Closed};
use voxea_recorder::writer::{Sealed, Writer, path_of};

/// Where and how one recording is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The folder of its files.
    pub folder: PathBuf,
    /// Its id; [`voxea_recorder::writer::path_of`] names its file.
    pub recording: String,
    /// The key of its file; without one the file is plain.
    pub key: Option<Key>,
    /// Who signs its manifest; without one there is none.
    pub signer: Option<Arc<dyn Sign>>,
}

impl Kept {
    /// Begins it; `started` is the instant of sample 0 as it is expected, milliseconds UTC.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub(super) fn writer(&self, codec: Codec, started: i64) -> Result<Writer, Error> {
        let writer = Writer::create(&self.folder, &self.recording, codec, started)?;
        Ok(writer.under(self.key.clone()))
    }

    /// Says in its manifest how it was sealed.
    ///
    /// # Errors
    /// The manifest's.
    pub(super) fn attest(&self, sealed: &Sealed, facts: &Facts) -> Result<(), Error> {
        let Some(signer) = &self.signer else { return Ok(()) };
        manifest::attest(&self.folder, &self.recording, sealed, facts, &**signer)
    }

    /// Samples that are left of one whose writer is gone, once what was written by half is cut off; none when nothing can be
    /// read.
    pub(super) fn left(&self) -> Option<u64> {
        let left = repair::repair(&self.folder, &self.recording, self.key.as_ref(), 0);
        left.ok().map(|left| left.samples)
    }

    /// Closes one that was told of with so many `samples` as not whole, because of `why`, and of which the disk took no manifest
    /// then; it may have taken one later. Whether it is signed now; it is not when there is nothing of it any more.
    ///
    /// # Errors
    /// As [`repair::close`].
    pub fn catch_up(&self, why: &str, now: i64, samples: u64) -> Result<bool, Error> {
        if self.signer.is_none() || !self.is_there() {
            return Ok(false);
        }
        let signer = self.signer.as_deref();
        repair::close(&self.folder, &self.recording, self.key.as_ref(), signer, why, now, samples).map(|closed| closed.samples > 0)
    }

    /// Whether it has a manifest.
    pub(super) fn is_signed(&self) -> bool {
        self.signer.is_none() || manifest::manifest_path(&self.folder, &self.recording).is_ok_and(|path| path.exists())
    }

    /// Whether there is a file of it.
    pub(super) fn is_there(&self) -> bool {
        path_of(&self.folder, &self.recording).is_ok_and(|path| path.exists())
    }

    /// Closes what a writer left that is gone, at `now` (milliseconds UTC).
    ///
    /// # Errors
    /// As [`repair::close`].
    pub fn close(&self, why: &str, now: i64) -> Result<Closed, Error> {
        repair::close(
            &self.folder,
            &self.recording,
            self.key.as_ref(),
            self.signer.as_deref(),
            why,
            now,
            0,
        )
    }
}
