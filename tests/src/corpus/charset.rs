//! The charset zoo: mails whose letters are hard to read, and every one of which has been seen.

use super::encode::{base64, latin_9, q, quoted_printable, utf_7, windows_1252};
use super::letter::{Letter, Without, file, multipart, part};
use super::mail::{Kind, Mail};

/// How many ways there are.
pub(super) const WAYS: usize = 13;

/// One of the ways.
pub(super) fn mail(mut letter: Letter, way: usize) -> Mail {
    let subject = letter.subject.clone();
    let plain = |letter: &Letter| letter.head(Without::Nothing);
    let eight = |charset: &str, body: &[u8]| {
        let head = format!("Content-Type: text/plain{charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let bytes = match way % WAYS {
        // Labelled Latin-1, written by a program that means windows-1252 (the WHATWG's reading of the label).
        0 => [plain(&letter), eight("; charset=iso-8859-1", &windows_1252(&letter.text))].concat(),
        1 => [
            plain(&letter),
            part(
                "text/plain; charset=\"Windows-1252\"",
                "quoted-printable",
                &quoted_printable(&windows_1252(&letter.text)),
            ),
        ]
        .concat(),
        2 => {
            // It has no other apostrophe.
            letter.mark = letter.mark.replace('’', "'");
            [plain(&letter), eight("; charset=ISO-8859-15", &latin_9(&letter.text))].concat()
        }
        // No charset at all.
        3 => [plain(&letter), eight("", &windows_1252(&letter.text))].concat(),
        4 => [plain(&letter), eight("", letter.text.as_bytes())].concat(),
        // Raw 8-bit header fields: forbidden, and frequent.
        5 => [
            letter.head_with(Without::Nothing, subject.as_bytes()),
            eight("; charset=utf-8", letter.text.as_bytes()),
        ]
        .concat(),
        6 => [
            letter.head_with(Without::Nothing, &windows_1252(&subject)),
            eight("; charset=windows-1252", &windows_1252(&letter.text)),
        ]
        .concat(),
        7 => [plain(&letter), part("text/plain; charset=UTF-7", "7bit", &utf_7(&letter.text))].concat(),
        // Japanese of a twin town: "Konnichiwa" in JIS X 0208.
        8 => {
            letter.mark = format!("こんにちは {}", letter.number);
            let said = [
                b"\x1b$B$3$s$K$A$O\x1b(B ".to_vec(),
                format!("{}\r\nBonjour.\r\n", letter.number).into_bytes(),
            ]
            .concat();
            [plain(&letter), eight("; charset=iso-2022-jp", &said)].concat()
        }
        // RFC 2047, broken: blanks inside the word.
        9 => {
            let word = q(subject.as_bytes()).replace('_', " ");
            with_subject(&mut letter, &format!("=?utf-8?Q?{word}?="))
        }
        // A character split between two words.
        10 => {
            let bytes = subject.as_bytes();
            let middle = (1..bytes.len())
                .find(|at| !subject.is_char_boundary(*at))
                .unwrap_or(bytes.len() / 2);
            let (first, second) = bytes.split_at(middle);
            with_subject(
                &mut letter,
                &format!("=?UTF-8?B?{}?=\r\n =?UTF-8?B?{}?=", base64(first), base64(second)),
            )
        }
        // A charset that nobody has registered under this name.
        11 => {
            let word = q(subject.as_bytes());
            with_subject(&mut letter, &format!("=?utf8?q?{word}?="))
        }
        // File names cut into pieces, over a body in another charset.
        _ => {
            let name = format!("Pièce jointe à l'été {}.txt", letter.number);
            let content = letter.random(9_000);
            let (of_type, of_disposition) = super::attached::named(1, &name);
            let (attachment, known) = file(&name, "application/octet-stream", (&of_type, &of_disposition), &content);
            let text = eight("; charset=windows-1252", &windows_1252(&letter.text));
            let boundary = letter.boundary("mixed");
            let bytes = [plain(&letter), multipart("mixed", &boundary, &[text, attachment])].concat();
            let mut mail = letter.mail(Kind::Charset, bytes);
            mail.expected.attachments = vec![known];
            return mail;
        }
    };
    letter.mail(Kind::Charset, bytes)
}

fn with_subject(letter: &mut Letter, raw: &str) -> Vec<u8> {
    let head = letter.head_with(Without::Nothing, raw.as_bytes());
    [head, letter.text_part()].concat()
}
