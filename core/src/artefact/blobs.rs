//! A folder of files named by the SHA-256 of their content, or, when the vault is on, by a keyed hash of that.
//!
//! A file is there whole or not at all: written under another name, flushed, renamed, and its folder flushed, before
//! any row names it. With object storage behind the folder, files are moved there later and read from there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ring::digest;

use super::bucket::Bucket;
use super::reader::BlobReader;
use super::shelf::Shelf;
use super::transfer::Moving;
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::id;
use crate::vault::{CHUNK, ChunkSealer, Vault, sealed_size};

/// Locked by the process that uses the folder; the lock ends with it, however it ends.
const LOCK: &str = "lock";

/// Where plain files are, on shelves by the beginning of their names.
pub(super) const PLAIN: &str = "sha256";
/// Where sealed files are.
pub(super) const SEALED: &str = "sealed";
/// Where recordings are.
pub(super) const RECORDINGS: &str = "recordings";

/// A file that is safely there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Hexadecimal, lower case.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// Some content on disk, perhaps not on its shelf yet.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) stored: StoredBlob,
    /// The file that it was written to; `None` when it stood on its shelf.
    source: Option<PathBuf>,
    target: PathBuf,
}

/// The folder. One process uses it at a time: what a dead one left half-written is cleared away at the next start, and
/// recordings without an end are closed.
#[derive(Debug, Clone)]
pub struct Blobs {
    shelf: Shelf,
    vault: Vault,
    moving: Moving,
    /// Locked as long as one clone is there.
    _lock: Arc<File>,
}

