//! The first word of a text, folded: `Éclairage !` and `ECLAIRAGE` are one keyword.
//!
//! Case, accents, ligatures and punctuation are ignored, so that `« Stop. »` is `stop`.

use crate::typography::{typography, unaccented};

/// Longer than any keyword; what is longer is cut, and so equals none.
const LONGEST: usize = 40;

/// Folds a word for comparison: lower case, no accents, letters and digits only; at most 40
/// characters.
#[must_use]
pub fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len().min(LONGEST));
    for char in typography(word).chars() {
        match unaccented(char) {
            Some(plain) => folded.push_str(&plain.to_ascii_lowercase()),
            None if char.is_alphanumeric() => folded.extend(char.to_lowercase()),
            None => {}
        }
    }
    match folded.char_indices().nth(LONGEST) {
        Some((end, _)) => folded[..end].to_owned(),
        None => folded,
    }
}

/// The first word of a text, folded; `None` when there is no letter and no digit in it.
///
/// Words end at white space and at punctuation other than an apostrophe or hyphen between
/// letters: `Stop, merci` is `stop`, `rendez-vous` is `rendezvous`.
#[must_use]
pub fn first(text: &str) -> Option<String> {
    let start = text.find(char::is_alphanumeric)?;
    let within = |char: char| {
        char.is_alphanumeric() || matches!(char, '-' | '\'' | '’' | '\u{2011}' | '\u{2010}') || matches!(char, '\u{300}'..='\u{36f}')
    };
    let word = text[start..].split(|char| !within(char)).next()?;
    let end = word.char_indices().nth(LONGEST * 2).map_or(word.len(), |(end, _)| end);
    Some(fold(&word[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_in_every_dress() {
        for (text, word) in [
            ("STOP", "stop"),
            ("Stop.", "stop"),
            (" « Stop » svp", "stop"),
            ("stop,merci", "stop"),
            ("Éclairage rue Foch", "eclairage"),
            ("E\u{301}CLAIRAGE", "eclairage"),
            ("Œuvres sociales", "oeuvres"),
            ("ça brûle", "ca"),
            ("Rendez-vous demain", "rendezvous"),
            ("l’école", "lecole"),
            ("36 photos", "36"),
            ("👍 merci", "merci"),
            ("Привет мир", "привет"),
        ] {
            assert_eq!(first(text).as_deref(), Some(word), "{text:?}");
        }
        for none in ["", "  \n", "!?…", "👍"] {
            assert_eq!(first(none), None, "{none:?}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing_and_has_an_end() {
        for word in ["Éclairage", "ŒUVRE", "straße", "İstanbul"] {
            assert_eq!(fold(&fold(word)), fold(word));
        }
        assert_eq!(fold(&"é".repeat(10_000)), "e".repeat(40));
        assert_eq!(first(&"a".repeat(10_000)), Some("a".repeat(40)));
    }
}
