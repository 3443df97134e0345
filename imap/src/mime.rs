//! From a mail's bytes to what the core wants to know of it.
//!
//! Never panics and never gives up on a mail for a missing or broken field: what cannot be read is absent. The parser
//! runs behind [`prescan`], under `catch_unwind`, and its tree is taken apart level by level.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use mail_parser::{Address, Encoding, Header, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

use crate::dsn::{Action, Dsn};
use crate::prescan::Excess;
use crate::{automatic, dsn, html, name, prescan, quote};

/// Longest text that is kept beside the raw mail, in bytes.
pub const TEXT_BYTES: usize = 1024 * 1024;
/// Longest subject, in bytes (RFC 5322 §2.1.1 allows 998 a line).
pub const SUBJECT_BYTES: usize = 998;
/// Longest address or Message-ID that is kept, in bytes.
const ID_BYTES: usize = 512;
/// Most Message-IDs that are taken from References; the newest are last and most telling.
const REFERENCES: usize = 50;

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
    /// The whole text, LF, no NUL, at most [`TEXT_BYTES`].
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
    /// Decoded.
    pub bytes: Bytes,
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
    prescan::check(raw).map_err(Unreadable::TooComplex)?;
    // The parser promises not to panic; the promise is not ours, and one mail must not end the daemon.
    catch_unwind(AssertUnwindSafe(|| parse(raw))).unwrap_or(Err(Unreadable::Failed))
}

/// Reads the few header fields that a request needs, of a mail that is too large or too complex to be read.
///
/// Only those fields reach the parser, each cut to 8 KiB. A mail without any gives an empty [`Mail`].
#[must_use]
pub fn headers(raw: &[u8]) -> Mail {
    const WANTED: [&str; 15] = [
        "from",
        "sender",
        "reply-to",
        "to",
        "delivered-to",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "return-path",
        "auto-submitted",
        "precedence",
        "list-id",
        "x-auto-response-suppress",
    ];
    let mut picked = Vec::new();
    let mut keep = false;
    for line in raw
        .get(..raw.len().min(prescan::HEADER_BYTES))
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == b'\n')
    {
        if line.trim_ascii().is_empty() || picked.len() > prescan::HEADER_BYTES / 2 {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let field = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
            let loop_header = field.eq_ignore_ascii_case(automatic::LOOP_HEADER.as_bytes());
            keep = loop_header || WANTED.iter().any(|wanted| field.eq_ignore_ascii_case(wanted.as_bytes()));
        }
        if keep {
            picked.extend_from_slice(line.get(..line.len().min(8 * 1024)).unwrap_or_default());
        }
    }
    picked.extend_from_slice(b"\r\n\r\n");
    catch_unwind(AssertUnwindSafe(|| parse(&picked)))
        .ok()
        .and_then(Result::ok)
        .map(|mail| Mail {
            text: None,
            text_stripped: None,
            ..mail
        })
        .unwrap_or_default()
}

fn parse(raw: &[u8]) -> Result<Mail, Unreadable> {
    let message = MessageParser::default()
        .parse(raw)
        .filter(|message| !message.parts.is_empty())
        .ok_or(Unreadable::NoHeader)?;
    let fields: Vec<(String, String)> = message
        .headers()
        .iter()
        .map(|header| (header.name.as_str().to_owned(), unparsed(raw, header)))
        .collect();
    let pairs = || fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));

    let (from, from_name) = [message.from(), message.sender(), message.reply_to()]
        .into_iter()
        .flatten()
        .find_map(address)
        .unzip();
    let delivered = pairs()
        .find(|(name, _)| name.eq_ignore_ascii_case("Delivered-To"))
        .map(|(_, value)| name::line(value, ID_BYTES));
    let (text, text_cut) = text(&message, raw);
    let dsn = notification(&message, raw);
    let mail = Mail {
        message_id: message.message_id().and_then(identifier),
        from,
        from_name: from_name.flatten(),
        to: message.to().and_then(address).map(|(to, _)| to).or(delivered),
        subject: subject(&message, raw),
        date_ms: message
            .date()
            .filter(|date| date.is_valid() && date.year >= 1970)
            .map(|date| date.to_timestamp().saturating_mul(1000)),
        text_stripped: text.as_deref().map(quote::strip),
        text,
        text_cut,
        in_reply_to: identifiers(message.in_reply_to()),
        references: identifiers(message.references()),
        attachments: message
            .attachments()
            .take(prescan::PARTS)
            .map(|part| attachment(part, raw))
            .collect(),
        automatic: automatic::reason(pairs()).or_else(|| report_type(&message).is_some().then_some("report")),
        dsn,
    };
    dismantle(message);
    Ok(mail)
}

