//! Text and bytes as mail carries them.

/// Base64 (RFC 4648 §4) in one line.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = ALPHABET[(bits >> shift & 63) as usize];
            out.push(if at <= chunk.len() { letter } else { b'=' });
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The same in lines of 76 (RFC 2045 §6.8), each with its CRLF.
pub(super) fn base64_lines(bytes: &[u8]) -> String {
    let mut lines = String::with_capacity(bytes.len() * 4 / 3 + bytes.len() / 28 + 8);
    for chunk in bytes.chunks(57) {
        lines.push_str(&base64(chunk));
        lines.push_str("\r\n");
    }
    lines
}

/// Quoted-printable (RFC 2045 §6.7); CRLF stays what it is.
pub(super) fn quoted_printable(bytes: &[u8]) -> String {
    let (mut out, mut column) = (String::with_capacity(bytes.len() * 2), 0);
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'\r' || byte == b'\n' {
            out.push(char::from(byte));
            column = 0;
            continue;
        }
        let ends_line = matches!(bytes.get(at + 1), None | Some(b'\r'));
        let literal = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || byte == b' ' && !ends_line;
        let piece = if literal {
            char::from(byte).to_string()
        } else {
            format!("={byte:02X}")
        };
        if column + piece.len() > 75 {
            out.push_str("=\r\n");
            column = 0;
        }
        column += piece.len();
        out.push_str(&piece);
    }
    out
}

/// Encoded words (RFC 2047 §2) in UTF-8 and base64, folded, none of them splitting a character.
pub(super) fn words(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut pieces = vec![String::new()];
    for c in text.chars() {
        if pieces.last().is_some_and(|piece| piece.len() + c.len_utf8() > 39) {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    let words: Vec<String> = pieces
        .iter()
        .map(|piece| format!("=?UTF-8?B?{}?=", base64(piece.as_bytes())))
        .collect();
    words.join("\r\n ")
}

/// An encoded word's inside in Q (RFC 2047 §4.2) of these bytes; blanks are underscores.
pub(super) fn q(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b' ' => "_".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("={byte:02X}"),
        })
        .collect()
}

/// windows-1252; what it lacks becomes a question mark.
pub(super) fn windows_1252(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match c {
            '€' => 0x80,
            'Œ' => 0x8c,
            '’' => 0x92,
            '–' => 0x96,
            'œ' => 0x9c,
            '\u{a0}'..='\u{ff}' | '\0'..='\u{7f}' => u8::try_from(u32::from(c)).unwrap_or(b'?'),
            _ => b'?',
        })
        .collect()
}

/// ISO 8859-15; the typographic apostrophe, which it lacks, becomes a straight one.
pub(super) fn latin_9(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match c {
            '€' => 0xa4,
            'œ' => 0xbd,
            'Œ' => 0xbc,
            '’' => b'\'',
            '\u{a0}'..='\u{ff}' | '\0'..='\u{7f}' => u8::try_from(u32::from(c)).unwrap_or(b'?'),
            _ => b'?',
        })
        .collect()
}

/// UTF-7 (RFC 2152): what is not ASCII stands as UTF-16 in base64 between `+` and `-`.
pub(super) fn utf_7(text: &str) -> String {
    let mut out = String::new();
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, out: &mut String| {
        if !shifted.is_empty() {
            out.push('+');
            out.push_str(base64(shifted).trim_end_matches('='));
            out.push('-');
            shifted.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '+' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut shifted, &mut out);
    out
}

/// A file name's extended value (RFC 5987 §3.2): percent signs over UTF-8.
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || byte == b'.' {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encodings_are_those_of_the_standards() {
        // RFC 4648 §10.
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(
            quoted_printable("l’été =\r\nx \r\n".as_bytes()),
            "l=E2=80=99=C3=A9t=C3=A9 =3D\r\nx=20\r\n"
        );
        assert!(quoted_printable(&[b'a'; 200]).lines().all(|line| line.len() <= 76));
        // RFC 2152: "Hi Mom -☺-!"
        assert_eq!(utf_7("Hi Mom -☺-!"), "Hi Mom -+Jjo--!");
        assert_eq!(windows_1252("l’été 5 €"), b"l\x92\xe9t\xe9 5 \x80");
        assert_eq!(latin_9("l’été 5 €"), b"l'\xe9t\xe9 5 \xa4");
        assert!(words(&"été ".repeat(30)).lines().all(|line| line.trim().len() <= 75));
    }
}
