//! One spelling for each postal address, for comparison only.

use crate::typography::{typography, unaccented};

/// Folds an address: case, accents, ligatures, punctuation and lines are ignored, so that `12, rue de l’Église` and
/// `12 RUE DE L'EGLISE` are one. Words stay apart: `1, 2 rue Foch` is not `12 rue Foch`. Empty when there is no letter and
/// no digit in it.
#[must_use]
pub fn fold(address: &str) -> String {
    let mut folded = String::with_capacity(address.len());
    let mut apart = false;
    for char in typography(address).chars() {
        let plain = unaccented(char);
        if plain.is_none() && !char.is_alphanumeric() {
            apart = true;
            continue;
        }
        if std::mem::take(&mut apart) && !folded.is_empty() {
            folded.push(' ');
        }
        match plain {
            Some(plain) => folded.push_str(&plain.to_ascii_lowercase()),
            None => folded.extend(char.to_lowercase()),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_address() {
        for address in [
            "12, rue de l’Église\n93200 Saint-Denis",
            "12 RUE DE L'EGLISE 93200 SAINT DENIS",
            " 12 rue de l'e\u{301}glise ;  93200  Saint‑Denis. ",
        ] {
            assert_eq!(fold(address), "12 rue de l eglise 93200 saint denis", "{address:?}");
        }
        assert_eq!(fold("Œuvre, cour n°3"), "oeuvre cour n 3");
    }

    #[test]
    fn what_differs_stays_apart() {
        assert_ne!(fold("1, 2 rue Foch"), fold("12 rue Foch"));
        assert_ne!(fold("12 bis rue Foch"), fold("12 rue Foch"));
        assert_eq!(fold(" ,;-\n"), "");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for address in ["12, rue de l’Église", "Straße 3", "улица Мира, 5", "İstanbul"] {
            assert_eq!(fold(&fold(address)), fold(address));
        }
    }
}
