//! `2026-0001234-7`: the number of a request, as a citizen reads it out.
//!
//! Year, number within the year (seven digits, more when a year needs them), check digit. The
//! check is H. Michael Damm's (a totally anti-symmetric quasigroup of order 10, 2004), over
//! the digits of year and number: it detects every single wrong digit and every exchange of
//! two neighbours, which Luhn (09 and 90) and ISO 7064 MOD 11,10 do not.

use std::fmt;
use std::str::FromStr;

/// Damm's quasigroup of order 10; its diagonal is zero, so a sound row of digits ends at 0.
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// At most this many bytes of a text are searched.
const SEARCHED: usize = 256 * 1024;

/// Digits of a number: padded to seven, at most ten.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=10;

/// A reference whose check digit is right. `Display` and `FromStr` are its one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    year: u16,
    number: u64,
}

/// A text that is no reference, or one with a wrong digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReference;

impl fmt::Display for NoReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a reference like 2026-0001234-7, or one with a wrong digit")
    }
}

impl std::error::Error for NoReference {}

impl Reference {
    /// Builds the reference of a year (1000 to 9999) and a number (up to 9,999,999,999);
    /// `None` beyond these.
    #[must_use]
    pub fn new(year: u16, number: u64) -> Option<Self> {
        ((1_000..=9_999).contains(&year) && number <= 9_999_999_999).then_some(Self { year, number })
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> u16 {
        self.year
    }

    /// The number within the year.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// The check digit, 0 to 9.
    #[must_use]
    pub fn check(self) -> u8 {
        damm(format!("{:04}{:07}", self.year, self.number).bytes().map(|byte| byte - b'0'))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:07}-{}", self.year, self.number, self.check())
    }
}

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        match at_start(text.trim()) {
            Some((reference, "")) => Ok(reference),
            _ => Err(NoReference),
        }
    }
}

/// Spells a reference; `None` for a year or a number that [`Reference::new`] refuses.
#[must_use]
pub fn format(year: u16, number: u64) -> Option<String> {
    Reference::new(year, number).map(|reference| reference.to_string())
}

/// Reads a whole text (with space around it) as a reference; dashes and spaces of any kind
/// between its parts are heard as hyphens.
///
/// # Errors
/// [`NoReference`] when it is none, or its check digit is wrong.
pub fn parse(text: &str) -> Result<Reference, NoReference> {
    text.parse()
}

/// The first sound reference in free text, searched within its first 256 KiB. A row of digits
/// that is part of a longer one is none.
#[must_use]
pub fn find(text: &str) -> Option<Reference> {
    let text = &text[..text.floor_char_boundary(SEARCHED)];
    let mut before: Option<char> = None;
    for (place, char) in text.char_indices() {
        let begins = char.is_ascii_digit() && !before.is_some_and(char::is_numeric);
        before = Some(char);
        if !begins {
            continue;
        }
        if let Some((reference, _)) = at_start(&text[place..]) {
            return Some(reference);
        }
    }
    None
}

/// A reference at the start of a text, and what follows it.
fn at_start(text: &str) -> Option<(Reference, &str)> {
    let (year, rest) = digits(text, 4..=4)?;
    let (number, rest) = digits(separator(rest)?, NUMBER_DIGITS)?;
    let (check, rest) = digits(separator(rest)?, 1..=1)?;
    let read = Reference::new(year.parse().ok()?, number.parse().ok()?)?;
    // More zeros in front than we write would be a second spelling.
    let canonical = number.len() == 7 || !number.starts_with('0');
    (canonical && check.parse() == Ok(read.check())).then_some((read, rest))
}

/// A row of ASCII digits that is not part of a longer one.
fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<(&str, &str)> {
    let longest = *length.end() + 1;
    let count = text.bytes().take(longest).take_while(u8::is_ascii_digit).count();
    length.contains(&count).then(|| text.split_at(count))
}

