//! Who sent a document, found by a pattern of the configuration in what the gateway or copier writes around it.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use voxea_rules::phone;

/// By whose dialling plan a national number is read.
const COUNTRY: &str = "FR";
/// Of a text so many bytes are looked at.
const LOOKED_AT: usize = 1_000;
/// A pattern's own length, and what it may take when it is compiled, in bytes.
const PATTERN: usize = 300;
const COMPILED: usize = 256 * 1024;

/// Where the sender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// In the subject of the mail.
    Subject,
    /// In the mail's own sender, name or address.
    Sender,
    /// In the name of the file.
    FileName,
}

impl From {
    /// The words of the configuration.
    pub const NAMES: [&'static str; 3] = ["subject", "from", "file_name"];

    /// Of such a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "subject" => Some(Self::Subject),
            "from" => Some(Self::Sender),
            "file_name" => Some(Self::FileName),
            _ => None,
        }
    }
}

/// A regular expression with one group, which is the sender. Its time is linear in the text, whatever is written (no
/// look-around, no back-references), and its size bounded.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.len() > PATTERN {
            return Err(BadPattern(format!("it is longer than {PATTERN} bytes")));
        }
        let built = RegexBuilder::new(text).size_limit(COMPILED).nest_limit(16).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => BadPattern("it counts to too much; write smaller numbers between { and }".to_owned()),
            // The library draws an arrow below the place; one line of words is enough here.
            other => BadPattern(
                other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            ),
        })?;
        match regex.captures_len() - 1 {
            1 => Ok(Self(regex)),
            0 => Err(BadPattern(
                "it has no group; put ( and ) around what is the sender, and (?: and ) around the rest".to_owned(),
            )),
            count => Err(BadPattern(format!(
                "it has {count} groups and must have one, the sender; write (?: instead of ( for the others"
            ))),
        }
    }
}

impl Pattern {
    /// What the group holds in a text, a telephone number as E.164 where it can be; `None` without a match, for an empty group
    /// and for a withheld number.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        let text = &text[..text.floor_char_boundary(LOOKED_AT)];
        let found = self.0.captures(text)?.get(1)?.as_str().trim();
        match phone::normalise(found, COUNTRY) {
            phone::Address::Withheld(_) => None,
            address => Some(address.into_string()),
        }
    }
}

/// How the sender of a document is found.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where it stands.
    pub from: From,
    /// What it looks like.
    pub pattern: Pattern,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_become_e164_and_names_stay() {
        let fax = pattern(r"(?i)fax (?:de|from) ([+0-9 .]+)");
        assert_eq!(fax.find("Fax de 01 40 20 50 50 (2 pages)").as_deref(), Some("+33140205050"));
        assert_eq!(fax.find("FAX FROM +33 1.40.20.50.50").as_deref(), Some("+33140205050"));
        assert_eq!(fax.find("Fax reçu"), None);
        assert_eq!(pattern("^(.*)_").find("anonymous_3.pdf"), None, "withheld");
        assert_eq!(pattern("^([A-Z]+)-").find("DUPONT-2026.pdf").as_deref(), Some("DUPONT"));
        assert_eq!(pattern("x(y?)").find("x"), None);
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        let said = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert!(said("fax").contains("no group"));
        assert!(said("(a)(b)").contains("2 groups"));
        assert!(said("(a").contains("unclosed group"), "{}", said("(a"));
        assert!(said("(?:a{1000}){1000}(b)").contains("too much"));
        assert!(said(&"a".repeat(400)).contains("longer"));
        assert!(!said("(?=a)(b)").is_empty());
    }

    #[test]
    fn no_text_takes_long() {
        let greedy = pattern("(?:a*)*(b)c");
        assert_eq!(greedy.find(&"a".repeat(1_000_000)), None);
        assert_eq!(pattern("(é+)").find(&"é".repeat(600)).map(|found| found.len()), Some(1_000));
    }
}
