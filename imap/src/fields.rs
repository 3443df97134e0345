//! The header of a mail as fields of bytes, read without the parser.
//!
//! One pass, no allocation but of what is asked for. Nothing here decodes; see `charset` and `words`.

use std::borrow::Cow;

/// How much of a header is looked at, in bytes; more of it is no field that anybody needs.
pub const HEADER_BYTES: usize = 256 * 1024;
/// Longest value of one field that is looked at, in bytes; the rest of the field is passed over.
pub const VALUE_BYTES: usize = 64 * 1024;

/// A field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// As it came, without white space around it.
    pub name: &'a [u8],
    /// As it came, folded, at most [`VALUE_BYTES`].
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether this is its name; case does not count (RFC 5322 §1.2.2).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value in one line: line ends taken out (RFC 5322 §2.2.3), nothing else.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }
}

/// A folded value in one line, without white space around it.
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
    } else {
        Cow::Borrowed(value)
    }
}

/// A mail's header, and its body, which begins after the first empty line (RFC 5322 §2.1). Without an empty line all of it
/// is header.
#[must_use]
pub fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    // Empty lines before the header are somebody's slip, and every mail program passes over them.
    let start = raw.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(raw.len());
    let rest = raw.get(start..).unwrap_or_default();
    let mut line = 0;
    while let Some(end) = rest.get(line..).and_then(|tail| tail.iter().position(|byte| *byte == b'\n')) {
        let next = line + end + 1;
        if matches!(rest.get(line..next), Some(b"\n" | b"\r\n")) {
            return (rest.get(..line).unwrap_or_default(), rest.get(next..).unwrap_or_default());
        }
        line = next;
    }
    (rest, &[])
}

/// What a header ends with that is no header: its sender meant it for the body, and left out the empty line before it. It begins behind
/// the last field of a name that mails have, where a line follows that is no field at all.
#[must_use]
pub fn stray(header: &[u8]) -> &[u8] {
    let mut rest = header.get(..header.len().min(HEADER_BYTES)).unwrap_or_default().trim_ascii_start();
    let (mut meant, mut strange) = (rest, false);
    while !rest.is_empty() {
        let name = rest.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
        let after = rest.get(field_end(rest)..).unwrap_or_default();
        match rest.get(..name) {
            Some(name) if rest.get(name.len()) == Some(&b':') && is_usual(name) => (meant, strange) = (after, false),
            Some(name) if !name.is_empty() && rest.get(name.len()) == Some(&b':') => {}
            _ => strange = true,
        }
        rest = after;
    }
    if strange { meant } else { &[] }
}

/// Whether mails have fields of this name: with a hyphen, or one of the few without (RFC 5322 §3.6).
fn is_usual(name: &[u8]) -> bool {
    const NAMES: [&str; 13] = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Sender",
        "Received",
        "References",
        "Keywords",
        "Comments",
        "Precedence",
        "Priority",
    ];
    name.contains(&b'-') || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The fields of a header in order, of its first [`HEADER_BYTES`]. A line that is neither a field nor belongs to one is
/// passed over.
pub fn of(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header.get(..header.len().min(HEADER_BYTES)).unwrap_or_default();
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (field, after) = rest.split_at(field_end(rest));
            rest = after;
            let Some(colon) = field.iter().position(|byte| matches!(byte, b':' | b'\n')) else {
                continue;
            };
            let name = field.get(..colon).unwrap_or_default().trim_ascii();
            if field.get(colon) == Some(&b':') && !name.is_empty() && !field.starts_with(b" ") && !field.starts_with(b"\t") {
                let value = field.get(colon + 1..).unwrap_or_default();
                let value = value.get(..value.len().min(VALUE_BYTES)).unwrap_or_default();
                return Some(Field { name, value });
            }
        }
        None
    })
}

/// Where the line that begins here ends, with the lines that continue it.
fn field_end(rest: &[u8]) -> usize {
    let mut end = 0;
    while let Some(offset) = rest.get(end..).and_then(|tail| tail.iter().position(|byte| *byte == b'\n')) {
        end += offset + 1;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(raw: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        of(split(raw).0).map(|field| (text(field.name), text(&field.unfolded()))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn fields_are_folded_and_the_body_is_not_among_them() {
        assert_eq!(
            names(b"\r\nFrom : a@b\r\nX\r\nSubject: un\r\n deux\r\n\ttrois\r\n\r\nTo: c@d\r\n"),
            [pair("From", "a@b"), pair("Subject", "un deux\ttrois")]
        );
        assert_eq!(split(b"A: b\n\nc\n\nd"), (b"A: b\n".as_slice(), b"c\n\nd".as_slice()));
        assert_eq!(split(b"A: b\r\n\r\nc"), (b"A: b\r\n".as_slice(), b"c".as_slice()));
        assert_eq!(split(b"A: b"), (b"A: b".as_slice(), b"".as_slice()));
        assert_eq!(split(b"\r\n\r\n"), (b"".as_slice(), b"".as_slice()));
    }

    #[test]
    fn what_is_no_field_is_found() {
        for (header, stray) in [
            ("From: a@b\nSubject: x\n y\nBonjour : voici\nRef: 1\n", "Bonjour : voici\nRef: 1\n"),
            ("\nFrom: a@b\r\nÀ bient\u{f4}t", "À bient\u{f4}t"),
            ("From: a@b\n", ""),
            ("From: a@b\n: x", ": x"),
            (
                "From: a@b\nObjet: trou\nhttp://ville.example est en panne\nMerci",
                "Objet: trou\nhttp://ville.example est en panne\nMerci",
            ),
            // A field that was broken, and what is only unknown.
            ("From: a@b\nbroken in two\nSubject: x\n", ""),
            ("From: a@b\nAutre: x\n", ""),
            ("", ""),
        ] {
            assert_eq!(super::stray(header.as_bytes()), stray.as_bytes(), "{header}");
        }
    }

    #[test]
    fn a_long_field_swallows_no_other() {
        let raw = format!("X-Long: {}\nSubject: y\n\n", "x".repeat(VALUE_BYTES + 10));
        let found = names(raw.as_bytes());
        assert_eq!(found.last(), Some(&pair("Subject", "y")));
        assert_eq!(found.first().map(|(_, value)| value.len()), Some(VALUE_BYTES - 1));
    }

    proptest! {
        #[test]
        fn any_bytes_have_fields(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (header, body) = split(&raw);
            prop_assert!(header.len() + body.len() <= raw.len());
            let held: usize = of(header).map(|field| field.name.len() + field.value.len()).sum();
            prop_assert!(held <= header.len());
        }
    }
}
