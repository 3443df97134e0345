//! What to write instead of a text that costs too much.
//!
//! A proposal is only ever shown to whoever wrote the text; nothing is replaced on its own
//! beyond typography. It always fits one message of the 7-bit alphabet, so that it is accepted
//! when it is sent as it stands.

use crate::gsm7;
use crate::typography::equivalent;

/// The nearest text of the 7-bit alphabet that fits one message: equivalents first, and where
/// that is too long, single spaces and round brackets as well.
pub(crate) fn of(chars: impl Iterator<Item = char>, fits: impl Fn(&str) -> bool) -> Option<String> {
    let plain = plain(chars)?;
    if fits(&plain) {
        return Some(plain);
    }
    Some(squeeze(&plain)).filter(|squeezed| fits(squeezed))
}

/// Every character of the 7-bit alphabet, or nothing. A pictograph goes together with the
/// space that it stood between.
fn plain(chars: impl Iterator<Item = char>) -> Option<String> {
    let mut plain = String::new();
    let mut dropped = false;
    for char in chars {
        if gsm7::septets(char).is_some() {
            let doubled = dropped && char == ' ' && (plain.is_empty() || plain.ends_with(' '));
            if !doubled {
                plain.push(char);
                dropped = false;
            }
            continue;
        }
        let ascii = equivalent(char, plain.chars().next_back())?;
        dropped |= ascii.is_empty();
        plain.push_str(ascii);
    }
    if dropped {
        plain.truncate(plain.trim_end_matches(' ').len());
    }
    Some(plain)
}

/// Saves septets where no word is touched: runs of spaces, brackets of the extension table.
fn squeeze(plain: &str) -> String {
    let mut squeezed = String::with_capacity(plain.len());
    for char in plain.trim().chars() {
        match char {
            ' ' if squeezed.ends_with([' ', '\n']) => {}
            '[' | '{' => squeezed.push('('),
            ']' | '}' => squeezed.push(')'),
            '|' | '\\' => squeezed.push('/'),
            '~' => squeezed.push('-'),
            _ => squeezed.push(char),
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use crate::sms::{Coding, check_reply, preview};
    use proptest::prelude::*;

    #[test]
    fn a_proposal_is_made_only_where_it_helps() {
        for (text, suggestion) in [
            ("Votre demande a été reçue", Some("Votre demande a été recue")),
            ("À l’hôtel de ville, Ève", Some("A l'hotel de ville, Eve")),
            ("FRANÇOIS, GARÇON", None),
            ("l’école…", None),
            ("OK 👍 merci", Some("OK merci")),
            ("merci 👨‍👩‍👧", Some("merci")),
            ("👍", None),
            ("спасибо", None),
            ("reçu, спасибо", None),
            ("dossier n° 12, 20 °C", Some("dossier no 12, 20 degC")),
            ("agent·e", Some("agent.e")),
        ] {
            assert_eq!(preview(text).suggestion.as_deref(), suggestion, "{text:?}");
        }
        let long = |text: &str, count| preview(&text.repeat(count)).suggestion;
        assert_eq!(long("ç", 160), Some("c".repeat(160)));
        assert_eq!(long("ç", 161), None, "still too long, so no proposal");
        assert_eq!(long("a", 161), None);
        assert_eq!(long("[a]", 33), Some("(a)".repeat(33)), "165 septets become 99");
        assert_eq!(long("ab  c ", 30), Some("ab c ".repeat(30).trim().to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_proposed_is_accepted(text in "[a-zA-Z0-9 éèàùçêœ’€\\[\\]~|{}^…«»\n😀]{0,400}") {
            if let Some(suggestion) = preview(&text).suggestion {
                prop_assert_ne!(&suggestion, &text);
                prop_assert_eq!(check_reply(&suggestion).map(|encoded| encoded.coding), Ok(Coding::Gsm7));
                prop_assert_eq!(preview(&suggestion).suggestion, None);
            }
        }
    }
}
