//! The text of a mail.

use mail_parser::{Message, MessagePart, PartType};

use super::mail::TEXT_BYTES;
use super::{files, part};
use crate::calendar::{self, Invitation};
use crate::{charset, fields, flowed, html, name};

/// Most octets of a mail's text parts that are looked at, encoded: what is kept is a quarter of it at most, and markup goes.
const ENCODED_BYTES: usize = 4 * TEXT_BYTES;
/// The same of its HTML, which costs more to look at.
const HTML_BYTES: usize = 2 * TEXT_BYTES;

/// The text parts together; a mail of HTML alone is rendered. And whether it was cut.
pub(super) fn text(message: &Message<'_>, raw: &[u8]) -> (Option<String>, bool) {
    let bodies = if message.text_body.is_empty() {
        &message.html_body
    } else {
        &message.text_body
    };
    let mut reading = Reading::default();
    let mut whole = String::new();
    for one in bodies.iter().filter_map(|id| message.part(*id)) {
        let Some(piece) = reading.readable(one, raw) else { continue };
        if !whole.is_empty() && !piece.trim().is_empty() {
            whole.push('\n');
        }
        whole.push_str(&piece);
    }
    if whole.trim().is_empty() {
        // An empty text beside a full HTML, or a text of which the parser made a file, since its encoding is broken or its type is.
        let others = message.html_body.iter().chain(&message.attachments);
        let rendered = others
            .filter_map(|id| message.part(*id))
            .filter(|one| part::is_text_by_default(one, raw) || files::broken_text(one, raw) || matches!(one.body, PartType::Html(_)))
            .filter(|one| !files::is_file(one, raw))
            .filter_map(|one| reading.readable(one, raw))
            .find(|piece| !piece.trim().is_empty());
        whole = rendered.unwrap_or(whole);
    }
    let stray = fields::stray(fields::split(raw).0);
    if !stray.is_empty() {
        let html = message
            .part(0)
            .is_some_and(|root| part::content_type(root, raw).value == "text/html");
        let begun = charset::decode(stray, None, html);
        let begun = if html { html::text(&begun) } else { begun.into_owned() };
        whole = format!("{}\n\n{whole}", begun.trim_end());
    }
    let clean = whole.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let clean = clean.trim_end();
    let cut = name::cut(clean, TEXT_BYTES);
    (
        (!cut.trim().is_empty()).then(|| cut.to_owned()),
        reading.cut || cut.len() < clean.len(),
    )
}

/// How much of a mail's texts was looked at.
#[derive(Debug, Default)]
struct Reading {
    encoded: usize,
    html: usize,
    /// Some of it was not.
    cut: bool,
}

impl Reading {
    /// The text of a part that is one, as far as there is room.
    fn readable(&mut self, one: &MessagePart<'_>, raw: &[u8]) -> Option<String> {
        let kind = part::content_type(one, raw);
        let html = match (&one.body, kind.value.as_str()) {
            (PartType::Html(_), _) | (PartType::Text(_), "text/html") => true,
            (PartType::Text(_), _) => false,
            _ if part::is_text_by_default(one, raw) => false,
            _ => return None,
        };
        let length = one.raw_end_offset().saturating_sub(one.raw_body_offset()) as usize;
        let room = ENCODED_BYTES.saturating_sub(self.encoded);
        let room = if html {
            room.min(HTML_BYTES.saturating_sub(self.html))
        } else {
            room
        };
        self.cut |= length > room;
        self.encoded += length.min(room);
        self.html += if html { length.min(room) } else { 0 };
        let text = part::text(one, raw, &kind, room);
        let is = |name, value: &str| kind.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
        Some(if html {
            html::text(&text)
        } else if is("format", "flowed") {
            flowed::text(&text, is("delsp", "yes"))
        } else {
            text
        })
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
