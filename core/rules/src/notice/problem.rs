//! Why a wording cannot be used.

use std::fmt;

use crate::sms::Coding;

/// A wording that cannot be used. `Display` says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotANotice {
    /// Nothing at all.
    Empty,
    /// A brace without its other half, or one that is meant as such.
    Brace,
    /// Braces around something else than `organisation`, `reference` or `telephone`.
    Unknown(String),
    /// An acknowledgement that does not name the reference.
    NoReference,
    /// An answer that names a reference, where there is no request.
    Reference,
    /// `{telephone}`, and no telephone number is configured.
    NoTelephone,
    /// A character that the 7-bit alphabet lacks, in the wording or the telephone number, and what could stand for it.
    Foreign(char, Option<&'static str>),
    /// There is nothing in the body's name that the 7-bit alphabet can write.
    NoName,
    /// Without the name, and with the longest reference, this many septets; and what the name's first word needs.
    TooLong {
        /// Septets of everything but the name.
        septets: usize,
        /// Septets of the name's shortest form.
        name: usize,
    },
}

impl fmt::Display for NotANotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty, and a text message cannot be; leave the key out for the wording that is built in"),
            Self::Brace => f.write_str("has a brace that is not paired; braces stand around organisation, reference and telephone alone"),
            Self::Unknown(name) => write!(
                f,
                "has {{{name}}}, and there are {{organisation}}, {{reference}} and {{telephone}} only"
            ),
            Self::NoReference => f.write_str("must have {reference} in it, by which a citizen finds the request again"),
            Self::Reference => f.write_str("has {reference} in it, and there is no request that it answers"),
            Self::NoTelephone => f.write_str("has {telephone} in it, and no telephone number is configured"),
            Self::Foreign(char, Some(plain)) if !plain.is_empty() => {
                write!(f, "has {char:?} in it, which would halve the room: write {plain:?} instead")
            }
            Self::Foreign(char, _) => write!(f, "has {char:?} in it, which would halve the room: leave it out"),
            Self::NoName => f.write_str("needs the organisation's name, which has nothing in it that a text message can write"),
            // Its wording has no name in it.
            Self::TooLong { septets, name: 0 } => write!(
                f,
                "has {septets} septets, and one message holds {}: shorten it by {}",
                Coding::Gsm7.limit(),
                septets.saturating_sub(Coding::Gsm7.limit())
            ),
            Self::TooLong { septets, name } => write!(
                f,
                "has {septets} septets beside the organisation's name, which takes at least {name}, and one message holds {}: shorten it by {}",
                Coding::Gsm7.limit(),
                (septets + name).saturating_sub(Coding::Gsm7.limit())
            ),
        }
    }
}

impl std::error::Error for NotANotice {}
