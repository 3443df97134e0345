//! Where a contact may go.

use crate::request::LinkKind;

/// Where a contact may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// To a request that is open.
    Join(String),
    /// To one that stays what it is.
    Beside(String),
    /// To one that was closed lately, and is open again by it.
    Reopen(String),
    /// To a new one, linked to an earlier one.
    Linked(LinkKind, String),
}
