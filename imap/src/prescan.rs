//! Bounds that hold before a mail is given to the parser.
//!
//! One pass over the bytes, no allocation that the mail's size decides. It is deliberately stricter than the parser:
//! it looks for header fields everywhere, also in text, so that the two cannot disagree about where a header is.
//!
//! The parser never sees a message inside a message, nor a digest: it would parse the inside, in whatever transfer encoding,
//! and its tree is dropped recursively. [`defused`] names them otherwise in the copy that the parser gets; what they are
//! is read from the mail itself.

use std::borrow::Cow;

/// What a mail exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// More bytes than a mail may have.
    #[error("size")]
    Size,
    /// More `message/rfc822` than [`MESSAGES`]: the parsed tree is dropped recursively, and enough levels of it
    /// overflow the stack.
    #[error("messages")]
    Messages,
    /// Multiparts inside one another deeper than [`DEPTH`].
    #[error("depth")]
    Depth,
    /// More than [`PARTS`] parts.
    #[error("parts")]
    Parts,
    /// A header of more than [`HEADER_BYTES`].
    #[error("header")]
    Header,
    /// More than [`PARAMETERS`] parameters in one `Content-` field (RFC 2231 segments cost more than linearly).
    #[error("parameters")]
    Parameters,
    /// Multiparts without an end, each of which makes the parser read to the end of the mail.
    #[error("boundaries")]
    Boundaries,
}

/// Most `message/*` parts in a mail.
pub const MESSAGES: usize = 64;
/// Deepest nesting of multiparts.
pub const DEPTH: usize = 32;
/// Most parts in a mail.
pub const PARTS: usize = 1_000;
/// Longest header of a message or part, in bytes.
pub const HEADER_BYTES: usize = 256 * 1024;
/// Most parameters of one `Content-` field.
pub const PARAMETERS: usize = 100;
/// Longest mail, in bytes, whatever the mailbox's own limit.
pub const BYTES: usize = 64 * 1024 * 1024;
/// Most bytes that the parser may read in search of boundaries: multiparts times the mail's size, or times what the
/// comparison with a boundary costs wherever two dashes stand.
const BOUNDARY_WORK: usize = 1_000_000_000;
/// Longest boundary, in bytes (RFC 2046 §5.1.1 allows 70).
const BOUNDARY_BYTES: usize = 200;

/// Whether a mail may be parsed.
///
/// # Errors
/// The first bound that it exceeds.
pub fn check(raw: &[u8]) -> Result<(), Excess> {
    scan(raw).map(drop)
}

/// A mail as the parser may have it: of the same length, with messages and digests inside it under names that it does not
/// know.
///
/// # Errors
/// The first bound that it exceeds.
pub fn defused(raw: &[u8]) -> Result<Cow<'_, [u8]>, Excess> {
    let fuses = scan(raw)?;
    if fuses.is_empty() {
        return Ok(Cow::Borrowed(raw));
    }
    let mut copy = raw.to_vec();
    for at in fuses {
        if let Some(letter) = copy.get_mut(at) {
            *letter = b'x';
        }
    }
    Ok(Cow::Owned(copy))
}

/// The places of the first letters of what is to be named otherwise.
fn scan(raw: &[u8]) -> Result<Vec<usize>, Excess> {
    if raw.len() > BYTES {
        return Err(Excess::Size);
    }
    let mut scan = Scan {
        raw,
        open: Vec::new(),
        messages: 0,
        multiparts: 0,
        parts: 0,
        comparisons: 0,
        fuses: Vec::new(),
        block: Block::default(),
        in_header: true,
    };
    let mut at = 0;
    let mut line_start = 0;
    while let Some(&byte) = raw.get(at) {
        match byte {
            b'\n' => {
                let line = raw.get(line_start..at).unwrap_or_default();
                if line.is_empty() || line == b"\r" {
                    scan.end_of_block();
                }
                line_start = at + 1;
            }
            b':' => scan.colon(at)?,
            b'-' if at > 0 && raw.get(at - 1) == Some(&b'-') => scan.dashes(at + 1)?,
            _ => {}
        }
        if scan.in_header {
            scan.block.bytes += 1;
            if scan.block.bytes > HEADER_BYTES {
                return Err(Excess::Header);
            }
        }
        at += 1;
    }
    Ok(scan.fuses)
}

/// What is known of the header that is being passed.
#[derive(Default)]
struct Block {
    bytes: usize,
    message: bool,
}

