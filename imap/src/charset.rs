//! Bytes of any charset to text, as mail programs really write them.
//!
//! A label is only a claim. Labels follow the WHATWG Encoding Standard (`iso-8859-1` means windows-1252), with the names
//! that mail programs invent beside it. What is not declared, not known or not true is read as UTF-8 where it is UTF-8, and
//! as windows-1252 byte by byte where it is not: that is what French programs leave undeclared.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, ISO_8859_15, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// How far into HTML a `<meta charset>` is looked for, in bytes (the HTML Standard, §13.2.3.2, says 1,024; programs of
/// offices write more before it).
const META_BYTES: usize = 4 * 1024;

/// The text of bytes that are declared as being in a charset, or are not.
///
/// `html` says that the bytes may declare themselves, in a `<meta>`; it counts only where nothing else was declared.
/// Nothing is an error: what cannot be read is U+FFFD.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], declared: Option<&str>, html: bool) -> Cow<'a, str> {
    if bytes.is_ascii() && !bytes.contains(&0x1b) && declared.is_none_or(|label| !shifted(label)) {
        // No charset but those that shift says anything else of ASCII.
        return undeclared(bytes);
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(length..).unwrap_or_default();
        return windows(encoding.decode_without_bom_handling(rest).0);
    }
    let meta = || if html { meta(bytes) } else { None };
    let label = declared.map(plain).filter(|label| !says_nothing(label)).or_else(meta);
    let Some(label) = label else { return undeclared(bytes) };
    match known(&label) {
        Some(Known::Web(encoding)) => windows(as_declared(bytes, encoding)),
        Some(Known::Parser(decode)) => Cow::Owned(decode(bytes)),
        None => undeclared(bytes),
    }
}

enum Known {
    Web(&'static Encoding),
    /// Of those that the web has given up: UTF-7, code pages of DOS.
    Parser(fn(&[u8]) -> String),
}

fn known(label: &str) -> Option<Known> {
    let web = match label {
        "utf8mb4" | "utf-8n" | "unicode" | "utf_8" => Some(UTF_8),
        "latin-1"
        | "latin"
        | "ansi"
        | "cp-1252"
        | "win-1252"
        | "windows1252"
        | "windows-ansi"
        | "iso-8859"
        | "8859-1"
        | "8859_1"
        | "iso-8859-1-windows-3.1-latin-1"
        | "iso-8859-1-windows-3.0-latin-1"
        | "cswindows1252"
        | "iso8859_1" => Some(WINDOWS_1252),
        "iso8859_15" | "8859-15" | "latin-9" | "latin9" => Some(ISO_8859_15),
        // Written by Outlook for what is GBK by now, and by others for Shift_JIS.
        "cp932" | "ms932" => Encoding::for_label(b"shift_jis"),
        "cp936" | "ms936" | "euc-cn" => Encoding::for_label(b"gb18030"),
        "cp949" | "ks_c_5601" => Encoding::for_label(b"euc-kr"),
        "cp950" => Encoding::for_label(b"big5"),
        "iso-2022-jp-ms" | "iso-2022-jp-1" | "iso-2022-jp-2" | "iso-2022-jp-3" | "cp50220" | "cp50221" => Some(ISO_2022_JP),
        _ => Encoding::for_label(label.as_bytes()),
    };
    match web {
        // "replacement": encodings that the web reads as one U+FFFD, for the sake of browsers' security.
        Some(encoding) if encoding.name() != "replacement" => Some(Known::Web(encoding)),
        Some(_) => None,
        None if label == "unicode-1-1-utf-7" => charset_decoder(b"utf-7").map(Known::Parser),
        None => charset_decoder(label.as_bytes()).map(Known::Parser),
    }
}

/// Whether a label is one of those in which ASCII octets mean something else.
fn shifted(label: &str) -> bool {
    let label = plain(label);
    [
        "utf-7",
        "utf7",
        "unicode-1-1-utf-7",
        "csutf7",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "iso-2022",
    ]
    .iter()
    .any(|known| label.starts_with(known))
}

/// A label as it is looked up: lower case, without quotes, comment, language (RFC 2231 §5) or what a program ran into it.
fn plain(label: &str) -> String {
    let label = label.trim().trim_matches(['"', '\'', ' ']);
    let end = label
        .find(|c: char| c.is_whitespace() || matches!(c, '*' | ';' | ',' | '"' | '\'' | '(' | '<' | '='))
        .unwrap_or(label.len());
    label.get(..end.min(60)).unwrap_or_default().to_ascii_lowercase()
}

/// Labels that programs write when they do not know, and US-ASCII, which is no claim about an octet above 127.
fn says_nothing(label: &str) -> bool {
    matches!(
        label,
        "" | "us-ascii"
            | "ascii"
            | "ansi_x3.4-1968"
            | "unknown"
            | "unknown-8bit"
            | "x-unknown"
            | "default"
            | "default_charset"
            | "binary"
            | "8bit"
            | "7bit"
            | "none"
    )
}

fn as_declared<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Cow<'a, str> {
    if encoding == UTF_8 {
        return undeclared(bytes);
    }
    // Text in a Latin charset that happens to be sound UTF-8 ("Ã©" for "é") is UTF-8 with a wrong label.
    if (encoding == WINDOWS_1252 || encoding == ISO_8859_15)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    // UTF-16 of any European language has a zero in every second octet.
    if (encoding == UTF_16LE || encoding == UTF_16BE) && bytes.is_ascii() && !bytes.contains(&0) {
        return undeclared(bytes);
    }
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    match std::str::from_utf8(bytes) {
        // The label is wrong, and UTF-8 is right.
        Ok(sound) if broken && !bytes.is_ascii() => Cow::Borrowed(sound),
        _ => text,
    }
}

