//! What a caller hears: WAV prompts and the beep.

use std::f64::consts::PI;
use std::io::Read;
use std::path::Path;

use crate::codec::Codec;
use crate::error::Error;
use crate::{RATE, resample};

/// Longest prompt, in seconds; nobody listens to more, and it bounds memory.
const MAX_SECONDS: u64 = 300;

/// Largest prompt file: the longest at 16 kHz PCM16, and room for tags.
const MAX_FILE: u64 = MAX_SECONDS * 16_000 * 2 + 1_000_000;

const WANTED: &str = "a greeting must be WAV, mono, 8 or 16 kHz, PCM 16 bits, A-law or µ-law \
                      (for example: sox IN.wav -r 8000 -c 1 -b 16 OUT.wav)";

/// A spoken prompt: 8 kHz PCM16, and 16 kHz where it was read so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    samples: Vec<i16>,
    wide: Option<Vec<i16>>,
}

impl Prompt {
    /// Reads a WAV file: mono, 8 or 16 kHz, PCM16, A-law or µ-law.
    ///
    /// # Errors
    /// [`Error::Prompt`], which says what is wrong and what would be right.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let refuse = |problem: String| Error::Prompt {
            name: name.clone(),
            problem,
        };
        let cannot = |source: std::io::Error| refuse(format!("cannot be read: {source}"));
        let file = std::fs::File::open(path).map_err(cannot)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(refuse(format!("larger than {MAX_FILE} bytes; at most {MAX_SECONDS} s are played")));
        }
        Self::parse(&bytes, &name)
    }

    /// Reads a WAV file's bytes; `name` is for the error's text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let (rate, samples) = decode(bytes).and_then(audible).map_err(|problem| Error::Prompt {
            name: name.to_owned(),
            problem,
        })?;
        if rate == RATE {
            return Ok(Self::from_samples(samples));
        }
        Ok(Self {
            samples: resample::halve(&samples),
            wide: Some(samples),
        })
    }

    /// A prompt of samples that are already 8 kHz PCM16.
    #[must_use]
    pub fn from_samples(samples: Vec<i16>) -> Self {
        Self { samples, wide: None }
    }

    /// The samples, 8 kHz PCM16.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The octets to send in `codec`.
    #[must_use]
    pub fn encoded(&self, codec: Codec) -> Vec<u8> {
        if codec.rate() == RATE {
            return codec.encode_all(&self.samples);
        }
        match &self.wide {
            Some(wide) => codec.encode_all(wide),
            None => codec.encode_all(&resample::double(&self.samples)),
        }
    }
}

/// Refuses what nobody hears: who is to be told of the recording is not told by silence. It is heard when 20 ms of it, anywhere,
/// swing about their mean by more than 1/300 of full scale (-50 dBFS).
fn audible((rate, samples): (u32, Vec<i16>)) -> Result<(u32, Vec<i16>), String> {
    const QUIETEST: i64 = 100;
    let heard = samples.chunks((rate / 50).max(1) as usize).any(|part| {
        let count = part.len() as i64;
        let sum: i64 = part.iter().map(|&sample| i64::from(sample)).sum();
        let squares: i64 = part.iter().map(|&sample| i64::from(sample).pow(2)).sum();
        squares * count - sum.pow(2) > (QUIETEST * count).pow(2)
    });
    if heard {
        Ok((rate, samples))
    } else {
        Err(format!("is silent: callers would hear nothing; {WANTED}"))
    }
}

/// The beep: 1,000 Hz for 300 ms at -12 dBFS, with 10 ms raised-cosine edges
/// so that it does not click.
#[must_use]
pub fn beep() -> Prompt {
    Prompt::from_samples(tone(1_000.0, 2_400))
}

/// What says that nothing is recorded: two tones of 400 Hz, 140 ms each, with
/// 60 ms between them. Nobody takes it for the beep.
#[must_use]
pub fn refusal() -> Prompt {
    let mut samples = tone(400.0, 1_120);
    samples.resize(1_600, 0);
    samples.extend(tone(400.0, 1_120));
    samples.resize(3_200, 0);
    Prompt::from_samples(samples)
}

