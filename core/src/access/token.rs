//! Bearer tokens, `PREFIX<id>_<secret>`: the id finds the row, the secret is stored as its hash only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::base::error::{CoreError, Result};
use crate::base::hex;

/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;
/// Bytes of randomness in a public id.
const ID_BYTES: usize = 6;

/// A token that was just made.
pub(super) struct Token {
    /// The public part.
    pub(super) id: String,
    /// What is stored of the secret.
    pub(super) hash: String,
    /// The whole, for its holder; it cannot be made again.
    pub(super) text: String,
}

impl Token {
    /// Makes one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(prefix: &str) -> Result<Self> {
        let (id, secret) = (hex::encode(&random(ID_BYTES)?), secret()?);
        Ok(Self {
            text: format!("{prefix}{id}_{secret}"),
            hash: hash(&secret),
            id,
        })
    }
}

/// A text of 256 random bits.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn secret() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random(SECRET_BYTES)?))
}

/// The id and the secret of what has a token's form.
pub(super) fn split<'a>(prefix: &str, token: &'a str) -> Option<(&'a str, &'a str)> {
    let (id, secret) = token.strip_prefix(prefix)?.split_once('_')?;
    let is_id = id.len() == ID_BYTES * 2 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && secret.len() <= 128).then_some((id, secret))
}

/// Whether a secret is the one of a stored hash, in constant time.
pub(super) fn is(secret: &str, stored: &str) -> bool {
    same(hash(secret).as_bytes(), stored.as_bytes())
}

/// SHA-256, hexadecimal.
pub(super) fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The system gives none.
pub(super) fn random(count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CoreError::Store("the system gives no random bytes".to_owned()))?;
    Ok(bytes)
}

/// Compares without stopping at the first difference.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_split_as_it_was_made() {
        let made = Token::new("vs_").unwrap();
        let (id, secret) = split("vs_", &made.text).unwrap();
        assert_eq!(id, made.id);
        assert!(is(secret, &made.hash) && !is(&secret[1..], &made.hash));
        for other in ["", "vs_", "vs_0_a", "vx_000000000000_a", "vs_00000000000g_a", "vs_000000000000a"] {
            assert_eq!(split("vs_", other), None, "{other}");
        }
    }
}