/// UTF-8 where it is UTF-8, windows-1252 where it is not: a broken octet loses itself alone, and a text without one sound
/// sequence is windows-1252 altogether.
fn undeclared(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        // RFC 1468: Japanese programs leave it undeclared too, and nothing else has these escapes.
        if [b"\x1b$B".as_slice(), b"\x1b$@", b"\x1b(J"]
            .iter()
            .any(|escape| contains(bytes, escape))
        {
            return windows(ISO_2022_JP.decode_without_bom_handling(bytes).0);
        }
        return windows(Cow::Borrowed(text));
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    windows(Cow::Owned(text))
}

/// U+0080 to U+009F are in no text: they are windows-1252 that went through a program which took it for Latin-1.
fn windows(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(|c| matches!(c, '\u{80}'..='\u{9f}')) {
        return text;
    }
    Cow::Owned(text.chars().map(meant).collect())
}

/// What the writer of a character meant: U+0080 to U+009F are octets of windows-1252.
#[must_use]
pub fn meant(c: char) -> char {
    let Some(octet) = u8::try_from(u32::from(c)).ok().filter(|octet| (0x80..=0x9f).contains(octet)) else {
        return c;
    };
    let (one, _) = WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&octet));
    one.chars()
        .next()
        .filter(|c| !matches!(c, '\u{80}'..='\u{9f}'))
        .unwrap_or('\u{fffd}')
}

