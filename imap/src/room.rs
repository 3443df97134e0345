//! Room for the bytes of mails that are in memory: one for all mailboxes of this process, so that several which catch up at
//! the same moment do not need several times the memory.
//!
//! Who waits for room holds none, so that no two wait for each other: what is fetched ahead takes only what is free.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::planner;
use crate::trouble::Trouble;

/// All of it, in bytes. A mail that is larger has it for itself.
const BYTES: u64 = 16 * 1024 * 1024;
/// What it is given in.
const UNIT: u64 = 1024;

static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(units(BYTES) as usize)));

/// Room that is taken; free again when this is dropped.
pub(crate) type Taken = OwnedSemaphorePermit;

/// What was fetched, and not asked for yet.
pub(crate) struct Ahead {
    pub(crate) asked: planner::Ahead,
    pub(crate) mails: Vec<(u32, Bytes)>,
    /// All that is there came, or the server refused.
    pub(crate) outcome: Result<(), Trouble>,
    pub(crate) room: Taken,
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.min(BYTES).div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Waits for room for so many bytes. `None` never comes: the room is there as long as the process.
pub(crate) async fn wait(bytes: u64) -> Option<Taken> {
    Arc::clone(&ROOM).acquire_many_owned(units(bytes)).await.ok()
}

/// Room for so many bytes, if it is free.
pub(crate) fn now(bytes: u64) -> Option<Taken> {
    Arc::clone(&ROOM).try_acquire_many_owned(units(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_bounded_and_a_large_mail_has_it_alone() {
        let large = wait(60 * BYTES).await;
        assert!(large.is_some() && now(1).is_none());
        drop(large);
        let (some, rest) = (now(UNIT), now(BYTES - UNIT));
        assert!(some.is_some() && rest.is_some() && now(1).is_none());
        drop((some, rest));
        assert!(now(BYTES).is_some());
    }
}
