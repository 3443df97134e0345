//! Tags, branches and session ids that nobody outside can guess, out of one secret.

use ring::digest::{Context, SHA256};

/// A source of identifiers: SHA-256 over a secret and a counter.
///
/// The machine has no randomness of its own, so that a test with a fixed secret plays the same every time.
pub(crate) struct Ids {
    secret: [u8; 32],
    count: u64,
}

impl Ids {
    pub(crate) const fn new(secret: [u8; 32]) -> Self {
        Self { secret, count: 0 }
    }

    /// 16 hexadecimal digits (RFC 3261 §19.3 asks for 32 bits of randomness at least).
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}", self.number())
    }

    /// Any 64 bits.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.digest(&[&self.count.to_be_bytes()])
    }

    /// Key and salt of one call's sound.
    pub(crate) fn secret(&mut self) -> [u8; 30] {
        let mut secret = [0; 30];
        for part in secret.chunks_mut(8) {
            part.copy_from_slice(&self.number().to_be_bytes()[..part.len()]);
        }
        secret
    }

    /// The tag of an answer for which no state is kept: the same for the same request (RFC 3261 §8.2.7).
    pub(crate) fn stateless(&self, parts: &[&str]) -> String {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        format!("{:016x}", self.digest(&parts))
    }

    fn digest(&self, parts: &[&[u8]]) -> u64 {
        let mut context = Context::new(&SHA256);
        context.update(&self.secret);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        digest
            .as_ref()
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}
