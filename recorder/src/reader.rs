//! A recording file shown as a WAV, whose header is made at read time.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::RATE;
use crate::codec::Codec;
use crate::error::Error;
use crate::format::{FRAME, HEADER, Header};

/// Octets of the WAV header: RIFF, an 18-octet `fmt `, `fact`, `data`.
pub const WAV_HEADER: usize = 58;

/// Samples that fit the 32-bit lengths of RIFF: 74 hours.
const MAX_SAMPLES: u64 = (u32::MAX as u64 - WAV_HEADER as u64) / FRAME;

/// A recording opened for reading, with its length as of then.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    header: Header,
    samples: u64,
}

impl Reader {
    /// Opens a recording, finished or not.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::NotARecording`] for a foreign or cut header.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::file(path, "open", source))?;
        let (header, samples) = inspect(&file, path)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            header,
            samples: samples.min(MAX_SAMPLES),
        })
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
            self.file
                .read_exact_at(&mut buf[from_header..length], HEADER + in_body)
                .map_err(|source| Error::file(&self.path, "read", source))?;
        }
        Ok(length)
    }

    /// Frames (caller, us, caller, us …) from a sample offset on; returns the
    /// number of whole samples read into `buf`.
    pub(crate) fn read_frames(&self, sample: u64, buf: &mut [u8]) -> Result<u64, Error> {
        let wanted = (buf.len() as u64 / FRAME).min(self.samples.saturating_sub(sample));
        self.file
            .read_exact_at(&mut buf[..(wanted * FRAME) as usize], HEADER + sample * FRAME)
            .map_err(|source| Error::file(&self.path, "read", source))?;
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
        put(&self.header.codec.wav_tag().to_le_bytes());
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

/// What a crash left of a recording: cuts a sample written by half, brings the
/// file to the disk, and returns the number of whole samples.
///
/// # Errors
/// [`Error::File`]; [`Error::NotARecording`] if not even the header was written.
pub fn repair(path: &Path) -> Result<u64, Error> {
    let failed = |doing| move |source| Error::file(path, doing, source);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
    let (_, samples) = inspect(&file, path)?;
    file.set_len(HEADER + samples * FRAME).map_err(failed("cut"))?;
    file.sync_all().map_err(failed("bring to the disk"))?;
    crate::writer::sync_folder(path)?;
    Ok(samples)
}

fn inspect(file: &File, path: &Path) -> Result<(Header, u64), Error> {
    let refuse = |problem| Error::NotARecording {
        path: path.to_path_buf(),
        problem,
    };
    let length = file.metadata().map_err(|source| Error::file(path, "read", source))?.len();
    let mut header = [0; HEADER as usize];
    if length < HEADER {
        return Err(refuse("it is shorter than a header"));
    }
    file.read_exact_at(&mut header, 0)
        .map_err(|source| Error::file(path, "read", source))?;
    let header = Header::from_bytes(&header).map_err(refuse)?;
    Ok((header, (length - HEADER) / FRAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::{Channel, Writer};
    use proptest::prelude::*;

    fn recording(folder: &Path, id: &str, codec: Codec, samples: u8) -> Reader {
        let mut writer = Writer::create(folder, id, codec, 0).unwrap();
        writer.push(Channel::Caller, &(0..samples).collect::<Vec<_>>());
        writer.push_silence(Channel::Us, u64::from(samples));
        let sealed = writer.finish(u64::from(samples)).unwrap();
        Reader::open(&sealed.path).unwrap()
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
            let wav = whole(&recording(folder.path(), codec.as_str(), codec, 100));
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
            assert!(matches!(Reader::open(&path), Err(Error::NotARecording { .. })));
            assert!(matches!(repair(&path), Err(Error::NotARecording { .. })));
        }
        assert!(matches!(
            Reader::open(&folder.path().join("none")),
            Err(Error::File { doing: "open", .. })
        ));
    }

    proptest! {
        #[test]
        fn any_range_is_that_part_of_the_whole(offset in 0u64..400, length in 0usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let reader = recording(folder.path(), "ranged", Codec::Pcma, 120);
            let wav = whole(&reader);
            let mut buf = vec![0; length];
            let got = reader.read_at(offset, &mut buf).unwrap();
            let from = (offset as usize).min(wav.len());
            let to = (from + length).min(wav.len());
            prop_assert_eq!(&buf[..got], &wav[from..to]);
        }
    }
}
