//! The recording file's layout, shared by writer and reader.
//!
//! 32 octets of header that never change after the file was created, then two
//! octets a sample, caller first. The length of the file is the length of the
//! recording, so there is nothing in the header for a crash to leave wrong.
//!
//! | octets | what |
//! |---|---|
//! | 0..8 | magic `VOXEAREC` |
//! | 8 | version, 1 |
//! | 9 | codec: 8 A-law, 0 µ-law (RFC 3551's payload types) |
//! | 10 | channels, 2 |
//! | 11 | octets a sample and channel, 1 |
//! | 12..16 | samples a second, little-endian |
//! | 16..24 | instant of sample 0, milliseconds since 1970 UTC, little-endian |
//! | 24..32 | zero |

use crate::RATE;
use crate::codec::Codec;

/// Octets before the first sample.
pub(crate) const HEADER: u64 = 32;

/// Octets of one sample of both channels.
pub(crate) const FRAME: u64 = 2;

const MAGIC: &[u8; 8] = b"VOXEAREC";
const VERSION: u8 = 1;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: Codec,
    pub(crate) started: i64,
}

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER as usize] {
        let mut out = [0; HEADER as usize];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&[VERSION, self.codec.payload_type(), 2, 1]);
        out[12..16].copy_from_slice(&RATE.to_le_bytes());
        out[16..24].copy_from_slice(&self.started.to_le_bytes());
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; HEADER as usize]) -> Result<Self, &'static str> {
        if &bytes[..8] != MAGIC {
            return Err("it does not begin with VOXEAREC");
        }
        if bytes[8] != VERSION {
            return Err("its version is not 1");
        }
        let codec = Codec::from_payload_type(bytes[9]).ok_or("its codec is unknown")?;
        if bytes[10..12] != [2, 1] || bytes[12..16] != RATE.to_le_bytes() {
            return Err("it is not stereo G.711 at 8 kHz");
        }
        let mut started = [0; 8];
        started.copy_from_slice(&bytes[16..24]);
        Ok(Self {
            codec,
            started: i64::from_le_bytes(started),
        })
    }
}
