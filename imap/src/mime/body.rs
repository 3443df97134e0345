//! The text of a mail.

use mail_parser::{Message, MessagePart, PartType};

use super::{TEXT_BYTES, files, part};
use crate::calendar::{self, Invitation};
use crate::{html, name};

/// Most octets of a text part that are looked at, encoded: what is kept is a quarter of it at most, and markup goes.
const ENCODED_BYTES: usize = 4 * TEXT_BYTES;

/// The text parts together; a mail of HTML alone is rendered. And whether it was cut.
pub(super) fn text(message: &Message<'_>, raw: &[u8]) -> (Option<String>, bool) {
    let bodies = if message.text_body.is_empty() {
        &message.html_body
    } else {
        &message.text_body
    };
    let mut cut_short = false;
    let mut whole = String::new();
    for one in bodies.iter().filter_map(|id| message.part(*id)) {
        let Some(piece) = readable(one, raw) else { continue };
        cut_short |= one.raw_end_offset().saturating_sub(one.raw_body_offset()) as usize > ENCODED_BYTES;
        if !whole.is_empty() && !piece.trim().is_empty() {
            whole.push('\n');
        }
        whole.push_str(&piece);
        if whole.len() > ENCODED_BYTES {
            cut_short = true;
            break;
        }
    }
    if whole.trim().is_empty() {
        // An empty text beside a full HTML, or a text whose encoding is so broken that the parser took it for a file.
        let others = message.html_body.iter().chain(&message.attachments);
        let rendered = others
            .filter_map(|id| message.part(*id))
            .filter(|one| one.is_encoding_problem || matches!(one.body, PartType::Html(_)))
            .filter(|one| !files::is_file(one, raw))
            .filter_map(|one| readable(one, raw))
            .find(|piece| !piece.trim().is_empty());
        whole = rendered.unwrap_or(whole);
    }
    let clean = whole.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let clean = clean.trim_end();
    let cut = name::cut(clean, TEXT_BYTES);
    (
        (!cut.trim().is_empty()).then(|| cut.to_owned()),
        cut_short || cut.len() < clean.len(),
    )
}

/// The text of a part that is one.
fn readable(one: &MessagePart<'_>, raw: &[u8]) -> Option<String> {
    let kind = part::content_type(one, raw);
    match (&one.body, kind.value.as_str()) {
        (PartType::Html(_), _) | (PartType::Text(_), "text/html") => Some(html::text(&part::text(one, raw, &kind, ENCODED_BYTES))),
        (PartType::Text(_), _) => Some(part::text(one, raw, &kind, ENCODED_BYTES)),
        _ => None,
    }
}

/// The HTML of a mail as it came, decoded; the parts of it in their order.
pub(super) fn html(message: &Message<'_>, raw: &[u8]) -> Option<String> {
    let parts = message.html_body.iter().filter_map(|id| message.part(*id));
    let pages: Vec<String> = parts
        .filter(|one| matches!(one.body, PartType::Html(_)))
        .map(|one| part::text(one, raw, &part::content_type(one, raw), ENCODED_BYTES))
        .collect();
    (!pages.is_empty()).then(|| pages.join("\n"))
}

/// The first invitation among the parts.
pub(super) fn invitation(message: &Message<'_>, raw: &[u8]) -> Option<Invitation> {
    let calendars = message.parts.iter().filter(|one| {
        let kind = part::content_type(one, raw);
        kind.value == "text/calendar"
            || kind.value == "application/ics"
            || (kind.value == "application/octet-stream"
                && files::raw_name(one, raw).is_some_and(|name| name.to_lowercase().ends_with(".ics")))
    });
    calendars.take(4).find_map(|one| {
        let kind = part::content_type(one, raw);
        calendar::read(&part::text(one, raw, &kind, ENCODED_BYTES))
    })
}
