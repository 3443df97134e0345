//! Opening the values of one row.
//!
//! A value that cannot be opened reads as U+FFFD, and its place is remembered. Who asked for this one thing, or is about to
//! act on it, is then told so ([`Opening::strict`]); a page of many shows the sign in its place, with an error in the log
//! ([`Opening::lenient`]), since one row that somebody tampered with must not hide the others.

use super::door::Vault;
use super::place::Place;
use crate::base::error::{CoreError, Result};

/// Stands where a value cannot be opened.
const UNREADABLE: &str = "\u{fffd}";

/// One row, being opened.
#[derive(Debug)]
pub struct Opening<'a> {
    vault: &'a Vault,
    id: &'a str,
    failed: Option<CoreError>,
}

impl Vault {
    /// Opens the values of one row, one after another.
    #[must_use]
    pub const fn opening<'a>(&'a self, id: &'a str) -> Opening<'a> {
        Opening {
            vault: self,
            id,
            failed: None,
        }
    }
}

impl Opening<'_> {
    /// Opens a text where it stands.
    pub fn text(&mut self, place: Place, text: &mut String) -> &mut Self {
        match self.vault.open(place, self.id, std::mem::take(text)) {
            Ok(opened) => *text = opened,
            Err(error) => {
                UNREADABLE.clone_into(text);
                self.failed.get_or_insert(error);
            }
        }
        self
    }

    /// Opens a text that may be absent.
    pub fn some(&mut self, place: Place, text: &mut Option<String>) -> &mut Self {
        match text {
            Some(text) => self.text(place, text),
            None => self,
        }
    }

    /// # Errors
    /// [`CoreError::Sealed`], when one of them could not be opened.
    pub fn strict(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Writes to the log what could not be opened.
    pub fn lenient(&mut self) {
        if let Some(error) = self.failed.take() {
            tracing::error!(%error, "a page shows a value that cannot be read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_value_spoils_only_itself() {
        let vault = Vault::on(&[1; 32]).unwrap();
        let seal = |place, text| vault.seal(place, "1", text).unwrap().into_owned();
        let mut row = (
            seal(Place::RequestFromAddress, "a@example.fr"),
            Some("plain".to_owned()),
            None,
            Some(seal(Place::RequestFromName, "Zoé")),
        );
        let mut opening = vault.opening("1");
        opening
            .text(Place::RequestFromAddress, &mut row.0)
            .some(Place::RequestSubject, &mut row.1)
            .some(Place::RequestSubject, &mut row.2)
            .some(Place::RequestFromName, &mut row.3);
        assert!(opening.strict().unwrap_err().to_string().contains("request.subject"));
        opening.strict().unwrap();
        assert_eq!(
            row,
            ("a@example.fr".to_owned(), Some("\u{fffd}".to_owned()), None, Some("Zoé".to_owned()))
        );
    }
}
