//! Signing what is not the trail: the key that signs it also says what recordings were when they were closed.

use std::sync::Arc;

use super::signer::Signer;

/// Signs with the trail's key. Clones share it.
#[derive(Debug, Clone)]
pub struct Notary(pub(super) Arc<Signer>);

impl Notary {
    /// The public half of the key (RFC 8032).
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.key().public().octets()
    }

    /// An Ed25519 signature over a message, which begins with what it is about, so that none can be taken for another: no
    /// checkpoint of the trail begins as a recording's manifest does.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.key().signature(message)
    }
}
