//! The two alphabets in which a text goes out, and what a character costs in each.

use serde::Serialize;

use super::policy::Alphabet;
use crate::{charset, gsm7};

/// The alphabet in which a text goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// The GSM 7-bit default alphabet with its extension table.
    Gsm7,
    /// UTF-16, big-endian.
    Ucs2,
}

impl Coding {
    /// `gsm7` or `ucs2`, as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// Units in a message of one segment: 160 septets or 70 UTF-16 units.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// SMPP 3.4 §5.2.19: 0, the SMSC's default alphabet, or 8, UCS-2.
    #[must_use]
    pub fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7 => 0,
            Self::Ucs2 => 8,
        }
    }

    /// Units of one character in this alphabet; a segment never ends inside one.
    pub(super) fn cost(self, char: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::septets(char).unwrap_or(1),
            Self::Ucs2 => char.len_utf16(),
        }
    }
}

/// A text in the bytes that go into a PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The alphabet.
    pub coding: Coding,
    /// SMPP's `data_coding`: 0 or 8.
    pub data_coding: u8,
    /// Unpacked septets (at most 160 in one segment), or UTF-16 big-endian (at most 140).
    pub bytes: Vec<u8>,
}

/// The 7-bit alphabet where it has every character, and what the SMSC reads in its place has too.
pub(super) fn coding(chars: &[char], alphabet: Alphabet) -> Coding {
    if chars.iter().all(|char| alphabet.has(*char)) {
        Coding::Gsm7
    } else {
        Coding::Ucs2
    }
}

/// Septets or UTF-16 units.
pub(super) fn units(chars: &[char], coding: Coding) -> usize {
    chars.iter().map(|char| coding.cost(*char)).sum()
}

pub(super) fn encode(chars: &[char], coding: Coding) -> Encoded {
    let text: String = chars.iter().collect();
    let (coding, bytes) = match coding {
        Coding::Gsm7 => match gsm7::encode(&text) {
            Ok(septets) => (Coding::Gsm7, septets),
            Err(_) => (Coding::Ucs2, charset::encode_ucs2(&text)),
        },
        Coding::Ucs2 => (Coding::Ucs2, charset::encode_ucs2(&text)),
    };
    Encoded {
        coding,
        data_coding: coding.data_coding(),
        bytes,
    }
}
