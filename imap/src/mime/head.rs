//! The header of a mail.

use mail_parser::DateTime;

use super::mail::{Mail, SUBJECT_BYTES};
use crate::fields::{self, Field};
use crate::{address, automatic, charset, ids, name, words};

/// Longest value that decides whether a mail is automatic, in bytes.
const KEYWORD_BYTES: usize = 1024;

/// What the header says; all of the body is absent. The first of several fields of one name counts.
pub(super) fn read(raw: &[u8]) -> Mail {
    let (header, _) = fields::split(raw);
    let all: Vec<Field<'_>> = fields::of(header).collect();
    let first = |name: &str| all.iter().find(|field| field.is(name)).map(|field| field.value);
    let from = ["From", "Sender", "Reply-To"]
        .into_iter()
        .filter_map(first)
        .find_map(address::first);
    let to = ["To", "Delivered-To"].into_iter().filter_map(first).find_map(address::first);
    let keywords: Vec<(String, String)> = all.iter().map(keyword).collect();
    let subject = first("Subject").map(subject).filter(|text| !text.is_empty());
    let automatic = automatic::reason(keywords.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .or_else(|| subject.as_deref().and_then(automatic::by_subject));
    Mail {
        message_id: first("Message-ID").and_then(ids::own),
        from_name: from.as_ref().and_then(|one| one.name.clone()),
        from: from.map(|one| one.address),
        reply_to: first("Reply-To").and_then(address::first),
        to: to.map(|one| one.address),
        subject,
        date_ms: first("Date").and_then(date),
        in_reply_to: first("In-Reply-To").map(ids::of).unwrap_or_default(),
        references: first("References").map(ids::of).unwrap_or_default(),
        automatic,
        list: first("List-Id").is_some_and(|value| !value.trim_ascii().is_empty()),
        ..Mail::default()
    }
}

fn keyword(field: &Field<'_>) -> (String, String) {
    let value = field.unfolded();
    let value = value.get(..value.len().min(KEYWORD_BYTES)).unwrap_or_default();
    let text = |bytes: &[u8]| charset::decode(bytes, None, false).into_owned();
    (
        text(field.name.get(..field.name.len().min(KEYWORD_BYTES)).unwrap_or_default()),
        text(value),
    )
}

pub(super) fn subject(value: &[u8]) -> String {
    name::line(&words::text(value), SUBJECT_BYTES)
}

fn date(value: &[u8]) -> Option<i64> {
    // The reader of dates wants the line's end.
    let line = format!(
        "{}\n",
        String::from_utf8_lossy(&fields::unfold(value.get(..value.len().min(KEYWORD_BYTES))?))
    );
    DateTime::parse_rfc822(&line)
        .filter(|date| date.is_valid() && date.year >= 1970)
        .map(|date| date.to_timestamp().saturating_mul(1000))
}
