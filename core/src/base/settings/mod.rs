//! Typed reading of the configuration, with the place of everything that is wrong.
//!
//! Each package owns its section: it asks a [`Section`] for the keys it knows and gets typed values. What is wrong is
//! noted in [`Problems`] and reading goes on, so that one run of `voxea check` names everything at once. A key that
//! nobody asked for is a problem too, noted when the section is dropped.

mod document;
mod section;

pub use document::{Node, Place, Value, parse};
pub use section::Section;

use std::cell::RefCell;

/// One thing that is wrong with the configuration, or that is hardly meant so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The dotted key, `sip.line[0].greeting`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The daemon runs with it all the same.
    pub harmless: bool,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.harmless {
            f.write_str("warning: ")?;
        }
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A text of the configuration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What stands there.
    pub text: String,
    /// Where.
    pub place: Place,
    /// The dotted key.
    pub key: String,
}

impl Written {
    /// What is wrong with it, found after the configuration was read.
    #[must_use]
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem {
            place: self.place.clone(),
            key: self.key.clone(),
            message: message.into(),
            harmless: false,
        }
    }

    /// The same where the daemon runs with it.
    #[must_use]
    pub fn warning(&self, message: impl Into<String>) -> Problem {
        Problem {
            harmless: true,
            ..self.problem(message)
        }
    }
}

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Nothing wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one more.
    pub fn add(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.note(place, key.into(), message.into(), false);
    }

    /// Notes something with which the daemon runs, but hardly as its operator means.
    pub fn warn(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.note(place, key.into(), message.into(), true);
    }

    fn note(&self, place: Place, key: String, message: String, harmless: bool) {
        self.0.borrow_mut().push(Problem {
            place,
            key,
            message,
            harmless,
        });
    }

    /// All of them, by line.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner();
        problems.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.key.cmp(&b.key)));
        problems
    }
}