impl Blobs {
    /// Opens the folder, making it when it is missing.
    ///
    /// # Errors
    /// [`CoreError::File`] when it cannot be made, or another process uses it.
    pub fn open(root: PathBuf, vault: Vault) -> Result<Self> {
        for folder in [PLAIN, SEALED, "new", RECORDINGS] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|source| CoreError::File {
                what: format!("making the folder {}", path.display()),
                source,
            })?;
        }
        let path = root.join(LOCK);
        let locked = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| {
                file.try_lock()?;
                Ok(file)
            });
        let lock = locked.map_err(|source| CoreError::File {
            what: format!(
                "the folder {} is in use by another voxea; stop that one, or give this one a folder of its own",
                root.display()
            ),
            source,
        })?;
        let plain = root.join(PLAIN);
        if vault.is_on() && fs::read_dir(&plain).is_ok_and(|mut files| files.next().is_some()) {
            tracing::warn!(folder = %plain.display(), "plain files are here, which this database does not name; `voxea vault seal` ends what it began");
        }
        Ok(Self {
            shelf: Shelf::new(root, None),
            vault,
            moving: Moving::default(),
            _lock: Arc::new(lock),
        })
    }

    /// The same with object storage behind the folder, if there is any. Before anything is read or written.
    #[must_use]
    pub fn with_bucket(mut self, bucket: Option<Bucket>) -> Self {
        self.shelf = Shelf::new(self.shelf.root().to_owned(), bucket);
        self
    }

    /// Where files are found.
    #[must_use]
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether what is kept is encrypted.
    pub(super) const fn is_sealed(&self) -> bool {
        self.vault.is_on()
    }

    /// What is moved to the object storage at the moment.
    pub(super) const fn moving(&self) -> &Moving {
        &self.moving
    }

    /// Where recordings are written, one file each.
    #[must_use]
    pub fn recordings_folder(&self) -> PathBuf {
        self.shelf.path(RECORDINGS)
    }

    /// The local file of a relative path that a row of ours holds.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.shelf.path(relative)
    }

    /// The hash of some content, as a file name.
    #[must_use]
    pub fn hash(content: &[u8]) -> String {
        hex::encode(digest::digest(&digest::SHA256, content).as_ref())
    }

    /// Keeps some content. When this returns it is on disk; content that is there already is not written again.
    ///
    /// # Errors
    /// [`CoreError::File`]; nothing may then be acknowledged that depends on it.
    pub async fn put(&self, content: Bytes) -> Result<StoredBlob> {
        let blobs = self.clone();
        tokio::task::spawn_blocking(move || blobs.put_now(&content))
            .await
            .map_err(|error| CoreError::Store(error.to_string()))?
    }

    fn put_now(&self, content: &[u8]) -> Result<StoredBlob> {
        let mut written = self.write(content)?;
        for folder in self.shelve(std::slice::from_mut(&mut written))? {
            self.flush(&folder)?;
        }
        Ok(written.stored.clone())
    }

    /// Writes some content, flushed, under a name that nobody looks for; nothing when it stands on its shelf.
    pub(super) fn write(&self, content: &[u8]) -> Result<Written> {
        let stored = StoredBlob {
            sha256: Self::hash(content),
            size: content.len() as u64,
        };
        let target = self.path(&self.place(&stored.sha256));
        let length = if self.vault.is_on() {
            sealed_size(stored.size)
        } else {
            stored.size
        };
        if fs::metadata(&target).is_ok_and(|facts| facts.len() == length) {
            return Ok(Written {
                stored,
                source: None,
                target,
            });
        }
        let mut sealer = self.vault.seal_file(&stored.sha256)?;
        let source = self.path("new").join(id::new());
        let written = Written {
            stored,
            source: Some(source.clone()),
            target,
        };
        write_through(&source, content, sealer.as_mut()).map_err(|error| unwritten(&written, error))?;
        Ok(written)
    }

    /// Puts what was written on its shelves, and returns the shelves, which must be flushed before any row names what is on
    /// them. That goes for what stood there, too: whoever put it there may not have come to that yet.
    pub(super) fn shelve(&self, written: &mut [Written]) -> Result<BTreeSet<PathBuf>> {
        let root = self.shelf.root();
        let mut shelves = BTreeSet::new();
        for one in written {
            let shelf = one.target.parent().unwrap_or(root);
            if let Some(source) = &one.source {
                put_on(shelf, source, &one.target).map_err(|error| unwritten(one, error))?;
            }
            shelves.insert(shelf.to_owned());
            one.source = None;
        }
        Ok(shelves)
    }

    /// Flushes a shelf.
    pub(super) fn flush(&self, shelf: &Path) -> Result<()> {
        flush_folder(shelf).map_err(|source| CoreError::File {
            what: format!("flushing the folder {}", shelf.display()),
            source,
        })
    }

    /// Below the folder.
    fn place(&self, sha256: &str) -> String {
        let name = self.vault.file_name(sha256);
        let shelf = name.get(..2).unwrap_or("00");
        let folder = if self.vault.is_on() { SEALED } else { PLAIN };
        format!("{folder}/{shelf}/{name}")
    }

    /// Some content that a row names, and of which it says that it has `size` bytes.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when the hash is none of ours, [`CoreError::File`] when the file cannot be opened,
    /// [`CoreError::Away`] when the object storage does not answer, [`CoreError::Sealed`] when it is not what was sealed.
    pub async fn read(&self, sha256: &str, size: u64) -> Result<BlobReader> {
        let missing = CoreError::NotFound { what: "blob" };
        let plausible = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let found = if plausible {
            self.shelf.find(&self.place(sha256)).await?
        } else {
            None
        };
        BlobReader::open(found.ok_or(missing)?, &self.vault, sha256, size).await
    }

    /// Keeps the content of every plain file sealed as well.
    ///
    /// # Errors
    /// [`CoreError::File`]; [`CoreError::Store`] for a file that is not what its name says, since no row would find it.
    pub(super) async fn seal_plain(&self, vault: &Vault) -> Result<()> {
        let sealed = Self {
            vault: vault.clone(),
            ..self.clone()
        };
        let work = move || {
            for path in files(&sealed.path(PLAIN)) {
                let content = fs::read(&path).map_err(|source| CoreError::File {
                    what: format!("reading {}", path.display()),
                    source,
                })?;
                if path.file_name().is_none_or(|name| *name != *Self::hash(&content)) {
                    let path = path.display();
                    return Err(CoreError::Store(format!(
                        "{path} is damaged, its name is not its content's hash; move it away first"
                    )));
                }
                sealed.put_now(&content)?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| CoreError::Store(error.to_string()))?
    }

    /// Removes every plain file.
    pub(super) fn drop_plain(&self) -> Result<()> {
        self.empty(PLAIN)
    }

    /// Removes every sealed file, of a conversion that did not come to its end.
    pub(super) fn drop_sealed(&self) -> Result<()> {
        self.empty(SEALED)
    }

    fn empty(&self, folder: &str) -> Result<()> {
        let folder = self.path(folder);
        let gone = fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder));
        gone.and_then(|()| flush_folder(self.shelf.root()))
            .map_err(|source| CoreError::File {
                what: format!("emptying {}", folder.display()),
                source,
            })
    }

    /// Takes away the file of a relative path that a row of ours holds, here and in the object storage; one that is gone is no
    /// error.
    ///
    /// # Errors
    /// [`CoreError::File`]; [`CoreError::Away`] when the object storage does not answer: the local copy is gone then.
    pub async fn erase(&self, relative: &str) -> Result<()> {
        // What is moved at this moment would come again.
        let mut moving = self.moving.lock().await;
        self.erase_here(relative).await?;
        let Some(bucket) = self.shelf.bucket() else { return Ok(()) };
        if let Some(transfer) = moving.take_if(|transfer| transfer.relative() == relative) {
            transfer.give_up(bucket).await;
        }
        // Whether a row says so or not: a crash may have come before it.
        bucket.erase(relative).await
    }

    /// Takes away the local file alone, so that no copy here waits for an object storage that is away.
    ///
    /// # Errors
    /// [`CoreError::File`].
    pub async fn erase_here(&self, relative: &str) -> Result<()> {
        let path = self.path(relative);
        let gone = match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        gone.map_err(|source| CoreError::File {
            what: format!("cannot remove {}", path.display()),
            source,
        })
    }

    /// Removes what writers that were killed left half-written. For the start, before anything writes.
    pub fn sweep(&self) {
        for entry in fs::read_dir(self.path("new")).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for Written {
    /// What does not come to stand on its shelf is taken away: a disk that is full must not be filled by trying again.
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            let _ = fs::remove_file(source);
        }
    }
}

