//! Plain mails, mails with files, and mails of HTML.

use super::encode::{base64, percent, q, words};
use super::letter::{Letter, Without, file, known, multipart, part};
use super::mail::{File, Kind, Mail};

/// What kinds of files citizens send, their media types and their first bytes.
const FILES: [(&str, &str, &[u8]); 5] = [
    ("Justificatif de domicile", "application/pdf", b"%PDF-1.4\n"),
    ("Photo été", "image/jpeg", b"\xff\xd8\xff\xe0"),
    ("Capture écran", "image/png", b"\x89PNG\r\n\x1a\n"),
    (
        "Dossier complété",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"PK\x03\x04",
    ),
    ("Plan cadastral", "application/octet-stream", b"DWG"),
];
const ENDINGS: [&str; 5] = ["pdf", "jpg", "png", "docx", "dwg"];

/// What a person writes, without files.
pub(super) fn plain(mut letter: Letter) -> Mail {
    let bytes = [letter.head(Without::Nothing), letter.body()].concat();
    letter.mail(Kind::Plain, bytes)
}

/// A text and its page, as most programs send both, and one to three files.
pub(super) fn attached(mut letter: Letter) -> Mail {
    let alternative = letter.alternative(2_000);
    let (mut parts, mut files) = (vec![alternative], Vec::new());
    // Seldom a large one.
    let large = if letter.dice.below(12) == 0 { 150_000 } else { 0 };
    for _ in 0..=letter.dice.below(3) / 2 {
        let (part, known) = one_file(&mut letter, large);
        parts.push(part);
        files.push(known);
    }
    if letter.number.is_multiple_of(9) {
        parts.push(forwarded(&letter));
    }
    let boundary = letter.boundary("mixed");
    let bytes = [letter.head(Without::Nothing), multipart("mixed", &boundary, &parts)].concat();
    let mut mail = letter.mail(Kind::Attached, bytes);
    mail.expected.attachments = files;
    mail
}

/// HTML alone.
pub(super) fn html(mut letter: Letter) -> Mail {
    let size = 15_000 + usize::try_from(letter.dice.below(45_000)).unwrap_or(0);
    let page = letter.page(size);
    let body = match letter.number % 2 {
        0 => part("text/html; charset=utf-8", "base64", &super::encode::base64_lines(page.as_bytes())),
        _ => part(
            "text/html; charset=\"UTF-8\"",
            "quoted-printable",
            &super::encode::quoted_printable(page.as_bytes()),
        ),
    };
    let bytes = [letter.head(Without::Nothing), body].concat();
    letter.mail(Kind::Html, bytes)
}

/// A page with a picture in it (RFC 2387), beside its text.
pub(super) fn inline(mut letter: Letter) -> Mail {
    let page = letter
        .page(9_000)
        .replace("</body>", "<p><img src=\"cid:logo@mail\" width=\"80\"></p></body>");
    let picture = [b"\x89PNG\r\n\x1a\n".to_vec(), letter.random(24_000)].concat();
    let image = part(
        "image/png; name=\"logo.png\"\r\nContent-ID: <logo@mail>\r\nContent-Disposition: inline; filename=\"logo.png\"",
        "base64",
        &super::encode::base64_lines(&picture),
    );
    let html = part(
        "text/html; charset=utf-8",
        "quoted-printable",
        &super::encode::quoted_printable(page.as_bytes()),
    );
    let (related, alternative) = (letter.boundary("related"), letter.boundary("alternative"));
    let related = multipart("related; type=\"text/html\"", &related, &[html, image]);
    let text = letter.text_part();
    let bytes = [
        letter.head(Without::Nothing),
        multipart("alternative", &alternative, &[text, related]),
    ]
    .concat();
    let mut mail = letter.mail(Kind::Inline, bytes);
    mail.expected.attachments = vec![known("logo.png", &picture)];
    mail
}

/// File names as four programs write them, each so that the name is the same.
pub(super) fn named(way: usize, name: &str) -> (String, String) {
    match way % 4 {
        // RFC 2231 §4.
        0 => (String::new(), format!("; filename*=utf-8''{}", percent(name))),
        // RFC 2231 §3: in pieces, the first of which names the charset.
        1 => {
            let encoded = percent(name);
            // Not within an escape.
            let middle = encoded
                .char_indices()
                .map(|(at, _)| at)
                .find(|at| *at >= 12 && encoded[*at..].starts_with('%'));
            let (first, second) = encoded.split_at(middle.unwrap_or(encoded.len()));
            (String::new(), format!(";\r\n filename*0*=utf-8''{first};\r\n filename*1*={second}"))
        }
        // Forbidden by RFC 2047 §5, and what half of the world writes.
        2 => {
            let word = words(name).replace("\r\n ", " ");
            (format!("; name=\"{word}\""), format!("; filename=\"{word}\""))
        }
        _ => {
            let word = format!("=?ISO-8859-1?Q?{}?=", q(&super::encode::windows_1252(name)));
            (format!("; name=\"{word}\""), format!("; filename=\"{word}\""))
        }
    }
}

fn one_file(letter: &mut Letter, large: usize) -> (Vec<u8>, File) {
    let which = usize::try_from(letter.dice.below(FILES.len() as u64)).unwrap_or(0);
    let (stem, kind, magic) = FILES[which];
    let name = format!("{stem} {}.{}", letter.number, ENDINGS[which]);
    let size = large + 8_000 + usize::try_from(letter.dice.below(50_000)).unwrap_or(0);
    let bytes = [magic.to_vec(), letter.random(size)].concat();
    let way = letter.number + bytes.len();
    let (of_type, of_disposition) = named(way, &name);
    file(&name, kind, (&of_type, &of_disposition), &bytes)
}

/// A mail in the mail.
fn forwarded(letter: &Letter) -> Vec<u8> {
    let inner = format!(
        "From: voisin@example.net\r\nTo: {}\r\nSubject: =?utf-8?B?{}?=\r\nMessage-ID: <inner.{}@example.net>\r\nContent-Type: text/plain\r\n\r\nVoir plus bas.\r\n",
        letter.address,
        base64("Éclairage".as_bytes()),
        letter.number
    );
    format!("Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n{inner}").into_bytes()
}
