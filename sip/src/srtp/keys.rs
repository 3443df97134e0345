//! Master keys, and the session keys that come of them (RFC 3711 §4.3, RFC 7714 §11).

use aes::Aes128;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use ring::{aead, hmac};

/// AES in counter mode, as RFC 3711 §4.1.1 has it: the last two octets count blocks.
pub(super) type Counter = ctr::Ctr128BE<Aes128>;

/// How packets are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 §6.2.1).
    AesCm,
    /// `AEAD_AES_128_GCM` (RFC 7714 §14.2).
    AesGcm,
}

impl Suite {
    /// Both, the one to prefer first.
    pub const ALL: [Self; 2] = [Self::AesGcm, Self::AesCm];

    /// Its name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm => "AES_CM_128_HMAC_SHA1_80",
            Self::AesGcm => "AEAD_AES_128_GCM",
        }
    }

    /// Octets of master key and salt.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::AesCm => 30,
            Self::AesGcm => 28,
        }
    }

    /// Octets of a tag.
    pub(super) const fn tag(self) -> usize {
        match self {
            Self::AesCm => 10,
            Self::AesGcm => 16,
        }
    }
}

/// Master key and salt of one direction; its `Debug` shows neither.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Master {
    suite: Suite,
    octets: [u8; 30],
}

impl Master {
    /// Of 30 octets that nobody can guess; a suite with a shorter salt leaves the last ones out.
    #[must_use]
    pub fn new(suite: Suite, mut octets: [u8; 30]) -> Self {
        octets[suite.length()..].fill(0);
        Self { suite, octets }
    }

    /// For which suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, as `a=crypto` has them.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.suite.length()]
    }
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Master({})", self.suite.name())
    }
}

/// What of a session a key is for; the labels of RFC 3711 §4.3.1 and §4.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Sound = 0,
    Reports = 3,
}

/// Session keys of RTP or RTCP.
pub(super) enum Session {
    AesCm { key: [u8; 16], salt: [u8; 14], mac: hmac::Key },
    AesGcm { key: Box<aead::LessSafeKey>, salt: [u8; 12] },
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub(super) fn new(master: &Master, of: Of) -> Self {
        let label = of as u8;
        let key: [u8; 16] = derive(master, label);
        match master.suite {
            Suite::AesCm => {
                let mac: [u8; 20] = derive(master, label + 1);
                Self::AesCm {
                    key,
                    salt: derive(master, label + 2),
                    mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &mac),
                }
            }
            Suite::AesGcm => Self::gcm(key, derive(master, label + 2)),
        }
    }

    pub(super) fn gcm(key: [u8; 16], salt: [u8; 12]) -> Self {
        match aead::UnboundKey::new(&aead::AES_128_GCM, &key) {
            Ok(key) => Self::AesGcm {
                key: Box::new(aead::LessSafeKey::new(key)),
                salt,
            },
            // Sixteen octets are the key's length; a session that nobody else has is as good as none.
            Err(ring::error::Unspecified) => Self::AesCm {
                key,
                salt: [0; 14],
                mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key),
            },
        }
    }
}

/// RFC 3711 §4.3.1 and §4.3.3, with a key derivation rate of 0. A salt of 96 bits is followed by zeros (RFC 7714 §11).
pub(super) fn derive<const N: usize>(master: &Master, label: u8) -> [u8; N] {
    let (mut key, mut iv) = ([0; 16], [0; 16]);
    key.copy_from_slice(&master.octets[..16]);
    iv[..14].copy_from_slice(&master.octets[16..]);
    iv[7] ^= label;
    let mut out = [0; N];
    Counter::new(&key.into(), &iv.into()).apply_keystream(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_itself_to_no_log() {
        assert_eq!(format!("{:?}", Master::new(Suite::AesGcm, [7; 30])), "Master(AEAD_AES_128_GCM)");
    }
}
