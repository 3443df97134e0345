//! A recording as WAV in linear PCM, 16 bits: what every program plays.

use hound::{SampleFormat, WavSpec};

use crate::RATE;
use crate::error::Error;
use crate::format::FRAME;
use crate::reader::Reader;

/// Octets of one sample of both channels.
const WIDE: u64 = 4;

/// Samples that fit the 32-bit lengths of RIFF: 37 hours.
const MAX_SAMPLES: u64 = (u32::MAX as u64 - 64) / WIDE;

/// A view of a recording; nothing of it is kept.
#[derive(Debug)]
pub struct Pcm16<'r> {
    reader: &'r Reader,
    header: Vec<u8>,
    table: [i16; 256],
}

impl<'r> Pcm16<'r> {
    /// Over a recording.
    ///
    /// # Errors
    /// [`Error::Export`] for one of more than 37 hours.
    pub fn of(reader: &'r Reader) -> Result<Self, Error> {
        if reader.samples() > MAX_SAMPLES {
            return Err(Error::Export {
                path: reader.path().to_path_buf(),
                problem: "it is too long for a WAV in PCM16".to_owned(),
            });
        }
        let spec = WavSpec {
            channels: 2,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        // Its two lengths are open in there: that of all after the first eight octets, and that of the sound.
        let mut header = spec.into_header_for_infinite_file();
        let sound = (reader.samples() * WIDE) as u32;
        let all = sound + header.len() as u32 - 8;
        let end = header.len();
        header[4..8].copy_from_slice(&all.to_le_bytes());
        header[end - 4..].copy_from_slice(&sound.to_le_bytes());
        Ok(Self {
            table: reader.codec().table(),
            reader,
            header,
        })
    }

    /// Octets of the WAV.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.reader.samples() * WIDE
    }

    /// Never: there is a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Fills `buf` with the WAV's octets from `offset` on; returns how many there were, fewer than asked for only at the end.
    ///
    /// # Errors
    /// The reader's.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let begin = self.header.len() as u64;
        let end = self.len().min(offset.saturating_add(buf.len() as u64));
        let Some(wanted) = end.checked_sub(offset).filter(|&wanted| wanted > 0) else {
            return Ok(0);
        };
        let mut filled = 0;
        if offset < begin {
            let part = &self.header[offset as usize..(begin.min(end)) as usize];
            buf[..part.len()].copy_from_slice(part);
            filled = part.len();
        }
        if end > begin {
            let from = offset.max(begin) - begin;
            let (first, last) = (from / WIDE, (end - begin).div_ceil(WIDE));
            let mut frames = vec![0; ((last - first) * FRAME) as usize];
            self.reader.read_frames(first, &mut frames)?;
            let sound = frames.iter().flat_map(|&octet| self.table[usize::from(octet)].to_le_bytes());
            let places = buf[filled..wanted as usize].iter_mut();
            places
                .zip(sound.skip((from % WIDE) as usize))
                .for_each(|(place, octet)| *place = octet);
        }
        Ok(wanted as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::writer::{Channel, Writer};
    use proptest::prelude::*;

    fn recording(folder: &std::path::Path, samples: u64) -> Reader {
        let mut writer = Writer::create(folder, "wide", Codec::Pcma, 0).unwrap();
        writer.push(Channel::Caller, &(0..samples).map(|n| n as u8).collect::<Vec<_>>());
        writer.push_silence(Channel::Us, samples);
        Reader::open(&writer.finish(samples).unwrap().path, None).unwrap()
    }

    #[test]
    fn hound_reads_what_was_recorded() {
        let folder = tempfile::tempdir().unwrap();
        for samples in [0, 1, 5_000] {
            let folder = folder.path().join(samples.to_string());
            std::fs::create_dir(&folder).unwrap();
            let reader = recording(&folder, samples);
            let view = Pcm16::of(&reader).unwrap();
            let mut wav = vec![0; view.len() as usize + 3];
            let read = view.read_at(0, &mut wav).unwrap();
            assert_eq!(read as u64, view.len());
            let mut heard = hound::WavReader::new(&wav[..read]).unwrap();
            assert_eq!((heard.spec().channels, heard.spec().sample_rate), (2, 8_000));
            let heard: Vec<i16> = heard.samples().map(Result::unwrap).collect();
            let silence = Codec::Pcma.decode(Codec::Pcma.silence());
            let said: Vec<i16> = (0..samples).flat_map(|n| [Codec::Pcma.decode(n as u8), silence]).collect();
            assert_eq!(heard, said);
        }
    }

    proptest! {
        #[test]
        fn any_range_is_that_part_of_the_whole(offset in 0u64..500, length in 0usize..500) {
            let folder = tempfile::tempdir().unwrap();
            let reader = recording(folder.path(), 100);
            let view = Pcm16::of(&reader).unwrap();
            let mut whole = vec![0; view.len() as usize];
            view.read_at(0, &mut whole).unwrap();
            let mut buf = vec![0; length];
            let got = view.read_at(offset, &mut buf).unwrap();
            let from = (offset as usize).min(whole.len());
            prop_assert_eq!(&buf[..got], &whole[from..(from + length).min(whole.len())]);
        }
    }
}
