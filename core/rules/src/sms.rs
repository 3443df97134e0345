//! What a text message costs, and which one is refused: the 160 rule.
//!
//! A message of the 7-bit alphabet holds 160 septets (the extension characters cost two);
//! one foreign character and the whole message is UCS-2, which holds 70 units of UTF-16.
//! A longer text goes out in several billed segments, which carry a header and so hold less:
//! 153 or 67 (3GPP TS 23.040 §9.2.3.24.1). Voxea refuses instead, with a proposal; nothing is
//! ever cut.
//!
//! Every function here looks at the text *after* [`typography`], and that is also the text
//! that goes out.

use serde::Serialize;

use crate::typography::replaced;
pub use crate::typography::typography;
use crate::{charset, gsm7, proposal};

/// At most this many offending characters are listed.
pub const MAX_OFFENDING: usize = 1_000;

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
    fn cost(self, char: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::septets(char).unwrap_or(1),
            Self::Ucs2 => char.len_utf16(),
        }
    }
}

/// The width of the reference number that holds the segments of one text together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferenceWidth {
    /// 8 bits: 153 septets or 67 UTF-16 units a segment.
    #[default]
    Eight,
    /// 16 bits: 152 or 66.
    Sixteen,
}

impl ReferenceWidth {
    fn room(self, coding: Coding) -> usize {
        match (self, coding) {
            (Self::Eight, Coding::Gsm7) => 153,
            (Self::Eight, Coding::Ucs2) => 67,
            (Self::Sixteen, Coding::Gsm7) => 152,
            (Self::Sixteen, Coding::Ucs2) => 66,
        }
    }
}

/// A character that keeps the whole text out of the 7-bit alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Offending {
    /// The character; a letter sent with a combining accent is told as the one letter it makes.
    pub char: char,
    /// Its place, from 0, in characters (Unicode scalar values) of the text *as it was sent*.
    pub index: usize,
}

/// The members of `POST /v1/sms:preview`, and of the 422 that refuses an over-long reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The alphabet in which the text would go out.
    pub coding: Coding,
    /// Septets or UTF-16 units, after typography is replaced.
    pub units: usize,
    /// 160 or 70.
    pub limit: usize,
    /// Messages that it would cost, with an 8-bit reference; 0 for an empty text.
    pub segments: usize,
    /// What forces UCS-2, in order, at most [`MAX_OFFENDING`]; empty for `gsm7`.
    pub offending: Vec<Offending>,
    /// A text that says the same in one message of the 7-bit alphabet. `None` when the text is
    /// one already, and when there is no such text (another script, or still over 160): what
    /// is proposed is always accepted.
    pub suggestion: Option<String>,
}

impl Preview {
    /// True when the text goes out as it is: one segment, and not empty.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.segments == 1
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

/// A reply that does not fit one segment, or has nothing in it (`segments` 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The count, what costs so much, and the proposal: the members of the 422.
    pub preview: Preview,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Preview { coding, units, limit, .. } = &self.preview;
        if *units == 0 {
            return f.write_str("a text message cannot be empty");
        }
        let unit = match coding {
            Coding::Gsm7 => "septets",
            Coding::Ucs2 => "UTF-16 units",
        };
        write!(f, "the text has {units} {unit}, one message holds {limit}")
    }
}

impl std::error::Error for Refused {}

/// Counts a text, and proposes another where that helps.
#[must_use]
pub fn preview(text: &str) -> Preview {
    let chars = replaced(text);
    let coding = coding(&chars);
    let units: usize = chars.iter().map(|(_, char)| coding.cost(*char)).sum();
    let offending = chars
        .iter()
        .filter(|(_, char)| gsm7::septets(*char).is_none())
        .map(|&(index, char)| Offending { char, index })
        .take(MAX_OFFENDING)
        .collect();
    let suggestion = match coding {
        Coding::Gsm7 if units <= coding.limit() => None,
        _ => proposal::of(chars.iter().map(|(_, char)| *char), fits_one_segment),
    };
    let segments = cut(&chars, coding, ReferenceWidth::Eight).len();
    Preview {
        coding,
        units,
        limit: coding.limit(),
        segments,
        offending,
        suggestion,
    }
}

