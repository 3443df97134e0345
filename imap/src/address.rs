//! Who a mail is from and to: the first address of a field (RFC 5322 §3.4), whatever was made of the field.

use crate::fields::unfold;
use crate::{name, words};

/// Longest address or name that is kept, in bytes.
pub const BYTES: usize = 512;

/// An address and the name beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// `local@domain`, or what stands in its place, in one line.
    pub address: String,
    /// As people read it.
    pub name: Option<String>,
}

/// The first mailbox of a field that has an address. Groups and routes are looked into, comments are passed over.
///
/// A word without an at sign (`MAILER-DAEMON`) counts when nothing better stands in the field.
#[must_use]
pub fn first(value: &[u8]) -> Option<Mailbox> {
    let line = unfold(value);
    let mut rest: Option<&[u8]> = Some(&line);
    let mut word = None;
    while let Some(tail) = rest {
        let (one, after) = cut(tail);
        rest = after;
        match mailbox(one) {
            Some(found) if found.address.contains('@') => return Some(found),
            found => word = word.or(found),
        }
    }
    word
}

fn mailbox(one: &[u8]) -> Option<Mailbox> {
    // Some programs encode the whole of it, brackets and address included, which RFC 2047 §5 forbids.
    let plain = angles(one).is_none().then(|| words::text(one)).filter(|text| text.contains('<'));
    match plain {
        Some(plain) => read(plain.as_bytes()),
        None => read(one),
    }
}

fn read(one: &[u8]) -> Option<Mailbox> {
    let (beside, inside) = angles(one).unwrap_or((b"", one));
    let (bare, comment) = without_comments(inside);
    let comment = comment.or_else(|| without_comments(beside).1);
    // A route (RFC 5322 §4.4): "@a,@b:user@host".
    let address = match bare.iter().rposition(|byte| *byte == b':') {
        Some(colon) if bare.trim_ascii_start().starts_with(b"@") => bare.get(colon + 1..)?,
        _ => &bare,
    };
    let text = words::text(address);
    // "mailto:" and quotes around the whole address are slips of programs that make mails.
    let text = text.trim().trim_start_matches("mailto:").trim_matches('\'');
    let text = tight(&name::line(text, BYTES));
    if text.is_empty() || text == "@" {
        return None;
    }
    let shown = Some(phrase(beside)).filter(|text| !text.is_empty());
    let shown = shown.or_else(|| comment.map(|text| words::text(&text)));
    let shown = shown.map(|text| name::line(&text, BYTES)).filter(|text| !text.is_empty());
    Some(Mailbox {
        address: text,
        name: shown,
    })
}

/// An address without the white space that may stand around its dots and its at sign (RFC 5322 §4.4). Any other blank stays, and makes
/// it an address that cannot be written to: what stands on both sides of it, put together, would be somebody else's.
fn tight(text: &str) -> String {
    let (mut out, mut quoted) = (String::with_capacity(text.len()), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        quoted ^= char == '"';
        let beside = |next: Option<char>| matches!(next, Some('@' | '.'));
        if char == ' ' && !quoted && (beside(out.chars().next_back()) || beside(chars.peek().copied())) {
            continue;
        }
        out.push(char);
    }
    out
}

/// A display name: words, quoted texts, encoded words, in quotes or not.
fn phrase(raw: &[u8]) -> String {
    let (bare, _) = without_comments(raw);
    let mut out: Vec<u8> = Vec::with_capacity(bare.len());
    let mut octets = bare.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => {}
            b'\\' => out.extend(octets.next()),
            _ => out.push(*octet),
        }
    }
    words::text(&out).trim_matches(|c: char| c.is_whitespace() || c == '\'').to_owned()
}

