//! Keys and signatures (Standard Webhooks 1.0, "Signature scheme").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{hmac, signature};

use crate::base::error::{CoreError, Result};
use crate::base::secret::Secret;

/// Bytes of a key: those of an Ed25519 seed, and within the 24 to 64 that the standard asks of the other kind.
const BYTES: usize = 32;
const ED25519: &str = "whsk_";
const PUBLIC: &str = "whpk_";
const HMAC: &str = "whsec_";

/// How a webhook is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `v1a`: the receiver holds a public key, which signs nothing.
    Ed25519,
    /// `v1`: HMAC-SHA256 with a secret that both hold.
    Hmac,
}

impl Scheme {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Hmac => "hmac",
        }
    }
}

/// A key that signs. `Debug` does not show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    scheme: Scheme,
    /// As the standard writes it.
    text: Secret,
}

impl Key {
    /// A fresh one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(scheme: Scheme) -> Result<Self> {
        let mut bytes = [0; BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| CoreError::Store("the system gives no random bytes".to_owned()))?;
        Ok(Self::of(scheme, &bytes))
    }

    fn of(scheme: Scheme, bytes: &[u8; BYTES]) -> Self {
        let prefix = match scheme {
            Scheme::Ed25519 => ED25519,
            Scheme::Hmac => HMAC,
        };
        Self {
            scheme,
            text: Secret::new(format!("{prefix}{}", BASE64.encode(bytes))),
        }
    }

    /// One as it was stored; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, body) = if let Some(body) = text.strip_prefix(ED25519) {
            (Scheme::Ed25519, body)
        } else {
            (Scheme::Hmac, text.strip_prefix(HMAC)?)
        };
        let bytes = <[u8; BYTES]>::try_from(BASE64.decode(body).ok()?).ok()?;
        Some(Self::of(scheme, &bytes))
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> &str {
        self.text.reveal()
    }

    /// What a receiver needs who shares it, `whsec_…`; nothing of a key of which nobody needs the secret half.
    #[must_use]
    pub fn shared(&self) -> Option<&str> {
        (self.scheme == Scheme::Hmac).then(|| self.text.reveal())
    }

    /// What a receiver needs otherwise, `whpk_…`.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        let pair = self.pair()?;
        Some(format!("{PUBLIC}{}", BASE64.encode(pair.public_key().as_ref())))
    }

    /// What `webhook-signature` has of this key. `id` has no full stop; `at` is in seconds.
    #[must_use]
    pub fn sign(&self, id: &str, at: i64, body: &str) -> String {
        let signed = format!("{id}.{at}.{body}");
        match self.pair() {
            Some(pair) => format!("v1a,{}", BASE64.encode(pair.sign(signed.as_bytes()).as_ref())),
            None => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes());
                format!("v1,{}", BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let text = self.text.reveal();
        let body = text.strip_prefix(ED25519).or_else(|| text.strip_prefix(HMAC)).unwrap_or_default();
        BASE64.decode(body).unwrap_or_default()
    }

    fn pair(&self) -> Option<Ed25519KeyPair> {
        // A seed of the right length is always one.
        let wanted = self.scheme == Scheme::Ed25519;
        wanted.then(|| signature::Ed25519KeyPair::from_seed_unchecked(&self.bytes()).ok())?
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519 as VERIFY, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_shared_secret_signs_as_in_the_standards_own_libraries() {
        // Made with the Python package `standardwebhooks` 1.1.0.
        let key = Key::of(Scheme::Hmac, b"0123456789abcdef0123456789abcdef");
        assert_eq!(key.shared(), Some("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="));
        assert_eq!(key.public(), None);
        assert_eq!(
            key.sign("msg_1", 1_674_087_231, r#"{"type":"a"}"#),
            "v1,tyuG+z8ZlCAob6gNicMsLguWrP6Q/1hTd3OM8n97K9M="
        );
    }

    #[test]
    fn a_key_pair_signs_what_its_public_half_verifies() {
        // RFC 8032 §7.1, test 1: the seed and its public key.
        let seed = crate::base::hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = Key::of(Scheme::Ed25519, &seed.try_into().unwrap());
        let public = crate::base::hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        assert_eq!(key.public().unwrap(), format!("whpk_{}", BASE64.encode(&public)));
        assert_eq!(key.shared(), None);
        let signature = key.sign("msg_1", 7, "{}");
        let bytes = BASE64.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let verifier = UnparsedPublicKey::new(&VERIFY, &public);
        assert!(verifier.verify(b"msg_1.7.{}", &bytes).is_ok());
        assert!(verifier.verify(b"msg_1.8.{}", &bytes).is_err());
    }

    #[test]
    fn what_is_stored_is_read_and_never_shown() {
        for scheme in [Scheme::Ed25519, Scheme::Hmac] {
            let key = Key::new(scheme).unwrap();
            assert_eq!(Key::parse(key.stored()), Some(key.clone()));
            let body = key.stored().split_once('_').unwrap().1;
            assert!(!format!("{key:?}").contains(body));
            assert_ne!(key, Key::new(scheme).unwrap());
        }
        for wrong in [
            "",
            "whsec_",
            "whsec_AAAA",
            "whsk_!",
            "whpk_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        ] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }
}
