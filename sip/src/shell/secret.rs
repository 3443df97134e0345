//! Random bytes for the machines, which have none of their own.

use ring::rand::{SecureRandom as _, SystemRandom};

/// 32 of them; `None` when the system gives none.
pub(super) fn secret() -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).ok()?;
    Some(secret)
}
