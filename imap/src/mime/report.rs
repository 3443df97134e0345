//! Delivery notifications and abuse reports (RFC 6522): their parts.

use mail_parser::{Message, MessagePart};

use super::mail::Mail;
use super::part;
use crate::dsn::{self, Action, Dsn};
use crate::words::Parameters;
use crate::{fields, ids};

/// Most octets of a part of a report that are looked at.
const BYTES: usize = 64 * 1024;

/// `report-type` of a `multipart/report`, lower case.
pub(super) fn kind(message: &Message<'_>, raw: &[u8]) -> Option<String> {
    let root = part::content_type(message.part(0)?, raw);
    (root.value == "multipart/report").then(|| root.get("report-type").unwrap_or_default().to_ascii_lowercase())
}

/// What a notification says of one of our mails; `text` is what the mail says in all.
pub(super) fn notification(message: &Message<'_>, raw: &[u8], head: &Mail, text: Option<&str>) -> Option<Dsn> {
    let Some(report) = kind(message, raw) else {
        return text.filter(|_| head.automatic.is_some()).and_then(dsn::qmail);
    };
    let parts: Vec<(&MessagePart<'_>, Parameters)> = message.parts.iter().map(|one| (one, part::content_type(one, raw))).collect();
    let original = parts.iter().find_map(|(one, kind)| original_id(one, kind, raw));
    if report == "feedback-report" {
        return Some(Dsn {
            original_message_id: original,
            action: Action::Complaint,
            status: None,
            diagnostic: None,
        });
    }
    let (status, kind) = parts
        .iter()
        .find(|(_, kind)| kind.value == "message/delivery-status" || kind.value == "message/global-delivery-status")?;
    let spoken_of = original
        .or_else(|| head.in_reply_to.first().cloned())
        .or_else(|| head.references.last().cloned());
    dsn::read(&part::text(status, raw, kind, BYTES), spoken_of)
}

/// The Message-ID of the returned mail, whole or its header alone.
fn original_id(one: &MessagePart<'_>, kind: &Parameters, raw: &[u8]) -> Option<String> {
    const RETURNED: [&str; 5] = [
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
    ];
    if !RETURNED.contains(&kind.value.as_str()) {
        return None;
    }
    let octets = part::octets(one, raw, BYTES);
    let (header, _) = fields::split(&octets);
    fields::of(header)
        .find(|field| field.is("Message-ID"))
        .and_then(|field| ids::own(field.value))
}
