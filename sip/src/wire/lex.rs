//! Bytes to start line, header fields and body, before any of it is judged.

use bytes::Bytes;

use super::header::Headers;

/// The longest message, in bytes: a whole UDP datagram.
pub const MAX_MESSAGE: usize = 65_535;

/// More header lines than this are no telephone call.
const MAX_HEADERS: usize = 512;

/// A message cut into its parts.
#[derive(Debug, Clone)]
pub(crate) struct Lexed {
    /// The start line without its end.
    pub(crate) start: String,
    pub(crate) headers: Headers,
    /// Everything after the empty line.
    pub(crate) rest: Bytes,
    /// Lines that are no header field were met.
    pub(crate) garbage: bool,
}

/// Cuts a message up; `None` when there is nothing but line ends.
///
/// Tolerates leading line ends (RFC 3261 §7.5), LF alone, folded lines (§7.3.1), spaces before the colon,
/// and bytes that are not UTF-8: such a line is read as Latin-1, so that one byte never costs the call.
pub(crate) fn lex(bytes: &Bytes) -> Option<Lexed> {
    let mut at = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let start = text(line(bytes, &mut at));
    let mut headers = Headers::default();
    let (mut garbage, mut count) = (false, 0);
    let mut field: Option<(String, String)> = None;
    while at < bytes.len() {
        let raw = line(bytes, &mut at);
        if raw.is_empty() {
            break;
        }
        let decoded = text(raw);
        if matches!(raw.first(), Some(b' ' | b'\t')) {
            // A line that begins with a space goes on where the one before stopped.
            match field.as_mut() {
                Some((_, value)) => {
                    value.push(' ');
                    value.push_str(decoded.trim());
                }
                None => garbage = true,
            }
            continue;
        }
        if let Some((name, value)) = field.take() {
            headers.push(&name, value.trim());
        }
        count += 1;
        if count > MAX_HEADERS {
            garbage = true;
            continue;
        }
        match decoded.split_once(':') {
            Some((name, value)) if is_name(name.trim_end()) => {
                field = Some((name.trim_end().to_owned(), value.trim().to_owned()));
            }
            _ => garbage = true,
        }
    }
    if let Some((name, value)) = field {
        headers.push(&name, value.trim());
    }
    Some(Lexed {
        start,
        headers,
        rest: bytes.slice(at.min(bytes.len())..),
        garbage,
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(super::method::is_token)
}

/// The line at `at` without its end; moves `at` behind it.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let rest = bytes.get(*at..).unwrap_or_default();
    let (line, next) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&rest[..end], end + 1),
        None => (rest, rest.len()),
    };
    *at += next;
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn text(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        Err(_) => raw.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// What Content-Length says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Absent,
    Of(usize),
    /// Not a number, larger than any message, or two that differ.
    Broken,
}

pub(crate) fn content_length(headers: &Headers) -> Length {
    let mut found = Length::Absent;
    for value in headers.all("Content-Length") {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let Some(length) = value.parse::<usize>().ok().filter(|_| digits) else {
            return Length::Broken;
        };
        // Two of them leave no way to know where the body ends (RFC 4475 §3.3.9).
        if found != Length::Absent {
            return Length::Broken;
        }
        found = Length::Of(length);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexed(bytes: &'static [u8]) -> Lexed {
        lex(&Bytes::from_static(bytes)).unwrap()
    }

    #[test]
    fn line_feeds_alone_folding_and_spaces_before_the_colon() {
        let found = lexed(b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\nTo : <sip:a@b>\n ;x=1\nf: <sip:c@d>\n\nbody");
        assert_eq!(found.start, "OPTIONS sip:a@b SIP/2.0");
        assert_eq!(found.headers.get("to"), Some("<sip:a@b> ;x=1"));
        assert_eq!(found.headers.get("From"), Some("<sip:c@d>"));
        assert_eq!(found.rest, Bytes::from_static(b"body"));
        assert!(!found.garbage);
    }

    #[test]
    fn a_latin_1_byte_stays_readable() {
        assert_eq!(
            lexed(b"A b SIP/2.0\r\nFrom: \"Zo\xe9\" <sip:z@d>\r\n\r\n").headers.get("From"),
            Some("\"Zoé\" <sip:z@d>")
        );
    }

    #[test]
    fn line_ends_alone_are_nothing() {
        assert!(lex(&Bytes::from_static(b"\r\n\r\n")).is_none());
        assert!(lex(&Bytes::new()).is_none());
    }

    #[test]
    fn lengths() {
        let of = |values: &[&str]| {
            let mut headers = Headers::default();
            values.iter().for_each(|value| headers.push("l", value));
            content_length(&headers)
        };
        assert_eq!(of(&[]), Length::Absent);
        assert_eq!(of(&["0152"]), Length::Of(152));
        for broken in [&["-1"][..], &["+1"], &[""], &["5", "5"], &["99999999999999999999999"]] {
            assert_eq!(of(broken), Length::Broken, "{broken:?}");
        }
    }
}
