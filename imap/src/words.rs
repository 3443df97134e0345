//! Encoded words (RFC 2047) and parameters (RFC 2231) of header fields, whole and broken.

use std::borrow::Cow;

use crate::charset;
use crate::fields::unfold;
use crate::transfer;

/// Longest name of a charset in an encoded word.
const CHARSET_BYTES: usize = 60;
/// Most parameters of a field that are looked at; the pre-scan has refused more.
const PARAMETERS: usize = 200;
/// Longest value of one parameter that is kept, in bytes.
const PARAMETER_BYTES: usize = 16 * 1024;

/// The text of a field's value: encoded words decoded, undeclared octets read as [`charset::decode`] reads them.
///
/// Forgiven are, since mail programs write them: blanks inside a word, words that touch each other or the text, a
/// character cut in two by a word's end, a word without its end, unknown charsets, base64 without its padding.
#[must_use]
pub fn text(value: &[u8]) -> String {
    let line = unfold(value);
    let mut out = String::with_capacity(line.len());
    // Octets of words that stand in a row under one charset: a character may begin in one and end in the next.
    let mut row: Option<(String, Vec<u8>)> = None;
    let mut rest: &[u8] = &line;
    while let Some(start) = find(rest, b"=?") {
        let (before, from) = rest.split_at(start);
        let Some(word) = word(from) else {
            flush(&mut out, &mut row);
            let (plain, after) = rest.split_at(start + 2);
            out.push_str(&charset::decode(plain, None, false));
            rest = after;
            continue;
        };
        // RFC 2047 §6.2: white space between two encoded words is not shown.
        if row.is_none() || !before.iter().all(u8::is_ascii_whitespace) {
            flush(&mut out, &mut row);
            out.push_str(&charset::decode(before, None, false));
        }
        match &mut row {
            Some((charset, octets)) if charset.eq_ignore_ascii_case(word.charset) => octets.extend_from_slice(&word.octets),
            _ => {
                flush(&mut out, &mut row);
                row = Some((word.charset.to_owned(), word.octets));
            }
        }
        rest = from.get(word.length..).unwrap_or_default();
    }
    flush(&mut out, &mut row);
    out.push_str(&charset::decode(rest, None, false));
    out
}

fn flush(out: &mut String, row: &mut Option<(String, Vec<u8>)>) {
    if let Some((charset, octets)) = row.take() {
        out.push_str(&charset::decode(&octets, Some(&charset), false));
    }
}

/// How many octets the encoded word that begins here has; 0 when none does.
#[must_use]
pub fn length(from: &[u8]) -> usize {
    if from.starts_with(b"=?") {
        word(from).map_or(0, |word| word.length)
    } else {
        0
    }
}

struct Word<'a> {
    charset: &'a str,
    octets: Vec<u8>,
    /// In octets, from `=?` on.
    length: usize,
}

/// The encoded word that begins here: `=?charset?encoding?text?=`.
fn word(from: &[u8]) -> Option<Word<'_>> {
    let rest = from.get(2..)?;
    let end = rest.iter().take(CHARSET_BYTES).position(|byte| *byte == b'?')?;
    let charset = std::str::from_utf8(rest.get(..end)?).ok()?;
    if charset.contains(|c: char| c.is_whitespace() || c == '=') {
        return None;
    }
    let (encoding, text) = match rest.get(end + 1..)? {
        [encoding, b'?', text @ ..] => (encoding.to_ascii_lowercase(), text),
        _ => return None,
    };
    let start = from.len() - text.len();
    // A word ends with `?=`. One that was cut off ends where the next begins, or with the field. One look at each octet:
    // who looks for each word's end to the end of the field is slow on a field of nothing but beginnings.
    let (length, after) = match text.windows(2).position(|two| two == b"?=" || two == b"=?") {
        // Padding before the end: `w6k=?=`.
        Some(at) if text.get(at..at + 3) == Some(b"=?=") => (at + 1, 2),
        Some(at) if text.get(at) == Some(&b'=') => (at, 0),
        Some(at) => (at, 2),
        None => (text.len(), 0),
    };
    let inner = text.get(..length)?;
    // The blank before the word that cut this one off belongs to neither.
    let inner = if after == 0 { inner.trim_ascii_end() } else { inner };
    let octets = match encoding {
        b'b' => transfer::base64(inner),
        b'q' => transfer::quoted_word(inner),
        _ => return None,
    };
    Some(Word {
        charset,
        octets,
        length: start + length + after,
    })
}

