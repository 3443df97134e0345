//! A person who writes, and the parts from which their mail is put together.

use super::encode::{base64_lines, quoted_printable, words};
use super::mail::{Expected, File, Kind, Mail, TO, sha256};
use super::words::{FIRST, LAST, paragraphs, pick, plain, subject};
use crate::dice::Dice;

/// What one mail is made from.
pub(super) struct Letter {
    /// Unlike any other of the seed.
    pub(super) number: usize,
    pub(super) dice: Dice,
    /// The writer's name.
    pub(super) name: String,
    pub(super) address: String,
    pub(super) subject: String,
    /// Message-ID, without angle brackets.
    pub(super) id: String,
    /// `Date`.
    pub(super) date: String,
    /// The line by which its text is known again.
    pub(super) mark: String,
    /// The whole text with CRLF, the mark in it.
    pub(super) text: String,
}

/// A header field that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Nothing,
    From,
    Date,
    Subject,
    MessageId,
}

impl Letter {
    /// The `number`th writer of a seed.
    pub(super) fn new(seed: u64, number: usize) -> Self {
        let mut dice =
            Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number as u64).wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 0x5EED_0001);
        for _ in 0..8 {
            dice.below(2);
        }
        let (first, last) = (pick(&mut dice, &FIRST), pick(&mut dice, &LAST));
        let provider = pick(&mut dice, &["orange", "free", "laposte", "gmail", "outlook", "sfr"]);
        // Many domains, so that no way out has to go slowly for one of them.
        let address = format!("{}.{}.{number}@{provider}{}.example.org", plain(first), plain(last), number % 400);
        let mark = format!("Repère {seed:x}-{number} : l’été à Noël, 5 €");
        let size = 300 + usize::try_from(dice.below(2_500)).unwrap_or(0);
        let before = paragraphs(&mut dice, size / 2);
        let after = paragraphs(&mut dice, size / 2);
        let text = format!("Bonjour,\r\n\r\n{before}\r\n{mark}\r\n\r\n{after}\r\nCordialement,\r\n{first} {last}\r\n");
        let minute = number % 60;
        Self {
            number,
            name: format!("{first} {last}"),
            address,
            subject: format!("{} ({number})", subject(&mut dice)),
            id: format!("{seed:x}.{number}.{}@mail.example.org", dice.below(1 << 40)),
            date: format!("Tue, 24 Nov 2026 {:02}:{minute:02}:00 +0100", 8 + number / 60 % 10),
            mark,
            text,
            dice,
        }
    }

    /// Random bytes.
    pub(super) fn random(&mut self, bytes: usize) -> Vec<u8> {
        let mut random = Vec::with_capacity(bytes + 8);
        while random.len() < bytes {
            random.extend_from_slice(&self.dice.below(u64::MAX).to_le_bytes());
        }
        random.truncate(bytes);
        random
    }

    /// The header but for what the body says of itself, without the empty line.
    pub(super) fn head(&self, without: Without) -> Vec<u8> {
        self.head_with(without, words(&self.subject).as_bytes())
    }

    /// The same with the subject's field as it is.
    pub(super) fn head_with(&self, without: Without, subject: &[u8]) -> Vec<u8> {
        let Self {
            number,
            name,
            address,
            id,
            date,
            ..
        } = self;
        let mut head = format!(
            "Return-Path: <{address}>\r\nDelivered-To: {TO}\r\nReceived: from mx{}.example.org (mx.example.org [192.0.2.{}])\r\n\tby \
             mx.example.fr (Postfix) with ESMTPS id {number:08X}\r\n\tfor <{TO}>; {date}\r\nReceived: from [10.0.0.{}] by mx.example.org; \
             {date}\r\n",
            number % 9,
            number % 250,
            number % 200
        );
        if without != Without::From {
            head += &format!("From: {} <{address}>\r\n", words(name));
        }
        head += &format!("To: Mairie de Saint-Exemple <{TO}>\r\n");
        let mut head = head.into_bytes();
        if without != Without::Subject {
            head.extend([b"Subject: ", subject, b"\r\n"].concat());
        }
        let mut rest = String::new();
        if without != Without::Date {
            rest += &format!("Date: {date}\r\n");
        }
        if without != Without::MessageId {
            rest += &format!("Message-ID: <{id}>\r\n");
        }
        head.extend((rest + "MIME-Version: 1.0\r\n").bytes());
        head
    }

    /// The text as a part of its own: header fields, empty line, body.
    pub(super) fn text_part(&mut self) -> Vec<u8> {
        let text = self.text.clone();
        match self.dice.below(3) {
            0 => part("text/plain; charset=utf-8", "8bit", &text),
            1 => part(
                "text/plain; charset=UTF-8; format=fixed",
                "quoted-printable",
                &quoted_printable(text.as_bytes()),
            ),
            _ => part("text/plain; charset=\"utf-8\"", "base64", &base64_lines(text.as_bytes())),
        }
    }

    /// The text as a page, as mail programs make them: of about so many bytes, most of it style.
    pub(super) fn page(&mut self, bytes: usize) -> String {
        let mut style = String::new();
        while style.len() < bytes {
            style += &format!(
                "p.MsoNormal{0}, li.MsoNormal{0} {{margin:0cm; font-size:11.0pt; font-family:\"Calibri\",sans-serif; color:#{1:06x};}}\r\n",
                style.len(),
                self.dice.below(1 << 24)
            );
        }
        let lines: String = self
            .text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| format!("<p class=\"MsoNormal\">{line}</p>\r\n"))
            .collect();
        format!(
            "<html>\r\n<head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\r\n<style>\r\n{style}</style>\r\n\
             </head>\r\n<body lang=\"FR\">\r\n{lines}</body>\r\n</html>\r\n"
        )
    }

    /// The text and its page (RFC 2046 §5.1.4), as most programs send both.
    pub(super) fn alternative(&mut self, style: usize) -> Vec<u8> {
        let text = self.text_part();
        let page = self.page(style);
        let html = part("text/html; charset=utf-8", "quoted-printable", &quoted_printable(page.as_bytes()));
        let boundary = self.boundary("alternative");
        multipart("alternative", &boundary, &[text, html])
    }

    /// What a person writes: now and then text alone, else with its page.
    pub(super) fn body(&mut self) -> Vec<u8> {
        if self.dice.below(4) == 0 {
            return self.text_part();
        }
        let style = 16_000 + usize::try_from(self.dice.below(24_000)).unwrap_or(0);
        self.alternative(style)
    }

    /// A line that parts a multipart.
    pub(super) fn boundary(&mut self, level: &str) -> String {
        format!("=_{level}_{:016x}", self.dice.below(u64::MAX))
    }

    /// The mail of a person, who gets an acknowledgement: what was made, with what is expected by default.
    pub(super) fn mail(&self, kind: Kind, bytes: Vec<u8>) -> Mail {
        Mail {
            bytes,
            kind,
            expected: Expected {
                identity: format!("m{}", self.number),
                thread: Some(format!("t{}", self.number)),
                acknowledged: true,
                automatic: false,
                flag: None,
                message_id: Some(self.id.clone()),
                sender: Some(self.address.clone()),
                subject: Some(self.subject.clone()),
                contains: Some(self.mark.clone()),
                attachments: Vec::new(),
            },
        }
    }
}

