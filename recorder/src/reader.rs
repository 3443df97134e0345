//! A recording file shown as a WAV, whose header is made at read time.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::RATE;
use crate::cipher::{Cipher, Key};
use crate::codec::Codec;
use crate::error::Error;
use crate::format::{CHUNK, FRAME, HEADER, Header, SALT, TAG};
pub use crate::source::Source;

/// Octets of the WAV header: RIFF, an 18-octet `fmt `, `fact`, `data`.
pub const WAV_HEADER: usize = 58;

/// Samples that fit the 32-bit lengths of RIFF: 74 hours.
const MAX_SAMPLES: u64 = (u32::MAX as u64 - WAV_HEADER as u64) / FRAME;

/// A recording opened for reading, with its length as of then.
#[derive(Debug)]
pub struct Reader {
    source: Box<dyn Source>,
    path: PathBuf,
    header: Header,
    cipher: Option<Cipher>,
    samples: u64,
    whole: bool,
}

impl Reader {
    /// Opens a recording, finished or not; an encrypted one with its data key, a plain one without any, so that neither can
    /// be put in the other's place.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::NotARecording`] for a foreign or cut header; [`Error::Locked`] when key and file do not
    /// belong together.
    pub fn open(path: &Path, key: Option<&Key>) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::file(path, "open", source))?;
        Self::of(path, Box::new(file), key)
    }

    /// The same of a source, wherever that is; errors call it `path`.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn of(path: &Path, source: Box<dyn Source>, key: Option<&Key>) -> Result<Self, Error> {
        let (header, length) = inspect(source.as_ref(), path)?;
        let body = length - header.len();
        let cipher = unlocked(path, &header, key)?;
        let mut reader = Self {
            source,
            path: path.to_path_buf(),
            header,
            samples: body / FRAME,
            cipher,
            whole: true,
        };
        if reader.cipher.is_some() {
            let (full, rest) = (body / reader.header.stride() as u64, body % reader.header.stride() as u64);
            // What a crash left of a chunk is none; only a final one may be short.
            let tail = reader.chunk(full, rest as usize);
            reader.whole = tail.is_ok();
            let tail = tail.map_or(0, |tail| tail.len() as u64);
            reader.samples = (full * CHUNK as u64 + tail) / FRAME;
        }
        reader.samples = reader.samples.min(MAX_SAMPLES);
        Ok(reader)
    }

    /// Whether the file has its end. A plain one has none to show.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whole samples in the file.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Length in whole milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.samples / crate::SAMPLES_PER_MS
    }

    /// The codec of both channels.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.header.codec
    }

    /// When the recording was begun, in milliseconds UTC.
    #[must_use]
    pub fn started(&self) -> i64 {
        self.header.started
    }

    /// Octets of the WAV.
    #[must_use]
    pub fn wav_len(&self) -> u64 {
        WAV_HEADER as u64 + self.samples * FRAME
    }

    /// Fills `buf` with the WAV's octets from `offset` on; returns how many
    /// there were, fewer than asked for only at the end.
    ///
    /// # Errors
    /// [`Error::File`], also if the file became shorter meanwhile.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let left = self.wav_len().saturating_sub(offset);
        let length = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let header = self.wav_header();
        let from_header = match usize::try_from(offset).ok().and_then(|offset| header.get(offset..)) {
            Some(rest) => {
                let count = rest.len().min(length);
                buf[..count].copy_from_slice(&rest[..count]);
                count
            }
            None => 0,
        };
        if length > from_header {
            let in_body = offset.saturating_sub(WAV_HEADER as u64);
            self.body(in_body, &mut buf[from_header..length])?;
        }
        Ok(length)
    }

    /// Fills `buf` with audio from an octet of it on. Of an encrypted file the chunks are opened that it touches, and no
    /// others.
    fn body(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        if self.cipher.is_none() {
            let read = self.source.read_exact_at(buf, self.header.len() + offset);
            return read.map_err(|source| Error::file(&self.path, "read", source));
        }
        let mut filled = 0;
        while filled < buf.len() {
            let at = offset + filled as u64;
            let (number, within) = (at / CHUNK as u64, (at % CHUNK as u64) as usize);
            let left = (self.samples * FRAME).saturating_sub(number * CHUNK as u64);
            let audio = if left >= CHUNK as u64 {
                self.chunk(number, CHUNK + TAG)?
            } else {
                self.chunk(number, left as usize + TAG)?
            };
            let part = audio.get(within..).filter(|part| !part.is_empty());
            let part = part.ok_or_else(|| Error::file(&self.path, "read", std::io::ErrorKind::UnexpectedEof.into()))?;
            let count = part.len().min(buf.len() - filled);
            buf[filled..filled + count].copy_from_slice(&part[..count]);
            filled += count;
        }
        Ok(())
    }

    /// The audio of a chunk that has so many octets in the file; it is the final one if those are less than full.
    fn chunk(&self, number: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut chunk = vec![0; length];
        self.source
            .read_exact_at(&mut chunk, self.header.place(number))
            .map_err(|source| Error::file(&self.path, "read", source))?;
        let last = length < self.header.stride();
        let opened = self.cipher.as_ref().and_then(|cipher| cipher.open(number, last, &mut chunk));
        let length = opened.map(<[u8]>::len).ok_or_else(|| Error::Damaged {
            path: self.path.clone(),
            chunk: number,
        })?;
        chunk.truncate(length);
        Ok(chunk)
    }

    /// The recording's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames (caller, us, caller, us …) from a sample offset on; returns the
    /// number of whole samples read into `buf`.
    pub(crate) fn read_frames(&self, sample: u64, buf: &mut [u8]) -> Result<u64, Error> {
        let wanted = (buf.len() as u64 / FRAME).min(self.samples.saturating_sub(sample));
        self.body(sample * FRAME, &mut buf[..(wanted * FRAME) as usize])?;
        Ok(wanted)
    }

    /// The WAV's header. A-law and µ-law need the long `fmt ` and a `fact`
    /// chunk (RIFF, new multimedia data types, "Fact Chunk").
    fn wav_header(&self) -> [u8; WAV_HEADER] {
        let samples = self.samples as u32;
        let data = samples * FRAME as u32;
        let mut out = [0; WAV_HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(b"RIFF");
        put(&(data + WAV_HEADER as u32 - 8).to_le_bytes());
        put(b"WAVEfmt ");
        put(&18u32.to_le_bytes());
        // Nobody is to be shown G.722 this way ([`crate::pcm16`] is for that); 0 says that the format is unknown.
        put(&self.header.codec.wav_tag().unwrap_or(0).to_le_bytes());
        put(&2u16.to_le_bytes());
        put(&RATE.to_le_bytes());
        put(&(RATE * FRAME as u32).to_le_bytes());
        put(&(FRAME as u16).to_le_bytes());
        put(&8u16.to_le_bytes());
        put(&0u16.to_le_bytes());
        put(b"fact");
        put(&4u32.to_le_bytes());
        put(&samples.to_le_bytes());
        put(b"data");
        put(&data.to_le_bytes());
        out
    }
}

