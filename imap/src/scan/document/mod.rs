//! What a document shows: the references in the codes of its pages. Bytes in, a [`Finding`] out; nothing is drawn, and no text
//! is read.
//!
//! Its parsers are other people's and may be brought to overflow the stack, to allocate without end or to spin; that is why
//! only [`super::helper`]'s process runs them.

mod codes;
mod finding;
mod kind;
mod page;
mod pdf;
mod raster;
mod tiff;

use bytes::Bytes;

use finding::Search;
pub use finding::{Finding, PAGES, Unreadable};
pub use kind::Kind;

/// Searches a document. `more` says whether there is time for another page.
///
/// # Errors
/// [`Unreadable`]: nothing of it could be searched.
pub fn search(bytes: &Bytes, more: &mut dyn FnMut() -> bool) -> Result<Finding, Unreadable> {
    let kind = Kind::of(bytes).ok_or(Unreadable::Kind)?;
    let mut search = Search {
        finding: Finding::default(),
        trouble: None,
        more,
    };
    match kind {
        Kind::Pdf => pdf::pages(bytes, &mut search)?,
        Kind::Tiff => tiff::pages(bytes, &mut search)?,
        Kind::Png => drop(search.one(|| raster::png(bytes))),
        Kind::Jpeg => drop(search.one(|| raster::jpeg(bytes))),
    }
    match search.trouble {
        Some(trouble) if search.finding.pages == 0 => Err(trouble),
        // Of half a PDF the pages are in the other half.
        None if kind == Kind::Pdf && search.finding.pages == 0 && !kind.is_whole(bytes) => Err(Unreadable::Broken("PDF")),
        _ => Ok(search.finding),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
