//! What every session of one server shares.

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use super::mailbox::Mailbox;

/// What every session of one server shares.
pub(super) struct Shared {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) mailbox: Mailbox,
    /// Octets after which the next literal is cut; negative when none is.
    pub(super) cut: AtomicI64,
    /// The UID of a mail, and how many octets it is declared to have.
    pub(super) lie: Mutex<Option<(u32, u64)>>,
}
