//! G.711 to linear, by the arithmetic of the recommendation and no table of anybody's.

/// A-law silence.
pub const A_LAW_SILENCE: u8 = 0xD5;

/// One A-law octet (payload type 8) as a 16-bit sample.
#[must_use]
pub fn a_law(octet: u8) -> i16 {
    // ITU-T G.711 table 1a: even bits are inverted.
    let value = octet ^ 0x55;
    let exponent = i32::from((value >> 4) & 7);
    let mantissa = i32::from(value & 15);
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    // The sign bit set means positive.
    (if value & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

/// One µ-law octet (payload type 0) as a 16-bit sample.
#[must_use]
pub fn mu_law(octet: u8) -> i16 {
    let value = !octet;
    let exponent = i32::from((value >> 4) & 7);
    let mantissa = i32::from(value & 15);
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    (if value & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// One sample as A-law: the octet whose value is nearest.
#[must_use]
pub fn to_a_law(sample: i16) -> u8 {
    let distance = |octet: &u8| (i32::from(a_law(*octet)) - i32::from(sample)).abs();
    (0..=255).min_by_key(distance).unwrap_or(A_LAW_SILENCE)
}

/// A tone of some Hz and whole packets of 20 ms in A-law, loud and without edges: nobody's prompt, so that it is known again.
#[must_use]
pub fn tone(frequency: f64, packets: usize) -> Vec<u8> {
    let turn = std::f64::consts::TAU * frequency / 8_000.0;
    let sample = |at: usize| (9_000.0 * (turn * at as f64).sin()) as i16;
    (0..packets * 160).map(|at| to_a_law(sample(at))).collect()
}

/// A WAV file of A-law octets, as [`a_law_wav`] reads it.
#[must_use]
pub fn to_wav(octets: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((36 + octets.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    file.extend((octets.len() as u32).to_le_bytes());
    file.extend(octets);
    file
}

/// The share of a frame's energy at one frequency in Hz, 0 to 1 (Goertzel); 0 for a quiet frame.
#[must_use]
pub fn purity(samples: &[i16], frequency: f64) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let count = samples.len() as f64;
    if energy < count * 500.0 * 500.0 {
        return 0.0;
    }
    let turn = std::f64::consts::TAU * frequency / 8_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (index, &sample) in samples.iter().enumerate() {
        let angle = turn * index as f64;
        re += f64::from(sample) * angle.cos();
        im += f64::from(sample) * angle.sin();
    }
    2.0 * (re * re + im * im) / (count * energy)
}

/// The samples of a WAV file in A-law, 8 kHz, mono, as they go into packets; `None` for any other file.
#[must_use]
pub fn a_law_wav(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut fits = false;
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let chunk = after.get(..length)?;
        match name {
            // Tag 6, one channel, 8,000 Hz.
            b"fmt " => fits = chunk.get(..8)? == [6, 0, 1, 0, 0x40, 0x1f, 0, 0],
            b"data" if fits => return Some(chunk),
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = after.get(length + length % 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_have_their_known_values() {
        assert_eq!((a_law(0xD5), a_law(0x55), a_law(0xAA), a_law(0x2A)), (8, -8, 32256, -32256));
        assert_eq!((mu_law(0xFF), mu_law(0x80), mu_law(0x00)), (0, 32124, -32124));
        for octet in 0..=255 {
            assert_eq!(to_a_law(a_law(octet)), octet);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let made = tone(700.0, 3);
        assert_eq!(made.len(), 480);
        assert_eq!(a_law_wav(&to_wav(&made)), Some(made.as_slice()));
        let samples: Vec<i16> = made.iter().map(|octet| a_law(*octet)).collect();
        assert!(purity(&samples, 700.0) > 0.95 && purity(&samples, 1_000.0) < 0.1);
    }

    #[test]
    fn a_tone_is_pure_and_speech_is_not() {
        let tone = |hz: f64| (0..160).map(move |i| (8_000.0 * (std::f64::consts::TAU * hz * f64::from(i) / 8_000.0).sin()) as i16);
        assert!(purity(&tone(1_000.0).collect::<Vec<_>>(), 1_000.0) > 0.99);
        let two: Vec<i16> = tone(1_000.0).zip(tone(1_400.0)).map(|(a, b)| a / 2 + b / 2).collect();
        assert!(purity(&two, 1_000.0) < 0.6);
        assert!(purity(&[3; 160], 1_000.0) < 0.1);
    }

    #[test]
    fn the_citizen_speaks_for_some_seconds() {
        let octets = a_law_wav(include_bytes!("../../data/citizen-fr.wav")).unwrap();
        assert!((40_000..80_000).contains(&octets.len()));
    }
}
