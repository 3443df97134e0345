//! The pages of a document on their way through, and what was found.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::codes;
use super::page::Page;

/// Pages of a document that are searched; a letter has its code on the first.
pub const PAGES: usize = 10;

/// Why a document could not be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is none of the kinds that are.
    #[error("it is no PDF, PNG, JPEG or TIFF")]
    Kind,
    /// Its parser gave up.
    #[error("it is a {0} that cannot be read")]
    Broken(&'static str),
    /// It needs a password.
    #[error("it is a PDF with a password")]
    Locked,
    /// Its images are beyond the bounds.
    #[error("its images are too large to be searched")]
    TooLarge,
    /// Its images are packed in a way that is not known.
    #[error("its images are packed in a way that is not known")]
    Packed,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// References with a sound check digit, of the first page that shows any, in the order in which they were read.
    pub references: Vec<String>,
    /// Pages that were searched.
    pub pages: usize,
    /// Pages or images that could not be, for what they are or for want of time. Those behind the first [`PAGES`] are not meant to
    /// be.
    pub passed: usize,
}

/// The pages of a document on their way through.
pub(super) struct Search<'a> {
    pub(super) finding: Finding,
    /// Why the first page that was passed over was.
    pub(super) trouble: Option<Unreadable>,
    pub(super) more: &'a mut dyn FnMut() -> bool,
}

impl Search<'_> {
    /// Searches one page that is decoded now; whether the next one is wanted.
    pub(super) fn one(&mut self, decode: impl FnOnce() -> Result<Page, Unreadable>) -> ControlFlow<()> {
        if !(self.more)() {
            self.finding.passed += 1;
            return ControlFlow::Break(());
        }
        // A page that brings a decoder to panic does not take the others with it.
        let read = catch_unwind(AssertUnwindSafe(|| decode().map(codes::references)));
        match read.unwrap_or(Err(Unreadable::Packed)) {
            Ok(references) => {
                self.finding.pages += 1;
                self.finding.references = references;
            }
            Err(trouble) => {
                self.finding.passed += 1;
                self.trouble.get_or_insert(trouble);
            }
        }
        if self.finding.references.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// Notes a page that cannot be had.
    pub(super) fn pass(&mut self) {
        self.finding.passed += 1;
    }
}
