//! The codecs of a telephone: the two G.711 laws, and G.722.

use std::sync::LazyLock;

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

use crate::g722;

/// A codec that is recorded as it is received: 8,000 octets a second. Of a law each is a sample; of G.722 each is two samples
/// of 16,000 a second, and means something only after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A-law, Europe's.
    Pcma,
    /// µ-law, North America's and Japan's.
    Pcmu,
    /// G.722 at 64 kbit/s, wideband.
    G722,
}

impl Codec {
    /// The static RTP payload type (RFC 3551 §6, table 4).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
            Self::G722 => 9,
        }
    }

    /// The codec of a static RTP payload type, if it is one of ours.
    #[must_use]
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            8 => Some(Self::Pcma),
            0 => Some(Self::Pcmu),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate(self) -> u32 {
        crate::RATE * self.samples_per_octet() as u32
    }

    /// Samples that an octet stands for.
    #[must_use]
    pub const fn samples_per_octet(self) -> usize {
        match self {
            Self::Pcma | Self::Pcmu => 1,
            Self::G722 => 2,
        }
    }

    /// The octet that stands for silence: of a law the smallest positive step.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcma => 0xD5,
            Self::Pcmu => 0xFF,
            Self::G722 => g722::SILENCE,
        }
    }

    /// The `wFormatTag` of a WAV file in this law (RFC 2361, A.4 and A.5); none of G.722, which few programs play.
    #[must_use]
    pub const fn wav_tag(self) -> Option<u16> {
        match self {
            Self::Pcma => Some(6),
            Self::Pcmu => Some(7),
            Self::G722 => None,
        }
    }

    /// `pcma`, `pcmu` or `g722`, as stored in rows and shown by the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
            Self::G722 => "g722",
        }
    }

    /// One PCM16 sample as an octet of this law. Of G.722 nothing can be said of a single sample: silence.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcma => encode_alaw(sample),
            Self::Pcmu => encode_ulaw(sample),
            Self::G722 => g722::SILENCE,
        }
    }

    /// One octet of this law as PCM16. Of G.722 nothing can be said of a single octet: 0.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Self::Pcma => decode_alaw(octet),
            Self::Pcmu => decode_ulaw(octet),
            Self::G722 => 0,
        }
    }

    /// PCM16 samples at the codec's [`rate`](Self::rate) as octets.
    #[must_use]
    pub fn encode_all(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::G722 => g722::Encoder::default().encode_all(samples),
            law => samples.iter().map(|&s| law.encode(s)).collect(),
        }
    }

    /// Octets as PCM16 samples at the codec's [`rate`](Self::rate), from the beginning of a stream.
    #[must_use]
    pub fn decode_all(self, octets: &[u8]) -> Vec<i16> {
        let mut samples = Vec::with_capacity(octets.len() * self.samples_per_octet());
        let mut decoder = Decoder::new(self);
        octets
            .iter()
            .for_each(|&octet| samples.extend_from_slice(decoder.push(octet).samples()));
        samples
    }
}

/// What an octet stood for: one sample or two.
#[derive(Debug, Clone, Copy)]
pub struct Decoded([i16; 2], usize);

impl Decoded {
    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.0[..self.1]
    }
}

static PCMA: LazyLock<[i16; 256]> = LazyLock::new(|| std::array::from_fn(|octet| Codec::Pcma.decode(octet as u8)));
static PCMU: LazyLock<[i16; 256]> = LazyLock::new(|| std::array::from_fn(|octet| Codec::Pcmu.decode(octet as u8)));

/// Hears a stream, octet by octet.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// The PCM16 value of each octet of a law.
    Law(&'static [i16; 256]),
    /// A wideband stream as far as it was heard.
    G722(Box<g722::Decoder>),
}

impl Decoder {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::G722 => Self::G722(Box::default()),
            Codec::Pcma => Self::Law(&PCMA),
            Codec::Pcmu => Self::Law(&PCMU),
        }
    }

    /// The squares of what these octets stood for, summed up; of an octet with two samples their mean counts.
    pub fn energy(&mut self, octets: &[u8]) -> u64 {
        let square = |sample: i16| u64::from(sample.unsigned_abs()).pow(2);
        match self {
            Self::Law(table) => octets.iter().map(|&octet| square(table[usize::from(octet)])).sum(),
            Self::G722(decoder) => octets
                .iter()
                .map(|&octet| decoder.decode(octet).map(square).iter().sum::<u64>() / 2)
                .sum(),
        }
    }

    /// The next octet.
    pub fn push(&mut self, octet: u8) -> Decoded {
        match self {
            Self::Law(table) => Decoded([table[usize::from(octet)], 0], 1),
            Self::G722(decoder) => Decoded(decoder.decode(octet), 2),
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Codec {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "pcma" => Ok(Self::Pcma),
            "pcmu" => Ok(Self::Pcmu),
            "g722" => Ok(Self::G722),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_of_g711() {
        // ITU-T G.711 tables 1a and 2a: full scale and zero of both laws.
        assert_eq!(Codec::Pcma.encode(0), 0xD5);
        assert_eq!(Codec::Pcmu.encode(0), 0xFF);
        assert_eq!(Codec::Pcma.decode(0xAA), 32_256);
        assert_eq!(Codec::Pcmu.decode(0x80), 32_124);
        assert_eq!(Codec::Pcma.decode(0x2A), -32_256);
        assert_eq!(Codec::Pcmu.decode(0x00), -32_124);
    }

    #[test]
    fn silence_octets_are_nearly_zero() {
        assert_eq!(Codec::Pcmu.decode(Codec::Pcmu.silence()), 0);
        assert_eq!(Codec::Pcma.decode(Codec::Pcma.silence()), 8);
    }

    #[test]
    fn every_octet_survives_decoding_and_encoding() {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            for octet in 0..=255u8 {
                let back = codec.encode(codec.decode(octet));
                // µ-law has two zeros; the negative one comes back as the other.
                let expected = if codec == Codec::Pcmu && octet == 0x7F { 0xFF } else { octet };
                assert_eq!(back, expected, "{codec} {octet:#04x}");
            }
        }
    }

    #[test]
    fn names_and_payload_types_go_both_ways() {
        for codec in [Codec::Pcma, Codec::Pcmu, Codec::G722] {
            assert_eq!(codec.as_str().parse(), Ok(codec));
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_payload_type(18), None);
    }
}