/// What stands before the `<` outside quotes and comments, and inside; where quotes or comments do not end, the last `<`
/// counts.
fn angles(one: &[u8]) -> Option<(&[u8], &[u8])> {
    let sound = outside(one).find(|(_, byte, depth)| *byte == b'<' && *depth == 0);
    let open = sound.map(|(at, ..)| at).or_else(|| one.iter().rposition(|byte| *byte == b'<'))?;
    let inside = one.get(open + 1..)?;
    let close = inside.iter().position(|byte| *byte == b'>').unwrap_or(inside.len());
    let inside = inside.get(..close)?;
    // "<<a@b>>" is common enough.
    let start = inside.iter().rposition(|byte| *byte == b'<').map_or(0, |at| at + 1);
    Some((one.get(..open)?, inside.get(start..)?))
}

/// What stands outside comments, quotes and backslashes as they are; and the last comment, into which old programs wrote
/// the name.
fn without_comments(raw: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut bare = Vec::with_capacity(raw.len());
    let mut comment: Vec<u8> = Vec::new();
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
    for byte in raw {
        let opens = !escaped && !quoted && *byte == b'(';
        let closes = !escaped && !quoted && *byte == b')' && depth > 0;
        if opens && depth == 0 {
            comment.clear();
        } else if depth > usize::from(closes) {
            comment.push(*byte);
        } else if depth == 0 {
            quoted ^= *byte == b'"' && !escaped;
            bare.push(*byte);
        }
        escaped = !escaped && *byte == b'\\';
        depth = depth + usize::from(opens) - usize::from(closes);
    }
    (bare, Some(comment).filter(|text| !text.trim_ascii().is_empty()))
}

