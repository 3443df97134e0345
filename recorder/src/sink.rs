//! A recording's file while it grows: plain, or in sealed chunks.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::chain::Chain;
use crate::cipher::{self, Cipher, Key};
use crate::codec::Codec;
use crate::error::Error;
use crate::format::{CHUNK, FRAME, Header, TAG};
use crate::paths::sync_folder;
use crate::segment::Segment;

/// What writer and sync handle tell each other.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) dirty: AtomicBool,
    pub(crate) failed: AtomicBool,
}

/// The file, made when it is wanted first.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<OnceLock<File>>,
    pub(crate) disk: Arc<Disk>,
    codec: Codec,
    started: i64,
    key: Option<Key>,
    body: Option<Body>,
}

/// What there is once there is a file.
#[derive(Debug)]
struct Body {
    header: Header,
    chain: Chain,
    /// Samples that were taken.
    taken: u64,
    sealing: Option<Sealing>,
}

/// Of an encrypted file.
#[derive(Debug)]
struct Sealing {
    cipher: Cipher,
    /// Full chunks in the file.
    chunks: u64,
    /// Audio of the next one.
    audio: Vec<u8>,
    /// The next one, sealed but not written: written again as it is until the disk takes it.
    waiting: Option<Vec<u8>>,
}

impl Sink {
    pub(crate) fn new(path: PathBuf, codec: Codec, started: i64) -> Self {
        Self {
            path,
            file: Arc::default(),
            disk: Arc::default(),
            codec,
            started,
            key: None,
            body: None,
        }
    }

    /// Encrypts under this data key; nothing must have been written yet.
    pub(crate) fn seal_under(&mut self, key: Option<Key>) {
        self.key = key;
    }