struct Scan<'a> {
    raw: &'a [u8],
    /// Boundaries of the multiparts that are open here, outermost first.
    open: Vec<&'a [u8]>,
    messages: usize,
    multiparts: usize,
    parts: usize,
    /// Octets that were compared with boundaries, at most.
    comparisons: usize,
    fuses: Vec<usize>,
    block: Block,
    in_header: bool,
}

impl<'a> Scan<'a> {
    fn end_of_block(&mut self) {
        // The body of a message begins with another header.
        self.in_header = std::mem::take(&mut self.block).message;
    }

    /// A field may end its name here.
    fn colon(&mut self, colon: usize) -> Result<(), Excess> {
        if self.named(colon, b"content-type") {
            parameters(field(self.raw, colon + 1))?;
            self.content_type(colon + 1)?;
        } else if self.named(colon, b"content-disposition") {
            parameters(field(self.raw, colon + 1))?;
        }
        Ok(())
    }

    fn content_type(&mut self, start: usize) -> Result<(), Excess> {
        let value = field(self.raw, start);
        // A semicolon in a comment ends nothing.
        let kind = if value.contains(&b'(') {
            value
        } else {
            value.split(|byte| *byte == b';').next().unwrap_or_default()
        };
        if contains(kind, b"message") && (contains(kind, b"rfc822") || contains(kind, b"global")) {
            self.block.message = true;
            self.messages += 1;
            if self.messages > MESSAGES {
                return Err(Excess::Messages);
            }
            self.fuses.extend(places(kind, b"message").map(|at| start + at));
        }
        if contains(kind, b"multipart") {
            self.multiparts += 1;
            if self.multiparts.saturating_mul(self.raw.len()) > BOUNDARY_WORK || self.multiparts > PARTS {
                return Err(Excess::Boundaries);
            }
            // In a digest a part without a type is a message (RFC 2046 §5.1.5).
            self.fuses.extend(places(kind, b"digest").map(|at| start + at));
            if let Some(boundary) = boundary(value) {
                if boundary.len() > BOUNDARY_BYTES {
                    return Err(Excess::Boundaries);
                }
                self.open.push(boundary);
                if self.open.len() > DEPTH {
                    return Err(Excess::Depth);
                }
            } else if contains(value, b"boundary") {
                // A boundary that is cut into segments: legal, and never seen from a mail program.
                return Err(Excess::Boundaries);
            }
        }
        Ok(())
    }

    /// After two dashes: perhaps a boundary. The parser takes one anywhere in a line, and so must we.
    fn dashes(&mut self, after: usize) -> Result<(), Excess> {
        let rest = self.raw.get(after..).unwrap_or_default();
        self.comparisons += self.open.iter().map(|boundary| boundary.len()).sum::<usize>();
        if self.comparisons.saturating_mul(self.multiparts.max(1)) > BOUNDARY_WORK {
            return Err(Excess::Boundaries);
        }
        let Some(index) = self.open.iter().rposition(|boundary| rest.starts_with(boundary)) else {
            return Ok(());
        };
        let length = self.open.get(index).map_or(0, |boundary| boundary.len());
        self.parts += 1;
        if self.parts > PARTS {
            return Err(Excess::Parts);
        }
        self.end_of_block();
        let closes = rest.get(length..length + 2) == Some(b"--");
        self.open.truncate(if closes { index } else { index + 1 });
        self.in_header = !closes;
        Ok(())
    }

    /// Whether the field's name before the colon is this one. The parser drops all white space inside names, however much.
    fn named(&self, colon: usize, name: &[u8]) -> bool {
        let before = self.raw.get(..colon).unwrap_or_default();
        let mut letters = before.iter().rev().filter(|byte| !byte.is_ascii_whitespace());
        name.iter()
            .rev()
            .all(|wanted| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(wanted)))
    }
}

/// The value of a field with its folded lines.
fn field(raw: &[u8], start: usize) -> &[u8] {
    let rest = raw.get(start..).unwrap_or_default();
    let mut end = 0;
    while let Some(offset) = rest.get(end..).and_then(|tail| tail.iter().position(|byte| *byte == b'\n')) {
        end += offset + 1;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) || end > HEADER_BYTES {
            return rest.get(..end).unwrap_or_default();
        }
    }
    rest
}

fn parameters(value: &[u8]) -> Result<(), Excess> {
    let count = value.iter().filter(|byte| **byte == b';').count();
    if count > PARAMETERS { Err(Excess::Parameters) } else { Ok(()) }
}