fn unwritten(written: &Written, source: std::io::Error) -> CoreError {
    CoreError::File {
        what: format!("writing a blob of {} bytes", written.stored.size),
        source,
    }
}

/// Makes the shelf when it is missing.
fn put_on(shelf: &Path, source: &Path, target: &Path) -> std::io::Result<()> {
    match fs::create_dir(shelf) {
        Ok(()) => flush_folder(shelf.parent().unwrap_or(shelf))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
        Err(error) => return Err(error),
    }
    fs::rename(source, target)
}

fn write_through(path: &Path, content: &[u8], sealer: Option<&mut ChunkSealer>) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    match sealer {
        None => file.write_all(content)?,
        Some(sealer) => {
            file.write_all(sealer.header())?;
            let mut rest = content;
            // Empty content has one chunk, empty.
            loop {
                let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
                let mut chunk = chunk.to_vec();
                sealer.chunk(&mut chunk, after.is_empty()).map_err(std::io::Error::other)?;
                file.write_all(&chunk)?;
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
    file.sync_all()
}

/// The files on the shelves of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries(folder).flat_map(|shelf| entries(&shelf).collect::<Vec<_>>()).collect()
}

fn flush_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_uses_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
        let clone = first.clone();
        drop(first);
        let second = Blobs::open(folder.path().to_path_buf(), Vault::off());
        assert!(second.unwrap_err().to_string().contains("in use by another voxea"));
        drop(clone);
        Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
    }

    #[tokio::test]
    async fn content_is_kept_once_under_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
        let first = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(first.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(blobs.put(Bytes::from_static(b"abc")).await.unwrap(), first);
        assert_eq!(fs::read(blobs.path(&blobs.place(&first.sha256))).unwrap(), b"abc");
        assert!(blobs.place(&first.sha256).ends_with(&first.sha256));
        assert!(fs::read_dir(folder.path().join("new")).unwrap().next().is_none());
        assert!(blobs.read("../../etc/passwd", 1).await.is_err());
    }
}
