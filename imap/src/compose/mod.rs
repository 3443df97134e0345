//! The bytes of a mail that we send: a reply, or an acknowledgement of receipt.
//!
//! A pure function: the same draft gives the same bytes, at each try. Whatever a citizen or an agent wrote into a subject, a name
//! or the name of a file cannot become a field of its own: control characters end as blanks, and an address that is not plainly
//! one is refused.

mod body;
mod field;

use bytes::Bytes;
use mail_parser::DateTime;

use crate::automatic::LOOP_HEADER;
use crate::{dedup, name};

/// Most Message-IDs in `References`; the first and the newest are kept.
const REFERENCES: usize = 20;
/// Longest subject, in bytes.
const SUBJECT_BYTES: usize = 400;

/// A mail to be written.
#[derive(Debug, Clone, Default)]
pub struct Draft<'a> {
    /// The town's name and address, from the configuration.
    pub from: Sender<'a>,
    /// Where answers go when that is not `from`: the town's address with a reply token.
    pub reply_to: Option<&'a str>,
    /// The citizen's address: ASCII, or UTF-8 where the server carries that (RFC 6531).
    pub to: &'a str,
    /// The subject, in any characters.
    pub subject: &'a str,
    /// The text, LF.
    pub text: &'a str,
    /// Whether it is sent as HTML too.
    pub html: bool,
    /// What goes with it.
    pub files: &'a [File],
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

/// A file that goes with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, in any characters.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub bytes: Bytes,
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

