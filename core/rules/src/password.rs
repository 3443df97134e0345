//! How good a password must be: the entropy of the CNIL's deliberation 2022-100, and what no length makes good.
//!
//! The CNIL counts length × log2(alphabet), the alphabet being the sum of the classes of characters that occur: 26 small
//! letters, 26 capitals, 10 digits, 37 others. It asks for 80 bits, or 50 where tries are slowed down.

use crate::typography::unaccented;

/// The longest password that is taken, in characters.
pub const LONGEST: usize = 256;
/// So many equal characters in a row are refused.
const REPEATED: usize = 4;
/// So many neighbours in an alphabet or on a keyboard are refused.
const RUN: usize = 5;
/// Parts of a name shorter than this are found in too many words.
const NAME_PART: usize = 4;
/// Rows in which neighbours are guessed first, folded; each also backwards.
const ROWS: [&str; 10] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "&e\"'(-e_ca)=",
];
/// What is tried first, without digits and marks around it.
const TRIVIAL: [&str; 32] = [
    "motdepasse",
    "monmotdepasse",
    "password",
    "passwort",
    "passe",
    "bonjour",
    "soleil",
    "doudou",
    "loulou",
    "chouchou",
    "coucou",
    "marseille",
    "jetaime",
    "iloveyou",
    "azerty",
    "qwerty",
    "admin",
    "administrateur",
    "administrator",
    "bienvenue",
    "welcome",
    "mairie",
    "voxea",
    "secret",
    "changeme",
    "changezmoi",
    "letmein",
    "football",
    "printemps",
    "automne",
    "france",
    "liberte",
];

/// The classes of characters.
const CLASSES: [Class; 4] = [
    Class {
        size: 26,
        name: "a small letter",
        holds: |char| char.is_ascii_lowercase(),
    },
    Class {
        size: 26,
        name: "a capital letter",
        holds: |char| char.is_ascii_uppercase(),
    },
    Class {
        size: 10,
        name: "a digit",
        holds: |char| char.is_ascii_digit(),
    },
    Class {
        size: 37,
        name: "another mark",
        holds: |char| !char.is_ascii_alphanumeric(),
    },
];

struct Class {
    size: u32,
    name: &'static str,
    holds: fn(char) -> bool,
}

/// What slows down who guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Tries are slowed down or blocked: 50 bits.
    Throttled,
    /// Nothing: 80 bits.
    None,
}

impl Guard {
    /// The least entropy, in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Throttled => 50,
            Self::None => 80,
        }
    }
}

/// Entropy as the CNIL counts it, in bits.
#[must_use]
pub fn entropy(password: &str) -> f64 {
    bits(password.chars().count(), alphabet(password))
}

fn alphabet(password: &str) -> u32 {
    let present = CLASSES.iter().filter(|class| password.chars().any(class.holds));
    present.map(|class| class.size).sum()
}

fn bits(length: usize, alphabet: u32) -> f64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    f64::from(length) * f64::from(alphabet.max(1)).log2()
}

/// Whether a password is good enough. `known` is what everybody knows of its owner: the login, the name.
///
/// # Errors
/// What is missing, for a person.
pub fn check(password: &str, guard: Guard, known: &[&str]) -> Result<(), String> {
    let length = password.chars().count();
    if length > LONGEST {
        return Err(format!("is longer than {LONGEST} characters"));
    }
    if password.chars().any(char::is_control) {
        return Err("has a character that no keyboard writes".to_owned());
    }
    if entropy(password) < f64::from(guard.bits()) {
        return Err(missing(password, guard));
    }
    let folded = fold(password);
    let core = folded.trim_matches(|char: char| !char.is_alphabetic());
    if TRIVIAL.contains(&core) {
        return Err("is one of the first that are guessed; take several words that have nothing to do with each other".to_owned());
    }
    let chars: Vec<char> = folded.chars().collect();
    if chars.windows(REPEATED).any(|window| window.iter().all(|char| *char == window[0])) {
        return Err(format!("has the same character {REPEATED} times in a row"));
    }
    if repeats(&chars) {
        return Err("is one piece over and over".to_owned());
    }
    if let Some(run) = chars.windows(RUN).map(String::from_iter).find(|window| is_run(window)) {
        return Err(format!("has a row of neighbours in it ({run}), of the alphabet or the keyboard"));
    }
    let parts = known.iter().flat_map(|text| {
        let text = fold(text);
        let parts = text
            .split(|char: char| !char.is_alphanumeric())
            .map(str::to_owned)
            .collect::<Vec<_>>();
        [text].into_iter().chain(parts)
    });
    for part in parts.filter(|part| part.chars().count() >= NAME_PART) {
        if folded.contains(&part) {
            return Err("has the login or the name in it".to_owned());
        }
    }
    Ok(())
}

