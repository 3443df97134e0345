//! How a recording is kept: its file, its key, and who signs what is said of it.

use std::path::PathBuf;
use std::sync::Arc;

use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::error::Error;
use voxea_recorder::manifest::{self, Facts, Sign};
use voxea_recorder::repair::{self, Closed};
use voxea_recorder::writer::{Sealed, Writer};

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

    /// Ends it at `samples`, and says so in its manifest.
    ///
    /// # Errors
    /// As [`Writer::finish`]; the manifest's.
    pub(super) fn seal(&self, writer: Writer, samples: u64, facts: &Facts) -> Result<Sealed, Error> {
        let sealed = writer.finish(samples)?;
        if let Some(signer) = &self.signer {
            manifest::attest(&self.folder, &self.recording, &sealed, facts, &**signer)?;
        }
        Ok(sealed)
    }

    /// Closes what a writer left that is gone, at `now` (milliseconds UTC).
    ///
    /// # Errors
    /// As [`repair::close`].
    pub fn close(&self, why: &str, now: i64) -> Result<Closed, Error> {
        repair::close(&self.folder, &self.recording, self.key.as_ref(), self.signer.as_deref(), why, now)
    }
}
