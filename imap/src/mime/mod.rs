//! From a mail's bytes to what the core wants to know of it.
//!
//! Never panics and never gives up on a mail for a missing or broken field: what cannot be read is absent. The parser tells
//! where the parts of a mail are; it runs behind [`prescan`], under `catch_unwind`, and never sees a message inside a
//! message. What fields, texts and files are is read from the bytes themselves, since charsets are often lies.

mod body;
mod files;
mod head;
mod mail;
mod part;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};

use mail_parser::MessageParser;

use crate::prescan::{self, Excess};
use crate::{automatic, html, quote};

pub use mail::{Attachment, Mail, SUBJECT_BYTES, TEXT_BYTES};

/// Why a mail must be kept raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It exceeds a bound, and was not given to the parser.
    #[error("too complex: {0}")]
    TooComplex(Excess),
    /// It has not even a header.
    #[error("no header")]
    NoHeader,
    /// The parser failed on it.
    #[error("the parser failed")]
    Failed,
}

/// Reads a whole mail.
///
/// # Errors
/// [`Unreadable`]: the mail is to be kept raw, with what [`headers`] finds.
pub fn read(raw: &[u8]) -> Result<Mail, Unreadable> {
    let defused = prescan::defused(raw).map_err(Unreadable::TooComplex)?;
    contained(|| understood(raw, &defused))
}

/// Reads the few header fields that a request needs, of a mail that is too large or too complex to be read.
///
/// The parser has no part in it. A mail without any gives an empty [`Mail`].
#[must_use]
pub fn headers(raw: &[u8]) -> Mail {
    contained(|| Ok(head::read(raw))).unwrap_or_default()
}

/// The HTML of a mail, fit to be shown: see [`html::safe`]. `None` when it has none, or cannot be read.
#[must_use]
pub fn safe_html(raw: &[u8]) -> Option<html::Safe> {
    let defused = prescan::defused(raw).ok()?;
    let found = contained(|| {
        let message = MessageParser::default().parse(&*defused).ok_or(Unreadable::NoHeader)?;
        Ok(body::html(&message, raw).map(|page| html::safe(&page)))
    });
    found.ok().flatten()
}

/// The parser promises not to panic; the promise is not ours, and one mail must not end the daemon.
fn contained<T>(work: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Unreadable::Failed))
}

fn understood(raw: &[u8], defused: &[u8]) -> Result<Mail, Unreadable> {
    let message = MessageParser::default()
        .parse(defused)
        .filter(|message| !message.parts.is_empty())
        .ok_or(Unreadable::NoHeader)?;
    let head = head::read(raw);
    let (text, text_cut) = body::text(&message, raw);
    let seal = files::seal(&message, raw, text.as_deref());
    let attachments = files::attachments(&message, raw);
    let dsn = report::notification(&message, raw, &head, text.as_deref());
    Ok(Mail {
        text_stripped: text.as_deref().map(|text| quote::strip(text, head.subject.as_deref())),
        text,
        text_cut,
        tnef: attachments.iter().any(|one| one.media_type == files::TNEF),
        attachments,
        automatic: head.automatic.or_else(|| report::kind(&message, raw).map(|_| automatic::REPORT)),
        signed: seal.signed,
        encrypted: seal.encrypted,
        invitation: body::invitation(&message, raw),
        dsn,
        ..head
    })
}

#[cfg(test)]
mod tests;