/// The charset that HTML declares of itself.
fn meta(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(META_BYTES)).unwrap_or_default().to_ascii_lowercase();
    let at = head.windows(8).position(|window| window == b"charset=")?;
    let rest = head.get(at + 8..)?;
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    let end = rest
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"-_.:".contains(byte))
        .unwrap_or(rest.len());
    let label = std::str::from_utf8(rest.get(..end.min(60))?).ok()?;
    // Who could be read so far as to find this is not UTF-16, whatever it says (the HTML Standard, §13.2.3.2).
    (!label.is_empty() && !label.starts_with("utf-16") && !says_nothing(label)).then(|| label.to_owned())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_charset_zoo() {
        let table: &[(&[u8], Option<&str>, &str)] = &[
            // What French programs write, under every label that they put on it.
            (b"l\x92\xe9t\xe9, 5 \x80", Some("iso-8859-1"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("ISO-8859-15"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("windows-1252"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("us-ascii"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("utf-8"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("x-unknown"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("no-such-charset"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("\"cp-1252\""), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("latin1"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some("iso-8859-1; format=flowed"), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", Some(""), "l’été, 5 €"),
            (b"l\x92\xe9t\xe9, 5 \x80", None, "l’été, 5 €"),
            (b"c\x9cur, 5 \xa4", Some("iso-8859-15"), "cœur, 5 €"),
            (b"\x8cuvre", Some("iso-8859-1"), "Œuvre"),
            // UTF-8, labelled so, not at all, wrong, cut in the middle, with an octet of another program in it.
            ("été à Noël, 5 €".as_bytes(), Some("utf-8"), "été à Noël, 5 €"),
            ("été à Noël, 5 €".as_bytes(), Some("UTF8"), "été à Noël, 5 €"),
            ("été à Noël, 5 €".as_bytes(), None, "été à Noël, 5 €"),
            ("été à Noël, 5 €".as_bytes(), Some("iso-8859-1"), "été à Noël, 5 €"),
            ("été à Noël, 5 €".as_bytes(), Some("us-ascii"), "été à Noël, 5 €"),
            (b"\xc3\xa9t\xe9", Some("utf-8"), "été"),
            (b"\xef\xbb\xbf\xc3\xa9t\xc3\xa9", Some("iso-8859-1"), "été"),
            ("l\u{92}été".as_bytes(), Some("utf-8"), "l’été"),
            // Of the rest of the world.
            (b"+ZYeB9FH6ckh5Pg-, 1980.", Some("utf-7"), "文致出版社, 1980."),
            (b"l'+AOk-t+AOk-", Some("unicode-1-1-utf-7"), "l'été"),
            (b"\x1b$B%O%m!<\x1b(B", Some("iso-2022-jp"), "ハロー"),
            (b"\x1b$B%O%m!<\x1b(B", None, "ハロー"),
            (b"\xf0\xd2\xc9\xd7\xc5\xd4", Some("koi8-r"), "Привет"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("windows-1251"), "Привет"),
            (b"\xc4\xe3\xba\xc3", Some("gb18030"), "你好"),
            (b"\xc4\xe3\xba\xc3", Some("gb2312"), "你好"),
            (b"\xa7A\xa6n", Some("big5"), "你好"),
            (b"\x83n\x83\x8d\x81[", Some("Shift_JIS"), "ハロー"),
            (b"\xbe\xc8\xb3\xe7", Some("ks_c_5601-1987"), "안녕"),
            (b"\xe3\xd1\xcd\xc8\xc7", Some("windows-1256"), "مرحبا"),
            (b"\x87\x8e", Some("macintosh"), "áé"),
            (b"\x82t\x82", Some("ibm850"), "été"),
            (b"\x82t\x82", Some("cp850"), "été"),
            (b"\xff\xfe\xe9\x00t\x00\xe9\x00", Some("utf-16"), "été"),
            (b"\xe9\x00t\x00\xe9\x00", Some("utf-16le"), "été"),
            (b"plain", Some("utf-16"), "plain"),
        ];
        for (bytes, declared, text) in table {
            assert_eq!(decode(bytes, *declared, false), *text, "{declared:?}");
        }
    }

    #[test]
    fn html_declares_itself_only_where_the_mail_does_not() {
        let page = b"<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=koi8-r\"></head>\xf0\xd2";
        assert!(decode(page, None, true).ends_with("Пр"));
        assert!(decode(page, Some("us-ascii"), true).ends_with("Пр"));
        assert!(decode(page, Some("windows-1252"), true).ends_with("ðÒ"));
        assert!(decode(page, None, false).ends_with("ðÒ"));
        assert!(decode(b"<meta charset='utf-16'>\xe9", None, true).ends_with('é'));
    }

    proptest! {
        #[test]
        fn any_bytes_under_any_label_are_text(bytes in proptest::collection::vec(any::<u8>(), 0..200), label in "[a-zA-Z0-9_*'\"; -]{0,20}") {
            let text = decode(&bytes, Some(&label), true);
            prop_assert!(text.len() <= bytes.len() * 4 + 8);
            let text = decode(&bytes, None, false);
            let odd = text.chars().any(|c| matches!(c, '\u{80}'..='\u{9f}'));
            prop_assert!(!odd);
        }
    }
}