/// The octets outside quotes, with their place and how deep in comments they are; the bracket that opens a comment is in it
/// and the one that closes it is too, with the depth after it.
fn outside(raw: &[u8]) -> impl Iterator<Item = (usize, u8, u32)> {
    let mut quoted = false;
    let mut escaped = false;
    let mut depth = 0_u32;
    raw.iter().enumerate().filter_map(move |(at, byte)| {
        if escaped {
            escaped = false;
            return (!quoted).then_some((at, *byte, depth));
        }
        match byte {
            b'\\' => escaped = true,
            b'"' if depth == 0 => {
                quoted = !quoted;
                return None;
            }
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        (!quoted).then_some((at, *byte, depth))
    })
}

/// Up to the next comma, semicolon or a group's colon outside quotes, comments and angle brackets; and what follows it.
fn cut(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut angle = false;
    let mut word_end = 0;
    for (at, byte, depth) in outside(line) {
        if depth > 0 || at < word_end {
            continue;
        }
        match byte {
            // A comma inside an encoded word is not allowed there (RFC 2047 §5), and is a letter of the name.
            b'=' => word_end = at + words::length(line.get(at..).unwrap_or_default()),
            b'<' => angle = true,
            b'>' => angle = false,
            b',' | b';' if !angle => return (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
            // A group's name (RFC 5322 §3.4), but not "mailto:".
            b':' if !angle && !line.get(..at).unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"mailto") => {
                return (b"", line.get(at + 1..));
            }
            _ => {}
        }
    }
    (line, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn senders_as_programs_write_them() {
        let table: &[(&[u8], &str, Option<&str>)] = &[
            (b"jeanne@example.fr", "jeanne@example.fr", None),
            (b" <jeanne@example.fr> ", "jeanne@example.fr", None),
            (b"Jeanne Martin <jeanne@example.fr>", "jeanne@example.fr", Some("Jeanne Martin")),
            (
                b"\"Martin, Jeanne\" <jeanne@example.fr>",
                "jeanne@example.fr",
                Some("Martin, Jeanne"),
            ),
            (
                b"\"Jeanne \\\"JM\\\" Martin\" <jeanne@example.fr>",
                "jeanne@example.fr",
                Some("Jeanne \"JM\" Martin"),
            ),
            (b"'Jeanne Martin' <jeanne@example.fr>", "jeanne@example.fr", Some("Jeanne Martin")),
            (
                b"=?ISO-8859-1?Q?J=E9r=F4me_Mar=E7on?= <j@example.fr>",
                "j@example.fr",
                Some("Jérôme Marçon"),
            ),
            (b"\"=?utf-8?Q?J=C3=A9r=C3=B4me?=\" <j@example.fr>", "j@example.fr", Some("Jérôme")),
            (
                b"=?utf-8?Q?Mar=C3=A7on=2C?= =?utf-8?Q?_J=C3=A9r=C3=B4me?= <j@example.fr>",
                "j@example.fr",
                Some("Marçon, Jérôme"),
            ),
            (
                b"=?utf-8?Q?Mar=C3=A7on, J=C3=A9r=C3=B4me?= <j@example.fr>",
                "j@example.fr",
                Some("Marçon, Jérôme"),
            ),
            (b"=?utf-8?Q?J=C3=A9r=C3=B4me_=3Cj=40example.fr=3E?=", "j@example.fr", Some("Jérôme")),
            (b"=?utf-8?B?PGpAZXhhbXBsZS5mcj4=?=", "j@example.fr", None),
            (b"J\xe9r\xf4me <j@example.fr>", "j@example.fr", Some("Jérôme")),
            ("Jérôme <j@example.fr>".as_bytes(), "j@example.fr", Some("Jérôme")),
            (b"jeanne@example.fr (Jeanne Martin)", "jeanne@example.fr", Some("Jeanne Martin")),
            (b"Jeanne (la (vraie)) <jeanne@example.fr>", "jeanne@example.fr", Some("Jeanne")),
            (b"<<jeanne@example.fr>>", "jeanne@example.fr", None),
            (b"<mailto:jeanne@example.fr>", "jeanne@example.fr", None),
            (b"mailto:jeanne@example.fr", "jeanne@example.fr", None),
            (
                b"jeanne@example.fr <jeanne@example.fr>",
                "jeanne@example.fr",
                Some("jeanne@example.fr"),
            ),
            (b"un@example.fr, deux@example.fr", "un@example.fr", None),
            (b"Conseil: un@example.fr, deux@example.fr;", "un@example.fr", None),
            (b"undisclosed-recipients:;, x@y", "x@y", None),
            (b"<@relais.example,@autre.example:jeanne@example.fr>", "jeanne@example.fr", None),
            (b"\"jeanne martin\"@example.fr", "\"jeanne martin\"@example.fr", None),
            (b"jeanne . martin @ example . fr", "jeanne.martin@example.fr", None),
            // Whose address that is nobody knows.
            (b"Jeanne Martin jeanne@example.fr", "Jeanne Martin jeanne@example.fr", None),
            (b"Jeanne <jeanne m@example.fr>", "jeanne m@example.fr", Some("Jeanne")),
            (b"MAILER-DAEMON", "MAILER-DAEMON", None),
            (b"<>, jeanne@example.fr", "jeanne@example.fr", None),
            (
                b"Jeanne\r\n Martin\r\n <jeanne@example.fr>",
                "jeanne@example.fr",
                Some("Jeanne Martin"),
            ),
            (b"Jeanne Martin <jeanne@example.fr", "jeanne@example.fr", Some("Jeanne Martin")),
            (b"x <a@b\r\nBcc: c@d>", "a@bBcc: c@d", Some("x")),
        ];
        for (value, address, shown) in table {
            let found = first(value).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(value)));
            assert_eq!(
                (found.address.as_str(), found.name.as_deref()),
                (*address, *shown),
                "{}",
                String::from_utf8_lossy(value)
            );
        }
        for nobody in [b"".as_slice(), b"<>", b"undisclosed-recipients:;", b" , ;", b"(nobody)", b"@"] {
            assert_eq!(first(nobody), None, "{}", String::from_utf8_lossy(nobody));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_one_line_at_most(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(found) = first(&value) {
                prop_assert!(!found.address.contains(['\r', '\n', '\0']) && found.address.len() <= BYTES);
            }
        }

        #[test]
        fn what_looks_like_an_address_is_read(value in "[a<>@,;:\"()\\\\' ]{0,60}") {
            let _ = first(value.as_bytes());
        }
    }
}
