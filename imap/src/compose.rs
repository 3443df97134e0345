//! The bytes of a mail that we send: a reply, or an acknowledgement of receipt.
//!
//! A pure function. Whatever a citizen wrote into a subject or a name cannot become a field of its own: control
//! characters end as blanks, and an address that is not plainly one is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::DateTime;

use crate::automatic::LOOP_HEADER;
use crate::name;

/// Longest line that is sent (RFC 5322 §2.1.1), in bytes without CRLF.
const LINE: usize = 76;
/// Most Message-IDs in `References`; the first and the newest are kept.
const REFERENCES: usize = 20;
/// Longest subject, in bytes.
const SUBJECT_BYTES: usize = 400;

/// A mail to be written.
#[derive(Debug, Clone, Default)]
pub struct Draft<'a> {
    /// The town's name and address, from the configuration.
    pub from: Sender<'a>,
    /// The citizen's address.
    pub to: &'a str,
    /// The subject, in any characters.
    pub subject: &'a str,
    /// The text, LF.
    pub text: &'a str,
    /// Fixed when the reply was created, without angle brackets; the same at each try.
    pub message_id: &'a str,
    /// The mail that is answered, without angle brackets.
    pub in_reply_to: Option<&'a str>,
    /// The thread, oldest first, without angle brackets.
    pub references: &'a [String],
    /// When the reply was created, milliseconds UTC; the same at each try.
    pub date_ms: i64,
    /// An acknowledgement: carries `Auto-Submitted: auto-replied` (RFC 3834 §3.1.7) and our loop header.
    pub automatic: bool,
}

/// Who sends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender<'a> {
    /// The display name; may be empty.
    pub name: &'a str,
    /// The address.
    pub address: &'a str,
}

/// Why a mail cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `to` is not an address that SMTP can carry.
    #[error("the recipient's address is not one that mail can be sent to")]
    Recipient,
    /// `from` is not one.
    #[error("the sender's address in the configuration is not one that mail can be sent from")]
    Sender,
    /// The Message-ID is not one.
    #[error("the Message-ID is malformed")]
    MessageId,
}

/// Writes the mail: CRLF, ASCII only, lines of at most 998 bytes.
///
/// # Errors
/// [`Refusal`], by which trying again changes nothing.
pub fn write(draft: &Draft<'_>) -> Result<Vec<u8>, Refusal> {
    let to = address(draft.to).ok_or(Refusal::Recipient)?;
    let from = address(draft.from.address).ok_or(Refusal::Sender)?;
    let message_id = identifier(draft.message_id).ok_or(Refusal::MessageId)?;
    let sender = match name::line(draft.from.name, 200) {
        name if name.is_empty() => from.to_owned(),
        name => format!("{} <{from}>", phrase(&name)),
    };
    let mut out = String::new();
    let mut field = |name: &str, value: &str| {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(value);
        out.push_str("\r\n");
    };
    field("Date", &DateTime::from_timestamp(draft.date_ms.div_euclid(1000)).to_rfc822());
    field("From", &sender);
    field("To", to);
    field("Subject", &unstructured(&name::line(draft.subject, SUBJECT_BYTES)));
    field("Message-ID", &format!("<{message_id}>"));
    if let Some(answered) = draft.in_reply_to.and_then(identifier) {
        field("In-Reply-To", &format!("<{answered}>"));
    }
    let thread = thread(draft.references, draft.in_reply_to);
    if !thread.is_empty() {
        field("References", &thread.join("\r\n "));
    }
    if draft.automatic {
        field("Auto-Submitted", "auto-replied");
        field("X-Auto-Response-Suppress", "All");
        field(LOOP_HEADER, "acknowledgement");
    }
    field("MIME-Version", "1.0");
    field("Content-Type", "text/plain; charset=utf-8");
    field("Content-Transfer-Encoding", "quoted-printable");
    out.push_str("\r\n");
    quoted_printable(draft.text, &mut out);
    Ok(out.into_bytes())
}

/// An address in ASCII without quoting: one `@`, no white space, nothing that means something in a field.
#[must_use]
pub fn address(text: &str) -> Option<&str> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |part: &str, more: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
    };
    let fits = text.len() <= 254 && local.len() <= 64;
    (fits && plain(local, "!#$%&'*+-/=?^_`{|}~.") && plain(domain, "-.") && !domain.starts_with(['-', '.']) && !domain.ends_with('.'))
        .then_some(text)
}

/// A Message-ID's inside: printable ASCII, no angle brackets.
fn identifier(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>');
    (!text.is_empty() && text.len() <= 512 && plain).then_some(text)
}

/// RFC 5322 §3.6.4: the parent's thread, then the parent. Too long a thread loses its middle.
fn thread(references: &[String], in_reply_to: Option<&str>) -> Vec<String> {
    let mut ids: Vec<&str> = references.iter().filter_map(|id| identifier(id)).collect();
    if let Some(parent) = in_reply_to.and_then(identifier)
        && ids.last() != Some(&parent)
    {
        ids.retain(|id| *id != parent);
        ids.push(parent);
    }
    let middle = 1..1 + ids.len().saturating_sub(REFERENCES);
    ids.drain(middle.start.min(ids.len())..middle.end.min(ids.len()));
    ids.iter().map(|id| format!("<{id}>")).collect()
}

