//! What a body may text from, checked before the first text leaves.
//!
//! French operators take three kinds: a short code of five digits; a number of the ranges that are meant for machines
//! (09 37 to 09 39); or a name of at most eleven letters and digits, which nobody can answer. They block numbers of
//! people (06 and 07), as the regulator has them do (Arcep, decision 2018-0881), and names with spaces or signs in them
//! (AF2M, rules of the sender field).

use std::fmt;

use crate::phone::{self, Address, ton};

/// The longest name that a telephone shows in a number's place (3GPP TS 23.040 §9.1.2.5).
pub const LONGEST_NAME: usize = 11;

/// Numbering plan of a number, by SMPP 3.4 §5.2.6: unknown, and E.164.
const NPI: (u8, u8) = (0, 1);

/// What the recipient sees as the sender of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SenderId {
    /// A short code, five digits in France.
    Short(String),
    /// A number, E.164 without `+`.
    Long(String),
    /// Letters and digits; one-way.
    Named(String),
}

/// Why something cannot be a sender. `Display` says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotASender {
    /// Nothing.
    Empty,
    /// A name of so many characters.
    TooLong(usize),
    /// A name with another character than an ASCII letter or digit.
    Sign(char),
    /// Digits that are neither a short code nor a number.
    NoNumber,
    /// A number that begins with 06 or 07 (overseas 0639, 069x), which is for people.
    OfPeople,
    /// A French number of another range than 09 37 to 09 39.
    OtherRange,
}

impl fmt::Display for NotASender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: a short code (\"36123\"), a number (\"0937000000\") or a name (\"MAIRIE\")"),
            Self::TooLong(length) => write!(f, "has {length} characters, and a telephone shows {LONGEST_NAME}: shorten the name"),
            Self::Sign(' ') => f.write_str("has a space in it, for which operators refuse it: write the name as one word"),
            Self::Sign(sign) => write!(f, "has {sign:?} in it, for which operators refuse it: letters without accents and digits alone"),
            Self::NoNumber => f.write_str("is no number: a short code has five digits and begins with 3 to 8, a number ten (\"0937000000\")"),
            Self::OfPeople => f.write_str("begins with 06 or 07, and operators block texts of machines from there: a short code, or a number that begins with 0937, 0938 or 0939"),
            Self::OtherRange => f.write_str("is of a range that cannot text: a short code, or a number that begins with 0937, 0938 or 0939"),
        }
    }
}

impl std::error::Error for NotASender {}

impl SenderId {
    /// Checks a sender as a configuration writes it. `country` is the ISO 3166 code (`FR`) by whose rules it is checked;
    /// of another country every E.164 number and every short code of 3 to 8 digits is taken.
    ///
    /// # Errors
    /// [`NotASender`] says why not.
    pub fn new(written: &str, country: &str) -> Result<Self, NotASender> {
        let written = written.trim();
        if written.is_empty() {
            return Err(NotASender::Empty);
        }
        if written.chars().any(char::is_alphabetic) {
            return named(written);
        }
        match phone::normalise(written, country) {
            Address::International(number) => long(number.trim_start_matches('+'), country),
            _ => short(written, country),
        }
    }

    /// As it stands in a PDU's source_addr.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Short(text) | Self::Long(text) | Self::Named(text) => text,
        }
    }

    /// Type of number (SMPP 3.4 §5.2.5): network specific, international or alphanumeric.
    #[must_use]
    pub fn ton(&self) -> u8 {
        match self {
            Self::Short(_) => ton::NETWORK_SPECIFIC,
            Self::Long(_) => ton::INTERNATIONAL,
            Self::Named(_) => ton::ALPHANUMERIC,
        }
    }

    /// Numbering plan (SMPP 3.4 §5.2.6): E.164 for a number, else unknown.
    #[must_use]
    pub fn npi(&self) -> u8 {
        match self {
            Self::Short(_) | Self::Named(_) => NPI.0,
            Self::Long(_) => NPI.1,
        }
    }

    /// Whether who gets a text can answer it: a STOP cannot reach a name, so a campaign from one must name a short code.
    #[must_use]
    pub fn can_be_answered(&self) -> bool {
        !matches!(self, Self::Named(_))
    }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Letters and digits, at least one letter. All of them are in the 7-bit alphabet, with the codes of ASCII: whether an
/// SMSC reads source_addr as the one or as the other, it reads the same name.
fn named(name: &str) -> Result<SenderId, NotASender> {
    if let Some(sign) = name.chars().find(|char| !char.is_ascii_alphanumeric()) {
        return Err(NotASender::Sign(sign));
    }
    if name.len() > LONGEST_NAME {
        return Err(NotASender::TooLong(name.len()));
    }
    Ok(SenderId::Named(name.to_owned()))
}

