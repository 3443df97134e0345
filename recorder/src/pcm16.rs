//! A recording as WAV in linear PCM, 16 bits: what every program plays.

use hound::{SampleFormat, WavSpec};

use crate::error::Error;
use crate::linear;
use crate::reader::Reader;

/// Octets of one sample of both channels.
const WIDE: u64 = 4;

/// Octets that fit the 32-bit lengths of RIFF: 37 hours, 18 of wideband.
const MAX_OCTETS: u64 = u32::MAX as u64 - 64;

/// A view of a recording; nothing of it is kept.
#[derive(Debug)]
pub struct Pcm16<'r> {
    reader: &'r Reader,
    header: Vec<u8>,
    /// Octets that come of one octet of both channels.
    wide: u64,
}

impl<'r> Pcm16<'r> {
    /// Over a recording.
    ///
    /// # Errors
    /// [`Error::Export`] for one of more than 37 hours, or 18 of wideband.
    pub fn of(reader: &'r Reader) -> Result<Self, Error> {
        let wide = WIDE * reader.codec().samples_per_octet() as u64;
        if reader.samples() > MAX_OCTETS / wide {
            return Err(Error::Export {
                path: reader.path().to_path_buf(),
                problem: "it is too long for a WAV in PCM16".to_owned(),
            });
        }
        let spec = WavSpec {
            channels: 2,
            sample_rate: reader.codec().rate(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        // Its two lengths are open in there: that of all after the first eight octets, and that of the sound.
        let mut header = spec.into_header_for_infinite_file();
        let sound = (reader.samples() * wide) as u32;
        let all = sound + header.len() as u32 - 8;
        let end = header.len();
        header[4..8].copy_from_slice(&all.to_le_bytes());
        header[end - 4..].copy_from_slice(&sound.to_le_bytes());
        Ok(Self { reader, header, wide })
    }

    /// Octets of the WAV.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.reader.samples() * self.wide
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
            let (first, last) = (from / self.wide, (end - begin).div_ceil(self.wide));
            let mut sound = Vec::new();
            linear::samples(self.reader, first, last - first, &mut sound)?;
            let sound = sound.iter().flat_map(|sample| sample.to_le_bytes());
            let places = buf[filled..wanted as usize].iter_mut();
            places
                .zip(sound.skip((from % self.wide) as usize))
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

    #[test]
    fn wideband_is_heard_at_sixteen_kilohertz() {
        let folder = tempfile::tempdir().unwrap();
        let tone = |n: u32| ((f64::from(n) * 0.9).sin() * 9_000.0) as i16;
        let said: Vec<i16> = (0..60_000).map(tone).collect();
        let octets = Codec::G722.encode_all(&said);
        let mut writer = Writer::create(folder.path(), "wide", Codec::G722, 0).unwrap();
        writer.push(Channel::Caller, &octets);
        writer.push_silence(Channel::Us, 30_000);
        let reader = Reader::open(&writer.finish(30_000).unwrap().path, None).unwrap();
        assert_eq!(reader.duration_ms(), 3_750);
        let view = Pcm16::of(&reader).unwrap();
        let mut wav = vec![0; view.len() as usize];
        view.read_at(0, &mut wav).unwrap();
        let mut heard = hound::WavReader::new(&wav[..]).unwrap();
        assert_eq!((heard.spec().channels, heard.spec().sample_rate), (2, 16_000));
        let heard: Vec<i16> = heard.samples().map(Result::unwrap).collect();
        let (left, right): (Vec<i16>, Vec<i16>) = heard.as_chunks::<2>().0.iter().map(|&[left, right]| (left, right)).unzip();
        assert_eq!(left.len(), 60_000);
        assert!(right[640..].iter().all(|sample| sample.abs() <= 32));
        // Stretches that are decoded apart fit together as if they were one.
        let whole = Codec::G722.decode_all(&octets);
        let worst = left.iter().zip(&whole).map(|(a, b)| (a - b).abs()).max();
        assert!(worst.unwrap() <= 8, "{worst:?}");
        // And a part is a part of the whole, wherever it is asked for.
        for (offset, length) in [(0, 100), (44 + 7, 33), (150_001, 70_000), (239_000, 9_999)] {
            let mut part = vec![0; length];
            let got = view.read_at(offset, &mut part).unwrap();
            let from = offset as usize;
            assert_eq!(part[..got], wav[from..(from + length).min(wav.len())], "{offset}");
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