/// A tone of some Hz and samples at -12 dBFS with soft edges.
fn tone(frequency: f64, length: usize) -> Vec<i16> {
    const EDGE: usize = 80;
    let sample = |i: usize| {
        let from_edge = i.min(length - 1 - i).min(EDGE) as f64 / EDGE as f64;
        let envelope = 0.5 - 0.5 * (PI * from_edge).cos();
        let tone = (2.0 * PI * frequency * i as f64 / f64::from(RATE)).sin();
        (8_231.0 * envelope * tone).round() as i16
    };
    (0..length).map(sample).collect()
}

/// The `fmt ` chunk as far as it decides what to do.
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

/// Rate and samples of a WAV file.
fn decode(bytes: &[u8]) -> Result<(u32, Vec<i16>), String> {
    let (format, data) = chunks(bytes)?;
    if format.channels != 1 {
        return Err(format!("has {} channels; {WANTED}", format.channels));
    }
    if format.rate != RATE && format.rate != 2 * RATE {
        return Err(format!("is sampled at {} Hz; {WANTED}", format.rate));
    }
    let samples = match (format.tag, format.bits) {
        (1, 16) => data.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect(),
        (6, 8) => Codec::Pcma.decode_all(data),
        (7, 8) => Codec::Pcmu.decode_all(data),
        (tag, bits) => {
            return Err(format!("is in WAV format {tag} with {bits} bits a sample; {WANTED}"));
        }
    };
    if samples.is_empty() {
        return Err(format!("holds no sound; {WANTED}"));
    }
    if samples.len() as u64 > MAX_SECONDS * u64::from(format.rate) {
        return Err(format!("lasts longer than the {MAX_SECONDS} s that are played at most"));
    }
    Ok((format.rate, samples))
}

/// `WAVE_FORMAT_EXTENSIBLE`: the tag stands in the sub-format's first octets.
const EXTENSIBLE: u16 = 0xFFFE;