/// Drops a parsed mail without recursion: messages inside it are taken out before their parent goes.
fn dismantle(message: Message<'_>) {
    let mut waiting = vec![message];
    while let Some(mut message) = waiting.pop() {
        for part in &mut message.parts {
            if let PartType::Message(inner) = &mut part.body {
                waiting.push(std::mem::take(inner));
            }
        }
    }
}

/// A field's bytes as they came, unfolded; what is not UTF-8 is read as Latin-1.
fn unparsed(raw: &[u8], header: &Header<'_>) -> String {
    let bytes = raw
        .get(header.offset_start as usize..header.offset_end as usize)
        .unwrap_or_default();
    let bytes = bytes.get(..bytes.len().min(8 * 1024)).unwrap_or_default();
    latin(bytes).split(['\r', '\n']).collect::<String>().trim().to_owned()
}

/// UTF-8, else Latin-1: what French programs of the last century leave undeclared.
fn latin(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), Cow::Borrowed)
}

fn address(address: &Address<'_>) -> Option<(String, Option<String>)> {
    let found = address
        .iter()
        .find(|one| one.address().is_some_and(|text| !text.trim().is_empty()))?;
    let name = found.name().map(|text| name::line(text, ID_BYTES)).filter(|text| !text.is_empty());
    Some((name::line(found.address()?, ID_BYTES).replace(' ', ""), name))
}

fn subject(message: &Message<'_>, raw: &[u8]) -> Option<String> {
    let parsed = message.subject()?;
    let broken = || {
        message
            .headers()
            .iter()
            .rfind(|header| header.name == HeaderName::Subject)
            .map(|header| unparsed(raw, header))
    };
    // U+FFFD: the field holds undeclared 8-bit characters.
    let subject = if parsed.contains('\u{fffd}') {
        broken().filter(|text| !text.contains("=?")).unwrap_or_else(|| parsed.to_owned())
    } else {
        parsed.to_owned()
    };
    Some(name::line(&subject, SUBJECT_BYTES)).filter(|text| !text.is_empty())
}

fn identifier(raw: &str) -> Option<String> {
    let clean: String = raw
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    (!clean.is_empty() && clean.len() <= ID_BYTES).then_some(clean)
}

fn identifiers(value: &HeaderValue<'_>) -> Vec<String> {
    let all: Vec<String> = match value {
        HeaderValue::Text(one) => identifier(one).into_iter().collect(),
        HeaderValue::TextList(many) => many.iter().filter_map(|one| identifier(one)).collect(),
        _ => Vec::new(),
    };
    all.get(all.len().saturating_sub(REFERENCES)..).unwrap_or_default().to_vec()
}

/// The text parts together; a mail of HTML alone is rendered.
fn text(message: &Message<'_>, raw: &[u8]) -> (Option<String>, bool) {
    let mut whole = String::new();
    let bodies = if message.text_body.is_empty() {
        &message.html_body
    } else {
        &message.text_body
    };
    for part in bodies.iter().filter_map(|id| message.part(*id)) {
        let piece: Cow<'_, str> = match &part.body {
            PartType::Text(text) => undeclared(part, raw).map_or(Cow::Borrowed(text.as_ref()), Cow::Owned),
            PartType::Html(text) => Cow::Owned(html::text(text)),
            _ => continue,
        };
        if !whole.is_empty() && !piece.trim().is_empty() {
            whole.push('\n');
        }
        whole.push_str(&piece);
    }
    if whole.trim().is_empty() {
        // An empty text alternative beside a full HTML one.
        let rendered = message
            .html_body
            .iter()
            .filter_map(|id| message.part(*id))
            .find_map(|part| match &part.body {
                PartType::Html(text) => Some(html::text(text)),
                _ => None,
            });
        whole = rendered.unwrap_or(whole);
    }
    let clean = whole.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let clean = clean.trim_end();
    let cut = name::cut(clean, TEXT_BYTES);
    ((!cut.trim().is_empty()).then(|| cut.to_owned()), cut.len() < clean.len())
}

