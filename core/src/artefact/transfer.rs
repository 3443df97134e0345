//! One file on its way to object storage: sent piece by piece, then read back piece by piece.
//!
//! Only what was read back proves that the object is the file: what a server says of an upload (a checksum, an ETag) is said
//! before it was stored, is another thing for an upload in parts, and is missing or wrong on some of the many servers that
//! speak S3. It costs one reading of each file, once, and the local copy is the last one until then.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use tokio::sync::Mutex;

use super::bucket::{Bucket, PIECE, Parts};
use super::objects::Kept;
use crate::base::error::{CoreError, Result};
use crate::base::{failpoint, hex, mutant};

/// The one that goes on at the moment. Whoever removes a file holds this meanwhile, so that it does not come again.
pub(super) type Moving = Arc<Mutex<Option<Transfer>>>;

/// How far one file is.
pub(super) struct Transfer {
    relative: String,
    file: Arc<File>,
    size: u64,
    /// Octets that were sent, and then those that were read back.
    at: u64,
    /// Of a file of more than one piece, until the object is made of them.
    parts: Option<Parts>,
    hash: Context,
    /// The SHA-256 of what was sent, once that was everything.
    sent: Option<String>,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("relative", &self.relative)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Transfer {
    /// Opens a file; `None` when there is none any more.
    ///
    /// # Errors
    /// [`CoreError::File`].
    pub(super) fn begin(path: &Path, relative: &str) -> Result<Option<Self>> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unread(path.display(), source)),
        };
        Ok(Some(Self {
            relative: relative.to_owned(),
            file: Arc::new(file),
            size,
            at: 0,
            parts: None,
            hash: Context::new(&SHA256),
            sent: None,
        }))
    }

    /// Which file it is.
    pub(super) fn relative(&self) -> &str {
        &self.relative
    }

    /// Sends or reads back one piece; at the end, what is there, which is what was sent.
    ///
    /// # Errors
    /// [`CoreError::Away`] also when something else is there than was sent; [`CoreError::File`]. It must be given up then.
    pub(super) async fn step(&mut self, bucket: &Bucket) -> Result<Option<Kept>> {
        match self.sent.take() {
            None => self.send(bucket).await.map(|()| None),
            Some(sent) => self.check(bucket, sent).await,
        }
    }

    /// Lets go what was sent in parts.
    pub(super) async fn give_up(self, bucket: &Bucket) {
        if let Some(parts) = self.parts {
            bucket.abort(&self.relative, parts).await;
        }
    }

    async fn send(&mut self, bucket: &Bucket) -> Result<()> {
        let piece = piece(Arc::clone(&self.file), &self.relative, self.at, self.size).await?;
        let length = piece.len() as u64;
        self.hash.update(&piece);
        if self.size <= PIECE as u64 {
            bucket.put(&self.relative, piece).await?;
        } else {
            let parts = match &mut self.parts {
                Some(parts) => parts,
                none => none.insert(bucket.begin(&self.relative).await?),
            };
            bucket.part(&self.relative, parts, piece).await?;
        }
        self.at += length;
        if self.at < self.size {
            return Ok(());
        }
        if let Some(mut parts) = self.parts.take()
            && let Err(error) = bucket.complete(&self.relative, &mut parts).await
        {
            // Given up with the rest.
            self.parts = Some(parts);
            return Err(error);
        }
        failpoint::hit("blobs.sent");
        self.sent = Some(hex::encode(self.finish().as_ref()));
        self.at = 0;
        Ok(())
    }

    async fn check(&mut self, bucket: &Bucket, sent: String) -> Result<Option<Kept>> {
        let relative = self.relative.clone();
        let wrong = |words: &str| Err(bucket.failed("verifying", &relative, words));
        if mutant::active("no_verification") {
            return Ok(Some(self.kept(sent)));
        }
        if self.at == 0 {
            match bucket.length(&relative).await? {
                Some(there) if there == self.size => {}
                Some(there) => return wrong(&format!("it has {there} octets, and {} were sent", self.size)),
                None => return wrong("it is not there, though it was sent"),
            }
        }
        let until = (self.at + PIECE as u64).min(self.size);
        let piece = bucket.read(&relative, self.at..until).await?;
        self.hash.update(&piece);
        self.at = until;
        if self.at < self.size {
            self.sent = Some(sent);
            return Ok(None);
        }
        if hex::encode(self.finish().as_ref()) != sent {
            return wrong("what is read back is not what was sent; the local copy stays, and it is sent again");
        }
        failpoint::hit("blobs.verified");
        Ok(Some(self.kept(sent)))
    }

    fn kept(&self, sha256: String) -> Kept {
        Kept {
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            sha256,
        }
    }

    fn finish(&mut self) -> ring::digest::Digest {
        std::mem::replace(&mut self.hash, Context::new(&SHA256)).finish()
    }
}

/// The next octets of a file.
async fn piece(file: Arc<File>, relative: &str, at: u64, size: u64) -> Result<Bytes> {
    let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
    });
    let read = read.await.map_err(|error| CoreError::Store(error.to_string()))?;
    read.map_err(|source| unread(relative, source))
}

fn unread(path: impl std::fmt::Display, source: std::io::Error) -> CoreError {
    CoreError::File {
        what: format!("reading {path}"),
        source,
    }
}
