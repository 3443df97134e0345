//! The recording file's layout, shared by whoever writes, reads and verifies.
//!
//! A header that never changes after the file was created, then what was
//! recorded: two octets a sample, caller first. The length of the file is the
//! length of the recording, so there is nothing in the header for a crash to
//! leave wrong.
//!
//! | octets | what |
//! |---|---|
//! | 0..8 | magic `VOXEAREC` |
//! | 8 | version: 1 plain, 2 encrypted |
//! | 9 | codec: 8 A-law, 0 µ-law, 9 G.722 (RFC 3551's payload types) |
//! | 10 | channels, 2 |
//! | 11 | octets a sample and channel, 1 |
//! | 12..16 | octets a second and channel, little-endian |
//! | 16..24 | instant of sample 0 as it was expected, milliseconds since 1970 UTC, little-endian |
//! | 24..32 | zero |
//! | 32..64 | version 2 only: random octets that make the file's key its own |
//!
//! What follows is cut into chunks of 4 KiB of audio, the last one shorter. In
//! a plain file they are just there. In an encrypted one each is followed by
//! its tag ([`crate::cipher`]), and only whole chunks are written while the
//! call lasts (256 ms each); the final one, of 0 to 4,095 octets, closes the
//! file.

use ring::digest::{SHA256, digest};

use crate::RATE;
use crate::codec::Codec;

/// Octets before the first sample of a plain file, and of the part of the header that both have.
pub(crate) const HEADER: u64 = 32;

/// Octets of one sample of both channels.
pub(crate) const FRAME: u64 = 2;

/// Octets that a sealed chunk is longer than its audio.
pub(crate) const TAG: usize = 16;

/// Random octets in an encrypted file's header.
pub(crate) const SALT: usize = 32;

/// Octets of audio in a chunk.
pub(crate) const CHUNK: usize = 4_096;

const MAGIC: &[u8; 8] = b"VOXEAREC";
const PLAIN: u8 = 1;
const SEALED: u8 = 2;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: Codec,
    pub(crate) started: i64,
    /// Of an encrypted file.
    pub(crate) salt: Option<[u8; SALT]>,
}

impl Header {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER as usize + SALT);
        out.extend_from_slice(MAGIC);
        let version = if self.salt.is_some() { SEALED } else { PLAIN };
        out.extend_from_slice(&[version, self.codec.payload_type(), 2, 1]);
        out.extend_from_slice(&RATE.to_le_bytes());
        out.extend_from_slice(&self.started.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(self.salt.as_ref().map_or(&[], |salt| &salt[..]));
        out
    }

    /// Reads what a file begins with; octets beyond its header are not looked at.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some((begin, rest)) = bytes.split_first_chunk::<{ HEADER as usize }>() else {
            return Err("it is shorter than a header");
        };
        if &begin[..8] != MAGIC {
            return Err("it does not begin with VOXEAREC");
        }
        let salt = match begin[8] {
            PLAIN => None,
            SEALED => Some(*rest.first_chunk().ok_or("it is shorter than a header")?),
            _ => return Err("its version is neither 1 nor 2"),
        };
        let codec = Codec::from_payload_type(begin[9]).ok_or("its codec is unknown")?;
        if begin[10..12] != [2, 1] || begin[12..16] != RATE.to_le_bytes() {
            return Err("it is not stereo at 8,000 octets a second");
        }
        if begin[24..] != [0; 8] {
            return Err("its header has something where nothing may be");
        }
        let mut started = [0; 8];
        started.copy_from_slice(&begin[16..24]);
        Ok(Self {
            codec,
            started: i64::from_le_bytes(started),
            salt,
        })
    }

    /// Octets of the header.
    pub(crate) fn len(&self) -> u64 {
        HEADER + self.salt.map_or(0, |salt| salt.len() as u64)
    }

    /// What chunks and manifest are bound to.
    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&self.to_bytes())
    }

    /// Octets of a full chunk as it stands in the file.
    pub(crate) fn stride(&self) -> usize {
        if self.salt.is_some() { CHUNK + TAG } else { CHUNK }
    }

    /// Where a chunk begins.
    pub(crate) fn place(&self, chunk: u64) -> u64 {
        self.len() + chunk * self.stride() as u64
    }
}

/// SHA-256.
pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, octets).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_nothing_else_is_one() {
        for salt in [None, Some([7; SALT])] {
            let header = Header {
                codec: Codec::Pcmu,
                started: -3,
                salt,
            };
            let bytes = header.to_bytes();
            assert_eq!(bytes.len() as u64, header.len());
            assert_eq!(Header::from_bytes(&bytes), Ok(header));
            for cut in 0..bytes.len() {
                assert!(Header::from_bytes(&bytes[..cut]).is_err(), "{cut}");
            }
            // Codec, time and salt are anything; all else is fixed.
            for at in (0..9).chain(10..16).chain(24..32) {
                let mut changed = bytes.clone();
                changed[at] ^= 0x40;
                assert!(Header::from_bytes(&changed).is_err(), "{at}");
            }
        }
    }
}