/// "42 bits; at least 50 are needed: 2 more characters, or a digit as well".
fn missing(password: &str, guard: Guard) -> String {
    let (length, alphabet, needed) = (password.chars().count(), alphabet(password), f64::from(guard.bits()));
    // Nothing at all is counted as if small letters came.
    let enough = (length..LONGEST).find(|length| bits(*length, alphabet.max(26)) >= needed);
    let more = enough.unwrap_or(LONGEST) - length;
    let mut ways = vec![format!("{more} more character{}", if more == 1 { "" } else { "s" })];
    let lacking = CLASSES.iter().filter(|class| !password.chars().any(class.holds));
    ways.extend(
        lacking
            .filter(|class| bits(length, alphabet + class.size) >= needed)
            .map(|class| format!("{} as well", class.name)),
    );
    let entropy = entropy(password).floor();
    format!("{entropy} bits; at least {} are needed: {}", guard.bits(), ways.join(", or "))
}

/// Lower case, without accents.
fn fold(text: &str) -> String {
    let fold = |char: char| unaccented(char).map_or_else(|| char.to_lowercase().collect::<String>(), |plain| plain.to_ascii_lowercase());
    text.chars().map(fold).collect()
}

/// Whether it is a shorter piece, at least twice.
fn repeats(chars: &[char]) -> bool {
    (1..=chars.len() / 2).any(|period| chars.iter().zip(&chars[period..]).all(|(a, b)| a == b))
}

fn is_run(window: &str) -> bool {
    let backwards: String = window.chars().rev().collect();
    ROWS.iter().any(|row| row.contains(window) || row.contains(&backwards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_length_times_the_alphabets_logarithm() {
        for (password, bits) in [
            ("", 0.0),
            // 4 × log2 10 and 16 × log2 10, the CNIL's sixteen digits.
            ("7391", 13.2877),
            ("7391846205173946", 53.1508),
            // 8 × log2 26, 8 × log2 62, 9 × log2 62.
            ("kvzpwqmd", 37.6035),
            ("kVzpw7md", 47.6336),
            ("kVzpw7mdr", 53.5877),
            // 8 × log2 99: all four classes.
            ("kVzp!7md", 53.0349),
            // 12 × log2 99 and 14 × log2 62, the CNIL's examples for 80 bits.
            ("kVzp!7mdRt?2", 79.5524),
            ("kVzpw7mdRtb2Xq", 83.3587),
            // A letter with an accent stands on no list of 26.
            ("é", 5.2095),
        ] {
            assert!((entropy(password) - bits).abs() < 0.001, "{password}: {}", entropy(password));
        }
    }

    #[test]
    fn the_message_says_what_is_missing() {
        let said = |password: &str, guard| check(password, guard, &[]).unwrap_err();
        // 9 × 4.70 = 42.3; 11 letters make 51.7, 9 of 63 make 53.8, 9 of 52 make 51.3, 9 of 36 only 46.5.
        assert_eq!(
            said("kvzpwqmdt", Guard::Throttled),
            "42 bits; at least 50 are needed: 2 more characters, or a capital letter as well, or another mark as well"
        );
        // 8 × 5.70 = 45.6; 8 of 62 make 47.6, 8 of 89 make 51.8.
        assert_eq!(
            said("kvZpWqmd", Guard::Throttled),
            "45 bits; at least 50 are needed: 1 more character, or another mark as well"
        );
        // 10 × log2 36 = 51.7, not enough without a throttle: 16 make 82.7.
        assert_eq!(check("kv7pwqmd5t", Guard::Throttled, &[]), Ok(()));
        assert_eq!(
            said("kv7pwqmd5t", Guard::None),
            "51 bits; at least 80 are needed: 6 more characters"
        );
        assert!(said("", Guard::Throttled).starts_with("0 bits; at least 50 are needed: 11 more characters"));
        assert_eq!(check("cheval rouge tasse demain", Guard::None, &[]), Ok(()));
    }

    #[test]
    fn what_no_length_makes_good_is_refused() {
        for (password, said) in [
            ("Motdepasse2026!", "first that are guessed"),
            ("2026-Mot-de-Passe", ""),
            ("kVz....pw7md", "times in a row"),
            ("kV7!kV7!kV7!", "over and over"),
            ("xK7-abcdef-Pq", "neighbours"),
            ("xK7-54321-Pqz", "neighbours"),
            ("xK7-Azerty-Pq", "neighbours"),
            ("Mp7-martin.j-zz", "login or the name"),
            ("Lefèvre-x7K-zz", "login or the name"),
            ("Lefevre-x7K-zz", "login or the name"),
        ] {
            let refused = check(password, Guard::Throttled, &["martin.j", "Élodie Lefèvre", "x7K"]);
            if said.is_empty() {
                assert_eq!(refused, Ok(()), "{password}");
            } else {
                assert!(
                    refused.as_ref().is_err_and(|message| message.contains(said)),
                    "{password}: {refused:?}"
                );
            }
        }
        assert!(check(&"kV7!".repeat(65), Guard::Throttled, &[]).unwrap_err().contains("longer"));
        assert!(check("kVzp!7md\0Rt", Guard::Throttled, &[]).is_err());
    }
}
