//! Bodies: the text, the same as HTML, and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::field::LINE;

/// RFC 2045 §6.7, on text: line ends become CRLF, lines are cut softly.
pub(super) fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for line in text.lines() {
        let mut column = 0;
        let bytes = line.trim_end_matches('\r').as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let last = index + 1 == bytes.len();
            // A dot or "From " at the start of a line is changed by servers and mail stores on the way.
            let first = column == 0 && matches!(byte, b'.' | b'F');
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') && !first || matches!(byte, b' ' | b'\t') && !last;
            let width = if plain { 1 } else { 3 };
            if column + width > LINE - 1 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if plain {
                out.push(*byte);
            } else {
                let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            }
            column += width;
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 2045 §6.8, in lines of [`LINE`].
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for line in bytes.chunks(LINE / 4 * 3) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// The text as HTML: paragraphs, line ends, and links that can be followed. Nothing in it is fetched from anywhere.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 200);
    out.push_str("<!DOCTYPE html>\n<html lang=\"fr\">\n<head><meta charset=\"utf-8\"><title></title></head>\n<body>\n");
    let mut open = false;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            if std::mem::take(&mut open) {
                out.push_str("</p>\n");
            }
            continue;
        }
        out.push_str(if std::mem::replace(&mut open, true) { "<br>\n" } else { "<p>" });
        linked(line, &mut out);
    }
    if open {
        out.push_str("</p>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// A line with its addresses of pages as links: what begins with a scheme, as far as it cannot end a sentence.
fn linked(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(at) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, from) = rest.split_at(at);
        escape(before, out);
        let end = from
            .find(|char: char| char.is_whitespace() || char.is_control() || "<>\"'`{}|\\^«»".contains(char))
            .unwrap_or(from.len());
        let url = from
            .get(..end)
            .unwrap_or_default()
            .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '…']);
        if url.ends_with("//") {
            escape(url, out);
        } else {
            out.push_str("<a href=\"");
            escape(url, out);
            out.push_str("\">");
            escape(url, out);
            out.push_str("</a>");
        }
        rest = from.get(url.len()..).unwrap_or_default();
    }
    escape(rest, out);
}

fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Two blanks or a tab would be read as one blank.
            '\t' => out.push_str("&nbsp;&nbsp;&nbsp; "),
            // What no HTML may hold.
            control if control.is_control() => (),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(text: &str) -> String {
        let whole = html(text);
        let body = whole.split_once("<body>\n").unwrap().1;
        body.strip_suffix("</body>\n</html>\n").unwrap().to_owned()
    }

    #[test]
    fn a_text_reads_the_same_as_html() {
        assert_eq!(
            inside("Bonjour,\n\nC'est noté :\n- un\n- deux\n\n\n"),
            "<p>Bonjour,</p>\n<p>C'est noté :<br>\n- un<br>\n- deux</p>\n"
        );
        assert_eq!(inside(""), "");
    }

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            inside("<script>alert(\"1\")</script> & <img src=x onerror=y>"),
            "<p>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &lt;img src=x onerror=y&gt;</p>\n"
        );
        assert_eq!(
            inside("Voir https://www.example.fr/a?b=1&c=2. (http://x.fr) javascript:alert(1) https://"),
            "<p>Voir <a href=\"https://www.example.fr/a?b=1&amp;c=2\">https://www.example.fr/a?b=1&amp;c=2</a>. \
             (<a href=\"http://x.fr\">http://x.fr</a>) javascript:alert(1) https://</p>\n"
        );
        assert_eq!(
            inside("https://x.fr/\"onclick=\"alert(1)"),
            "<p><a href=\"https://x.fr/\">https://x.fr/</a>&quot;onclick=&quot;alert(1)</p>\n"
        );
    }
}
