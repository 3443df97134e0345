//! A part of a mail, read from its own bytes.

use std::borrow::Cow;

use mail_parser::{HeaderName, MessagePart, PartType};

use crate::words::{self, Parameters};
use crate::{charset, fields, transfer};

/// How much of a part is looked at to see whether it is text, in bytes.
const LOOKED_AT: usize = 64 * 1024;

/// The bytes of a field of a part, folded. The last of several counts, as it does for the parser.
pub(super) fn field<'a>(part: &MessagePart<'_>, raw: &'a [u8], name: &HeaderName<'_>) -> Option<&'a [u8]> {
    let header = part.headers.iter().rfind(|header| header.name == *name)?;
    raw.get(header.offset_start as usize..header.offset_end as usize)
}

/// `Content-Type`; of a part without one, nothing (RFC 2045 §5.2: `text/plain`).
pub(super) fn content_type(part: &MessagePart<'_>, raw: &[u8]) -> Parameters {
    field(part, raw, &HeaderName::ContentType)
        .map(words::parameters)
        .unwrap_or_default()
}

/// `Content-Disposition` (RFC 2183).
pub(super) fn disposition(part: &MessagePart<'_>, raw: &[u8]) -> Parameters {
    field(part, raw, &HeaderName::ContentDisposition)
        .map(words::parameters)
        .unwrap_or_default()
}

/// Whether a part without parts is text for want of a better word: its type cannot be read (RFC 2045 §5.2), has parts without saying
/// where, or is a text of a kind that nobody knows (RFC 2046 §4.1.4).
pub(super) fn is_text_by_default(one: &MessagePart<'_>, raw: &[u8]) -> bool {
    if !matches!(one.body, PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Text(_)) {
        return false;
    }
    let value = content_type(one, raw).value;
    let known = ["text/html", "text/calendar", "text/rfc822-headers"];
    let vague = !value.contains('/') || value.starts_with("multipart/") || value.starts_with("text/");
    vague && !known.contains(&value.as_str()) && !octets(one, raw, LOOKED_AT).contains(&0)
}

/// A part's content, its transfer encoding undone. Of its encoded form no more than `most` octets are looked at.
pub(super) fn octets<'a>(part: &MessagePart<'_>, raw: &'a [u8], most: usize) -> Cow<'a, [u8]> {
    let body = raw
        .get(part.raw_body_offset() as usize..part.raw_end_offset() as usize)
        .unwrap_or_default();
    let body = body.get(..body.len().min(most)).unwrap_or_default();
    let encoding = field(part, raw, &HeaderName::ContentTransferEncoding).map(fields::unfold);
    let encoding = encoding.as_deref().unwrap_or_default().trim_ascii();
    // A comment or a parameter behind it is not allowed (RFC 2045 §6.1), and written.
    let word = encoding
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
        .find(|word| !word.is_empty());
    match word {
        Some(word) if word.eq_ignore_ascii_case(b"base64") => Cow::Owned(transfer::base64(body)),
        Some(word) if word.eq_ignore_ascii_case(b"quoted-printable") => Cow::Owned(transfer::quoted_printable(body)),
        _ => Cow::Borrowed(body),
    }
}

/// A part's content as text, by its charset.
pub(super) fn text(part: &MessagePart<'_>, raw: &[u8], kind: &Parameters, most: usize) -> String {
    let html = kind.value == "text/html";
    charset::decode(&octets(part, raw, most), kind.get("charset"), html).into_owned()
}
