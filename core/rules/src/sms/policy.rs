//! What an account lets happen to a text before it goes out.

use std::str::FromStr;

use crate::gsm7;

/// What becomes of letters that the 7-bit alphabet lacks (`ç`, `œ`, `ê`). Typographic marks are replaced in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Letters {
    /// They stay, and nothing else is proposed: this body writes French as it is spelled.
    Keep,
    /// They stay, and the text without them is proposed to whoever wrote it.
    #[default]
    Propose,
    /// They are replaced on the way out where that saves a segment, and only there.
    Replace,
}

impl Letters {
    /// All of them, in the spelling of the configuration.
    pub const NAMES: [&'static str; 3] = ["keep", "propose", "replace"];
}

impl FromStr for Letters {
    type Err = NoSuchPolicy;

    fn from_str(name: &str) -> Result<Self, NoSuchPolicy> {
        match name {
            "keep" => Ok(Self::Keep),
            "propose" => Ok(Self::Propose),
            "replace" => Ok(Self::Replace),
            _ => Err(NoSuchPolicy),
        }
    }
}

/// A name that is not in [`Letters::NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchPolicy;

impl std::fmt::Display for NoSuchPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "must be one of {}", Letters::NAMES.join(", "))
    }
}

impl std::error::Error for NoSuchPolicy {}

/// The width of the reference number that holds the segments of one text together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReferenceWidth {
    /// 8 bits: 153 septets or 67 UTF-16 units a segment.
    #[default]
    Eight,
    /// 16 bits: 152 or 66.
    Sixteen,
}

/// What the SMSC means by `data_coding` 0 (SMPP 3.4 §5.2.19 leaves it to the SMSC), and so which letters a text may have that is
/// not UCS-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alphabet {
    /// The GSM 7-bit alphabet with its extension table.
    #[default]
    Gsm7,
    /// ISO 8859-1: what both have. The SMSC turns it into GSM 7-bit for the air, so that a segment holds as much; `€` and Greek
    /// capitals are in the one and not in the other.
    Latin1,
}

impl Alphabet {
    /// Whether a character can go out without UCS-2.
    pub(super) fn has(self, char: char) -> bool {
        gsm7::septets(char).is_some() && (self == Self::Gsm7 || u8::try_from(u32::from(char)).is_ok())
    }
}

/// How a text may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What becomes of letters that the 7-bit alphabet lacks.
    pub letters: Letters,
    /// Segments that a text may take. 1, the default, refuses what is longer; 0 is taken for 1. Nothing is ever cut.
    pub most_segments: u8,
    /// How the segments of one text are held together.
    pub width: ReferenceWidth,
    /// What goes out as `data_coding` 0.
    pub alphabet: Alphabet,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            letters: Letters::default(),
            most_segments: 1,
            width: ReferenceWidth::default(),
            alphabet: Alphabet::default(),
        }
    }
}

impl Policy {
    /// Segments that a text may take, 1 to 255.
    pub(super) fn most(&self) -> usize {
        usize::from(self.most_segments.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_defaults() {
        for (name, letters) in Letters::NAMES.into_iter().zip([Letters::Keep, Letters::Propose, Letters::Replace]) {
            assert_eq!(name.parse(), Ok(letters));
        }
        assert_eq!(
            "Keep".parse::<Letters>().unwrap_err().to_string(),
            "must be one of keep, propose, replace"
        );
        let policy = Policy::default();
        assert_eq!(
            (policy.letters, policy.most(), policy.width),
            (Letters::Propose, 1, ReferenceWidth::Eight)
        );
        assert_eq!(
            Policy {
                most_segments: 0,
                ..policy
            }
            .most(),
            1
        );
    }
}