/// Walks the RIFF chunks. By hand, since hound refuses formats 6 and 7, and
/// misses the padding octet after a chunk of odd length.
fn chunks(bytes: &[u8]) -> Result<(Format, &[u8]), String> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(format!("is not a WAV file; {WANTED}"));
    }
    let mut rest = &bytes[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        // A data chunk cut short, or with the 0xFFFFFFFF of a streaming
        // writer, plays as far as it goes.
        let chunk = &body[..length.min(body.len())];
        match (&head[..4], chunk) {
            (b"fmt ", &[t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1, ..]) => {
                let tag = match (u16::from_le_bytes([t0, t1]), chunk.get(24..26)) {
                    (EXTENSIBLE, Some(&[s0, s1])) => u16::from_le_bytes([s0, s1]),
                    (tag, _) => tag,
                };
                format = Some(Format {
                    tag,
                    channels: u16::from_le_bytes([c0, c1]),
                    rate: u32::from_le_bytes([r0, r1, r2, r3]),
                    bits: u16::from_le_bytes([b0, b1]),
                });
            }
            (b"data", data) => {
                let format = format.ok_or_else(|| format!("has its data before its format; {WANTED}"))?;
                return Ok((format, data));
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = body.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Err(format!("has no sound data; {WANTED}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        out.extend(tag.to_le_bytes());
        out.extend(channels.to_le_bytes());
        out.extend(rate.to_le_bytes());
        let block = channels * bits / 8;
        out.extend((rate * u32::from(block)).to_le_bytes());
        out.extend(block.to_le_bytes());
        out.extend(bits.to_le_bytes());
        out.extend(b"data");
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        let riff = out.len() as u32 - 8;
        out[4..8].copy_from_slice(&riff.to_le_bytes());
        out
    }

    fn problem(bytes: &[u8]) -> String {
        Prompt::parse(bytes, "greeting.wav").unwrap_err().to_string()
    }

    #[test]
    fn reads_all_three_encodings() {
        let pcm: Vec<u8> = [0i16, 1000, -1000].iter().flat_map(|s| s.to_le_bytes()).collect();
        assert_eq!(Prompt::parse(&wav(1, 1, 8_000, 16, &pcm), "x").unwrap().samples(), [0, 1000, -1000]);
        let law = [0xD5u8, 0xAA, 0x2A];
        let prompt = Prompt::parse(&wav(6, 1, 8_000, 8, &law), "x").unwrap();
        assert_eq!(prompt.encoded(Codec::Pcma), law, "A-law is played as it was");
        let prompt = Prompt::parse(&wav(7, 1, 8_000, 8, &[0xFF, 0x80]), "x").unwrap();
        assert_eq!(prompt.samples(), [0, 32_124]);
    }

    #[test]
    fn reads_what_another_writer_wrote() {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        [7i16, -8, i16::MIN].iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        assert_eq!(Prompt::parse(file.get_ref(), "x").unwrap().samples(), [7, -8, i16::MIN]);
    }

    #[test]
    fn sixteen_kilohertz_is_halved() {
        let pcm = [0_u8, 16, 0, 240].repeat(8_000);
        let prompt = Prompt::parse(&wav(1, 1, 16_000, 16, &pcm), "x").unwrap();
        assert_eq!((prompt.samples().len(), prompt.encoded(Codec::G722).len()), (8_000, 8_000));
        assert_eq!(beep().encoded(Codec::G722).len(), 2_400, "as long as in any other codec");
    }

    #[test]
    fn says_what_is_wrong_and_what_would_be_right() {
        let cases = [
            (wav(1, 2, 8_000, 16, &[0; 8]), "2 channels"),
            (wav(1, 1, 44_100, 16, &[0; 8]), "44100 Hz"),
            (wav(1, 1, 8_000, 8, &[0; 8]), "8 bits"),
            (wav(85, 1, 8_000, 0, &[0; 8]), "WAV format 85"),
            (wav(6, 1, 8_000, 8, &[]), "no sound"),
            (wav(6, 1, 8_000, 8, &[0xD5; 16_000]), "is silent"),
            (wav(1, 1, 16_000, 16, &[60, 0, 196, 255].repeat(8_000)), "is silent"),
            (b"ID3\x03 an mp3, in fact".to_vec(), "not a WAV file"),
        ];
        for (bytes, expected) in cases {
            let text = problem(&bytes);
            assert!(text.starts_with("greeting.wav: "), "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(text.contains("mono, 8 or 16 kHz"), "{text}");
        }
        let text = problem(&wav(6, 1, 8_000, 8, &vec![0; 301 * 8_000]));
        assert!(text.contains("300 s"), "{text}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let text = Prompt::read(Path::new("/nowhere/greeting.wav")).unwrap_err().to_string();
        assert!(text.starts_with("/nowhere/greeting.wav: cannot be read"), "{text}");
    }

    #[test]
    fn the_refusal_is_whole_packets_and_no_beep() {
        let refusal = refusal();
        assert_eq!(refusal.samples().len() % 160, 0);
        assert!(refusal.samples().len() != beep().samples().len());
        let crossings = |samples: &[i16]| samples.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        // 400 Hz for 140 ms cross zero 112 times.
        assert!((105..120).contains(&crossings(&refusal.samples()[..1_120])));
    }

    #[test]
    fn the_beep_is_whole_packets_and_starts_and_ends_softly() {
        let beep = beep();
        assert_eq!(beep.samples().len() % 160, 0);
        assert!(beep.samples()[0].abs() < 10 && beep.samples()[2_399].abs() < 10);
        assert!(beep.samples().iter().any(|&s| s > 8_000));
    }

    proptest! {
        #[test]
        fn never_panics(mut tail in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..60) {
            let mut bytes = wav(1, 1, 8_000, 16, &[0; 16]);
            bytes.truncate(cut);
            bytes.append(&mut tail);
            let _ = Prompt::parse(&bytes, "x");
        }
    }
}
