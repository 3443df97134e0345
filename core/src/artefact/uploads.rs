//! Moving files from the local folder to object storage: sent, verified, noted, and only then removed here.
//!
//! A recording's sound goes first and what is signed of it last: whoever finds sound here without a manifest takes it for one
//! that must be signed yet, and sound that must be signed yet stays.
//!
//! The folder itself is the queue. Whatever moment it is interrupted at, the next run goes on: what is not noted is sent
//! again under the same name, and what is noted is removed.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::blobs::{Blobs, PLAIN, RECORDINGS, SEALED};
use super::objects::{self, Kept};
use super::transfer::Transfer;
use crate::base::error::{CoreError, Result};
use crate::base::{failpoint, time};
use crate::store::Store;

/// Files that are taken up in one run.
const AT_ONCE: usize = 1_000;
/// After so many failures one after another the run is over: it is not the files.
const FAILURES: usize = 3;
/// Between two counts of what waits, while no run counts it.
const COUNTING: Duration = Duration::from_secs(10);
/// A recording's sound.
const SOUND: &str = "vrec";
/// What is signed of it.
const MANIFEST: &str = "vman";

/// What is on its way to object storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Files that are here alone, as of the last count.
    pub files: u64,
    /// Their octets.
    pub bytes: u64,
    /// Files that were moved since the start.
    pub moved: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    moved: AtomicU64,
    failures: AtomicU64,
    /// When files and bytes were counted.
    at: Mutex<Option<Instant>>,
}

/// The door of the job.
#[derive(Debug, Clone)]
pub struct Uploads {
    store: Store,
    blobs: Blobs,
    counts: Arc<Counts>,
}

/// A file in the local folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spooled {
    relative: String,
    size: u64,
}

impl Uploads {
    /// From a folder to the bucket that it has, if it has one.
    #[must_use]
    pub fn new(store: Store, blobs: Blobs) -> Self {
        Self {
            store,
            blobs,
            counts: Arc::default(),
        }
    }

    /// Whether there is object storage to move files to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.blobs.shelf().bucket().is_some()
    }

    /// What waits; `None` when files stay in the local folder.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.is_on().then(|| Waiting {
            files: read(&self.counts.files),
            bytes: read(&self.counts.bytes),
            moved: read(&self.counts.moved),
            failures: read(&self.counts.failures),
        })
    }

    /// Counts what waits, unless that was done lately: a run that failed is far from the next one at times.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self) -> Result<()> {
        let at = *self.counts.at.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_on() && at.is_none_or(|at| at.elapsed() > COUNTING) {
            self.look().await?;
        }
        Ok(())
    }

    /// Moves files until `until`, but a piece at least. Says whether more is to be moved. One that fails does not hold up the
    /// others.
    ///
    /// # Errors
    /// The first that went wrong: the object storage's, the store's, the folder's. Nothing was removed of what failed.
    pub async fn run(&self, until: Instant) -> Result<bool> {
        if !self.is_on() {
            return Ok(false);
        }
        let spooled = self.look().await?;
        let (mut first, mut in_a_row, mut moved) = (None, 0, 0);
        'files: for file in &spooled {
            if file.ending() == Some(MANIFEST) && self.blobs.path(&file.beside(SOUND)).exists() {
                continue;
            }
            loop {
                let done = match self.advance(&file.relative).await {
                    Ok(done) => done,
                    Err(error) => {
                        tracing::warn!(file = file.relative, %error, "a file could not be moved to the object storage; it stays here");
                        self.counts.failures.fetch_add(1, Ordering::Relaxed);
                        in_a_row += 1;
                        first.get_or_insert(error);
                        if in_a_row == FAILURES || Instant::now() >= until {
                            break 'files;
                        }
                        break;
                    }
                };
                if done {
                    (in_a_row, moved) = (0, moved + 1);
                    self.counts.files.fetch_sub(1, Ordering::Relaxed);
                    self.counts.bytes.fetch_sub(file.size, Ordering::Relaxed);
                }
                if Instant::now() >= until {
                    break 'files;
                }
                if done {
                    break;
                }
            }
        }
        match first {
            Some(error) => Err(error),
            None => Ok(moved < spooled.len() || spooled.len() == AT_ONCE),
        }
    }

    /// One piece of one file; whether it is moved, or was already.
    async fn advance(&self, relative: &str) -> Result<bool> {
        let Some(bucket) = self.blobs.shelf().bucket() else {
            return Ok(true);
        };
        let mut moving = self.blobs.moving().lock().await;
        let mut transfer = match moving.take() {
            Some(transfer) if transfer.relative() == relative => transfer,
            other => {
                if let Some(other) = other {
                    other.give_up(bucket).await;
                }
                if self.is_there(relative).await? {
                    return self.remove(relative).map(|()| true);
                }
                match Transfer::begin(&self.blobs.path(relative), relative)? {
                    Some(transfer) => transfer,
                    None => return Ok(true),
                }
            }
        };
        match transfer.step(bucket).await {
            Ok(None) => {
                *moving = Some(transfer);
                Ok(false)
            }
            Ok(Some(kept)) => {
                objects::note(&self.store, relative, bucket.name(), &kept, time::now()).await?;
                failpoint::hit("blobs.noted");
                self.remove(relative)?;
                failpoint::hit("blobs.removed");
                self.counts.moved.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(error) => {
                transfer.give_up(bucket).await;
                Err(error)
            }
        }
    }

    /// Whether a file that is here was verified there before: a crash came between the note and the removal, or content came
    /// again that was moved long ago.
    async fn is_there(&self, relative: &str) -> Result<bool> {
        let (Some(bucket), Some(kept)) = (self.blobs.shelf().bucket(), objects::noted(&self.store, relative).await?) else {
            return Ok(false);
        };
        if bucket.length(relative).await? != u64::try_from(kept.size).ok() {
            return Ok(false);
        }
        // The name of content is its hash, so that whatever has it is it, sealed anew or not. A recording is this file alone.
        if relative.starts_with(RECORDINGS) && self.of(relative).await?.is_some_and(|here| here != kept) {
            return Err(CoreError::Store(format!(
                "{relative} is not what was moved to the object storage under its name; look at both before one is removed"
            )));
        }
        Ok(true)
    }

    /// What a local file is.
    async fn of(&self, relative: &str) -> Result<Option<Kept>> {
        let path = self.blobs.path(relative);
        let what = relative.to_owned();
        let read = tokio::task::spawn_blocking(move || hashed(&path));
        match read.await.map_err(|error| CoreError::Store(error.to_string()))? {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CoreError::File {
                what: format!("reading {what}"),
                source,
            }),
        }
    }

    fn remove(&self, relative: &str) -> Result<()> {
        match fs::remove_file(self.blobs.path(relative)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(CoreError::File {
                what: format!("removing {relative}, which is in the object storage"),
                source,
            }),
            _ => Ok(()),
        }
    }

    /// The files that may be moved, the one that is under way first; and how many there are.
    async fn look(&self) -> Result<Vec<Spooled>> {
        let root = self.blobs.shelf().root().to_owned();
        let read = tokio::task::spawn_blocking(move || (contents(&root), recordings(&root)));
        let (mut all, recordings) = read.await.map_err(|error| CoreError::Store(error.to_string()))?;
        let ids: HashSet<&str> = recordings.iter().filter_map(Spooled::id).collect();
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let closed = objects::closed(&self.store, &ids, self.blobs.is_sealed()).await?;
        let signed: HashSet<String> = recordings.iter().map(|file| file.relative.clone()).collect();
        for file in recordings {
            let manifest = file.beside(MANIFEST);
            if file.id().is_some_and(|id| closed.contains(id))
                && (signed.contains(&manifest) || objects::noted(&self.store, &manifest).await?.is_some())
            {
                all.push(file);
            }
        }
        self.counts.files.store(all.len() as u64, Ordering::Relaxed);
        self.counts.bytes.store(all.iter().map(|file| file.size).sum(), Ordering::Relaxed);
        *self.counts.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let under_way = self
            .blobs
            .moving()
            .lock()
            .await
            .as_ref()
            .map(|transfer| transfer.relative().to_owned());
        all.sort_by_key(|file| (under_way.as_ref() != Some(&file.relative), file.ending() == Some(MANIFEST)));
        all.truncate(AT_ONCE);
        Ok(all)
    }
}