/// The `boundary` parameter, quoted or not.
fn boundary(value: &[u8]) -> Option<&[u8]> {
    let at = value.windows(8).position(|window| window.eq_ignore_ascii_case(b"boundary"))?;
    let rest = value.get(at + 8..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let found = if let Some(quoted) = rest.strip_prefix(b"\"") {
        quoted.split(|byte| *byte == b'"').next()?
    } else {
        rest.split(|byte| *byte == b';' || byte.is_ascii_whitespace()).next()?
    };
    (!found.is_empty()).then_some(found)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    places(haystack, needle).next().is_some()
}

fn places(haystack: &[u8], needle: &[u8]) -> impl Iterator<Item = usize> {
    let windows = haystack.windows(needle.len()).enumerate();
    windows
        .filter(move |(_, window)| window.eq_ignore_ascii_case(needle))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_mail_passes() {
        let mail = b"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nBonjour\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n";
        assert_eq!(check(mail), Ok(()));
        assert_eq!(check(b""), Ok(()));
    }

    #[test]
    fn nested_messages_are_counted_wherever_they_hide() {
        let nested = "Content-Type: message/rfc822\n\n".repeat(65);
        assert_eq!(check(nested.as_bytes()), Err(Excess::Messages));
        assert_eq!(check("Content-Type: message/rfc822\n\n".repeat(64).as_bytes()), Ok(()));
        let spaced = "Con tent-Type : message/\r\n rfc822\n\n".repeat(65);
        assert_eq!(check(spaced.as_bytes()), Err(Excess::Messages));
    }

    #[test]
    fn white_space_in_a_name_hides_nothing() {
        let spaced = format!("Con{}tent-Type: message/rfc822\n\n", " ".repeat(400)).repeat(65);
        assert_eq!(check(spaced.as_bytes()), Err(Excess::Messages));
        assert_eq!(
            check("Content-Type: (;)message/rfc822\n\n".repeat(65).as_bytes()),
            Err(Excess::Messages)
        );
    }

    #[test]
    fn the_parser_never_sees_a_message_inside_a_message() {
        let inner = "Content-Type: message/rfc822\n\nSubject: x\n\ny";
        for mail in [
            inner.to_owned(),
            format!("CONTENT-TYPE:\n MESSAGE/RFC822; name=\"message.eml\"\nContent-Transfer-Encoding: =?utf-8?Q?b=61se64?=\n\n{inner}"),
            format!("Content-Type: multipart/mixed; boundary=message\n\n--message\n{inner}\n--message--\n"),
            "Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n".to_owned(),
            "Content-Type: (;) message/global\n\nx".to_owned(),
        ] {
            let copy = defused(mail.as_bytes()).unwrap();
            assert_eq!(copy.len(), mail.len());
            let parsed = mail_parser::MessageParser::default().parse(&*copy).unwrap();
            let seen = parsed
                .parts
                .iter()
                .any(|part| matches!(part.body, mail_parser::PartType::Message(_)));
            assert!(!seen, "{mail}");
        }
        assert!(matches!(defused(b"Subject: message/rfc822\n\nx"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn parameters_parts_depth_and_headers_are_bounded() {
        let mut mail = b"Content-Type: text/plain".to_vec();
        for index in 0..101 {
            mail.extend(format!(";\n name*{index}=a").into_bytes());
        }
        assert_eq!(check(&mail), Err(Excess::Parameters));

        let parts = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n".repeat(1_001));
        assert_eq!(check(parts.as_bytes()), Err(Excess::Parts));

        let deep: String = (0..33)
            .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}x\n\n--b{level}x\n"))
            .collect();
        assert_eq!(check(deep.as_bytes()), Err(Excess::Depth));

        let dashes = format!(
            "Content-Type: multipart/mixed; boundary={}x\n\n{}",
            "-".repeat(150),
            "-".repeat(10_000_000)
        );
        assert_eq!(check(dashes.as_bytes()), Err(Excess::Boundaries));
        let long = format!("Content-Type: multipart/mixed; boundary={}\n\n", "-".repeat(201));
        assert_eq!(check(long.as_bytes()), Err(Excess::Boundaries));

        assert_eq!(check(&[b"X: ".as_slice(), &vec![b'a'; HEADER_BYTES]].concat()), Err(Excess::Header));
        assert_eq!(check(&[b"X: y\n\n".as_slice(), &vec![b'a'; HEADER_BYTES * 2]].concat()), Ok(()));
    }
}
