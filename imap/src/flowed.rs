//! `format=flowed` (RFC 3676): lines that end in a blank go on in the next one.
//!
//! A program that writes so breaks each paragraph for whoever shows lines as they are; put together again, a text is read, stripped of
//! its quotes and shown as it was written.

/// A text of lines put together again, LF; `delsp`: the blank that says "it goes on" is none of the text's (§4).
///
/// A line goes on only in one of the same depth of quotes (§4.5), and nothing goes on in the line above a signature (§4.3). Time and
/// memory are those of the text.
#[must_use]
pub fn text(text: &str, delsp: bool) -> String {
    let mut joined = String::with_capacity(text.len());
    // The depth of the paragraph that goes on.
    let mut open: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let depth = line.bytes().take_while(|byte| *byte == b'>').count();
        let content = line.get(depth..).unwrap_or_default();
        // §4.4: a blank was put before what begins with one, with a quote mark or with "From ".
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = content == "-- ";
        if open != Some(depth) || signature {
            if number > 0 {
                joined.push('\n');
            }
            joined.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                joined.push(' ');
            }
        }
        joined.push_str(content);
        open = (content.ends_with(' ') && !signature).then_some(depth);
        if open.is_some() && delsp {
            joined.pop();
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paragraphs_are_put_together() {
        let sent = "Bonjour, \nun arbre est \ntombé.\n\nMerci\n-- \nZoé \nDurand\n";
        assert_eq!(text(sent, false), "Bonjour, un arbre est tombé.\n\nMerci\n-- \nZoé Durand");
        // RFC 3676 §4.2: for scripts without blanks.
        assert_eq!(text("anti \nconstitutionnel\n", true), "anticonstitutionnel");
        assert_eq!(text("a\r\nb \r\nc", false), "a\nb c");
        assert_eq!((text("", false), text("\n\nx", false)), (String::new(), "\n\nx".to_owned()));
    }

    #[test]
    fn what_was_stuffed_is_taken_out() {
        assert_eq!(text("  retrait\n From là\n > non cité\n", false), " retrait\nFrom là\n> non cité");
    }

    #[test]
    fn quotes_keep_their_depth() {
        // The example of RFC 3676 §4.5, in which the second paragraph ends flowed and the next one is quoted deeper.
        let sent = "> Bonjour, \n> ça va ?\n>> Oui, \n>> très \n> bien\n>\nfin \n-- \nx";
        assert_eq!(text(sent, false), "> Bonjour, ça va ?\n>> Oui, très \n> bien\n>\nfin \n-- \nx");
    }

    proptest! {
        #[test]
        fn no_word_is_lost(lines in proptest::collection::vec("[a-z> ]{0,12}", 0..20)) {
            let sent = lines.join("\n");
            let words = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            for delsp in [false, true] {
                let read = text(&sent, delsp);
                prop_assert_eq!(words(&read), words(&sent));
            }
        }
    }
}
