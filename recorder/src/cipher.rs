//! Sealing chunks: AES-256-GCM under a key that the file has for itself.
//!
//! The data key of a recording comes from outside, and where it is kept is no
//! business of this crate: who destroys it has erased the recording, wherever
//! copies of the file are. The key of a *file* is derived from it and from 32
//! random octets in the header (HKDF-SHA256, RFC 5869), so a file that is made
//! anew for the same recording, after a crash that took the first one away, has
//! another key.
//!
//! Under a file's key every nonce is used once: it is the chunk's number, in a
//! row of its own for the final chunk. A full chunk is sealed once, when it is
//! full, and what failed to be written is written again as it was sealed; the
//! final chunk is sealed once, at the end. Additional data (RFC 5116) are the
//! hash of the header, the number, and whether it is final: chunks cannot
//! change places, files or meaning.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::format::{Header, SALT};

/// The data key of one recording; 256 bits. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// A key from its octets, which must be random and of no other recording.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Random octets for a new file; none when the system has none.
pub(crate) fn salt() -> Option<[u8; SALT]> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).ok().map(|()| salt)
}

/// Seals and opens the chunks of one file.
pub(crate) struct Cipher {
    key: LessSafeKey,
    header: [u8; 32],
}

impl Cipher {
    /// For the file of this header; none when that is of a plain one.
    pub(crate) fn new(key: &Key, header: &Header) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, header.salt.as_ref()?).extract(&key.0);
        let expanded = extracted.expand(&[b"voxea recording chunks 1"], &AES_256_GCM).ok()?;
        Some(Self {
            key: LessSafeKey::new(UnboundKey::from(expanded)),
            header: header.hash(),
        })
    }

    /// Seals audio where it stands, and appends the tag. None for more than any chunk has.
    pub(crate) fn seal(&self, number: u64, last: bool, audio: &mut Vec<u8>) -> Option<()> {
        self.key
            .seal_in_place_append_tag(nonce(number, last), self.bound(number, last), audio)
            .ok()
    }

    /// The audio of a chunk, opened where it stands; none when it was changed, or is another's.
    pub(crate) fn open<'c>(&self, number: u64, last: bool, chunk: &'c mut [u8]) -> Option<&'c [u8]> {
        let opened = self.key.open_in_place(nonce(number, last), self.bound(number, last), chunk);
        opened.ok().map(|audio| &*audio)
    }

    fn bound(&self, number: u64, last: bool) -> Aad<[u8; 41]> {
        let mut bound = [0; 41];
        bound[..32].copy_from_slice(&self.header);
        bound[32..40].copy_from_slice(&number.to_be_bytes());
        bound[40] = u8::from(last);
        Aad::from(bound)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

/// The final chunk has the number of a full one that it may stand in place of; hence a row of its own.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3] = u8::from(last);
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::format::TAG;

    fn cipher(key: u8, salt: u8, started: i64) -> Cipher {
        let header = Header {
            codec: Codec::Pcma,
            started,
            salt: Some([salt; SALT]),
        };
        Cipher::new(&Key::new([key; 32]), &header).unwrap()
    }

    #[test]
    fn a_chunk_opens_as_itself_alone() {
        let sealing = cipher(1, 2, 3);
        let mut chunk = b"bonjour".to_vec();
        sealing.seal(5, false, &mut chunk).unwrap();
        assert_eq!(chunk.len(), 7 + TAG);
        let opens = |cipher: &Cipher, number, last, chunk: &[u8]| cipher.open(number, last, &mut chunk.to_vec()).map(<[u8]>::to_vec);
        assert_eq!(opens(&sealing, 5, false, &chunk).as_deref(), Some(&b"bonjour"[..]));
        assert_eq!(opens(&sealing, 4, false, &chunk), None, "another place");
        assert_eq!(opens(&sealing, 5, true, &chunk), None, "another meaning");
        for (other, what) in [
            (cipher(2, 2, 3), "another key"),
            (cipher(1, 3, 3), "another file"),
            (cipher(1, 2, 4), "another header"),
        ] {
            assert_eq!(opens(&other, 5, false, &chunk), None, "{what}");
        }
        for at in 0..chunk.len() {
            let mut changed = chunk.clone();
            changed[at] ^= 1;
            assert_eq!(opens(&sealing, 5, false, &changed), None, "{at}");
        }
        assert!(!format!("{:?} {:?}", Key::new([77; 32]), sealing).contains("77"));
    }

    #[test]
    fn equal_audio_looks_different_everywhere() {
        let sealed = |cipher: &Cipher, number, last| {
            let mut chunk = vec![0xD5; 64];
            cipher.seal(number, last, &mut chunk).unwrap();
            chunk
        };
        let (one, two) = (cipher(1, 2, 3), cipher(1, 9, 3));
        let all = [
            sealed(&one, 0, false),
            sealed(&one, 0, true),
            sealed(&one, 1, false),
            sealed(&two, 0, false),
        ];
        for (at, chunk) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other[..16] != chunk[..16]));
        }
    }
}