/// One dash with or without spaces around it, or one space: what telephones and mail programs
/// make of a hyphen.
fn separator(text: &str) -> Option<&str> {
    let space = |char| matches!(char, ' ' | '\u{a0}' | '\u{202f}');
    let dash = |char| matches!(char, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let after = |text: &'_ str| -> usize { text.chars().next().filter(|c| space(*c)).map_or(0, char::len_utf8) };
    let rest = &text[after(text)..];
    match rest.strip_prefix(dash) {
        Some(rest) => Some(&rest[after(rest)..]),
        None => (rest.len() < text.len()).then_some(rest),
    }
}

fn damm(digits: impl Iterator<Item = u8>) -> u8 {
    digits.fold(0, |state, digit| DAMM[usize::from(state)][usize::from(digit % 10)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn damm_of_the_literature() {
        assert_eq!(damm([5, 7, 2].into_iter()), 4);
        assert_eq!(damm([5, 7, 2, 4].into_iter()), 0);
    }

    #[test]
    fn the_quasigroup_is_totally_anti_symmetric() {
        for c in 0..10_u8 {
            let row = |digit: u8| DAMM[usize::from(c)][usize::from(digit)];
            for x in 0..10 {
                for y in 0..10 {
                    if x != y {
                        assert_ne!(row(x), row(y), "a wrong digit");
                        let (xy, yx) = (damm([x, y].into_iter()), damm([y, x].into_iter()));
                        assert_ne!(xy, yx, "exchanged at the start");
                        let after = |a: u8, b| DAMM[usize::from(row(a))][usize::from(b)];
                        assert_ne!(after(x, y), after(y, x), "exchanged after {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn spelled_read_and_found() {
        let reference = Reference::new(2026, 1_234).unwrap();
        let text = reference.to_string();
        assert_eq!(text, format!("2026-0001234-{}", reference.check()));
        assert_eq!(parse(&text), Ok(reference));
        assert_eq!(parse(&format!("  {text}\n")), Ok(reference));
        for sentence in [
            format!("Re: [{text}] votre demande"),
            format!("ma demande n°{text}."),
            format!("réf {} merci", text.replace('-', " ")),
            format!("réf {} merci", text.replace('-', "\u{2011}")),
            format!("réf {} merci", text.replace('-', " – ")),
            format!("2025-0001234-0 ou plutôt {text}"),
            format!("06 12 34 56 78, {text}"),
            format!("REF{text}merci"),
        ] {
            assert_eq!(find(&sentence), Some(reference), "{sentence:?}");
        }
        for none in [
            String::new(),
            "12026-0001234-1 2026-00012345678-1".to_owned(),
            format!("1{text}"),
            format!("{text}5"),
            text.replace('-', ""),
            "le 24-11-2026 à 14 h 05".to_owned(),
            format!("{}{text}", " ".repeat(SEARCHED)),
        ] {
            assert_eq!(find(&none), None, "{none:?}");
        }
        assert_eq!(parse("2026-0001234-x"), Err(NoReference));
        assert_eq!(format(999, 1), None);
        assert_eq!(format(2026, 10_000_000_000), None);
    }

    proptest! {
        #[test]
        fn round_trip(year in 1_000_u16..=9_999, number in 0_u64..=9_999_999_999) {
            let reference = Reference::new(year, number).unwrap();
            let text = reference.to_string();
            prop_assert_eq!(parse(&text), Ok(reference));
            prop_assert_eq!(find(&format!("x {text}, y")), Some(reference));
        }

        #[test]
        fn every_slip_is_seen(year in 1_000_u16..=9_999, number in 0_u64..=9_999_999) {
            let text = format(year, number).unwrap().into_bytes();
            let read = |bytes: &[u8]| parse(std::str::from_utf8(bytes).unwrap());
            for place in (0..text.len()).filter(|place| text[*place] != b'-') {
                for wrong in (b'0'..=b'9').filter(|wrong| *wrong != text[place]) {
                    let mut slip = text.clone();
                    slip[place] = wrong;
                    prop_assert_eq!(read(&slip), Err(NoReference));
                }
                let next = place + if text.get(place + 1) == Some(&b'-') { 2 } else { 1 };
                if next < text.len() && text[place] != text[next] {
                    let mut slip = text.clone();
                    slip.swap(place, next);
                    prop_assert_eq!(read(&slip), Err(NoReference));
                }
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9 \\-–é\u{a0}]{0,60}") {
            if let Some(found) = find(&text) {
                prop_assert_eq!(parse(&found.to_string()), Ok(found));
            }
        }
    }
}
