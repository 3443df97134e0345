//! Signed tokens (RFC 7515, 7519): read first, believed when their signature, issuer, audience and times are right.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::keys::{Algorithm, Keys};

/// The longest token, in bytes.
const LONGEST: usize = 16 * 1024;
/// How far apart two clocks may be, in seconds.
const LEEWAY: i64 = 60;

/// A token as it came. Nothing of it may be believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What is signed.
    message: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    key: Option<String>,
    claims: Claims,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Claims {
    /// Who made it.
    pub(crate) iss: String,
    /// Whom it is about.
    pub(crate) sub: Option<String>,
    /// Which program asked for it.
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    azp: Option<String>,
    /// What the login was begun with.
    pub(crate) nonce: Option<String>,
    /// An address.
    pub(crate) email: Option<String>,
    /// Whether it was proved to be theirs; some say it as a text.
    pub(crate) email_verified: Option<serde_json::Value>,
    /// What they call themselves there.
    pub(crate) preferred_username: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(untagged)]
enum Audience {
    #[default]
    Nobody,
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Whether it has a token's form: three parts of base64url.
pub(crate) fn is_token(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    text.split('.').count() == 3 && text.split('.').all(part)
}

impl<'a> Token<'a> {
    /// Reads it; `None` when it is none, or signed in a way that is not accepted.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
        // RFC 7515 §4.1.11: what must be understood and is not.
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            message,
            signature: decoded(signature)?,
            algorithm: Algorithm::of(&header.alg)?,
            key: header.kid,
            claims: serde_json::from_slice(&decoded(claims)?).ok()?,
        })
    }

    /// Who it says has made it.
    pub(super) fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Whether its key is among these.
    pub(super) fn has_key_in(&self, keys: &Keys) -> bool {
        keys.have(self.key.as_deref(), self.algorithm)
    }

    /// What it says, if it is by one of these keys, by this issuer, for this audience, and in force at this second.
    ///
    /// # Errors
    /// What is wrong, for the log: no word of the token is in it.
    pub(super) fn believe(self, keys: &Keys, issuer: &str, audience: &str, now: i64) -> Result<Claims, &'static str> {
        let (message, claims) = (self.message.as_bytes(), &self.claims);
        if !keys.verify(self.key.as_deref(), self.algorithm, message, &self.signature) {
            return Err("the signature is not by a key of the issuer");
        }
        if claims.iss != issuer {
            return Err("it is by another issuer");
        }
        let is_for_us = match &claims.aud {
            Audience::Nobody => false,
            Audience::One(one) => one == audience,
            Audience::Many(many) => many.iter().any(|one| one == audience),
        };
        if !is_for_us {
            return Err("it is for another audience");
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 are exact in a double for longer than the sun lasts"
        )]
        let (early, late) = ((now + LEEWAY) as f64, (now - LEEWAY) as f64);
        if !claims.exp.is_finite() || claims.exp <= late {
            return Err("it has expired");
        }
        if claims.nbf.is_some_and(|nbf| !nbf.is_finite() || nbf > early) {
            return Err("it is not in force yet; see that both clocks are right");
        }
        Ok(self.claims)
    }
}

impl Claims {
    /// Whether the identity provider names this program as the one that may use it, as far as it names any (OpenID Connect
    /// Core §3.1.3.7).
    pub(super) fn is_issued_to(&self, client: &str) -> bool {
        let of_several = matches!(&self.aud, Audience::Many(many) if many.len() > 1);
        self.azp.as_deref().map_or(!of_several, |azp| azp == client)
    }

