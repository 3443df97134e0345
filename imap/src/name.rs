//! Names and lines that came from outside, made fit to be shown and stored.

/// Longest file name, in bytes of UTF-8; most file systems hold 255.
pub const FILE_NAME_BYTES: usize = 200;

/// A file name without folders, control or direction characters, at most [`FILE_NAME_BYTES`] long.
///
/// The extension survives the cut. A name of which nothing is left becomes `document`, with the given extension.
#[must_use]
pub fn file(raw: &str, fallback_extension: &str) -> String {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !hidden(*c))
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    let clean = clean.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if clean.is_empty() {
        return if fallback_extension.is_empty() {
            "document".to_owned()
        } else {
            format!("document.{fallback_extension}")
        };
    }
    if clean.len() <= FILE_NAME_BYTES {
        return clean.to_owned();
    }
    let (stem, extension) = clean.rsplit_once('.').filter(|(_, ext)| ext.len() <= 10).unwrap_or((clean, ""));
    let room = FILE_NAME_BYTES - extension.len() - 1;
    let stem = cut(stem, room);
    if extension.is_empty() {
        stem.to_owned()
    } else {
        format!("{stem}.{extension}")
    }
}

/// One line: control and direction characters gone, white space runs made one blank, at most `bytes` long.
#[must_use]
pub fn line(raw: &str, bytes: usize) -> String {
    let spaced: String = raw
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !hidden(*c))
        .collect();
    let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
    cut(&words.join(" "), bytes).to_owned()
}

/// The longest prefix of at most `bytes` that ends between two characters.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Control characters, and those that turn the direction of what follows (U+202E shows `exe.pdf` for `fdp.exe`). Not the joiner, of
/// which pictures of families are made, nor the one that Persian words need (U+200D, U+200C).
const fn hidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_and_direction_marks_do_not_survive() {
        assert_eq!(file("/../../etc/passwd", ""), "passwd");
        assert_eq!(file("C:\\temp\\é.pdf", ""), "é.pdf");
        assert_eq!(file("facture\u{202e}fdp.exe", ""), "facturefdp.exe");
        assert_eq!(file("..", "png"), "document.png");
        assert_eq!(file("", ""), "document");
        let long = format!("{}.pdf", "é".repeat(300));
        assert!(file(&long, "").ends_with(".pdf") && file(&long, "").len() <= FILE_NAME_BYTES);
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line("a\r\nBcc: x\t b\0", 100), "a Bcc: x b");
        assert_eq!(line("éé", 3), "é");
        assert_eq!(
            line("\u{200b}\u{1f468}\u{200d}\u{1f469}\u{200f}", 100),
            "\u{1f468}\u{200d}\u{1f469}"
        );
    }

    proptest! {
        #[test]
        fn no_name_leads_anywhere(raw in ".{0,400}") {
            let name = file(&raw, "bin");
            prop_assert!(!name.is_empty() && name.len() <= FILE_NAME_BYTES);
            prop_assert!(!name.contains(['/', '\\', '\0', '\n']) && name != "." && name != "..");
        }
    }
}