fn short(code: &str, country: &str) -> Result<SenderId, NotASender> {
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match country {
        "FR" => code.len() == 5 && matches!(code.as_bytes().first(), Some(b'3'..=b'8')),
        _ => (3..=8).contains(&code.len()),
    };
    if digits && fits {
        Ok(SenderId::Short(code.to_owned()))
    } else {
        Err(NotASender::NoNumber)
    }
}

fn long(number: &str, country: &str) -> Result<SenderId, NotASender> {
    if country == "FR" {
        french(number)?;
    }
    Ok(SenderId::Long(number.to_owned()))
}

/// The digits behind the country code of France or of an overseas department; other countries' numbers pass.
fn french(number: &str) -> Result<(), NotASender> {
    let overseas = ["262", "590", "594", "596"].iter().find_map(|code| number.strip_prefix(code));
    let national = match (number.strip_prefix("33"), overseas) {
        (Some(national), _) | (None, Some(national)) => national,
        (None, None) => return Ok(()),
    };
    match national.as_bytes() {
        [b'6' | b'7', ..] => Err(NotASender::OfPeople),
        [b'9', b'3', b'7'..=b'9', ..] => Ok(()),
        _ => Err(NotASender::OtherRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gsm7;
    use proptest::prelude::*;

    fn read(written: &str) -> Result<SenderId, NotASender> {
        SenderId::new(written, "FR")
    }

    #[test]
    fn three_kinds() {
        let short = read("36123").unwrap();
        assert_eq!((&short, short.ton(), short.npi()), (&SenderId::Short("36123".to_owned()), 3, 0));
        for written in ["0937000000", "09 37 00 00 00", "+33 9 37 00 00 00", "33937000000", "0033937000000"] {
            let long = read(written).unwrap();
            assert_eq!((long.as_str(), long.ton(), long.npi()), ("33937000000", 1, 1), "{written}");
            assert!(long.can_be_answered());
        }
        for name in ["MAIRIE", "StExemple77", "A", "3000ville"] {
            let named = read(name).unwrap();
            assert_eq!((named.to_string().as_str(), named.ton(), named.npi()), (name, 5, 0));
            assert!(!named.can_be_answered());
        }
        assert_eq!(read("38999").unwrap().as_str(), "38999");
        assert_eq!(
            SenderId::new("+32470123456", "FR").unwrap().as_str(),
            "32470123456",
            "of another country"
        );
        assert_eq!(SenderId::new("0470123456", "BE").unwrap().as_str(), "32470123456");
        assert_eq!(SenderId::new("8850", "BE").unwrap(), SenderId::Short("8850".to_owned()));
    }

    #[test]
    fn what_operators_refuse_is_refused_before_them() {
        use NotASender::{Empty, NoNumber, OfPeople, OtherRange, Sign, TooLong};
        for (written, why) in [
            ("", Empty),
            ("  ", Empty),
            ("MAIRIE VILLE", Sign(' ')),
            ("Mairie-Ville", Sign('-')),
            ("Mairie_77", Sign('_')),
            ("St.Exemple", Sign('.')),
            ("FÊTE", Sign('Ê')),
            ("Numéro", Sign('é')),
            ("VilleExemple", TooLong(12)),
            ("0612345678", OfPeople),
            ("+33 7 12 34 56 78", OfPeople),
            ("0692123456", OfPeople),
            ("0639123456", OfPeople),
            ("0140205050", OtherRange),
            ("0800123456", OtherRange),
            ("0262123456", OtherRange),
            ("0936000000", OtherRange),
            ("3612", NoNumber),
            ("361234", NoNumber),
            ("12345", NoNumber),
            ("93612", NoNumber),
            ("36 123", NoNumber),
            ("36123;", NoNumber),
            ("+", NoNumber),
            ("12345678901", NoNumber),
            ("1234567890123456", NoNumber),
        ] {
            assert_eq!(read(written), Err(why), "{written:?}");
            assert!(why.to_string().len() > 30, "says what to write instead");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_fits_the_field(written in "\\PC{0,14}|[0-9 +]{0,16}|[A-Za-z0-9]{0,13}", country in "FR|BE") {
            if let Ok(sender) = SenderId::new(&written, &country) {
                let text = sender.as_str();
                prop_assert!((1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                prop_assert_eq!(gsm7::encode(text), Ok(text.as_bytes().to_vec()));
                prop_assert_eq!(matches!(sender, SenderId::Named(_)), text.bytes().any(|byte| byte.is_ascii_alphabetic()));
            }
        }
    }
}
