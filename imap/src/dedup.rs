//! By what a mail is known again.
//!
//! The key of a mail's content is stored for ever, so it rests on bytes alone: what a parser makes of them changes with
//! every better parser, and a mailbox would then be taken in anew when its UIDVALIDITY changes.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256, digest};

use crate::fields::{self, Field};

/// SHA-256, lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The key of a place in a mailbox. A UID is forever, but only under its UIDVALIDITY (RFC 9051 §2.3.1.1).
#[must_use]
pub fn place(mailbox: &str, folder: &str, validity: u32, uid: u32) -> String {
    format!("uid:{mailbox}:{folder}:{validity}:{uid}")
}

/// The key of a mail's content, wherever it lies.
///
/// With a Message-ID: a hash of the bytes of that field, of From, Date and Subject, and of the body: what no server on the
/// way changes, so that the same mail is known in another mailbox, where the fields of transport differ; another body
/// under the same Message-ID is another mail. Without one: a hash of all bytes. Neither how fields are folded nor how
/// lines end counts.
///
/// Of a mail that is not `whole`, because it is too large to be fetched, the header alone is hashed, with the Content-Type,
/// whose boundary is made anew for every mail.
#[must_use]
pub fn content(raw: &[u8], whole: bool) -> String {
    let (header, body) = fields::split(raw);
    let first = |name: &str| fields::of(header).find(|field| field.is(name) && !field.value.trim_ascii().is_empty());
    let mut hash = Context::new(&SHA256);
    let Some(id) = first("Message-ID") else {
        text(&mut hash, raw);
        return format!("raw:{}", hex(hash.finish().as_ref()));
    };
    value(&mut hash, Some(id));
    for name in ["From", "Date", "Subject"] {
        value(&mut hash, first(name));
    }
    if whole {
        text(&mut hash, body);
        format!("mail:{}", hex(hash.finish().as_ref()))
    } else {
        value(&mut hash, first("Content-Type"));
        format!("head:{}", hex(hash.finish().as_ref()))
    }
}

/// A field's value; white space of any kind and length is one blank, since servers fold anew.
fn value(hash: &mut Context, field: Option<Field<'_>>) {
    for word in field.into_iter().flat_map(|field| field.value.split(u8::is_ascii_whitespace)) {
        if !word.is_empty() {
            hash.update(word);
            hash.update(b" ");
        }
    }
    // No value holds a line end: two fields cannot flow into one another.
    hash.update(b"\n");
}

/// Lines, each ended by LF; empty ones at the end do not count, since stores add and take away the last line end.
fn text(hash: &mut Context, bytes: &[u8]) {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(0, |last| last + 1);
    for line in bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n') {
        hash.update(line.strip_suffix(b"\r").unwrap_or(line));
        hash.update(b"\n");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(raw: &str) -> String {
        content(raw.as_bytes(), true)
    }

    #[test]
    fn the_same_mail_by_another_way_is_the_same() {
        let here = key("Received: by a\nDelivered-To: a@x\nMessage-ID: <1@x>\nFrom: a@b\nSubject: un deux\n\nBonjour\n");
        let there = [
            "Received: by b\nX-Spam: no\nMessage-ID: <1@x>\nFrom: a@b\nSubject: un deux\n\nBonjour\n",
            "Message-Id: <1@x>\r\nSubject: un\r\n\tdeux\r\nFrom:  a@b\r\n\r\nBonjour\r\n\r\n",
        ];
        for other in there {
            assert_eq!(here, key(other), "{other}");
        }
        for other in [
            "Message-ID: <1@x>\nFrom: a@b\nSubject: un deux\n\nBonsoir\n",
            "Message-ID: <1@x>\nFrom: a@b\nSubject: un deux trois\n\nBonjour\n",
            "Message-ID: <1@x>\nFrom: c@b\nSubject: un deux\n\nBonjour\n",
            "Message-ID: <1@x>\nFrom: a@b\nDate: x\nSubject: un deux\n\nBonjour\n",
            "Message-ID: <2@x>\nFrom: a@b\nSubject: un deux\n\nBonjour\n",
        ] {
            assert_ne!(here, key(other), "{other}");
        }
        assert_ne!(key("From: a@b\n\nx"), key("From: a@b\n\ny"));
        assert_eq!(key("From: a@b\n\nx"), key("From: a@b\r\n\r\nx\r\n"));
    }

    #[test]
    fn what_a_parser_makes_of_it_does_not_count() {
        // Every byte of the body counts, whatever it is decoded to: HTML, attachments, broken charsets.
        let with = |body: &[u8]| content(&[b"Message-ID: <1@x>\n\n".as_slice(), body].concat(), true);
        assert_ne!(with(b"\x80"), with(b"\x81"));
        assert_ne!(with(b"<p>a</p>"), with(b"<p>a</p><!-- b -->"));
        // Written down: keys are stored, and another way of making them would take every mailbox in anew.
        assert_eq!(
            key("Message-ID: <1@x>\nFrom: a@b\nDate: Tue, 24 Nov 2026 09:00:00 +0100\nSubject: =?utf-8?Q?=C3=A9t=C3=A9?=\n\nBonjour\n"),
            "mail:ad59cec5648c08f11dc944515e50b783d3bb5c188e7bcc8360766a9b925861cf"
        );
    }

    #[test]
    fn a_header_alone_is_known_by_its_boundary_too() {
        let head = |boundary: &str| {
            content(
                format!("Message-ID: <1@x>\nContent-Type: multipart/mixed; boundary={boundary}\n\n").as_bytes(),
                false,
            )
        };
        assert_eq!(head("a"), head("a"));
        assert_ne!(head("a"), head("b"));
    }
}