/// A display name: quoted when ASCII, encoded otherwise.
fn phrase(name: &str) -> String {
    if name.is_ascii() {
        format!("\"{}\"", name.replace(['\\', '"'], ""))
    } else {
        encoded_words(name)
    }
}

/// A subject: as it is when short ASCII that no reader mistakes for an encoded word, encoded otherwise.
fn unstructured(text: &str) -> String {
    if text.is_ascii() && text.len() <= 900 && !text.contains("=?") {
        text.to_owned()
    } else {
        encoded_words(text)
    }
}

/// RFC 2047 §5, base64, folded; no word is cut inside a character.
fn encoded_words(text: &str) -> String {
    // 76 characters a line (RFC 2047 §2), less `Subject: =?utf-8?B??=`, in groups of four for three bytes.
    const BYTES: usize = 39;
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let piece = name::cut(rest, BYTES);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(piece)));
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    words.join("\r\n ")
}

/// RFC 2045 §6.7, on text: line ends become CRLF, lines are cut softly.
fn quoted_printable(text: &str, out: &mut String) {
    for line in text.lines() {
        let mut column = 0;
        let bytes = line.trim_end_matches('\r').as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let last = index + 1 == bytes.len();
            // A dot or "From " at the start of a line is changed by servers and mail stores on the way.
            let first = column == 0 && matches!(byte, b'.' | b'F');
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') && !first || matches!(byte, b' ' | b'\t') && !last;
            let width = if plain { 1 } else { 3 };
            if column + width > LINE - 1 {
                out.push_str("=\r\n");
                column = 0;
            }
            if plain {
                out.push(char::from(*byte))
            } else {
                out.push_str(&format!("={byte:02X}"))
            }
            column += width;
        }
        out.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;
    use proptest::prelude::*;

    const FROM: Sender<'_> = Sender {
        name: "Mairie de Saint-Exemple",
        address: "mairie@example.fr",
    };

    fn draft<'a>() -> Draft<'a> {
        Draft {
            from: FROM,
            to: "x@example.org",
            subject: "Votre demande [2026-0000001-3]",
            text: "Bonjour,\n.\nFrom là\n",
            message_id: "r1@voxea",
            date_ms: 1_795_507_200_000,
            ..Draft::default()
        }
    }

    #[test]
    fn a_mail_reads_back() {
        let references = ["a@x".to_owned(), "b@x".to_owned()];
        let raw = write(&Draft {
            in_reply_to: Some("b@x"),
            references: &references,
            subject: "Réponse à votre demande œuvrée au fil de l’été très longue [2026-0000001-3]",
            automatic: true,
            ..draft()
        })
        .unwrap();
        assert!(raw.is_ascii() && raw.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
        let mail = mime::read(&raw).unwrap();
        assert_eq!(
            mail.subject.as_deref(),
            Some("Réponse à votre demande œuvrée au fil de l’été très longue [2026-0000001-3]")
        );
        assert_eq!(mail.text.as_deref(), Some("Bonjour,\n.\nFrom là"));
        assert_eq!(
            (mail.from.as_deref(), mail.from_name.as_deref()),
            (Some("mairie@example.fr"), Some("Mairie de Saint-Exemple"))
        );
        assert_eq!(
            (mail.message_id.as_deref(), mail.date_ms),
            (Some("r1@voxea"), Some(1_795_507_200_000))
        );
        assert_eq!((mail.in_reply_to, mail.references), (vec!["b@x".to_owned()], references.to_vec()));
        // Our own acknowledgement must never be acknowledged.
        assert_eq!(mail.automatic, Some("auto-submitted"));
        assert_eq!(mime::read(&write(&draft()).unwrap()).unwrap().automatic, None);
    }

    #[test]
    fn bad_addresses_are_refused() {
        for to in [
            "",
            "x",
            "x@",
            "@y",
            "a b@c",
            "a@b\r\nBcc: c@d",
            "a@b>,<c@d",
            "é@example.fr",
            "a@-b",
            "\"a\"@b",
        ] {
            assert_eq!(write(&Draft { to, ..draft() }), Err(Refusal::Recipient), "{to}");
        }
        assert_eq!(
            write(&Draft {
                message_id: "a\r\nb",
                ..draft()
            }),
            Err(Refusal::MessageId)
        );
    }

    #[test]
    fn a_long_thread_keeps_its_ends() {
        let references: Vec<String> = (0..100).map(|n| format!("{n}@x")).collect();
        let thread = thread(&references, Some("100@x"));
        assert_eq!(
            (thread.len(), thread.first().unwrap().as_str(), thread.last().unwrap().as_str()),
            (REFERENCES, "<0@x>", "<100@x>")
        );
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_field(subject in "\\PC{0,60}(\r\nBcc: a@b)?\\PC{0,60}", text in "(\\PC|\n|\r){0,300}", name in "\\PC{0,40}\r\n\\PC{0,40}") {
            let raw = write(&Draft { subject: &subject, text: &text, from: Sender { name: &name, ..FROM }, ..draft() }).unwrap();
            let text = String::from_utf8(raw).unwrap();
            let head = text.split("\r\n\r\n").next().unwrap();
            let fields: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).collect();
            prop_assert_eq!(fields, ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]);
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        }
    }
}