    /// Whole samples that a reader of the file would find.
    pub(crate) fn written(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| match &body.sealing {
            Some(sealing) => sealing.chunks * CHUNK as u64 / FRAME,
            None => body.taken,
        })
    }

    /// Samples that were taken, in the file or on their way.
    pub(crate) fn taken(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.taken)
    }

    /// Makes the file if there is none, and writes what the disk did not take. Returns how many samples can be taken now,
    /// one at least.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::NoRandom`]; a later call may succeed.
    pub(crate) fn settle(&mut self) -> Result<usize, Error> {
        self.make()?;
        let (Some(body), Some(file)) = (&mut self.body, self.file.get()) else {
            return Ok(usize::MAX);
        };
        let Some(sealing) = &mut body.sealing else { return Ok(usize::MAX) };
        if let Some(chunk) = &sealing.waiting {
            file.write_all_at(chunk, body.header.place(sealing.chunks))
                .map_err(|source| Error::file(&self.path, "write", source))?;
            self.disk.dirty.store(true, Ordering::Release);
            body.chain.push(chunk);
            sealing.chunks += 1;
            sealing.waiting = None;
        }
        Ok((CHUNK - sealing.audio.len()) / FRAME as usize)
    }

    /// Takes frames, no more than [`settle`](Self::settle) said just before.
    ///
    /// # Errors
    /// [`Error::File`]; then nothing was taken.
    pub(crate) fn take(&mut self, frames: &[u8]) -> Result<(), Error> {
        let (Some(body), Some(file)) = (&mut self.body, self.file.get()) else {
            return Ok(());
        };
        if let Some(sealing) = &mut body.sealing {
            sealing.audio.extend_from_slice(frames);
            if sealing.audio.len() >= CHUNK {
                let mut chunk = std::mem::replace(&mut sealing.audio, Vec::with_capacity(CHUNK + TAG));
                let sealed = sealing.cipher.seal(sealing.chunks, false, &mut chunk);
                sealed.ok_or_else(|| Error::unsafe_(&self.path))?;
                sealing.waiting = Some(chunk);
            }
        } else {
            // At its own place, so that a write that failed half way is repeated over itself.
            file.write_all_at(frames, body.header.len() + body.taken * FRAME)
                .map_err(|source| Error::file(&self.path, "write", source))?;
            self.disk.dirty.store(true, Ordering::Release);
            body.chain.push(frames);
        }
        body.taken += frames.len() as u64 / FRAME;
        Ok(())
    }

    /// Ends the file at exactly `total` samples, of which all were taken, and more perhaps; brings it to the disk.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Unsafe`] when what is in the file is not what was written.
    pub(crate) fn finish(mut self, total: u64) -> Result<Segment, Error> {
        self.settle()?;
        let path = self.path;
        let (Some(mut body), Some(file)) = (self.body, self.file.get()) else {
            return Err(Error::unsafe_(&path));
        };
        let failed = |doing| {
            let path = &path;
            move |source| Error::file(path, doing, source)
        };
        let octets = total * FRAME;
        let mut length = body.header.len() + octets;
        if let Some(sealing) = &mut body.sealing {
            let full = octets / CHUNK as u64;
            let mut tail = std::mem::take(&mut sealing.audio);
            if full < sealing.chunks {
                let mut chunk = vec![0; body.header.stride()];
                file.read_exact_at(&mut chunk, body.header.place(full)).map_err(failed("read"))?;
                let opened = sealing.cipher.open(full, false, &mut chunk);
                tail = opened.ok_or_else(|| Error::unsafe_(&path))?.to_vec();
                body.chain = again(file, &body.header, &body.chain, full * body.header.stride() as u64)
                    .map_err(failed("read"))?
                    .ok_or_else(|| Error::unsafe_(&path))?;
            }
            tail.truncate((octets % CHUNK as u64) as usize);
            sealing.cipher.seal(full, true, &mut tail).ok_or_else(|| Error::unsafe_(&path))?;
            file.write_all_at(&tail, body.header.place(full)).map_err(failed("write"))?;
            body.chain.push(&tail);
            length = body.header.place(full) + tail.len() as u64;
        } else if total < body.taken {
            body.chain = again(file, &body.header, &body.chain, octets)
                .map_err(failed("read"))?
                .ok_or_else(|| Error::unsafe_(&path))?;
        }
        body.chain.end();
        file.set_len(length).map_err(failed("cut"))?;
        file.sync_all().map_err(failed("bring to the disk"))?;
        sync_folder(&path)?;
        if self.disk.failed.load(Ordering::Acquire) {
            return Err(Error::unsafe_(&path));
        }
        Ok(Segment::new(&path, &body.header, total, &body.chain))
    }

    /// Makes the file; what a failure left half-made is taken away, so that the next try is as good as the first.
    fn make(&mut self) -> Result<(), Error> {
        if self.body.is_some() {
            return Ok(());
        }
        let header = Header {
            codec: self.codec,
            started: self.started,
            salt: match &self.key {
                Some(_) => Some(cipher::salt().ok_or(Error::NoRandom)?),
                None => None,
            },
        };
        let cipher = self.key.as_ref().and_then(|key| Cipher::new(key, &header));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&self.path)
            .map_err(|source| Error::file(&self.path, "create", source))?;
        if let Err(source) = file.write_all_at(&header.to_bytes(), 0) {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::file(&self.path, "write", source));
        }
        self.disk.dirty.store(true, Ordering::Release);
        // There is none: only this method sets it.
        let _ = self.file.set(file);
        self.body = Some(Body {
            chain: Chain::new(&header),
            header,
            taken: 0,
            sealing: cipher.map(|cipher| Sealing {
                cipher,
                chunks: 0,
                audio: Vec::new(),
                waiting: None,
            }),
        });
        Ok(())
    }
}

/// The chain over the first octets of a file's body, read again because the rest is cut off; none when they are not those
/// that were written.
fn again(file: &File, header: &Header, written: &Chain, octets: u64) -> std::io::Result<Option<Chain>> {
    let mut chain = Chain::new(header);
    let mut piece = vec![0; 16 * header.stride()];
    let mut at = 0;
    while at < octets {
        let count = usize::try_from(octets - at).unwrap_or(usize::MAX).min(piece.len());
        file.read_exact_at(&mut piece[..count], header.len() + at)?;
        chain.push(&piece[..count]);
        at += count as u64;
    }
    Ok(written.begins_with(&chain).then_some(chain))
}
