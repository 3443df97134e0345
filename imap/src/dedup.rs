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
/// With a Message-ID: a hash of the bytes of that field, of From, Reply-To, Date and Subject, and of the body: what no server on the
/// way changes (Reply-To, since a form of a web site sends for everybody under one address, and some under one Message-ID), so that the same mail is known in another mailbox, where the fields of transport differ; another body
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
    author(&mut hash, first);
    if whole {
        text(&mut hash, body);
        format!("mail:{}", hex(hash.finish().as_ref()))
    } else {
        value(&mut hash, first("Content-Type"));
        format!("head:{}", hex(hash.finish().as_ref()))
    }
}

/// By what the copies of a mail in several mailboxes find one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Under which it is found.
    pub kept: Vec<String>,
    /// Which it looks for, the surest first.
    pub sought: Vec<String>,
}

/// The keys of a mail's copies; `content` is its own key.
///
/// What two servers wrote of one delivery differs in the fields of transport (Received, Delivered-To, Return-Path, the
/// Authentication-Results, whatever begins with X-), so a mail without a Message-ID is known by the author's fields and body too. This
/// is no key by which it is a repetition: a form may send the same twice in a second, and both are kept. Without a Date there is too
/// little to know it by.
///
/// Where a mailbox took the header alone, since the mail is too large for it, the header is what there is: such a copy is found by
/// its header, and whole copies are found by theirs from it, though not from one another, since another body makes another mail.
#[must_use]
pub fn copies(raw: &[u8], whole: bool, content_key: &str) -> Copies {
    let header = fields::split(raw).0;
    let has = |name: &str| fields::of(header).any(|field| field.is(name) && !field.value.trim_ascii().is_empty());
    let mut kept = vec![content_key.to_owned()];
    let head = if has("Message-ID") {
        Some(content(raw, false))
    } else if has("Date") {
        kept.extend(whole.then(|| without_id(raw, true)));
        Some(without_id(raw, false))
    } else {
        None
    };
    let mut sought = kept.clone();
    if let Some(head) = head {
        let of = format!("of:{head}");
        if whole {
            kept.push(of);
            sought.push(head);
        } else {
            for keys in [&mut kept, &mut sought] {
                if !keys.contains(&head) {
                    keys.push(head.clone());
                }
            }
            sought.push(of);
        }
    }
    Copies { kept, sought }
}

/// A mail by its author's fields, and its body or what announces it.
fn without_id(raw: &[u8], whole: bool) -> String {
    let (header, body) = fields::split(raw);
    let first = |name: &str| fields::of(header).find(|field| field.is(name) && !field.value.trim_ascii().is_empty());
    let mut hash = Context::new(&SHA256);
    author(&mut hash, first);
    if whole {
        text(&mut hash, body);
        format!("bare:{}", hex(hash.finish().as_ref()))
    } else {
        value(&mut hash, first("Content-Type"));
        format!("barehead:{}", hex(hash.finish().as_ref()))
    }
}

/// What its author wrote into the header of a mail, and no server changes.
fn author<'a>(hash: &mut Context, first: impl Fn(&str) -> Option<Field<'a>>) {
    for name in ["From", "Date", "Subject"] {
        value(hash, first(name));
    }
    if let Some(field) = first("Reply-To") {
        value(hash, Some(field));
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
    fn a_form_sends_for_everybody() {
        let of = |id: &str, reply_to: &str| {
            let raw = format!("From: form@x\nReply-To: {reply_to}\nDate: Tue, 24 Nov 2026 09:00:00 +0100\n{id}Subject: Trou\n\nBonjour\n");
            let key = content(raw.as_bytes(), true);
            (copies(raw.as_bytes(), true, &key), key)
        };
        for id in ["", "Message-ID: <const@x>\n"] {
            let (one, two) = (of(id, "zoe@x"), of(id, "yves@x"));
            assert!(one.1 != two.1 && !one.0.sought.iter().any(|key| two.0.kept.contains(key)), "{id}");
            assert_eq!(one, of(id, "zoe@x"));
        }
    }

    /// Whether one finds the other, whichever comes first.
    fn find(one: (&str, bool), two: (&str, bool)) -> bool {
        let of = |(raw, whole): (&str, bool)| copies(raw.as_bytes(), whole, &content(raw.as_bytes(), whole));
        let finds = |seeks: &Copies, there: &Copies| seeks.sought.iter().any(|key| there.kept.contains(key));
        let (one, two) = (of(one), of(two));
        assert_eq!(finds(&one, &two), finds(&two, &one), "{one:?} {two:?}");
        finds(&one, &two)
    }

    #[test]
    fn copies_find_one_another_without_an_id_and_where_one_is_a_header_alone() {
        let here = "Received: by a\nReturn-Path: <x@y>\n";
        let there = "Received: by b\nX-Spam: no\nAuthentication-Results: b; spf=pass\nDelivered-To: b@x\n";
        let date = "Date: Tue, 24 Nov 2026 09:00:00 +0100\n";
        for id in ["", "Message-ID: <1@x>\n"] {
            let mail = |trace: &str, subject: &str, body: &str| {
                format!("{trace}From: a@b\n{date}{id}Subject: {subject}\nContent-Type: text/plain\n\n{body}\n")
            };
            let one = mail(here, "un", "Bonjour");
            for (two, whole, same) in [
                (mail(there, "un", "Bonjour"), true, true),
                (mail(there, "un", "Bonsoir"), true, false),
                (mail(there, "deux", "Bonjour"), true, false),
                // Taken in by its header: what was fetched of it.
                (mail(there, "un", ""), false, true),
                (mail(there, "deux", ""), false, false),
            ] {
                assert_eq!(find((&one, true), (&two, whole)), same, "{id}{two}");
            }
            let (one, two) = (mail(here, "un", ""), mail(there, "un", ""));
            assert!(find((&one, false), (&two, false)), "{id}");
        }
        // Too little to be known by.
        assert!(!find(
            ("Received: by a\nFrom: a@b\n\n", true),
            ("Received: by b\nFrom: a@b\n\n", true)
        ));
        assert!(find(("From: a@b\n\nx", true), ("From: a@b\n\nx\n", true)));
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
