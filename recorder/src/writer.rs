//! The recording file while the call lasts.
//!
//! Samples go to the page cache as soon as both legs cover them, so a killed
//! process loses only what was still on its way; [`SyncHandle`] brings them to
//! the disk from another thread, so that no call waits for it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::codec::Codec;
use crate::error::Error;
use crate::format::{FRAME, HEADER, Header};

/// Samples a leg may wait to be written: 30 s, the time a full or failing disk
/// has to recover before the recording is given up.
pub const MAX_BACKLOG: usize = 240_000;

/// The file name's ending.
pub const EXTENSION: &str = "vrec";

/// Which of the two channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Left, channel 0: the citizen.
    Caller,
    /// Right, channel 1: what we sent.
    Us,
}

/// One recording being written. Dropped without [`finish`](Self::finish), the
/// file stays as far as it was written, as after a crash.
#[derive(Debug)]
pub struct Writer {
    file: Arc<OnceLock<File>>,
    header: Header,
    disk: Arc<Disk>,
    path: PathBuf,
    silence: u8,
    written: u64,
    caller: Vec<u8>,
    us: Vec<u8>,
}

/// What writer and sync handle tell each other.
#[derive(Debug)]
struct Disk {
    dirty: AtomicBool,
    failed: AtomicBool,
}

/// A finished recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its file.
    pub path: PathBuf,
    /// Its length; `duration_ms` is this divided by 8.
    pub samples: u64,
}

/// The file a recording of this id has in a folder.
///
/// # Errors
/// [`Error::BadId`] for an id that could leave the folder.
pub fn path_of(folder: &Path, id: &str) -> Result<PathBuf, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
        return Err(Error::BadId(id.to_owned()));
    }
    Ok(folder.join(format!("{id}.{EXTENSION}")))
}

impl Writer {
    /// Begins the recording `id` in `folder`. Its file is made with the first sample, and always a new one: many calls end
    /// before there is any, and a file costs more than all else of such a call. `started` is the instant of sample 0 as far
    /// as it is known, in milliseconds UTC.
    ///
    /// # Errors
    /// [`Error::BadId`].
    pub fn create(folder: &Path, id: &str, codec: Codec, started: i64) -> Result<Self, Error> {
        let path = path_of(folder, id)?;
        Ok(Self {
            file: Arc::default(),
            header: Header { codec, started },
            disk: Arc::new(Disk {
                dirty: AtomicBool::new(false),
                failed: AtomicBool::new(false),
            }),
            path,
            silence: codec.silence(),
            written: 0,
            caller: Vec::new(),
            us: Vec::new(),
        })
    }

    /// The recording's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples in the file, so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends octets to one channel; they are written by [`flush`](Self::flush).
    pub fn push(&mut self, channel: Channel, octets: &[u8]) {
        self.waiting(channel).extend_from_slice(octets);
    }

    /// Appends silence to one channel.
    pub fn push_silence(&mut self, channel: Channel, samples: u64) {
        let silence = self.silence;
        let waiting = self.waiting(channel);
        // More than the backlog allows ends in an error at the next flush
        // anyway, and must not take memory first.
        let samples = samples.min(2 * MAX_BACKLOG as u64) as usize;
        waiting.resize(waiting.len() + samples, silence);
    }

    /// Writes what both channels cover. On an error the samples wait for the
    /// next call, up to [`MAX_BACKLOG`].
    ///
    /// # Errors
    /// [`Error::File`], after which a later call may succeed;
    /// [`Error::Backlog`], after which the recording is to be given up.
    pub fn flush(&mut self) -> Result<(), Error> {
        let covered = self.caller.len().min(self.us.len());
        let outcome = self.write(covered);
        let waiting = self.caller.len().max(self.us.len());
        if waiting > MAX_BACKLOG {
            return Err(Error::Backlog {
                path: self.path.clone(),
                waiting,
                limit: MAX_BACKLOG,
            });
        }
        outcome
    }