/// True when the text, after typography is replaced, is one message and not empty.
#[must_use]
pub fn fits_one_segment(text: &str) -> bool {
    let chars = replaced(text);
    let coding = coding(&chars);
    let units: usize = chars.iter().map(|(_, char)| coding.cost(*char)).sum();
    (1..=coding.limit()).contains(&units)
}

/// Encodes a whole text, after typography is replaced, however long it is: unpacked septets
/// where the 7-bit alphabet has every character, else UTF-16 big-endian.
#[must_use]
pub fn encode_for_submit(text: &str) -> Encoded {
    let chars = replaced(text);
    encode(&chars, coding(&chars))
}

/// The text of a reply, encoded; the one door through which a reply goes out unsplit.
///
/// # Errors
/// [`Refused`] when it takes more than one segment, or is empty.
pub fn check_reply(text: &str) -> Result<Encoded, Refused> {
    if fits_one_segment(text) {
        Ok(encode_for_submit(text))
    } else {
        Err(Refused { preview: preview(text) })
    }
}

/// Splits a text into the segments it takes, for accounts that have opted in; one without a
/// header when it fits. All have the same coding. Neither an escape and its code nor the
/// halves of a surrogate pair are ever parted.
#[must_use]
pub fn split(text: &str, width: ReferenceWidth) -> Vec<Encoded> {
    let chars = replaced(text);
    let coding = coding(&chars);
    cut(&chars, coding, width)
        .into_iter()
        .map(|segment| encode(segment, coding))
        .collect()
}

fn coding(chars: &[(usize, char)]) -> Coding {
    if chars.iter().all(|(_, char)| gsm7::septets(*char).is_some()) {
        Coding::Gsm7
    } else {
        Coding::Ucs2
    }
}

