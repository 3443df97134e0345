//! A mail of the corpus, and what must come of it.

/// Mails in a block, in which every kind occurs.
pub const BLOCK: usize = 100;
/// The mailbox to which all of them are written.
pub const TO: &str = "mairie@example.fr";

/// What a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person's text.
    Plain,
    /// The same in a charset, or by a program, that makes it hard to read.
    Charset,
    /// With files.
    Attached,
    /// HTML alone.
    Html,
    /// HTML with pictures in it, and its text.
    Inline,
    /// Of several by one person, which belong together.
    Thread,
    /// A notification of failure (RFC 3464).
    Bounce,
    /// An abuse report (RFC 5965).
    Complaint,
    /// Answered by a program.
    AutoReply,
    /// Of a mailing list.
    List,
    /// An invitation.
    Calendar,
    /// S/MIME or OpenPGP, signed or encrypted.
    Sealed,
    /// With a `winmail.dat`.
    Tnef,
    /// A header field is missing.
    Bare,
    /// A Message-ID that another mail has, too.
    SameId,
    /// The same mail again, by another way.
    Twice,
    /// More than a parser should be given.
    Bomb,
}

/// A mail and what must come of it.
#[derive(Debug, Clone)]
pub struct Mail {
    /// As it lies on the server.
    pub bytes: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What must come of it.
    pub expected: Expected,
}

/// What must come of a mail.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Equal for the same mail twice: one interaction.
    pub identity: String,
    /// Equal for what belongs to one request; nothing for what opens none and leaves no interaction.
    pub thread: Option<String>,
    /// Whether its sender gets one acknowledgement for its thread.
    pub acknowledged: bool,
    /// Whether a program sent it, so that it carries the flag `automatic`.
    pub automatic: bool,
    /// A flag that it must carry.
    pub flag: Option<&'static str>,
    /// Its Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// Its sender's address.
    pub sender: Option<String>,
    /// Its subject; `None` where it has none or no two programs agree on it.
    pub subject: Option<String>,
    /// A line that its text holds; `None` where nobody without a key can read it.
    pub contains: Option<String>,
    /// Files that must be there; others may be, too.
    pub attachments: Vec<File>,
}

/// A file that comes with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, as it must be shown.
    pub name: String,
    /// Bytes.
    pub size: usize,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// SHA-256, lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