    /// Ends the recording at exactly `total` samples, padding with silence or
    /// cutting, and brings file and folder to the disk.
    ///
    /// # Errors
    /// [`Error::File`]; the file then holds what could be written.
    /// [`Error::Unsafe`] if a [`SyncHandle`] had failed before.
    pub fn finish(mut self, total: u64) -> Result<Sealed, Error> {
        const STEP: u64 = 80_000;
        self.write(self.caller.len().min(self.us.len()))?;
        while self.written < total {
            for channel in [Channel::Caller, Channel::Us] {
                let wanted = (total - self.written).min(STEP) as usize;
                let silence = self.silence;
                let waiting = self.waiting(channel);
                if waiting.len() < wanted {
                    waiting.resize(wanted, silence);
                }
            }
            self.write((total - self.written).min(STEP) as usize)?;
        }
        let file = self.file()?;
        let failed = |doing| {
            let path = &self.path;
            move |source| Error::file(path, doing, source)
        };
        file.set_len(HEADER + total * FRAME).map_err(failed("cut"))?;
        file.sync_all().map_err(failed("bring to the disk"))?;
        let path = self.path;
        sync_folder(&path)?;
        if self.disk.failed.load(Ordering::Acquire) {
            return Err(Error::Unsafe { path });
        }
        Ok(Sealed { path, samples: total })
    }

    /// Takes the file away: the call ended before there was anything to record.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn discard(self) -> Result<(), Error> {
        if self.file.get().is_none() {
            return Ok(());
        }
        std::fs::remove_file(&self.path).map_err(|source| Error::file(&self.path, "remove", source))
    }

    /// A handle by which another thread brings the file to the disk.
    #[must_use]
    pub fn sync_handle(&self) -> SyncHandle {
        SyncHandle {
            file: Arc::clone(&self.file),
            disk: Arc::clone(&self.disk),
            folder_synced: false,
            path: self.path.clone(),
        }
    }

    /// The file, made when it is wanted first. What a failure left half-made is taken away, so that the next try is as
    /// good as the first.
    fn file(&self) -> Result<&File, Error> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&self.path)
            .map_err(|source| Error::file(&self.path, "create", source))?;
        if let Err(source) = file.write_all_at(&self.header.to_bytes(), 0) {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::file(&self.path, "write", source));
        }
        self.disk.dirty.store(true, Ordering::Release);
        Ok(self.file.get_or_init(|| file))
    }

    fn waiting(&mut self, channel: Channel) -> &mut Vec<u8> {
        match channel {
            Channel::Caller => &mut self.caller,
            Channel::Us => &mut self.us,
        }
    }

    fn write(&mut self, samples: usize) -> Result<(), Error> {
        if samples == 0 {
            return Ok(());
        }
        let pairs = self.caller[..samples].iter().zip(&self.us[..samples]);
        let frames: Vec<u8> = pairs.flat_map(|(&caller, &us)| [caller, us]).collect();
        // At its own place, so that a write that failed half way is repeated
        // over itself.
        self.file()?
            .write_all_at(&frames, HEADER + self.written * FRAME)
            .map_err(|source| Error::file(&self.path, "write", source))?;
        self.disk.dirty.store(true, Ordering::Release);
        self.written += samples as u64;
        self.caller.drain(..samples);
        self.us.drain(..samples);
        Ok(())
    }
}

/// Brings one recording to the disk from a thread that may wait for it.
#[derive(Debug)]
pub struct SyncHandle {
    file: Arc<OnceLock<File>>,
    disk: Arc<Disk>,
    folder_synced: bool,
    path: PathBuf,
}

impl SyncHandle {
    /// `fdatasync`, if anything was written since; the first time the folder's
    /// entry too.
    ///
    /// # Errors
    /// [`Error::File`]: what was written before is not to be trusted to be on
    /// the disk; a later success does not make up for it.
    pub fn sync(&mut self) -> Result<(), Error> {
        let Some(file) = self.file.get() else { return Ok(()) };
        if self.disk.dirty.swap(false, Ordering::AcqRel)
            && let Err(source) = file.sync_data()
        {
            // The kernel tells a failure once and then forgets it; the writer
            // must still know when it seals.
            self.disk.failed.store(true, Ordering::Release);
            return Err(Error::file(&self.path, "bring to the disk", source));
        }
        if !self.folder_synced {
            sync_folder(&self.path)?;
            self.folder_synced = true;
        }
        Ok(())
    }