impl Spooled {
    /// Whose file it is.
    fn id(&self) -> Option<&str> {
        Path::new(&self.relative).file_stem()?.to_str()
    }

    fn ending(&self) -> Option<&str> {
        Path::new(&self.relative).extension()?.to_str()
    }

    /// The other file of the same recording.
    fn beside(&self, ending: &str) -> String {
        Path::new(&self.relative).with_extension(ending).to_string_lossy().into_owned()
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

fn spooled(entry: &fs::DirEntry, folder: &str) -> Option<Spooled> {
    let facts = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    Some(Spooled {
        relative: format!("{folder}/{}", entry.file_name().to_str()?),
        size: facts.len(),
    })
}

/// Files that are named by their content; each is whole.
fn contents(root: &Path) -> Vec<Spooled> {
    let mut found = Vec::new();
    for folder in [PLAIN, SEALED] {
        for shelf in entries(&root.join(folder)) {
            let name = format!("{folder}/{}", shelf.file_name().to_string_lossy());
            found.extend(entries(&shelf.path()).filter_map(|entry| spooled(&entry, &name)));
        }
    }
    found
}

/// Files of recordings, those of calls that go on among them.
fn recordings(root: &Path) -> Vec<Spooled> {
    let ours = |file: &Spooled| matches!(file.ending(), Some(SOUND | MANIFEST));
    entries(&root.join(RECORDINGS))
        .filter_map(|entry| spooled(&entry, RECORDINGS))
        .filter(ours)
        .collect()
}

fn hashed(path: &Path) -> std::io::Result<Kept> {
    let (mut file, mut hash) = (fs::File::open(path)?, ring::digest::Context::new(&ring::digest::SHA256));
    let (mut piece, mut size) = (vec![0; 1024 * 1024], 0);
    loop {
        match std::io::Read::read(&mut file, &mut piece)? {
            0 => break,
            count => {
                hash.update(&piece[..count]);
                size += i64::try_from(count).unwrap_or(0);
            }
        }
    }
    let sha256 = crate::base::hex::encode(hash.finish().as_ref());
    Ok(Kept { size, sha256 })
}