/// The text of a part in 8 bits without a charset that is not UTF-8.
fn undeclared(part: &MessagePart<'_>, raw: &[u8]) -> Option<String> {
    if part.encoding != Encoding::None || part.content_type().is_some_and(|kind| kind.has_attribute("charset")) {
        return None;
    }
    let bytes = raw.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize)?;
    match latin(bytes) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

fn attachment(part: &MessagePart<'_>, raw: &[u8]) -> Attachment {
    let declared = part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")).to_ascii_lowercase(),
    );
    let well_formed = declared.len() <= 100
        && declared
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte));
    let declared = if well_formed {
        declared
    } else {
        "application/octet-stream".to_owned()
    };
    let (bytes, inner_subject) = match &part.body {
        // A nested message's own raw bytes are its parent's; the offsets tell which of them are its.
        PartType::Message(inner) => {
            let own = raw.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize);
            (
                Bytes::copy_from_slice(own.unwrap_or_else(|| inner.raw_message())),
                inner.subject().map(|subject| format!("{subject}.eml")),
            )
        }
        body => (Bytes::copy_from_slice(contents(body)), None),
    };
    let media_type = sniff(&bytes).map_or(declared, str::to_owned);
    let raw_name = part.attachment_name().map(str::to_owned).or(inner_subject).unwrap_or_default();
    Attachment {
        name: name::file(&raw_name, extension(&media_type)),
        media_type,
        bytes,
    }
}

fn contents<'a>(body: &'a PartType<'_>) -> &'a [u8] {
    match body {
        PartType::Text(text) | PartType::Html(text) => text.as_bytes(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes,
        PartType::Message(inner) => inner.raw_message(),
        PartType::Multipart(_) => &[],
    }
}

/// What the first bytes say; a declared type is only a claim.
fn sniff(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 9] = [
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ", "application/x-msdownload"),
        (b"%!PS", "application/postscript"),
        (b"\x1f\x8b", "application/gzip"),
        (b"{\\rtf", "application/rtf"),
    ];
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "application/pdf" => "pdf",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "message/rfc822" => "eml",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        _ => "",
    }
}

/// `report-type` of a `multipart/report` (RFC 6522), lower case.
fn report_type(message: &Message<'_>) -> Option<String> {
    let root = message.part(0)?;
    let kind = root.content_type().filter(|_| root.is_content_type("multipart", "report"))?;
    Some(kind.attribute("report-type").unwrap_or_default().to_ascii_lowercase())
}

fn notification(message: &Message<'_>, raw: &[u8]) -> Option<Dsn> {
    let report = report_type(message)?;
    let original = message.parts.iter().find_map(|part| original_id(part, raw));
    if report == "feedback-report" {
        return Some(Dsn {
            original_message_id: original,
            action: Action::Complaint,
            status: None,
            diagnostic: None,
        });
    }
    let status = message
        .parts
        .iter()
        .find(|part| part.is_content_type("message", "delivery-status") || part.is_content_type("message", "global-delivery-status"))?;
    let text = latin(contents(&status.body));
    let spoken_of = original
        .or_else(|| identifiers(message.in_reply_to()).into_iter().next())
        .or_else(|| identifiers(message.references()).into_iter().next_back());
    dsn::read(name::cut(&text, 64 * 1024), spoken_of)
}

/// The Message-ID of the returned mail, whole or its header alone.
fn original_id(part: &MessagePart<'_>, raw: &[u8]) -> Option<String> {
    if let PartType::Message(inner) = &part.body {
        return inner.message_id().and_then(identifier);
    }
    if !part.is_content_type("text", "rfc822-headers") && !part.is_content_type("message", "rfc822-headers") {
        return None;
    }
    let body = contents(&part.body);
    let body = if body.is_empty() {
        raw.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize)?
    } else {
        body
    };
    headers(body).message_id
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;