    /// True once the writer is gone: nothing more will come.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        Arc::strong_count(&self.disk) == 1
    }
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::file(folder, "bring to the disk", source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Reader, repair};

    fn body(path: &Path) -> Vec<u8> {
        std::fs::read(path).unwrap().split_off(HEADER as usize)
    }

    #[test]
    fn what_both_legs_cover_is_in_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path(), "r-1", Codec::Pcma, 7).unwrap();
        writer.push(Channel::Caller, &[1, 2, 3]);
        writer.push_silence(Channel::Us, 2);
        writer.flush().unwrap();
        assert_eq!(body(writer.path()), [1, 0xD5, 2, 0xD5]);
        writer.push(Channel::Us, &[9]);
        writer.flush().unwrap();
        assert_eq!(body(writer.path()), [1, 0xD5, 2, 0xD5, 3, 9]);
        assert_eq!(writer.written(), 3);
    }

    #[test]
    fn ends_exactly_where_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for (id, total) in [("cut", 2), ("padded", 5), ("empty", 0), ("long", 200_000)] {
            let mut writer = Writer::create(folder.path(), id, Codec::Pcmu, 0).unwrap();
            writer.push(Channel::Caller, &[1, 2, 3, 4]);
            writer.push(Channel::Us, &[5, 6, 7]);
            writer.flush().unwrap();
            let sealed = writer.finish(total).unwrap();
            assert_eq!(sealed.samples, total);
            let body = body(&sealed.path);
            assert_eq!(body.len() as u64, total * 2);
            let whole = [1, 5, 2, 6, 3, 7, 4, 0xFF];
            let known = body.len().min(8);
            assert_eq!(body[..known], whole[..known]);
            assert!(body[known..].iter().all(|&octet| octet == 0xFF));
        }
    }

    #[test]
    fn never_overwrites_and_never_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let create = |id| Writer::create(folder.path(), id, Codec::Pcma, 0);
        let speak = |mut writer: Writer| {
            writer.push(Channel::Caller, &[1]);
            writer.push(Channel::Us, &[2]);
            writer.flush().map(|()| writer)
        };
        speak(create("same").unwrap()).unwrap();
        assert!(matches!(speak(create("same").unwrap()), Err(Error::File { doing: "create", .. })));
        assert_eq!(body(&folder.path().join("same.vrec")), [1, 2]);
        for id in ["", "../up", "a/b", ".hidden", "a.b", &"x".repeat(65)] {
            assert!(matches!(create(id), Err(Error::BadId(_))), "{id}");
        }
    }

    #[test]
    fn a_file_left_by_a_crash_reads_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path(), "crashed", Codec::Pcma, 42).unwrap();
        writer.push(Channel::Caller, &[1; 100]);
        writer.push(Channel::Us, &[2; 100]);
        writer.flush().unwrap();
        let path = writer.path().to_path_buf();
        drop(writer);
        // The last write was cut in the middle of a sample.
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(HEADER + 151).unwrap();
        assert_eq!(Reader::open(&path).unwrap().samples(), 75);
        assert_eq!(repair(&path).unwrap(), 75);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), HEADER + 150);
        assert_eq!(Reader::open(&path).unwrap().started(), 42);
    }

    #[test]
    fn one_leg_cannot_run_ahead_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path(), "skewed", Codec::Pcma, 0).unwrap();
        writer.push_silence(Channel::Us, u64::MAX);
        assert!(matches!(writer.flush(), Err(Error::Backlog { .. })));
    }

    #[test]
    fn the_sync_handle_knows_when_it_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(folder.path(), "synced", Codec::Pcma, 0).unwrap();
        let mut handle = writer.sync_handle();
        handle.sync().unwrap();
        assert!(!writer.path().exists(), "nothing was said yet");
        let mut writer = writer;
        writer.push(Channel::Caller, &[1]);
        writer.push(Channel::Us, &[2]);
        writer.flush().unwrap();
        handle.sync().unwrap();
        assert!(writer.path().exists() && !handle.is_orphan());
        writer.discard().unwrap();
        assert!(handle.is_orphan());
        assert!(!folder.path().join("synced.vrec").exists());
    }
}
