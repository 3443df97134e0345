//! Peaks for a picture of the sound, in audiowaveform's JSON version 2.

use crate::RATE;
use crate::error::Error;
use crate::linear;
use crate::reader::Reader;

/// Points at most; a browser draws fewer.
pub const MAX_POINTS: u32 = 10_000;

/// Minimum and maximum of equal stretches of both channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waveform {
    /// Samples each point stands for; of G.722 pairs of them, so that the time they take is the same.
    pub samples_per_pixel: u64,
    /// Points a channel.
    pub length: u64,
    /// For each point: caller's minimum and maximum, ours; 8 bits each.
    pub data: Vec<i8>,
}

impl Waveform {
    /// Peaks of a recording in at most `points` points (1 to [`MAX_POINTS`]).
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn of(reader: &Reader, points: u32) -> Result<Self, Error> {
        let points = u64::from(points.clamp(1, MAX_POINTS));
        let samples_per_pixel = reader.samples().div_ceil(points).max(1);
        let length = reader.samples().div_ceil(samples_per_pixel);
        let each = reader.codec().samples_per_octet();
        let mut data = Vec::with_capacity(length as usize * 4);
        let mut heard = Vec::new();
        let (mut at, mut left, mut peaks) = (0, samples_per_pixel, Peaks::default());
        while at < reader.samples() {
            heard.clear();
            at += linear::samples(reader, at, 32 * 1024, &mut heard)?;
            for frames in heard.chunks(2 * each) {
                for frame in frames.as_chunks::<2>().0 {
                    peaks.take(frame.map(|sample| (sample >> 8) as i8));
                }
                left -= 1;
                if left == 0 {
                    data.extend(std::mem::take(&mut peaks).0);
                    left = samples_per_pixel;
                }
            }
        }
        if left < samples_per_pixel {
            data.extend(peaks.0);
        }
        Ok(Self {
            samples_per_pixel,
            length,
            data,
        })
    }

    /// The document: `data` holds 2 × length × channels numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        let numbers: Vec<String> = self.data.iter().map(ToString::to_string).collect();
        format!(
            r#"{{"version":2,"channels":2,"sample_rate":{RATE},"samples_per_pixel":{},"bits":8,"length":{},"data":[{}]}}"#,
            self.samples_per_pixel,
            self.length,
            numbers.join(",")
        )
    }
}

/// Minimum and maximum of the caller, then ours.
struct Peaks([i8; 4]);

impl Default for Peaks {
    fn default() -> Self {
        Self([i8::MAX, i8::MIN, i8::MAX, i8::MIN])
    }
}

impl Peaks {
    fn take(&mut self, [caller, us]: [i8; 2]) {
        let [caller_min, caller_max, us_min, us_max] = &mut self.0;
        *caller_min = caller.min(*caller_min);
        *caller_max = caller.max(*caller_max);
        *us_min = us.min(*us_min);
        *us_max = us.max(*us_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::writer::{Channel, Writer};

    fn recording(folder: &std::path::Path, caller: &[i16]) -> Reader {
        let mut writer = Writer::create(folder, "w", Codec::Pcmu, 0).unwrap();
        writer.push(Channel::Caller, &Codec::Pcmu.encode_all(caller));
        writer.push_silence(Channel::Us, caller.len() as u64);
        Reader::open(&writer.finish(caller.len() as u64).unwrap().path, None).unwrap()
    }

    #[test]
    fn peaks_stand_where_the_sound_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut caller = vec![0i16; 70_000];
        caller[35_000] = 32_000;
        caller[69_999] = -32_000;
        let waveform = Waveform::of(&recording(folder.path(), &caller), 10).unwrap();
        assert_eq!((waveform.samples_per_pixel, waveform.length), (7_000, 10));
        assert_eq!(waveform.data.len(), 40);
        assert_eq!(waveform.data[20..24], [0, 125, 0, 0]);
        assert_eq!(waveform.data[36..40], [-126, 0, 0, 0]);
        assert!(waveform.data[..20].iter().all(|&peak| peak == 0));
    }

    #[test]
    fn short_and_empty_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let waveform = Waveform::of(&recording(folder.path(), &[0, 32_000, 0]), 2).unwrap();
        assert_eq!(
            waveform.to_json(),
            r#"{"version":2,"channels":2,"sample_rate":8000,"samples_per_pixel":2,"bits":8,"length":2,"data":[0,125,0,0,0,0,0,0]}"#
        );
        let folder = tempfile::tempdir().unwrap();
        let empty = Waveform::of(&recording(folder.path(), &[]), 100).unwrap();
        assert_eq!((empty.length, empty.data.len()), (0, 0));
    }
}
