//! What every session of one server shares.

use std::sync::atomic::AtomicI64;

use super::mailbox::Mailbox;

/// What every session of one server shares.
pub(super) struct Shared {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) mailbox: Mailbox,
    /// Octets after which the next literal is cut; negative when none is.
    pub(super) cut: AtomicI64,
}
