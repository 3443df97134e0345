//! The recording file while the call lasts.
//!
//! Samples go to the page cache as soon as both legs cover them, so a killed
//! process loses only what was still on its way; [`SyncHandle`] brings them to
//! the disk from another thread, so that no call waits for it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use crate::cipher::Key;
use crate::codec::Codec;
use crate::error::Error;
use crate::format::FRAME;
use crate::paths::sync_folder;
pub use crate::paths::{EXTENSION, path_of};
pub use crate::segment::Sealed;
use crate::sink::{Disk, Sink};

/// Samples a leg may wait to be written: 30 s, the time a full or failing disk
/// has to recover before the recording is given up.
pub const MAX_BACKLOG: usize = 240_000;

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
    sink: Sink,
    codec: Codec,
    silence: u8,
    caller: Vec<u8>,
    us: Vec<u8>,
}

impl Writer {
    /// Begins the recording `id` in `folder`. Its file is made with the first sample, and always a new one: many calls end
    /// before there is any, and a file costs more than all else of such a call. `started` is the instant of sample 0 as far
    /// as it is known, in milliseconds UTC.
    ///
    /// # Errors
    /// [`Error::BadId`].
    pub fn create(folder: &Path, id: &str, codec: Codec, started: i64) -> Result<Self, Error> {
        Ok(Self {
            sink: Sink::new(path_of(folder, id)?, codec, started),
            codec,
            silence: codec.silence(),
            caller: Vec::new(),
            us: Vec::new(),
        })
    }

    /// Encrypts the file under this data key, when there is one. To be called before the first sample.
    #[must_use]
    pub fn under(mut self, key: Option<Key>) -> Self {
        self.sink.seal_under(key);
        self
    }

    /// The recording's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.sink.path
    }

    /// Samples in the file, so far; of an encrypted one, those of its whole chunks.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.sink.written()
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
                path: self.sink.path.clone(),
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
        while self.sink.taken() < total {
            for channel in [Channel::Caller, Channel::Us] {
                let wanted = (total - self.sink.taken()).min(STEP) as usize;
                let silence = self.silence;
                let waiting = self.waiting(channel);
                if waiting.len() < wanted {
                    waiting.resize(wanted, silence);
                }
            }
            self.write((total - self.sink.taken()).min(STEP) as usize)?;
        }
        let path = self.sink.path.clone();
        let segment = self.sink.finish(total)?;
        Ok(Sealed {
            path,
            samples: total,
            codec: self.codec,
            segment,
        })
    }

    /// Takes the file away: the call ended before there was anything to record.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn discard(self) -> Result<(), Error> {
        let Sink { file, path, .. } = &self.sink;
        if file.get().is_none() {
            return Ok(());
        }
        std::fs::remove_file(path).map_err(|source| Error::file(path, "remove", source))
    }

    /// A handle by which another thread brings the file to the disk.
    #[must_use]
    pub fn sync_handle(&self) -> SyncHandle {
        SyncHandle {
            file: Arc::clone(&self.sink.file),
            disk: Arc::clone(&self.sink.disk),
            folder_synced: false,
            path: self.sink.path.clone(),
        }
    }

    fn waiting(&mut self, channel: Channel) -> &mut Vec<u8> {
        match channel {
            Channel::Caller => &mut self.caller,
            Channel::Us => &mut self.us,
        }
    }

    fn write(&mut self, mut samples: usize) -> Result<(), Error> {
        while samples > 0 {
            let now = self.sink.settle()?.min(samples);
            let mut frames = vec![0; now * FRAME as usize];
            let pairs = self.caller[..now].iter().zip(&self.us[..now]);
            for (frame, (&caller, &us)) in frames.as_chunks_mut::<{ FRAME as usize }>().0.iter_mut().zip(pairs) {
                *frame = [caller, us];
            }
            self.sink.take(&frames)?;
            self.caller.drain(..now);
            self.us.drain(..now);
            samples -= now;
        }
        // A chunk that has become full, or that the disk refused before.
        if self.sink.file.get().is_some() {
            self.sink.settle()?;
        }
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
        // What is written to a file that was taken away is kept nowhere.
        if file.metadata().is_ok_and(|file| file.nlink() == 0) {
            self.disk.failed.store(true, Ordering::Release);
            return Err(Error::file(
                &self.path,
                "keep what was taken away meanwhile",
                ErrorKind::NotFound.into(),
            ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::HEADER;
    use crate::reader::Reader;
    use crate::repair::repair;
    use std::fs::OpenOptions;

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
    fn an_encrypted_file_grows_by_whole_chunks_and_ends_with_a_short_one() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new([1; 32]);
        let speak = |id: String, samples: u64| {
            let mut writer = Writer::create(folder.path(), &id, Codec::Pcma, 0).unwrap().under(Some(key.clone()));
            writer.push(Channel::Caller, &(0..samples).map(|n| n as u8).collect::<Vec<_>>());
            writer.push_silence(Channel::Us, samples);
            writer.flush().unwrap();
            writer
        };
        let length = |writer: &Writer| std::fs::metadata(writer.path()).unwrap().len();
        for (samples, chunks) in [(1, 0), (2_047, 0), (2_048, 1), (5_000, 2)] {
            let writer = speak(format!("n{samples}"), samples);
            assert_eq!((length(&writer), writer.written()), (64 + chunks * 4_112, chunks * 2_048));
        }
        // What was said beyond the end is gone, also where its chunk had been sealed before.
        for total in [0, 1, 2_047, 2_048, 2_049, 4_096, 5_000, 5_001, 9_000] {
            let sealed = speak(format!("to{total}"), 5_000).finish(total).unwrap();
            let full = total / 2_048;
            let octets = std::fs::read(&sealed.path).unwrap();
            assert_eq!(octets.len() as u64, 64 + full * 4_112 + total % 2_048 * 2 + 16, "{total}");
            let reader = Reader::open(&sealed.path, Some(&key)).unwrap();
            assert_eq!((reader.samples(), reader.is_whole()), (total, true));
            let mut wav = vec![0; reader.wav_len() as usize];
            reader.read_at(0, &mut wav).unwrap();
            let said = |at: usize| if at < 5_000 { at as u8 } else { 0xD5 };
            assert!(
                wav[58..].iter().step_by(2).enumerate().all(|(at, &octet)| octet == said(at)),
                "{total}"
            );
        }
    }

    #[test]
    fn who_changes_the_file_meanwhile_is_found_out_where_it_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, Some(Key::new([1; 32]))] {
            let id = if key.is_some() { "sealed" } else { "plain" };
            let mut writer = Writer::create(folder.path(), id, Codec::Pcma, 0).unwrap().under(key);
            writer.push_silence(Channel::Caller, 9_000);
            writer.push_silence(Channel::Us, 9_000);
            writer.flush().unwrap();
            let mut octets = std::fs::read(writer.path()).unwrap();
            octets[100] ^= 1;
            std::fs::write(writer.path(), octets).unwrap();
            assert!(matches!(writer.finish(6_000), Err(Error::Unsafe { .. })));
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
        assert_eq!(Reader::open(&path, None).unwrap().samples(), 75);
        assert_eq!(repair(folder.path(), "crashed", None, 0).unwrap().samples, 75);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), HEADER + 150);
        assert_eq!(Reader::open(&path, None).unwrap().started(), 42);
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
