//! One spelling for each telephone number.
//!
//! A citizen is found again by the exact spelling of a number, so a number is E.164
//! (`+33612345678`) wherever it can be. What is no such number stays as it was received:
//! short codes, alphanumeric senders, withheld callers.
//!
//! French numbers and numbers that are international already are read by hand, in well under
//! a microsecond; every other spelling goes to libphonenumber's data, of which the first use
//! costs milliseconds and each use tens of microseconds (the ignored test `cost` prints them).

use std::fmt;

use phonenumber::{Mode, country};

/// SMPP 3.4 §5.2.5: type of number.
pub mod ton {
    /// With country code, mostly without `+`.
    pub const INTERNATIONAL: u8 = 1;
    /// Without country code and without the trunk prefix.
    pub const NATIONAL: u8 = 2;
    /// A code of the network.
    pub const NETWORK_SPECIFIC: u8 = 3;
    /// Letters and digits.
    pub const ALPHANUMERIC: u8 = 5;
    /// A short code.
    pub const ABBREVIATED: u8 = 6;
}

/// Longer than any number that is dialled, sent or shown; what is longer is not looked into.
const LONGEST: usize = 64;

/// Who calls or texts, or is called or texted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// E.164, with `+`.
    International(String),
    /// A short code or an internal extension: 3 to 6 digits (to 8 where SMPP says so).
    Short(String),
    /// A sender with letters, as received.
    Named(String),
    /// A caller who does not want to be known, or is not: empty, or the words for it, as received.
    Withheld(String),
    /// Anything else, as received.
    Other(String),
}

impl Address {
    /// The spelling to store, compare and show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::International(text) | Self::Short(text) | Self::Named(text) | Self::Withheld(text) | Self::Other(text) => text,
        }
    }

    /// The spelling, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        match self {
            Self::International(text) | Self::Short(text) | Self::Named(text) | Self::Withheld(text) | Self::Other(text) => text,
        }
    }

    /// The digits of an E.164 number without `+`, as a PDU's destination with TON 1 wants them.
    #[must_use]
    pub fn international_digits(&self) -> Option<&str> {
        match self {
            Self::International(text) => text.strip_prefix('+'),
            _ => None,
        }
    }

    /// True for [`Address::Withheld`].
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Personal data: prints redacted, so that a derived `Debug` above it does too.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::International(_) => "International",
            Self::Short(_) => "Short",
            Self::Named(_) => "Named",
            Self::Withheld(_) => "Withheld",
            Self::Other(_) => "Other",
        };
        write!(f, "{kind}({})", crate::redact::Number(self.as_str()))
    }
}

/// Reads a number as people and trunks write it. `country` is the ISO 3166 code (`FR`) by whose
/// dialling plan a national number is read. A `tel:` scheme and its parameters are dropped.
#[must_use]
pub fn normalise(raw: &str, country: &str) -> Address {
    let number = raw.trim();
    let number = match number.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest.split(';').next().unwrap_or(rest),
        _ => number,
    };
    if is_withheld(number) {
        return Address::Withheld(raw.to_owned());
    }
    if number.len() > LONGEST {
        return Address::Other(raw.to_owned());
    }
    match Digits::read(number) {
        Some(Digits { plus: true, digits }) => international(&digits),
        Some(Digits { plus: false, digits }) => match digits.len() {
            3..=6 => return Address::Short(digits),
            _ if country == "FR" => french(&digits),
            _ => None,
        },
        None => None,
    }
    .or_else(|| looked_up(number, country))
    .unwrap_or_else(|| {
        if number.chars().any(char::is_alphabetic) {
            Address::Named(raw.to_owned())
        } else {
            Address::Other(raw.to_owned())
        }
    })
}

/// Reads an address of a PDU, where the type of number ([`ton`]) tells what its digits are; a
/// type that the digits belie is not believed.
#[must_use]
pub fn normalise_smpp(raw: &str, ton: u8, country: &str) -> Address {
    let digits = raw.trim();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let told = match (ton, digits.len()) {
            (ton::INTERNATIONAL, _) => international(digits),
            (ton::NATIONAL, 9) if country == "FR" => french(&format!("0{digits}")),
            (ton::NETWORK_SPECIFIC | ton::ABBREVIATED, 3..=8) => Some(Address::Short(digits.to_owned())),
            _ => None,
        };
        if let Some(told) = told {
            return told;
        }
    } else if ton == ton::ALPHANUMERIC && digits.chars().any(char::is_alphabetic) {
        return Address::Named(raw.to_owned());
    }
    normalise(raw, country)
}

