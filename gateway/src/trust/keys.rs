//! The public keys of an identity provider (RFC 7517): RSA, P-256 and Ed25519, and nothing that could be a shared secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Keys of one set.
const MANY: usize = 100;

/// A signature's algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Of its name; `None` for what is not accepted: `none`, HMAC, the rest.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Point(Vec<u8>),
}

/// The keys that are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// Members that are not ours to read, private ones among them, are passed over.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a set; keys of other kinds and uses are passed over.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(json).map_err(|error| format!("it is no key set: {error}"))?;
        Ok(Self(set.keys.into_iter().take(MANY).filter_map(Jwk::key).collect()))
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a key of this id and algorithm is among them; without an id, whether there is exactly one that it could be.
    pub(super) fn have(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.find(id, algorithm).is_some()
    }

    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let first = fitting.next()?;
        (fitting.next().is_none()).then_some(first)
    }

    /// Whether the signature is by that key.
    pub(super) fn verify(&self, id: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let Some(key) = self.find(id, algorithm) else { return false };
        let verified = match (&key.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Material::Point(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Material::Point(point), Algorithm::EdDsa) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
            _ => return false,
        };
        verified.is_ok()
    }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        if self.r#use.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let (algorithm, material) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(self.n)?, bytes(self.e)?);
                (Algorithm::Rs256, Material::Rsa { n, e })
            }
            ("EC", Some("P-256")) => {
                let point = [vec![4], bytes(self.x)?, bytes(self.y)?].concat();
                (Algorithm::Es256, Material::Point(point))
            }
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Material::Point(bytes(self.x)?)),
            _ => return None,
        };
        let named = self.alg.as_deref().map(Algorithm::of);
        (named.is_none() || named == Some(Some(algorithm))).then_some(Key {
            id: self.kid,
            algorithm,
            material,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let set = r#"{"keys":[
            {"kty":"oct","kid":"a","k":"AAAA","alg":"HS256"},
            {"kty":"RSA","kid":"b","n":"AQAB","e":"AQAB","use":"enc"},
            {"kty":"RSA","kid":"c","n":"AQAB","e":"AQAB","alg":"PS256"},
            {"kty":"EC","crv":"P-384","kid":"d","x":"AA","y":"AA"},
            {"kty":"OKP","crv":"Ed25519","kid":"e","x":"AA","extra":{"any":1}},
            {"kty":"OKP","crv":"Ed25519","kid":"f","x":"AA"},
            {"kty":"RSA","kid":"g","n":"AQAB","e":"AQAB","use":"sig","alg":"RS256"}]}"#;
        let keys = Keys::read(set.as_bytes()).unwrap();
        let ids: Vec<_> = keys.0.iter().filter_map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, ["e", "f", "g"]);
        assert!(keys.have(Some("e"), Algorithm::EdDsa) && !keys.have(Some("e"), Algorithm::Rs256));
        assert!(!keys.have(None, Algorithm::EdDsa), "it could be either");
        assert!(keys.have(None, Algorithm::Rs256));
        assert!(Keys::read(b"[]").is_err());
        for refused in ["none", "HS256", "RS512", "PS256", "", "rs256"] {
            assert_eq!(Algorithm::of(refused), None, "{refused}");
        }
    }
}
