//! A mail, understood: the nouns.

use bytes::Bytes;

use crate::address::Mailbox;
use crate::calendar::Invitation;
use crate::dsn::Dsn;

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
    /// The first in `Reply-To`.
    pub reply_to: Option<Mailbox>,
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