/// The cipher of a file, if it has one.
pub(crate) fn unlocked(path: &Path, header: &Header, key: Option<&Key>) -> Result<Option<Cipher>, Error> {
    let refuse = |problem| Error::Locked {
        path: path.to_path_buf(),
        problem,
    };
    match (key, header.salt) {
        (None, None) => Ok(None),
        (Some(key), Some(_)) => Ok(Cipher::new(key, header)),
        (None, Some(_)) => Err(refuse("it is encrypted, and there is no key for it")),
        (Some(_), None) => Err(refuse("it is not encrypted, though there is a key for it")),
    }
}

/// Header and length of a recording's file.
pub(crate) fn inspect(file: &dyn Source, path: &Path) -> Result<(Header, u64), Error> {
    let failed = |source| Error::file(path, "read", source);
    let refuse = |problem| Error::NotARecording {
        path: path.to_path_buf(),
        problem,
    };
    let length = file.length().map_err(failed)?;
    let mut begin = vec![0; length.min(HEADER + SALT as u64) as usize];
    file.read_exact_at(&mut begin, 0).map_err(failed)?;
    let header = Header::from_bytes(&begin).map_err(refuse)?;
    Ok((header, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::repair;
    use crate::writer::{Channel, Writer};
    use proptest::prelude::*;

    fn recording(folder: &Path, id: &str, codec: Codec, samples: u64, key: Option<&Key>) -> Reader {
        let mut writer = Writer::create(folder, id, codec, 0).unwrap().under(key.cloned());
        writer.push(Channel::Caller, &(0..samples).map(|n| n as u8).collect::<Vec<_>>());
        writer.push_silence(Channel::Us, samples);
        let sealed = writer.finish(samples).unwrap();
        Reader::open(&sealed.path, key).unwrap()
    }

    fn whole(reader: &Reader) -> Vec<u8> {
        let mut wav = vec![0; reader.wav_len() as usize + 9];
        let length = reader.read_at(0, &mut wav).unwrap();
        wav.truncate(length);
        wav
    }

    #[test]
    fn the_header_is_a_wav_of_its_law() {
        let folder = tempfile::tempdir().unwrap();
        for (codec, tag) in [(Codec::Pcma, 6), (Codec::Pcmu, 7)] {
            let wav = whole(&recording(folder.path(), codec.as_str(), codec, 100, None));
            assert_eq!(wav.len(), 58 + 200);
            let u16_at = |at: usize| u16::from_le_bytes([wav[at], wav[at + 1]]);
            let u32_at = |at: usize| u32::from_le_bytes([wav[at], wav[at + 1], wav[at + 2], wav[at + 3]]);
            assert_eq!((&wav[..4], u32_at(4), &wav[8..16]), (&b"RIFF"[..], 250, &b"WAVEfmt "[..]));
            assert_eq!((u32_at(16), u16_at(20), u16_at(22)), (18, tag, 2));
            assert_eq!((u32_at(24), u32_at(28), u16_at(32), u16_at(34)), (8_000, 16_000, 2, 8));
            assert_eq!((&wav[38..42], u32_at(42), u32_at(46)), (&b"fact"[..], 4, 100));
            assert_eq!((&wav[50..54], u32_at(54)), (&b"data"[..], 200));
            assert_eq!(wav[58..64], [0, codec.silence(), 1, codec.silence(), 2, codec.silence()]);
        }
    }

    #[test]
    fn foreign_files_are_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vrec");
        for content in [&b""[..], b"RIFF", &[0; 64]] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(Reader::open(&path, None), Err(Error::NotARecording { .. })));
            assert!(matches!(repair(folder.path(), "x", None, 0), Err(Error::NotARecording { .. })));
        }
        assert!(matches!(
            Reader::open(&folder.path().join("none"), None),
            Err(Error::File { doing: "open", .. })
        ));
    }

    #[test]
    fn key_and_file_belong_together() {
        let folder = tempfile::tempdir().unwrap();
        let (key, other) = (Key::new([1; 32]), Key::new([2; 32]));
        let sealed = recording(folder.path(), "sealed", Codec::Pcma, 5_000, Some(&key));
        let plain = recording(folder.path(), "plain", Codec::Pcma, 5_000, None);
        assert!(matches!(Reader::open(sealed.path(), None), Err(Error::Locked { .. })));
        assert!(matches!(Reader::open(plain.path(), Some(&key)), Err(Error::Locked { .. })));
        assert_eq!(whole(&sealed), whole(&plain));
        let foreign = Reader::open(sealed.path(), Some(&other)).unwrap();
        assert!(!foreign.is_whole());
        assert!(matches!(foreign.read_at(58, &mut [0; 9]), Err(Error::Damaged { chunk: 0, .. })));
    }

    #[test]
    fn nothing_of_an_encrypted_file_is_heard_or_looks_like_sound() {
        let folder = tempfile::tempdir().unwrap();
        let reader = recording(folder.path(), "quiet", Codec::Pcma, 40_000, Some(&Key::new([1; 32])));
        let octets = std::fs::read(reader.path()).unwrap();
        let finds = |needle: &[u8]| octets.windows(needle.len()).any(|window| window == needle);
        assert!(!finds(b"RIFF") && !finds(b"WAVE") && !finds(&[0xD5; 4]));
        let mut seen = [0_u32; 256];
        octets[64..].iter().for_each(|&octet| seen[usize::from(octet)] += 1);
        let mean = octets.len() as u32 / 256;
        assert!(seen.iter().all(|&count| count > mean / 2 && count < mean * 2), "{seen:?}");
    }

    #[test]
    fn a_range_opens_the_chunks_that_it_touches_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new([1; 32]);
        let path = recording(folder.path(), "some", Codec::Pcma, 10_000, Some(&key))
            .path()
            .to_path_buf();
        let mut octets = std::fs::read(&path).unwrap();
        octets[64 + 2 * (CHUNK + TAG)] ^= 1;
        std::fs::write(&path, octets).unwrap();
        let reader = Reader::open(&path, Some(&key)).unwrap();
        let mut buf = [0; CHUNK];
        reader.read_at(58, &mut buf).unwrap();
        reader.read_at(58 + CHUNK as u64, &mut buf).unwrap();
        reader.read_at(58 + 3 * CHUNK as u64, &mut buf).unwrap();
        let broken = reader.read_at(58 + 2 * CHUNK as u64 - 1, &mut buf[..2]);
        assert!(matches!(broken, Err(Error::Damaged { chunk: 2, .. })));
    }

    proptest! {
        #[test]
        fn any_range_is_that_part_of_the_whole(samples in 0u64..7_000, offset in 0u64..15_000, length in 0usize..9_000, sealed: bool) {
            let folder = tempfile::tempdir().unwrap();
            let key = sealed.then(|| Key::new([3; 32]));
            let reader = recording(folder.path(), "ranged", Codec::Pcma, samples, key.as_ref());
            prop_assert_eq!((reader.samples(), reader.is_whole()), (samples, true));
            let wav = whole(&reader);
            prop_assert_eq!(wav.len() as u64, reader.wav_len());
            let mut buf = vec![0; length];
            let got = reader.read_at(offset, &mut buf).unwrap();
            let from = (offset as usize).min(wav.len());
            let to = (from + length).min(wav.len());
            prop_assert_eq!(&buf[..got], &wav[from..to]);
            let caller: Vec<u8> = wav[58..].iter().step_by(2).copied().collect();
            prop_assert_eq!(caller, (0..samples).map(|n| n as u8).collect::<Vec<_>>());
        }
    }
}
