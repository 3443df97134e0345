//! Is the caller still speaking: the energy of 20 ms frames.

use crate::codec::{Codec, Decoder};

/// Samples in a frame.
const FRAME: u64 = 160;

/// Mean square above which a frame is loud: -45 dBFS, between the idle noise
/// of a line (-65 to -50) and quiet speech (-38).
const LOUD: u64 = 184 * 184;

/// Loud frames in a row that make speech; one alone is a click.
const SPEECH: u32 = 2;

/// Measures how long a leg has been silent. Absent samples count as silent.
#[derive(Debug)]
pub struct Activity {
    ear: Decoder,
    energy: u64,
    in_frame: u64,
    loud_frames: u32,
    silent: u64,
}

impl Activity {
    /// A leg that has said nothing yet.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            ear: Decoder::new(codec),
            energy: 0,
            in_frame: 0,
            loud_frames: 0,
            silent: 0,
        }
    }

    /// Takes the next octets of the leg. Stops at, and returns, the first
    /// sample (counted within `octets`, exclusive end) at which the silence
    /// reaches `limit` samples.
    pub fn push(&mut self, octets: &[u8], limit: u64) -> Option<usize> {
        let mut taken = 0;
        while taken < octets.len() {
            if self.silent >= limit {
                return Some(taken);
            }
            // As far as the frame or the limit.
            let room = (FRAME - self.in_frame).min(limit - self.silent);
            let piece = octets.len().min(taken.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
            self.energy += self.ear.energy(&octets[taken..piece]);
            let count = (piece - taken) as u64;
            self.in_frame += count;
            self.silent += count;
            taken = piece;
            if self.in_frame == FRAME {
                self.close_frame();
            }
        }
        (self.silent >= limit).then_some(taken)
    }

    /// As [`push`](Self::push), for samples that never came.
    pub fn push_silence(&mut self, samples: u64, limit: u64) -> Option<u64> {
        let room = limit.saturating_sub(self.silent);
        // What the open frame held is forgotten: a fraction of 20 ms.
        self.energy = 0;
        self.in_frame = 0;
        self.loud_frames = 0;
        self.silent = self.silent.saturating_add(samples.min(room));
        (samples >= room).then_some(room)
    }

    /// Begins to count again, as at the start.
    pub fn restart(&mut self) {
        self.energy = 0;
        self.in_frame = 0;
        self.loud_frames = 0;
        self.silent = 0;
    }

    /// Samples since speech was last heard, or since the start.
    #[must_use]
    pub fn silent(&self) -> u64 {
        self.silent
    }

    fn close_frame(&mut self) {
        let loud = self.energy > LOUD * FRAME;
        self.energy = 0;
        self.in_frame = 0;
        self.loud_frames = if loud { self.loud_frames + 1 } else { 0 };
        if self.loud_frames >= SPEECH {
            self.silent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 8_000;

    fn tone(amplitude: f64, samples: usize) -> Vec<u8> {
        (0..samples)
            .map(|i| (amplitude * (i as f64 * 0.3).sin()) as i16)
            .map(|sample| Codec::Pcma.encode(sample))
            .collect()
    }

    #[test]
    fn silence_is_reached_at_its_exact_sample() {
        let mut activity = Activity::new(Codec::Pcma);
        assert_eq!(activity.push(&vec![0xD5; 7_999], LIMIT), None);
        assert_eq!(activity.push(&[0xD5; 50], LIMIT), Some(1));
    }

    #[test]
    fn speech_starts_the_count_again_and_line_noise_does_not() {
        let mut activity = Activity::new(Codec::Pcma);
        activity.push(&vec![0xD5; 4_000], LIMIT);
        activity.push(&tone(2_000.0, 800), LIMIT);
        assert_eq!(activity.silent(), 0);
        activity.push(&tone(60.0, 1_600), LIMIT);
        assert_eq!(activity.silent(), 1_600);
        activity.restart();
        assert_eq!(activity.silent(), 0);
    }

    #[test]
    fn wideband_speech_is_heard_too() {
        let said: Vec<i16> = (0..3_200).map(|n| (2_000.0 * (f64::from(n) * 0.9).sin()) as i16).collect();
        let mut activity = Activity::new(Codec::G722);
        activity.push(&vec![Codec::G722.silence(); 4_000], LIMIT);
        assert_eq!(activity.silent(), 4_000);
        activity.push(&Codec::G722.encode_all(&said), LIMIT);
        assert_eq!(activity.silent(), 0);
    }

    #[test]
    fn a_click_is_not_speech() {
        let mut activity = Activity::new(Codec::Pcma);
        activity.push(&[0xD5; 160], LIMIT);
        activity.push(&tone(8_000.0, 160), LIMIT);
        activity.push(&[0xD5; 160], LIMIT);
        assert_eq!(activity.silent(), 480);
    }

    #[test]
    fn absent_samples_count_and_are_bounded() {
        let mut activity = Activity::new(Codec::Pcmu);
        assert_eq!(activity.push_silence(100, LIMIT), None);
        assert_eq!(activity.push_silence(u64::MAX, LIMIT), Some(7_900));
        assert_eq!(activity.silent(), LIMIT);
    }
}