    /// The address, if it was proved to be theirs.
    pub(super) fn proved_email(&self) -> Option<&str> {
        let proved = self
            .email_verified
            .as_ref()
            .is_some_and(|verified| *verified == true || *verified == "true");
        self.email.as_deref().filter(|_| proved)
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_795_507_200;
    /// Made by Node's crypto.
    const RSA: &str = "zA7auDCNvlEbs79OgLOTVauK7IIcgxXD4fprhV1DqKMTWhdCL8DQ9ExdmsLDBzOtowmjd-vsLtaiRsDXYNyj91r9MSq5goYI8OxUYpobCh05ZMPgJecQHs2bu4Hi085U3SYK1X7Df_jOlW50G_Qhef6xJY0dtacnJXGM_OkFFT2GNgnnc7N9ImLO_muruUyYSYKmmS3ahermGd_RFZgjWi7GI0yax2VwgznZhZURf_Ls2pYudT_IwAePv20OCa1HsPAnm8kqosrncbc61jimNIITx-08ylvgdJEXDUWh9HFX_7y0iVFBiOjZk-glSI1y9Lyxc3gc_K-cBbPL6LyYLQ";
    const SIGNED: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJ2b3hlYSIsInN1YiI6ImV0bCIsImV4cCI6MTc5NTUwNzUwMCwibmJmIjoxNzk1NTA3MDAwfQ.HYauruwg2gu0PtRCSExnS1arjFuVnr_vQXrm9kLQZ5v7KBEA-jylfPqcXuGQZWGZPHjz1pAmRWBrA4FFmG2fE0EiCiqQeMKvXnH8YyJlTQ517prgyrii9CBRB7ntuNC3HSfQNNe7dhlHB5D3LnKbKPZ4y8G8b0CY5am1mDzntOVeJcclk06UGJ2-5Zev64iGMTwSPl9IsI5-NHdJ6V3O_-9q_D4NxjtZL2zF9IxbDceGYWJFhIAXXnhcTbCpep8SreYGx1yDUPrQS4c2WFI9FIyPSzx4gBwkQNfX2yTD0QxNhfoP_bBN9zQp4KwBM4Dv3LE0hPLybX3vix2epRw4TQ";

    fn encoded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn claims() -> Value {
        json!({"iss": "https://id.example", "aud": "voxea", "sub": "etl", "exp": NOW + 300, "nbf": NOW - 200})
    }

    struct Signer(Ed25519KeyPair, Keys);

    impl Signer {
        fn new() -> Self {
            let pair = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap();
            let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encoded(pair.public_key())}]});
            let keys = Keys::read(set.to_string().as_bytes()).unwrap();
            Self(pair, keys)
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
            format!("{message}.{}", encoded(self.0.sign(message.as_bytes())))
        }

        fn believe(&self, token: &str) -> Result<Claims, &'static str> {
            Token::read(token)
                .ok_or("unreadable")?
                .believe(&self.1, "https://id.example", "voxea", NOW)
        }

        /// With one claim changed.
        fn with(&self, name: &str, value: Value) -> Result<Claims, &'static str> {
            let mut claims = claims();
            claims[name] = value;
            self.believe(&self.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims))
        }
    }

    #[test]
    fn a_token_of_every_algorithm_is_believed() {
        let signer = Signer::new();
        let right = signer.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims());
        assert_eq!(signer.believe(&right).unwrap().sub.as_deref(), Some("etl"));

        let set = json!({"keys": [{"kty": "RSA", "kid": "r", "n": RSA, "e": "AQAB"}]}).to_string();
        let rsa = Keys::read(set.as_bytes()).unwrap();
        let read = Token::read(SIGNED).unwrap();
        assert_eq!(
            read.believe(&rsa, "https://id.example", "voxea", NOW).unwrap().sub.as_deref(),
            Some("etl")
        );

        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": encoded(&point[..32]), "y": encoded(&point[32..])}]});
        let keys = Keys::read(set.to_string().as_bytes()).unwrap();
        let message = format!("{}.{}", encoded(r#"{"alg":"ES256"}"#), encoded(claims().to_string()));
        let token = format!("{message}.{}", encoded(pair.sign(&random, message.as_bytes()).unwrap()));
        let read = Token::read(&token).unwrap();
        assert!(read.believe(&keys, "https://id.example", "voxea", NOW).is_ok());
    }

    #[test]
    fn what_is_not_signed_by_the_issuer_is_refused() {
        let signer = Signer::new();
        let right = signer.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims());
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS256", "kid": "k"}),
            json!({"alg": "EdDSA", "kid": "k", "crit": ["x"]}),
            json!({"kid": "k"}),
        ] {
            assert_eq!(signer.believe(&signer.sign(&header, &claims())), Err("unreadable"), "{header}");
        }
        for header in [json!({"alg": "EdDSA", "kid": "other"}), json!({"alg": "RS256", "kid": "k"})] {
            assert!(signer.believe(&signer.sign(&header, &claims())).is_err(), "{header}");
        }
        assert!(
            signer
                .believe(&Signer::new().sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims()))
                .is_err()
        );
        // Not one bit may change.
        let (message, signature) = right.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[5] ^= 1;
        assert!(signer.believe(&format!("{message}.{}", encoded(bytes))).is_err());
        assert!(signer.believe(&format!("{message}.")).is_err());
        let padded = format!("{right}{}", "A".repeat(LONGEST));
        assert_eq!(signer.believe(&padded), Err("unreadable"));
        assert!(is_token(&right));
        for other in ["", "a.b", "a.b.c.d", "a..c", "a.b.c=", "vx_0_a"] {
            assert!(!is_token(other), "{other}");
        }
    }

    #[test]
    fn no_other_bytes_are_believed() {
        let signer = Signer::new();
        let right = signer.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims());
        for at in 0..right.len() {
            assert!(signer.believe(&right[..at]).is_err(), "cut at {at}");
            for other in ["A", ".", "=", "\0", "é"] {
                let changed = format!("{}{other}{}", &right[..at], &right[at + 1..]);
                assert!(changed == right || signer.believe(&changed).is_err(), "{other:?} at {at}");
            }
        }
    }

    #[test]
    fn issuer_audience_and_times_must_be_right() {
        let signer = Signer::new();
        assert!(signer.with("exp", json!(NOW - 59)).is_ok(), "a minute's leeway");
        assert_eq!(signer.with("exp", json!(NOW - 60)), Err("it has expired"));
        assert_eq!(signer.with("exp", Value::Null), Err("unreadable"));
        assert!(signer.with("nbf", json!(NOW + 60)).is_ok());
        assert!(signer.with("nbf", json!(NOW + 61)).is_err());
        assert_eq!(signer.with("iss", json!("https://id.example/")), Err("it is by another issuer"));
        for audience in [json!("other"), json!([]), json!(["other"]), Value::Null] {
            assert_eq!(
                signer.with("aud", audience.clone()),
                Err("it is for another audience"),
                "{audience}"
            );
        }
        let several = signer.with("aud", json!(["other", "voxea"])).unwrap();
        assert!(!several.is_issued_to("voxea"));
        assert!(signer.with("azp", json!("voxea")).unwrap().is_issued_to("voxea"));
        assert!(!signer.with("azp", json!("other")).unwrap().is_issued_to("voxea"));
        assert!(signer.with("sub", json!("x")).unwrap().is_issued_to("voxea"));
    }
}