/// A part: header fields, empty line, body.
pub(super) fn part(kind: &str, encoding: &str, body: &str) -> Vec<u8> {
    format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}").into_bytes()
}

/// A multipart of these parts: header fields, empty line, body.
pub(super) fn multipart(kind: &str, boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body =
        format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\nThis is a multi-part message in MIME format.\r\n")
            .into_bytes();
    for part in parts {
        if !body.ends_with(b"\r\n") {
            body.extend_from_slice(b"\r\n");
        }
        body.extend(format!("--{boundary}\r\n").bytes());
        body.extend_from_slice(part);
    }
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    body
}

/// A file as a part, and what is expected of it; `named` are the parameters that name it, a field each.
pub(super) fn file(name: &str, kind: &str, named: (&str, &str), bytes: &[u8]) -> (Vec<u8>, File) {
    let (of_type, of_disposition) = named;
    let part = format!(
        "Content-Type: {kind}{of_type}\r\nContent-Disposition: attachment{of_disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64_lines(bytes)
    );
    (part.into_bytes(), known(name, bytes))
}

/// What is expected of a file.
pub(super) fn known(name: &str, bytes: &[u8]) -> File {
    File {
        name: name.to_owned(),
        size: bytes.len(),
        sha256: sha256(bytes),
    }
}
