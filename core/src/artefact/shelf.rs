//! Where files are found: in the local folder, or, once they were uploaded, in object storage. For reading alone, so that
//! commands may look beside a running daemon.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::bucket::{Bucket, PIECE};
use super::ranged::Ranged;
use crate::base::error::{CoreError, Result};

/// The local folder, and the bucket behind it, if there is one.
#[derive(Debug, Clone)]
pub struct Shelf {
    root: PathBuf,
    bucket: Option<Bucket>,
}

/// A file that was found.
#[derive(Debug)]
pub enum Found {
    /// In the local folder; it can be read to its end even if it is removed there meanwhile.
    Here(File),
    /// In object storage.
    There(Ranged),
}

impl Shelf {
    /// A folder and a bucket, neither of them asked yet.
    #[must_use]
    pub const fn new(root: PathBuf, bucket: Option<Bucket>) -> Self {
        Self { root, bucket }
    }

    /// The local folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bucket, if there is one.
    #[must_use]
    pub const fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// The local place of a relative path that a row of ours holds.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The file of a relative path that a row of ours holds; `None` when it is in neither place.
    ///
    /// # Errors
    /// [`CoreError::File`]; [`CoreError::Away`] when the object storage does not answer.
    pub async fn find(&self, relative: &str) -> Result<Option<Found>> {
        if let Some(file) = self.here(relative)? {
            return Ok(Some(Found::Here(file)));
        }
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let length = bucket.length(relative).await?;
        Ok(length.map(|length| Found::There(Ranged::new(bucket.clone(), relative, length))))
    }

    /// A whole small file; `None` when there is none.
    ///
    /// # Errors
    /// As [`Shelf::find`]; [`CoreError::Store`] when it has more than `most` octets.
    pub async fn whole(&self, relative: &str, most: u64) -> Result<Option<Bytes>> {
        let large = || CoreError::Store(format!("{relative} has more than {most} octets"));
        if let Some(file) = self.here(relative)? {
            let mut content = Vec::new();
            let mut some = std::io::Read::take(file, most + 1);
            let read = std::io::Read::read_to_end(&mut some, &mut content);
            read.map_err(|source| self.failed(relative, source))?;
            let fits = content.len() as u64 <= most;
            return if fits { Ok(Some(content.into())) } else { Err(large()) };
        }
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let Some(length) = bucket.length(relative).await? else {
            return Ok(None);
        };
        if length > most {
            return Err(large());
        }
        let mut content = Vec::new();
        while (content.len() as u64) < length {
            let at = content.len() as u64;
            content.extend_from_slice(&bucket.read(relative, at..(at + PIECE as u64).min(length)).await?);
        }
        Ok(Some(content.into()))
    }

    fn here(&self, relative: &str) -> Result<Option<File>> {
        match File::open(self.path(relative)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed(relative, source)),
        }
    }

    fn failed(&self, relative: &str, source: std::io::Error) -> CoreError {
        CoreError::File {
            what: format!("reading {}", self.path(relative).display()),
            source,
        }
    }
}
