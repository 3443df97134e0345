//! Mails that lack something, that come twice, or that have too much of something.

use super::letter::{Letter, Without};
use super::mail::{Kind, Mail};

/// Without one of the fields that every mail should have.
pub(super) fn bare(mut letter: Letter, without: Without) -> Mail {
    let bytes = [letter.head(without), letter.body()].concat();
    let mut mail = letter.mail(Kind::Bare, bytes);
    let expected = &mut mail.expected;
    match without {
        Without::From => {
            (expected.sender, expected.acknowledged) = (None, false);
        }
        Without::Subject => expected.subject = None,
        Without::MessageId => expected.message_id = None,
        Without::Date | Without::Nothing => {}
    }
    mail
}

/// Two persons' mails under one Message-ID, as a broken form mailer makes them.
pub(super) fn same_id(first: Letter, mut second: Letter) -> [Mail; 2] {
    second.id.clone_from(&first.id);
    [first, second].map(|mut letter| {
        let bytes = [letter.head(Without::Nothing), letter.body()].concat();
        letter.mail(Kind::SameId, bytes)
    })
}

/// The same mail twice: by two ways, or, without a Message-ID, byte for byte.
pub(super) fn twice(mut letter: Letter, without: Without) -> [Mail; 2] {
    let bytes = [letter.head(without), letter.body()].concat();
    let mut first = letter.mail(Kind::Twice, bytes);
    let mut second = first.clone();
    if without == Without::MessageId {
        (first.expected.message_id, second.expected.message_id) = (None, None);
    } else {
        let other_way = b"Received: from backup.example.fr by mx.example.fr with ESMTP id B4C5D6\r\n";
        second.bytes.splice(0..0, other_way.iter().copied());
    }
    [first, second]
}

/// How many bombs there are.
pub(super) const BOMBS: usize = 4;

/// A small bomb: just beyond what may be parsed, so that it is kept raw and flagged.
pub(super) fn bomb(letter: Letter, which: usize) -> Mail {
    let mut body = Vec::new();
    match which % BOMBS {
        0 => {
            for _ in 0..80 {
                body.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
            }
        }
        1 => {
            body.extend_from_slice(b"Content-Type: application/octet-stream");
            for index in 0..300 {
                body.extend(format!(";\r\n name*{index}=a").bytes());
            }
            body.extend_from_slice(b"\r\n\r\n");
        }
        2 => {
            body.extend_from_slice(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n");
            for _ in 0..1_200 {
                body.extend_from_slice(b"--b\r\n\r\nx\r\n");
            }
        }
        _ => {
            for level in 0..60 {
                body.extend(format!("Content-Type: multipart/mixed; boundary=b{level}x\r\n\r\n--b{level}x\r\n").bytes());
            }
        }
    }
    body.extend_from_slice(b"Boum.\r\n");
    let bytes = [letter.head(Without::Nothing), body].concat();
    let mut mail = letter.mail(Kind::Bomb, bytes);
    mail.expected.flag = Some("undecodable");
    mail.expected.contains = None;
    mail
}
