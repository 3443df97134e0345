//! 16 kHz to 8 kHz: a low-pass, then every second sample; and back, by a sample of nothing between each two and the same
//! low-pass.
//!
//! The filter is a windowed sinc of 127 taps at 16 kHz, its middle at 3,700 Hz,
//! under a Blackman window (side lobes below -70 dB, transition 5.5/127 of the
//! rate, or 690 Hz): flat to about 3,350 Hz, the telephone band, and gone at
//! 4,050 Hz, where what is left would fold back as a whistle.

use std::f64::consts::PI;

const TAPS: usize = 127;
const CUTOFF: f64 = 3_700.0 / 16_000.0;

/// Halves the rate of 16 kHz samples. The filter's delay is taken out, so that
/// output sample *i* stands at input sample 2*i*.
pub(crate) fn halve(samples: &[i16]) -> Vec<i16> {
    let taps = low_pass();
    let middle = TAPS / 2;
    (0..samples.len())
        .step_by(2)
        .map(|centre| {
            let sum: f64 = taps
                .iter()
                .enumerate()
                .filter_map(|(tap, weight)| {
                    let at = (centre + tap).checked_sub(middle)?;
                    samples.get(at).map(|&sample| weight * f64::from(sample))
                })
                .sum();
            sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
        })
        .collect()
}

/// Doubles the rate of 8 kHz samples. Output sample 2*i* stands at input sample *i*; nothing comes above 4 kHz.
pub(crate) fn double(samples: &[i16]) -> Vec<i16> {
    let taps = low_pass();
    let middle = TAPS / 2;
    (0..samples.len() * 2)
        .map(|centre| {
            // Every other place is one of nothing, so that the rest counts twice.
            let first = (centre + middle) % 2;
            let sum: f64 = (first..TAPS)
                .step_by(2)
                .filter_map(|tap| {
                    let at = (centre + tap).checked_sub(middle)?;
                    samples.get(at / 2).map(|&sample| taps[tap] * f64::from(sample))
                })
                .sum();
            (2.0 * sum).round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
        })
        .collect()
}

/// The taps, with a gain of one at 0 Hz.
fn low_pass() -> [f64; TAPS] {
    let mut taps = [0.0; TAPS];
    let middle = (TAPS / 2) as f64;
    for (index, tap) in taps.iter_mut().enumerate() {
        let from_middle = index as f64 - middle;
        let sinc = if from_middle == 0.0 {
            2.0 * CUTOFF
        } else {
            (2.0 * PI * CUTOFF * from_middle).sin() / (PI * from_middle)
        };
        let turn = 2.0 * PI * index as f64 / (TAPS - 1) as f64;
        *tap = sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos());
    }
    let gain: f64 = taps.iter().sum();
    taps.map(|tap| tap / gain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, rate: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|i| (10_000.0 * (2.0 * PI * frequency * i as f64 / rate).sin()) as i16)
            .collect()
    }

    fn rms(samples: &[i16]) -> f64 {
        (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn speech_passes_in_place() {
        let out = halve(&tone(1_000.0, 16_000.0, 16_000));
        let expected = tone(1_000.0, 8_000.0, 8_000);
        assert_eq!(out.len(), 8_000);
        for (index, (got, want)) in out.iter().zip(&expected).enumerate().skip(64).take(7_800) {
            assert!((i32::from(*got) - i32::from(*want)).abs() < 60, "sample {index}: {got} {want}");
        }
    }

    #[test]
    fn doubled_speech_stays_in_place_and_has_no_mirror() {
        let out = double(&tone(1_000.0, 8_000.0, 8_000));
        let expected = tone(1_000.0, 16_000.0, 16_000);
        assert_eq!(out.len(), 16_000);
        for (index, (got, want)) in out.iter().zip(&expected).enumerate().skip(128).take(15_600) {
            // Without the filter 7 kHz would stand beside it in full strength.
            assert!((i32::from(*got) - i32::from(*want)).abs() < 60, "sample {index}: {got} {want}");
        }
        assert!(double(&[]).is_empty());
    }

    #[test]
    fn what_would_fold_back_is_gone() {
        // Without the filter 5 kHz would come out at 3 kHz in full strength.
        for frequency in [4_100.0, 5_000.0, 7_000.0] {
            let out = halve(&tone(frequency, 16_000.0, 16_000));
            let left = rms(&out[100..7_900]) / (10_000.0 / 2f64.sqrt());
            assert!(left < 0.001, "{frequency} Hz: {left}");
        }
        let band_edge = rms(&halve(&tone(3_300.0, 16_000.0, 16_000))[100..7_900]) / (10_000.0 / 2f64.sqrt());
        assert!(band_edge > 0.95, "{band_edge}");
    }

    #[test]
    fn odd_and_empty_inputs() {
        assert!(halve(&[]).is_empty());
        assert_eq!(halve(&[5]).len(), 1);
        assert_eq!(halve(&[5; 7]).len(), 4);
    }
}
