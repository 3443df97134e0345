//! Readable text out of a mail that came as HTML only.

/// Largest HTML that is rendered, in bytes.
const BYTES: usize = 1024 * 1024;
/// Deepest HTML that is rendered; the HTML parser is quadratic in depth.
const DEPTH: usize = 512;
/// Where lines are wrapped, in columns; wide, so that a paragraph stays a line.
const COLUMNS: usize = 2_000;

/// The text of an HTML document. What is too large or too deep to be rendered loses its tags and nothing else.
#[must_use]
pub fn text(html: &str) -> String {
    if html.len() <= BYTES && depth(html) <= DEPTH {
        let rendered = html2text::config::plain_no_decorate()
            .allow_width_overflow()
            .no_table_borders()
            .raw_mode(true)
            .string_from_read(html.as_bytes(), COLUMNS);
        if let Ok(text) = rendered {
            return text;
        }
    }
    mail_parser::decoders::html::html_to_text(html)
}

/// An upper bound of the nesting, and never much more than [`DEPTH`]: an opening tag counts until its own closing tag
/// comes; closing tags of nothing do not count.
fn depth(html: &str) -> usize {
    const VOID: [&str; 8] = ["br", "img", "hr", "meta", "link", "input", "col", "wbr"];
    let mut open: Vec<&str> = Vec::new();
    let mut deepest = 0;
    for tag in html.split('<').skip(1) {
        let closing = tag.strip_prefix('/');
        let name = closing
            .unwrap_or(tag)
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        if closing.is_some() {
            if let Some(index) = open.iter().rposition(|other| other.eq_ignore_ascii_case(name)) {
                open.truncate(index);
            }
        } else if !VOID.iter().any(|void| name.eq_ignore_ascii_case(void)) {
            open.push(name);
            deepest = deepest.max(open.len());
            if deepest > DEPTH {
                break;
            }
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_readable() {
        let text = text("<html><body><p>Bonjour,</p><p>Le trou est l&agrave;.<br>Merci</p></body></html>");
        assert!(text.contains("Bonjour,") && text.contains("Le trou est là.\nMerci"), "{text:?}");
    }

    #[test]
    fn a_bomb_is_stripped_not_rendered() {
        let bomb = format!("{}Bonjour", "<div>".repeat(100_000));
        assert!(depth(&bomb) > DEPTH);
        assert!(depth(&"<div></x>".repeat(600)) > DEPTH);
        assert_eq!(depth(&"<p>a<br></p>".repeat(600)), 1);
        assert!(text(&bomb).contains("Bonjour"));
        assert!(text(&format!("<p>{}</p>", "a".repeat(BYTES))).len() >= BYTES);
    }
}