/// RFC 3323 §4.1.1.3 says `anonymous`; the other words are what trunks send beside it.
fn is_withheld(number: &str) -> bool {
    const WORDS: [&str; 10] = [
        "anonymous",
        "restricted",
        "unavailable",
        "unknown",
        "private",
        "withheld",
        "anonyme",
        "inconnu",
        "masqué",
        "anonymous@anonymous.invalid",
    ];
    number.is_empty() || WORDS.iter().any(|word| number.eq_ignore_ascii_case(word))
}

/// A number of which nothing but digits and a leading `+` is left without its separators.
struct Digits {
    plus: bool,
    digits: String,
}

impl Digits {
    fn read(number: &str) -> Option<Self> {
        // "+33 (0)6 …": the trunk prefix that only callers from within dial.
        let abroad = number.starts_with('+') || number.starts_with("00");
        let (head, tail) = match number.split_once("(0)") {
            Some(parts) if abroad => parts,
            _ => (number, ""),
        };
        let mut read = Self {
            plus: false,
            digits: String::with_capacity(16),
        };
        for char in head.chars().chain(tail.chars()) {
            match char {
                '0'..='9' => read.digits.push(char),
                '+' if !read.plus && read.digits.is_empty() => read.plus = true,
                ' ' | '.' | '-' | '/' | '(' | ')' => {}
                // no-break spaces and hyphens, and the marks of direction of a pasted contact
                '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{2010}'..='\u{2013}' => {}
                '\u{200e}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
                _ => return None,
            }
        }
        Some(read)
    }
}

/// Country code and number: E.164 has at most 15 digits, and no country code begins with 0.
fn international(digits: &str) -> Option<Address> {
    if let Some(national) = digits.strip_prefix("33") {
        let national = match national.strip_prefix('0') {
            Some(within) if within.len() == 9 => within,
            _ => national,
        };
        if national.len() == 9 && !national.starts_with('0') {
            return Some(of_france(national));
        }
    }
    let sound = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    sound.then(|| Address::International(format!("+{digits}")))
}

/// `0612345678`, `0033612345678` and, as SMSCs without a type of number send it, `33612345678`.
fn french(digits: &str) -> Option<Address> {
    if let Some(abroad) = digits.strip_prefix("00") {
        return international(abroad);
    }
    match (digits.len(), digits.as_bytes()) {
        (10, [b'0', b'1'..=b'9', ..]) => Some(of_france(&digits[1..])),
        (11, [b'3', b'3', b'1'..=b'9', ..]) => Some(of_france(&digits[2..])),
        _ => None,
    }
}

/// The nine digits behind the 0. The overseas departments share France's dialling plan, but
/// have country codes of their own: 06 92 … is +262 692 ….
fn of_france(national: &str) -> Address {
    let country = match national.get(..3) {
        Some("590" | "690" | "691") => "590",
        Some("594" | "694") => "594",
        Some("596" | "696" | "697") => "596",
        Some("262" | "263" | "269" | "639" | "692" | "693") => "262",
        _ => "33",
    };
    Address::International(format!("+{country}{national}"))
}

