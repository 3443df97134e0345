//! From a mail's bytes to what the core wants to know of it.
//!
//! Never panics and never gives up on a mail for a missing or broken field: what cannot be read is absent. The parser tells
//! where the parts of a mail are; it runs behind [`prescan`], under `catch_unwind`, and never sees a message inside a
//! message. What fields, texts and files are is read from the bytes themselves, since charsets are often lies.

mod body;
mod files;
mod head;
mod part;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use mail_parser::MessageParser;

use crate::calendar::Invitation;
use crate::dsn::Dsn;
use crate::prescan::{self, Excess};
use crate::{html, quote};

/// Longest text that is kept beside the raw mail, in bytes.
pub const TEXT_BYTES: usize = 1024 * 1024;
/// Longest subject, in bytes (RFC 5322 §2.1.1 allows 998 a line).
pub const SUBJECT_BYTES: usize = 998;

/// A mail, understood. Ids are without angle brackets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// `Message-ID`.
    pub message_id: Option<String>,
    /// The address in `From`, else `Sender`, else `Reply-To`.
    pub from: Option<String>,
    /// The display name beside it.
    pub from_name: Option<String>,
    /// The first address in `To`, else `Delivered-To`.
    pub to: Option<String>,
    /// One line, at most [`SUBJECT_BYTES`].
    pub subject: Option<String>,
    /// `Date`, milliseconds UTC.
    pub date_ms: Option<i64>,
    /// The whole text, LF, no NUL, at most [`TEXT_BYTES`]; of a mail of HTML alone, the HTML as text.
    pub text: Option<String>,
    /// The text without quotes and signature.
    pub text_stripped: Option<String>,
    /// The text was longer than [`TEXT_BYTES`].
    pub text_cut: bool,
    /// `In-Reply-To`.
    pub in_reply_to: Vec<String>,
    /// `References`, oldest first, the newest 50 at most.
    pub references: Vec<String>,
    /// What came with it.
    pub attachments: Vec<Attachment>,
    /// Why it counts as sent by a program (RFC 3834).
    pub automatic: Option<&'static str>,
    /// It came through a mailing list (RFC 2919).
    pub list: bool,
    /// It, or a part of it, is signed: S/MIME or OpenPGP. Nobody has verified anything.
    pub signed: bool,
    /// It, or a part of it, is encrypted: S/MIME or OpenPGP.
    pub encrypted: bool,
    /// It has an invitation to an appointment (RFC 5546).
    pub invitation: Option<Invitation>,
    /// A `winmail.dat` is among its files: Outlook packed its text and files into it (TNEF).
    pub tnef: bool,
    /// It is a delivery notification or an abuse report.
    pub dsn: Option<Dsn>,
}

/// A file that came with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Fit to be a file's name.
    pub name: String,
    /// From the bytes where they tell it, else as declared.
    pub media_type: String,
    /// Its transfer encoding undone, nothing else: a text keeps its charset and its line ends.
    pub bytes: Bytes,
    /// It belongs into the text, as an image of the HTML does, rather than beside it.
    pub inline: bool,
    /// `Content-ID` without angle brackets, by which HTML names it (`cid:`, RFC 2392).
    pub content_id: Option<String>,
}

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
    Ok(Mail {
        text_stripped: text.as_deref().map(|text| quote::strip(text, head.subject.as_deref())),
        text,
        text_cut,
        tnef: attachments.iter().any(|one| one.media_type == files::TNEF),
        attachments,
        automatic: head.automatic.or_else(|| report::kind(&message, raw).map(|_| "report")),
        signed: seal.signed,
        encrypted: seal.encrypted,
        invitation: body::invitation(&message, raw),
        dsn: report::notification(&message, raw, &head),
        ..head
    })
}

#[cfg(test)]
mod tests;