/// Writes the mail: CRLF, ASCII but for a recipient's address that is not, lines of at most 998 bytes.
///
/// # Errors
/// [`Refusal`], by which trying again changes nothing.
pub fn write(draft: &Draft<'_>) -> Result<Vec<u8>, Refusal> {
    let to = recipient(draft.to).ok_or(Refusal::Recipient)?;
    let from = address(draft.from.address).ok_or(Refusal::Sender)?;
    let message_id = identifier(draft.message_id).ok_or(Refusal::MessageId)?;
    let named = |address: &str| match name::line(draft.from.name, 200) {
        name if name.is_empty() => address.to_owned(),
        name => format!("{}\r\n <{address}>", field::phrase(&name)),
    };
    let mut out = Vec::with_capacity(2_000 + draft.text.len() * 2 + draft.files.iter().map(|file| file.bytes.len() / 2 * 3).sum::<usize>());
    let mut field = |name: &str, value: &str| {
        debug_assert!(value.split("\r\n").all(field::fits), "{name}");
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    field("Date", &DateTime::from_timestamp(draft.date_ms.div_euclid(1000)).to_rfc822());
    field("From", &named(from));
    if let Some(answers) = draft.reply_to.and_then(address) {
        field("Reply-To", &named(answers));
    }
    field("To", to);
    field(
        "Subject",
        &field::unstructured("Subject", &name::line(draft.subject, SUBJECT_BYTES)),
    );
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
    content(draft, message_id, &mut out);
    Ok(out)
}

/// The text, beside its HTML (RFC 2046 §5.1.4: the plainest first), before the files (§5.1.3).
fn content(draft: &Draft<'_>, message_id: &str, out: &mut Vec<u8>) {
    // No line of quoted-printable or base64 holds "=_"; the same at each try.
    let boundary = |of: &str| format!("=_{of}_{}", dedup::sha256(message_id.as_bytes()).get(..32).unwrap_or_default());
    let mixed = (!draft.files.is_empty()).then(|| boundary("mixed"));
    if let Some(mixed) = &mixed {
        put(
            out,
            &format!("Content-Type: multipart/mixed;\r\n boundary=\"{mixed}\"\r\n\r\n--{mixed}\r\n"),
        );
    }
    if draft.html {
        let alternative = boundary("text");
        put(
            out,
            &format!("Content-Type: multipart/alternative;\r\n boundary=\"{alternative}\"\r\n\r\n--{alternative}\r\n"),
        );
        text("plain", draft.text, out);
        put(out, &format!("\r\n--{alternative}\r\n"));
        text("html", &body::html(draft.text), out);
        put(out, &format!("\r\n--{alternative}--\r\n"));
    } else {
        text("plain", draft.text, out);
    }
    let Some(mixed) = mixed else { return };
    for file in draft.files {
        let name = name::file(&file.name, "");
        let kind = field::media_type(&file.media_type);
        let (typed, disposed) = (field::parameter("name", &name), field::parameter("filename", &name));
        put(
            out,
            &format!(
                "\r\n--{mixed}\r\nContent-Type: {kind}{typed}\r\nContent-Disposition: attachment{disposed}\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n"
            ),
        );
        body::base64(&file.bytes, out);
    }
    put(out, &format!("\r\n--{mixed}--\r\n"));
}

fn text(kind: &str, text: &str, out: &mut Vec<u8>) {
    put(
        out,
        &format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    );
    body::quoted_printable(text, out);
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// An address in ASCII without quoting: one `@`, no white space, nothing that means something in a field.
#[must_use]
pub fn address(text: &str) -> Option<&str> {
    recipient(text).filter(|address| address.is_ascii())
}

/// The same, or one with letters and digits beyond ASCII (RFC 6531 §3.3).
#[must_use]
pub fn recipient(text: &str) -> Option<&str> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |part: &str, more: &str| {
        let sound = |char: char| char.is_ascii_alphanumeric() || more.contains(char) || !char.is_ascii() && char.is_alphanumeric();
        !part.is_empty() && part.chars().all(sound)
    };
    let fits = text.len() <= 254 && local.len() <= 64;
    (fits && plain(local, "!#$%&'*+-/=?^_`{|}~.") && plain(domain, "-.") && !domain.starts_with(['-', '.']) && !domain.ends_with('.'))
        .then_some(text)
}

/// The town's address with a reply token (RFC 5233): `mairie+TOKEN@example.fr`. `None` where that is too long for an address.
#[must_use]
pub fn plus(town: &str, token: &str) -> Option<String> {
    let (local, domain) = town.trim().rsplit_once('@')?;
    address(&format!("{local}+{token}@{domain}")).map(str::to_owned)
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
        assert_eq!(
            raw,
            write(&Draft {
                in_reply_to: Some("b@x"),
                references: &references,
                subject: "Réponse à votre demande œuvrée au fil de l’été très longue [2026-0000001-3]",
                automatic: true,
                ..draft()
            })
            .unwrap()
        );
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
        assert_eq!(mail.automatic, Some("our own"));
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
            "é\u{a0}@example.fr",
            "é\u{202e}@example.fr",
            "\u{200b}@example.fr",
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
    fn files_and_html_read_back() {
        let files = [
            File {
                name: "délibération n° 7 du conseil municipal de Saint-Exemple-sur-Mer, séance du 12 novembre.pdf".to_owned(),
                media_type: "application/pdf".to_owned(),
                bytes: Bytes::from_static(b"%PDF-1.4\n\x00\xff\r\n.\r\n"),
            },
            File {
                name: "../../etc/passwd".to_owned(),
                media_type: "text/plain\r\nBcc: x@y".to_owned(),
                bytes: Bytes::new(),
            },
        ];
        let raw = write(&Draft {
            html: true,
            files: &files,
            reply_to: Some("mairie+abc@example.fr"),
            ..draft()
        })
        .unwrap();
        assert!(raw.is_ascii() && raw.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
        let mail = mime::read(&raw).unwrap();
        assert_eq!(mail.text.as_deref(), Some("Bonjour,\n.\nFrom là"));
        let names: Vec<(&str, &str)> = mail
            .attachments
            .iter()
            .map(|file| (file.name.as_str(), file.media_type.as_str()))
            .collect();
        assert_eq!(
            names,
            [(files[0].name.as_str(), "application/pdf"), ("passwd", "application/octet-stream")]
        );
        assert_eq!(mail.attachments[0].bytes, files[0].bytes);
        let text = String::from_utf8(raw).unwrap();
        assert!(
            text.contains("\r\nReply-To: \"Mairie de Saint-Exemple\"\r\n <mairie+abc@example.fr>\r\n"),
            "{text}"
        );
        assert!(!text.contains("Auto-Submitted"));
    }

    #[test]
    fn an_address_beyond_ascii_is_written_as_it_is() {
        let raw = write(&Draft {
            to: "zoé@exemple.fr",
            ..draft()
        })
        .unwrap();
        assert!(String::from_utf8(raw).unwrap().contains("\r\nTo: zoé@exemple.fr\r\n"));
        assert_eq!(
            (address("zoé@exemple.fr"), recipient("zoé@exemple.fr")),
            (None, Some("zoé@exemple.fr"))
        );
        assert_eq!(plus("mairie@example.fr", "abc").as_deref(), Some("mairie+abc@example.fr"));
        assert_eq!(plus(&format!("{}@example.fr", "x".repeat(40)), &"t".repeat(42)), None);
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
        fn no_name_of_a_file_becomes_a_field(name in "\\PC{0,40}(\r\nBcc: a@b|\"; x=\"y)?\\PC{0,40}", kind in "\\PC{0,20}(\r\n)?\\PC{0,20}") {
            let files = [File { name, media_type: kind, bytes: Bytes::from_static(b"x") }];
            let raw = write(&Draft { files: &files, ..draft() }).unwrap();
            let text = String::from_utf8(raw).unwrap();
            let part = text.split("\r\n--").nth(2).unwrap().split("\r\n\r\n").next().unwrap();
            let fields: Vec<&str> = part.split("\r\n").skip(1).filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).collect();
            prop_assert_eq!(fields, ["Content-Type", "Content-Disposition", "Content-Transfer-Encoding"]);
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        }

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
