//! Header fields: what anybody wrote, in ASCII, folded, and never a field of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::name;

/// Longest line that is written where it can be helped, in bytes without CRLF (RFC 5322 §2.1.1).
pub(super) const LINE: usize = 76;
/// Longest line that may be, in bytes without CRLF.
const HARD_LINE: usize = 900;

/// A display name: quoted when ASCII, encoded otherwise.
pub(super) fn phrase(text: &str) -> String {
    if text.is_ascii() && text.len() <= LINE - "Reply-To: \"\"".len() && !text.contains("=?") {
        format!("\"{}\"", text.replace(['\\', '"'], ""))
    } else {
        encoded_words(text)
    }
}

/// A subject: as it is, folded between words, when it is ASCII that no reader mistakes for an encoded word; encoded otherwise.
pub(super) fn unstructured(name: &str, text: &str) -> String {
    let folds = text.split(' ').all(|word| word.len() < LINE - name.len());
    if text.is_ascii() && folds && !text.contains("=?") {
        folded(name, text)
    } else {
        encoded_words(text)
    }
}

/// Words separated by single blanks, on lines of at most [`LINE`] bytes where the words allow it (RFC 5322 §2.2.3).
fn folded(name: &str, text: &str) -> String {
    let (mut out, mut column) = (String::with_capacity(text.len() + 8), name.len() + 2);
    for (number, word) in text.split(' ').enumerate() {
        if number > 0 {
            // What is behind a fold must not be blank, nor may a line be.
            if column + 1 + word.len() > LINE && !word.is_empty() {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

/// RFC 2047 §5, base64, folded; no word is cut inside a character.
fn encoded_words(text: &str) -> String {
    // 76 characters a line (RFC 2047 §2), less `Reply-To: =?utf-8?B??=`, in groups of four for three bytes.
    const BYTES: usize = 39;
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let piece = name::cut(rest, BYTES);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(piece)));
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    words.join("\r\n ")
}

/// A parameter with the name of a file, each piece on a line of its own: in quotes when it is short and plain, otherwise in
/// UTF-8 by RFC 2231 §4, in numbered pieces where it is long (§3).
pub(super) fn parameter(key: &str, value: &str) -> String {
    const PIECE: usize = 54;
    let plain = value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
    if plain && value.len() <= PIECE {
        return format!(";\r\n {key}=\"{value}\"");
    }
    let mut pieces = vec![String::new()];
    for char in value.chars() {
        let mut octets = [0; 4];
        let encoded: String = char.encode_utf8(&mut octets).bytes().map(octet).collect();
        match pieces.last_mut() {
            Some(piece) if piece.len() + encoded.len() <= PIECE => piece.push_str(&encoded),
            _ => pieces.push(encoded),
        }
    }
    if let [only] = pieces.as_slice() {
        return format!(";\r\n {key}*=utf-8''{only}");
    }
    let numbered = pieces.iter().enumerate().map(|(number, piece)| {
        let charset = if number == 0 { "utf-8''" } else { "" };
        format!(";\r\n {key}*{number}*={charset}{piece}")
    });
    numbered.collect()
}

fn octet(byte: u8) -> String {
    // RFC 2231 §7 with RFC 2045 §5.1: what is no attribute character is written as its value.
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// A media type that may stand in a field: two tokens (RFC 2045 §5.1). What must not be encoded (RFC 2046 §5.2) or would be
/// taken apart is sent as plain bytes.
pub(super) fn media_type(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let sound = lower.len() <= 127 && lower.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    let apart = lower.starts_with("message/") || lower.starts_with("multipart/");
    if sound && !apart {
        lower
    } else {
        "application/octet-stream".to_owned()
    }
}

/// Whether a line may be sent.
pub(super) const fn fits(line: &str) -> bool {
    line.len() <= HARD_LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_folded_between_words_alone() {
        let text = "Votre demande concernant le ramassage des encombrants devant le 12 de la rue de la Republique [2026-0000001-3]";
        let field = format!("Subject: {}", unstructured("Subject", text));
        assert!(
            field.split("\r\n").all(|line| line.len() <= 78 && !line.trim().is_empty()),
            "{field}"
        );
        assert_eq!(field.replace("\r\n ", " "), format!("Subject: {text}"));
        let endless = "x".repeat(200);
        assert!(unstructured("Subject", &endless).starts_with("=?utf-8?B?"));
        assert!(unstructured("Subject", "=?utf-8?Q?x?=").starts_with("=?utf-8?B?"));
        let accents = "é".repeat(200);
        let encoded = unstructured("Subject", &accents);
        assert!(encoded.split("\r\n ").all(|word| word.len() <= 75), "RFC 2047 §2");
    }

    #[test]
    fn names_of_files() {
        assert_eq!(parameter("filename", "plan.pdf"), ";\r\n filename=\"plan.pdf\"");
        assert_eq!(parameter("filename", "été.pdf"), ";\r\n filename*=utf-8''%C3%A9t%C3%A9.pdf");
        let long = format!("{}.pdf", "délibération ".repeat(12));
        let written = parameter("filename", &long);
        assert!(written.starts_with(";\r\n filename*0*=utf-8''d%C3%A9lib"), "{written}");
        assert!(written.split("\r\n").all(|line| line.len() <= 78), "{written}");
        assert_eq!(
            parameter("filename", "a\"\r\nBcc: x"),
            ";\r\n filename*=utf-8''a%22%0D%0ABcc%3A%20x"
        );
    }

    #[test]
    fn types_of_files() {
        assert_eq!(media_type("Application/PDF"), "application/pdf");
        for odd in [
            "",
            "pdf",
            "a/b\r\nBcc: x",
            "a/b; c=d",
            "message/rfc822",
            "multipart/mixed",
            "a/b/c",
            "é/x",
        ] {
            assert_eq!(media_type(odd), "application/octet-stream", "{odd}");
        }
    }
}
