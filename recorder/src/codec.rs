//! The two G.711 laws.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// A G.711 law: 8,000 samples a second, one octet a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A-law, Europe's.
    Pcma,
    /// µ-law, North America's and Japan's.
    Pcmu,
}

impl Codec {
    /// The static RTP payload type (RFC 3551 §6, table 4).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// The codec of a static RTP payload type, if it is one of ours.
    #[must_use]
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            8 => Some(Self::Pcma),
            0 => Some(Self::Pcmu),
            _ => None,
        }
    }

    /// The octet that stands for silence: the smallest positive step.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcma => 0xD5,
            Self::Pcmu => 0xFF,
        }
    }

    /// The `wFormatTag` of a WAV file in this law (RFC 2361, A.4 and A.5).
    #[must_use]
    pub const fn wav_tag(self) -> u16 {
        match self {
            Self::Pcma => 6,
            Self::Pcmu => 7,
        }
    }

    /// `pcma` or `pcmu`, as stored in rows and shown by the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
        }
    }

    /// One PCM16 sample as an octet of this law.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcma => encode_alaw(sample),
            Self::Pcmu => encode_ulaw(sample),
        }
    }

    /// One octet of this law as PCM16.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Self::Pcma => decode_alaw(octet),
            Self::Pcmu => decode_ulaw(octet),
        }
    }

    /// PCM16 samples as octets of this law.
    #[must_use]
    pub fn encode_all(self, samples: &[i16]) -> Vec<u8> {
        samples.iter().map(|&s| self.encode(s)).collect()
    }

    /// Octets of this law as PCM16 samples.
    #[must_use]
    pub fn decode_all(self, octets: &[u8]) -> Vec<i16> {
        octets.iter().map(|&o| self.decode(o)).collect()
    }

    /// The PCM16 value of each of the 256 octets, for loops over much audio.
    #[must_use]
    pub fn table(self) -> [i16; 256] {
        let mut table = [0; 256];
        for octet in 0..=255u8 {
            table[usize::from(octet)] = self.decode(octet);
        }
        table
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
        for codec in [Codec::Pcma, Codec::Pcmu] {
            assert_eq!(codec.as_str().parse(), Ok(codec));
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_payload_type(9), None);
    }
}
