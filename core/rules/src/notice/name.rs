//! A body's name where there is little room for it.

use crate::gsm7;
use crate::typography::{equivalent, typography};

/// Words with which no name ends.
const JOINING: [&str; 20] = [
    "de", "du", "des", "d", "la", "le", "les", "l", "et", "en", "sur", "sous", "au", "aux", "à", "pour", "-", "&", "/", ",",
];

/// A name in the 7-bit alphabet and on one line; what has no equivalent there is left out.
pub(super) fn plain(name: &str) -> String {
    let mut plain = String::new();
    for char in typography(name).chars() {
        // A brace would look like a place that is filled later.
        if char.is_control() || char.is_whitespace() || matches!(char, '{' | '}') {
            plain.push(' ');
        } else if gsm7::septets(char).is_some() {
            plain.push(char);
        } else {
            plain.push_str(equivalent(char, plain.chars().next_back()).unwrap_or(""));
        }
    }
    plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The name, then the name without its last word, and so on; none of them ends with a word that joins two others.
pub(super) fn shorter_and_shorter(whole: &str) -> impl Iterator<Item = &str> {
    let ends = whole.match_indices(' ').map(|(place, _)| &whole[..place]).rev();
    let shorter = ends.map(|name| name.trim_end_matches([',', ';', ':']));
    let joins = |name: &str| {
        let last = name.rsplit(' ').next().unwrap_or_default();
        let bare = last.trim_end_matches(['\'', '.']).to_lowercase();
        bare.is_empty() || JOINING.contains(&bare.as_str())
    };
    std::iter::once(whole).chain(shorter.filter(move |name| !joins(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_seven_bits_and_on_one_line() {
        for (name, shown) in [
            (" L’Haÿ-les-Roses ", "L'Hay-les-Roses"),
            ("Hôtel\r\nde  ville", "Hotel de ville"),
            ("Ville d’Orléans 😀", "Ville d'Orléans"),
            ("Saint-Exemple — Œuvres", "Saint-Exemple - OEuvres"),
            ("Ville {reference}", "Ville reference"),
            ("بلدية", ""),
            ("", ""),
        ] {
            assert_eq!(plain(name), shown, "{name:?}");
        }
    }

    #[test]
    fn word_by_word_from_the_end() {
        let all: Vec<_> = shorter_and_shorter("Mairie de La Ville, et du Pays d' Exemple").collect();
        assert_eq!(
            all,
            [
                "Mairie de La Ville, et du Pays d' Exemple",
                "Mairie de La Ville, et du Pays",
                "Mairie de La Ville",
                "Mairie",
            ]
        );
        assert_eq!(shorter_and_shorter("De").collect::<Vec<_>>(), ["De"], "the whole name is a name");
    }
}