/// A field such as `Content-Type` or `Content-Disposition`, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Before the first semicolon, lower case: `text/plain`, `attachment`.
    pub value: String,
    /// Lower-case names; values decoded, with their segments joined (RFC 2231 §3), the better of two spellings first.
    pub parameters: Vec<(String, String)>,
}

impl Parameters {
    /// The parameter of this lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One spelled-out piece of a parameter.
struct Piece<'a> {
    name: String,
    /// Of a segment (`name*1`).
    number: Option<u32>,
    /// With a star at its end: percent-encoded.
    extended: bool,
    value: Cow<'a, [u8]>,
}

/// Takes a field's value apart.
#[must_use]
pub fn parameters(value: &[u8]) -> Parameters {
    let line = unfold(value);
    let (first, mut rest) = cut(&line);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    while let Some(tail) = rest.filter(|_| pieces.len() < PARAMETERS) {
        let (one, after) = cut(tail);
        rest = after;
        if let Some(piece) = piece(one) {
            pieces.push(piece);
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for piece in &pieces {
        if !names.contains(&piece.name.as_str()) {
            names.push(&piece.name);
        }
    }
    Parameters {
        value: String::from_utf8_lossy(first.trim_ascii()).to_ascii_lowercase(),
        parameters: names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), joined(&pieces, name)?)))
            .collect(),
    }
}

/// The value of all pieces of a name: segments in their order, else the extended spelling, else the plain one.
fn joined(pieces: &[Piece<'_>], name: &str) -> Option<String> {
    let of_name = || pieces.iter().filter(|piece| piece.name == name);
    let mut segments: Vec<&Piece<'_>> = of_name().filter(|piece| piece.number.is_some()).collect();
    segments.sort_by_key(|piece| piece.number);
    segments.dedup_by_key(|piece| piece.number);
    let whole = of_name().filter(|piece| piece.number.is_none());
    if let Some(one) = whole.clone().find(|piece| piece.extended) {
        return Some(extended(&[one]));
    }
    if !segments.is_empty() {
        return Some(extended(&segments));
    }
    // Not allowed in a parameter (RFC 2047 §5), and what half of the programs do.
    whole.clone().next().map(|piece| text(&piece.value))
}

/// `charset'language'percent-encoded` (RFC 2231 §4), of which later segments have no charset of their own.
fn extended(segments: &[&Piece<'_>]) -> String {
    let mut octets: Vec<u8> = Vec::new();
    let mut charset: Option<String> = None;
    for (index, piece) in segments.iter().enumerate() {
        let mut value: &[u8] = &piece.value;
        if piece.extended && index == 0 {
            let mut parts = value.splitn(3, |byte| *byte == b'\'');
            if let (Some(label), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                charset = std::str::from_utf8(label).ok().map(str::to_owned);
                value = rest;
            }
        }
        if piece.extended {
            octets.extend(transfer::percent(value));
        } else {
            octets.extend_from_slice(value);
        }
        if octets.len() > PARAMETER_BYTES {
            break;
        }
    }
    match charset {
        Some(label) => charset::decode(&octets, Some(&label), false).into_owned(),
        None => text(&octets),
    }
}

/// One parameter: `name=value`, the value quoted or not.
fn piece(one: &[u8]) -> Option<Piece<'_>> {
    let equals = one.iter().position(|byte| *byte == b'=')?;
    let name: String = String::from_utf8_lossy(one.get(..equals)?.trim_ascii()).to_ascii_lowercase();
    let value = one.get(equals + 1..)?.trim_ascii();
    let value = value.get(..value.len().min(PARAMETER_BYTES))?;
    let (name, extended) = name.strip_suffix('*').map_or((name.as_str(), false), |name| (name, true));
    let (name, number) = match name.rsplit_once('*') {
        Some((name, number)) => (name, Some(number.parse().ok()?)),
        None => (name, None),
    };
    let piece = Piece {
        name: name.trim().to_owned(),
        number,
        extended,
        value: unquoted(value),
    };
    (!piece.name.is_empty() && piece.name.len() <= 100).then_some(piece)
}

/// What stands between quotes, its quoted pairs resolved (RFC 5322 §3.2.4); a value without them as it is.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return Cow::Borrowed(value);
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => break,
            // A path of Windows is not escaped by the programs that send one: a backslash stays unless it must not.
            b'\\' => match octets.clone().next() {
                Some(next @ (b'"' | b'\\')) => {
                    out.push(*next);
                    octets.next();
                }
                _ => out.push(b'\\'),
            },
            _ => out.push(*octet),
        }
    }
    Cow::Owned(out)
}

