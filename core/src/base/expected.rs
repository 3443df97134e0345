//! Which version of a thing a change was made from: no change overwrites one that its maker has not seen.

use super::error::{CoreError, Result};

/// Which version of a thing a change was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// There is none yet (`If-None-Match: *`).
    Absent,
    /// One of these (`If-Match`).
    Versions(Vec<i64>),
    /// Whichever is there (`If-Match: *`).
    Any,
}

impl Expected {
    /// Compares it with what is there. `what` names the thing, `known_by` what tells it from others: `code`.
    ///
    /// # Errors
    /// [`CoreError::Conflict`], [`CoreError::Stale`] or [`CoreError::NotFound`] when it is another one.
    pub fn check(&self, current: Option<i64>, what: &'static str, known_by: &str) -> Result<()> {
        match (self, current) {
            (Self::Absent, None) | (Self::Any, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(CoreError::Conflict(format!("there is a {what} with this {known_by}"))),
            (Self::Versions(versions), Some(current)) if versions.contains(&current) => Ok(()),
            (Self::Versions(versions), Some(current)) => Err(CoreError::Stale {
                expected: versions.first().copied().unwrap_or_default(),
                current,
            }),
            (_, None) => Err(CoreError::NotFound { what }),
        }
    }
}