/// Everything else that libphonenumber can make a valid number of.
fn looked_up(number: &str, country: &str) -> Option<Address> {
    if number.bytes().filter(u8::is_ascii_digit).count() < 7 {
        return None;
    }
    let country: Option<country::Id> = country.parse().ok();
    let parsed = phonenumber::parse(country, number).ok()?;
    parsed
        .is_valid()
        .then(|| Address::International(parsed.format().mode(Mode::E164).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Address {
        normalise(raw, "FR")
    }

    #[test]
    fn every_spelling_of_one_mobile() {
        for raw in [
            "0612345678",
            "06 12 34 56 78",
            "06.12.34.56.78",
            "06-12-34-56-78",
            "06/12/34/56/78",
            "06\u{a0}12\u{202f}34 56 78",
            "+33612345678",
            "+33 6 12 34 56 78",
            "+33 (0)6 12 34 56 78",
            "+33(0)612345678",
            "+330612345678",
            "0033612345678",
            "0033 (0)6 12 34 56 78",
            "33612345678",
            "612345678",
            "tel:+33-6-12-34-56-78;phone-context=x",
            " +33612345678 ",
            "\u{202a}+33 6 12 34 56 78\u{202c}",
        ] {
            assert_eq!(read(raw), Address::International("+33612345678".to_owned()), "{raw:?}");
        }
    }

    #[test]
    fn abroad_and_overseas() {
        for (raw, number) in [
            ("+447911123456", "+447911123456"),
            ("+44 (0)7911 123456", "+447911123456"),
            ("0044 7911 123456", "+447911123456"),
            ("+1 (202) 555-0143", "+12025550143"),
            ("+39 06 698 1", "+39066981"),
            ("0692 12 34 56", "+262692123456"),
            ("+33 692 12 34 56", "+262692123456"),
            ("0590 20 00 00", "+590590200000"),
            ("0696 20 00 00", "+596696200000"),
            ("0694 20 00 00", "+594694200000"),
            ("0639 20 00 00", "+262639200000"),
            ("01 40 20 50 50", "+33140205050"),
            ("0800 123 456", "+33800123456"),
            ("09 37 00 12 34", "+33937001234"),
            ("01 40 20 50 50 ext. 12", "+33140205050"),
        ] {
            assert_eq!(read(raw).as_str(), number, "{raw:?}");
            assert!(matches!(read(raw), Address::International(_)), "{raw:?}");
        }
        assert_eq!(normalise("0470 12 34 56", "BE").as_str(), "+32470123456");
        assert_eq!(normalise("0612345678", "ZZ").as_str(), "0612345678");
    }

    #[test]
    fn what_is_no_number_stays_as_it_was_received() {
        for (raw, address) in [
            ("3000", Address::Short("3000".to_owned())),
            ("36123", Address::Short("36123".to_owned())),
            ("118", Address::Short("118".to_owned())),
            ("MAIRIE", Address::Named("MAIRIE".to_owned())),
            ("Info 2026", Address::Named("Info 2026".to_owned())),
            ("", Address::Withheld(String::new())),
            ("Anonymous", Address::Withheld("Anonymous".to_owned())),
            (
                "anonymous@anonymous.invalid",
                Address::Withheld("anonymous@anonymous.invalid".to_owned()),
            ),
            ("12", Address::Other("12".to_owned())),
            ("+0612345678", Address::Other("+0612345678".to_owned())),
            ("1234567890123456789", Address::Other("1234567890123456789".to_owned())),
            ("*31#", Address::Other("*31#".to_owned())),
        ] {
            assert_eq!(read(raw).as_str(), address.as_str());
            assert_eq!(read(raw), address, "{raw:?}");
        }
        let long = "1".repeat(100_000);
        assert_eq!(read(&long), Address::Other(long.clone()));
    }

    #[test]
    fn the_type_of_number_is_heard_but_not_blindly() {
        for (raw, ton, number) in [
            ("33612345678", ton::INTERNATIONAL, "+33612345678"),
            ("447911123456", ton::INTERNATIONAL, "+447911123456"),
            ("0612345678", ton::INTERNATIONAL, "+33612345678"),
            ("+33612345678", ton::INTERNATIONAL, "+33612345678"),
            ("612345678", ton::NATIONAL, "+33612345678"),
            ("0612345678", ton::NATIONAL, "+33612345678"),
            ("36123", ton::INTERNATIONAL, "36123"),
            ("3612345", ton::ABBREVIATED, "3612345"),
            ("33612345678", 0, "+33612345678"),
            ("MAIRIE", ton::ALPHANUMERIC, "MAIRIE"),
            ("IMPOTS2026001", ton::ALPHANUMERIC, "IMPOTS2026001"),
            ("33612345678", ton::ALPHANUMERIC, "+33612345678"),
            ("", 0, ""),
        ] {
            assert_eq!(normalise_smpp(raw, ton, "FR").as_str(), number, "{raw:?} {ton}");
        }
        assert_eq!(read("06 12 34 56 78").international_digits(), Some("33612345678"));
        assert_eq!(read("36123").international_digits(), None);
    }

    #[test]
    fn what_was_read_once_reads_the_same_again() {
        for raw in ["0612345678", "0692123456", "3000", "MAIRIE", "anonymous", "*31#"] {
            let once = read(raw);
            assert_eq!(read(once.as_str()), once);
        }
    }

    #[test]
    fn debug_tells_no_number() {
        assert_eq!(format!("{:?}", read("0612345678")), "International(+336•••••78)");
    }

    #[test]
    #[ignore = "prints a measurement"]
    fn cost() {
        for raw in ["0612345678", "+33612345678", "33612345678", "612345678", "01 40 20 50 50 ext. 12"] {
            let first = std::time::Instant::now();
            let _ = read(raw);
            let first = first.elapsed();
            let start = std::time::Instant::now();
            for _ in 0..1_000 {
                let _ = std::hint::black_box(read(std::hint::black_box(raw)));
            }
            println!("{raw}: first {first:?}, then {:?}", start.elapsed() / 1_000);
        }
    }
}