/// Up to the next semicolon that does not stand in quotes, and what follows it.
fn cut(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
            _ => {}
        }
    }
    (line, None)
}

fn find(haystack: &[u8], needle: &[u8; 2]) -> Option<usize> {
    haystack.windows(2).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encoded_words_as_programs_write_them() {
        let table: &[(&[u8], &str)] = &[
            (b"=?utf-8?Q?=C3=A9t=C3=A9_=C3=A0_No=C3=ABl?=", "été à Noël"),
            (b"=?utf-8?B?w6l0w6k=?=", "été"),
            (b"Re: =?iso-8859-1?Q?=E9t=E9?= au parc", "Re: été au parc"),
            (b"=?utf-8?Q?Nid_de?=\r\n =?utf-8?Q?_poule?=", "Nid de poule"),
            (b"=?utf-8?Q?un?= =?iso-8859-1?Q?_=E9t=E9?=", "un été"),
            // A character in two words, in both encodings.
            (b"=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
            (b"=?utf-8?B?Y2Fmww==?= =?utf-8?B?qQ==?=", "café"),
            (b"=?UTF-8?B?Y2Fmww==?=\r\n =?utf-8?Q?=A9_!?=", "café !"),
            // Blanks inside, words that touch, no end, no padding, blanks in base64.
            (b"=?iso-8859-1?Q?l'=E9t=E9 au parc?=", "l'été au parc"),
            (b"=?utf-8?Q?un?==?utf-8?Q?deux?=", "undeux"),
            (b"voir=?utf-8?Q?_=C3=A9t=C3=A9?=, merci", "voir été, merci"),
            (b"=?utf-8?Q?=C3=A9t=C3=A9", "été"),
            (b"=?utf-8?Q?=C3=A9t=C3=A9 =?utf-8?Q?_fini?=", "été fini"),
            (b"=?utf-8?B?w6l0w6k?=", "été"),
            (b"=?utf-8?B?w6l0 w6k=?=", "été"),
            // Labels: windows-1252 under all of them, unknown, a language, none.
            (b"=?iso-8859-1?Q?l=92=E9t=E9_5_=80?=", "l’été 5 €"),
            (b"=?utf-8?Q?l=92=E9t=E9?=", "l’été"),
            (b"=?no-such?Q?l=92=E9t=E9?=", "l’été"),
            (b"=?us-ascii?Q?l=92=E9t=E9?=", "l’été"),
            (b"=?iso-8859-1*fr?Q?=E9t=E9?=", "été"),
            (b"=??Q?=C3=A9t=C3=A9?=", "été"),
            (b"=?utf-7?Q?l'+AOk-t+AOk-?=", "l'été"),
            (b"=?iso-2022-jp?B?GyRCJU8lbSE8GyhC?=", "ハロー"),
            (b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
            (b"=?gb18030?B?xOO6ww==?=", "你好"),
            // Raw octets, and what is no encoded word.
            (b"l\x92\xe9t\xe9 \x80", "l’été €"),
            ("l’été €".as_bytes(), "l’été €"),
            (b"\x1b$B%O%m!<\x1b(B", "ハロー"),
            (b"1 + 1 =? 2", "1 + 1 =? 2"),
            (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
            (b"=?", "=?"),
            (b"=?utf-8?Q??=", ""),
            (b"", ""),
        ];
        for (value, wanted) in table {
            assert_eq!(text(value), *wanted, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn file_names_as_programs_write_them() {
        let table: &[(&[u8], &str)] = &[
            (b"attachment; filename=\"plan.pdf\"", "plan.pdf"),
            (b"attachment; filename=plan du site.pdf", "plan du site.pdf"),
            (b"attachment;\r\n filename*=utf-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
            (b"attachment; filename*=iso-8859-1'fr'%E9t%E9.pdf", "été.pdf"),
            (b"attachment; filename=\"ete.pdf\"; filename*=utf-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
            (
                b"attachment; filename*0*=utf-8''%C3%A9t; filename*1*=%C3; filename*2*=%A9.pdf",
                "été.pdf",
            ),
            (b"attachment; filename*1=\"b.pdf\"; filename*0=\"a\"", "ab.pdf"),
            (
                b"attachment; filename*0=\"=?utf-8?Q?=C3=A9t=C3=A9\"; filename*1=\"?=.pdf\"",
                "été.pdf",
            ),
            (b"attachment; filename=\"=?utf-8?B?w6l0w6kucGRm?=\"", "été.pdf"),
            (b"attachment; filename==?iso-8859-1?Q?=E9t=E9.pdf?=", "été.pdf"),
            (b"attachment; filename=\"l\x92\xe9t\xe9.pdf\"", "l’été.pdf"),
            ("attachment; filename=\"été.pdf\"".as_bytes(), "été.pdf"),
            (b"attachment; filename=\"a;b \\\"c\\\".pdf\"", "a;b \"c\".pdf"),
            (b"attachment; filename=\"C:\\temp\\a.pdf\"", "C:\\temp\\a.pdf"),
            (b"attachment; FILENAME = \"plan.pdf\" ; size=3", "plan.pdf"),
            (b"attachment; filename=\"ouvert.pdf", "ouvert.pdf"),
        ];
        for (value, wanted) in table {
            let found = parameters(value);
            assert_eq!(found.value, "attachment");
            assert_eq!(found.get("filename"), Some(*wanted), "{}", String::from_utf8_lossy(value));
        }
        let kind = parameters(b" TEXT/Plain ; charset=\"UTF-8\"; format=flowed");
        assert_eq!(
            (kind.value.as_str(), kind.get("charset"), kind.get("format")),
            ("text/plain", Some("UTF-8"), Some("flowed"))
        );
        assert_eq!(parameters(b"").parameters, []);
    }

    #[test]
    fn hostile_fields_cost_no_more_than_their_length() {
        // Each of these would be quadratic for a reader that looks for every word's end to the end of the field.
        for field in [
            "=?".repeat(30_000),
            "=?utf-8?Q?".repeat(6_000),
            "=?a?b?".repeat(10_000),
            format!("=?utf-8?Q?{}?=", "=C3=A9".repeat(10_000)),
        ] {
            let _ = text(field.as_bytes());
        }
        let many = format!("attachment{}", "; filename*1=a".repeat(5_000));
        assert!(parameters(many.as_bytes()).parameters.len() <= PARAMETERS);
        let long = format!("attachment; filename={}", "a".repeat(60_000));
        assert_eq!(parameters(long.as_bytes()).get("filename").map(str::len), Some(PARAMETER_BYTES));
    }

    proptest! {
        #[test]
        fn any_bytes_are_text(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = text(&value);
            let _ = parameters(&value);
        }

        #[test]
        fn words_that_nearly_are_encoded_are_text(value in "[=?utf\\-8QqBb_A-C3;*'\" ]{0,80}") {
            let _ = text(value.as_bytes());
            let _ = parameters(value.as_bytes());
        }
    }
}