fn encode(chars: &[(usize, char)], coding: Coding) -> Encoded {
    let text: String = chars.iter().map(|(_, char)| *char).collect();
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

fn cut(chars: &[(usize, char)], coding: Coding, width: ReferenceWidth) -> Vec<&[(usize, char)]> {
    let units: usize = chars.iter().map(|(_, char)| coding.cost(*char)).sum();
    if chars.is_empty() {
        return Vec::new();
    }
    if units <= coding.limit() {
        return vec![chars];
    }
    let room = width.room(coding);
    let (mut segments, mut start, mut used) = (Vec::new(), 0, 0);
    for (place, (_, char)) in chars.iter().enumerate() {
        let cost = coding.cost(*char);
        if used + cost > room {
            segments.push(&chars[start..place]);
            (start, used) = (place, 0);
        }
        used += cost;
    }
    segments.push(&chars[start..]);
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(text: &str) -> (Coding, usize, usize) {
        let preview = preview(text);
        (preview.coding, preview.units, preview.segments)
    }

    #[test]
    fn the_limits_to_the_unit() {
        use Coding::{Gsm7, Ucs2};
        assert_eq!(cost(""), (Gsm7, 0, 0));
        assert_eq!(cost(&"a".repeat(160)), (Gsm7, 160, 1));
        assert_eq!(cost(&"a".repeat(161)), (Gsm7, 161, 2));
        assert_eq!(cost(&"a".repeat(306)), (Gsm7, 306, 2));
        assert_eq!(cost(&"a".repeat(307)), (Gsm7, 307, 3));
        assert_eq!(cost(&"€".repeat(80)), (Gsm7, 160, 1));
        assert_eq!(cost(&"€".repeat(81)), (Gsm7, 162, 2));
        assert_eq!(cost(&"ç".repeat(70)), (Ucs2, 70, 1));
        assert_eq!(cost(&"ç".repeat(71)), (Ucs2, 71, 2));
        assert_eq!(cost(&"ç".repeat(134)), (Ucs2, 134, 2));
        assert_eq!(cost(&"ç".repeat(135)), (Ucs2, 135, 3));
        assert_eq!(cost(&"😀".repeat(35)), (Ucs2, 70, 1));
        // 76 euros are 152 septets, and the 77th does not fit the 153rd: three segments, not two.
        assert_eq!(cost(&"€".repeat(153)), (Gsm7, 306, 3));
        // 33 emoji are 66 units, and half of one does not fit the 67th.
        assert_eq!(cost(&"😀".repeat(67)), (Ucs2, 134, 3));
    }

    #[test]
    fn offending_is_counted_in_characters_of_the_text_as_sent() {
        let preview = preview("L’œuf… 😀 reçu");
        assert_eq!(
            preview.offending,
            [
                Offending { char: 'œ', index: 2 },
                Offending { char: '😀', index: 7 },
                Offending { char: 'ç', index: 11 },
            ]
        );
        assert_eq!(preview.suggestion.as_deref(), Some("L'oeuf... recu"));
        assert_eq!(preview.units, 16, "three dots, two halves of an emoji");
    }

    #[test]
    fn a_reply_goes_out_whole_or_is_refused() {
        let encoded = check_reply("L’école à 8 h, 3 €").unwrap();
        assert_eq!((encoded.coding, encoded.data_coding), (Coding::Gsm7, 0));
        assert_eq!(encoded.bytes, b"L'\x05cole \x7f 8 h, 3 \x1be");
        let encoded = check_reply("reçu").unwrap();
        assert_eq!((encoded.coding, encoded.data_coding), (Coding::Ucs2, 8));
        assert_eq!(encoded.bytes, b"\0r\0e\0\xe7\0u");
        let refused = check_reply(&"à ç ".repeat(20)).unwrap_err();
        assert_eq!(refused.to_string(), "the text has 80 UTF-16 units, one message holds 70");
        assert_eq!(refused.preview.suggestion, Some("à c ".repeat(20)));
        assert_eq!(check_reply("").unwrap_err().preview.segments, 0);
    }

    fn french() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 éèàùçêœ’€\\[\\]~|{}^…«»\n😀]{0,400}"
    }

    proptest! {
        #[test]
        fn segments_part_nothing_and_lose_nothing(text in french(), wide in any::<bool>()) {
            let width = if wide { ReferenceWidth::Sixteen } else { ReferenceWidth::Eight };
            let segments = split(&text, width);
            let mut joined = String::new();
            for segment in &segments {
                let decoded = match segment.coding {
                    Coding::Gsm7 => gsm7::decode(&segment.bytes),
                    Coding::Ucs2 => charset::ucs2(&segment.bytes),
                };
                prop_assert!(!decoded.damaged, "a pair was parted");
                let units = segment.bytes.len() / if segment.coding == Coding::Ucs2 { 2 } else { 1 };
                let room = if segments.len() == 1 { segment.coding.limit() } else { width.room(segment.coding) };
                prop_assert!(units <= room);
                joined.push_str(&decoded.text);
            }
            prop_assert_eq!(joined, typography(&text));
            if !wide {
                prop_assert_eq!(segments.len(), preview(&text).segments);
            }
        }

        #[test]
        fn what_is_proposed_is_accepted(text in french()) {
            if let Some(suggestion) = preview(&text).suggestion {
                prop_assert_ne!(&suggestion, &text);
                prop_assert_eq!(check_reply(&suggestion).map(|encoded| encoded.coding), Ok(Coding::Gsm7));
                prop_assert_eq!(preview(&suggestion).suggestion, None);
            }
        }

        #[test]
        fn one_segment_is_one_rule(text in french()) {
            let preview = preview(&text);
            prop_assert_eq!(preview.fits(), fits_one_segment(&text));
            prop_assert_eq!(preview.fits(), check_reply(&text).is_ok());
            prop_assert_eq!(preview.fits(), !text.is_empty() && preview.units <= preview.limit);
            prop_assert_eq!(preview.offending.is_empty(), preview.coding == Coding::Gsm7);
        }
    }
}
