//! A text cut into the segments that carry it, each ready for its PDU.

use super::coding::{Coding, encode};
use super::policy::ReferenceWidth;
use crate::gsm7;
use crate::udh::{self, PartReference};

/// esm_class, user data header indicator (SMPP 3.4 §5.2.12).
const HEADER: u8 = 0b0100_0000;

/// One segment of a text; of a short text the only one, without a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The alphabet; the same in all segments of a text.
    pub coding: Coding,
    /// The header with its length byte; empty when the text is one segment.
    pub header: Vec<u8>,
    /// The text alone: septets, each in a byte of its own, or UTF-16 big-endian.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// Septets or UTF-16 units.
    #[must_use]
    pub fn units(&self) -> usize {
        match self.coding {
            Coding::Gsm7 => self.bytes.len(),
            Coding::Ucs2 => self.bytes.len() / 2,
        }
    }

    /// SMPP's `data_coding`: 0 or 8.
    #[must_use]
    pub fn data_coding(&self) -> u8 {
        self.coding.data_coding()
    }

    /// SMPP's `esm_class`: 0, or 0x40 when there is a header.
    #[must_use]
    pub fn esm_class(&self) -> u8 {
        if self.header.is_empty() { 0 } else { HEADER }
    }

    /// Header and text for an SMSC that packs septets itself: at most 160 bytes.
    #[must_use]
    pub fn unpacked(&self) -> Vec<u8> {
        [&self.header[..], &self.bytes].concat()
    }

    /// Header and text as they go over the air, eight septets in seven bytes behind the bits that fill up the header:
    /// at most 140 bytes (3GPP TS 23.040 §9.2.3.24).
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        match self.coding {
            Coding::Gsm7 => {
                let text = gsm7::pack_text(&self.bytes, gsm7::fill(self.header.len()));
                [&self.header[..], &text].concat()
            }
            Coding::Ucs2 => self.unpacked(),
        }
    }
}

impl ReferenceWidth {
    /// Units beside a header of this width: 140 bytes less the header, in septets or in UTF-16 units.
    pub(super) fn room(self, coding: Coding) -> usize {
        match (self, coding) {
            (Self::Eight, Coding::Gsm7) => 153,
            (Self::Eight, Coding::Ucs2) => 67,
            (Self::Sixteen, Coding::Gsm7) => 152,
            (Self::Sixteen, Coding::Ucs2) => 66,
        }
    }

    /// The reference of a text: the low 8 bits of a number, or 16.
    fn reference(self, number: u16) -> PartReference {
        let [_, low] = number.to_be_bytes();
        match self {
            Self::Eight => PartReference::Eight(low),
            Self::Sixteen => PartReference::Sixteen(number),
        }
    }
}

/// The borders of the segments: each as full as it can be, and none inside a character, so that an escape stays with its
/// code and a surrogate with its other half. Fewer segments there cannot be. One when all fits without a header.
pub(super) fn cut(chars: &[char], coding: Coding, width: ReferenceWidth) -> Vec<&[char]> {
    let units: usize = chars.iter().map(|char| coding.cost(*char)).sum();
    if chars.is_empty() {
        return Vec::new();
    }
    if units <= coding.limit() {
        return vec![chars];
    }
    let room = width.room(coding);
    let (mut segments, mut start, mut used) = (Vec::new(), 0, 0);
    for (place, char) in chars.iter().enumerate() {
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

/// The segments of a text that takes at most 255 of them.
pub(super) fn segments(chars: &[char], coding: Coding, width: ReferenceWidth, number: u16) -> Vec<Segment> {
    let pieces = cut(chars, coding, width);
    let total = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
    (1..=total)
        .zip(pieces)
        .map(|(place, piece)| Segment {
            coding,
            header: match total {
                1 => Vec::new(),
                _ => udh::concatenation(width.reference(number), total, place),
            },
            bytes: encode(piece, coding).bytes,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charset;
    use crate::sms::{Letters, Policy, prepare};
    use crate::typography::typography;
    use proptest::prelude::*;

    fn policy(width: ReferenceWidth) -> Policy {
        Policy {
            letters: Letters::Keep,
            most_segments: u8::MAX,
            width,
            ..Policy::default()
        }
    }

    fn split(text: &str, width: ReferenceWidth) -> Vec<Segment> {
        prepare(text, &policy(width)).unwrap().segments(0x1234)
    }

    fn units(text: &str, width: ReferenceWidth) -> Vec<usize> {
        split(text, width).iter().map(Segment::units).collect()
    }

    #[test]
    fn what_fits_has_no_header() {
        let [segment] = &split("L’école à 8 h, 3 €", ReferenceWidth::Sixteen)[..] else {
            panic!("one segment")
        };
        assert_eq!((segment.esm_class(), segment.data_coding(), segment.units()), (0, 0, 19));
        assert_eq!(segment.unpacked(), b"L'\x05cole \x7f 8 h, 3 \x1be");
        assert_eq!(segment.packed().len(), 17);
        let [segment] = &split("reçu", ReferenceWidth::Eight)[..] else {
            panic!("one segment")
        };
        assert_eq!((segment.esm_class(), segment.data_coding(), segment.units()), (0, 8, 4));
        assert_eq!(segment.packed(), b"\0r\0e\0\xe7\0u");
    }

    #[test]
    fn parts_to_the_unit_and_to_the_byte() {
        use ReferenceWidth::{Eight, Sixteen};
        assert_eq!(units(&"a".repeat(160), Eight), [160]);
        assert_eq!(units(&"a".repeat(161), Eight), [153, 8]);
        assert_eq!(units(&"a".repeat(161), Sixteen), [152, 9]);
        assert_eq!(units(&"a".repeat(306), Eight), [153, 153]);
        assert_eq!(units(&"a".repeat(306), Sixteen), [152, 152, 2]);
        assert_eq!(units(&"ç".repeat(71), Eight), [67, 4]);
        assert_eq!(units(&"ç".repeat(71), Sixteen), [66, 5]);
        // The escape of the 77th euro would be the 153rd septet; that of the first the 153rd behind 152 letters.
        assert_eq!(units(&"€".repeat(81), Eight), [152, 10]);
        assert_eq!(units(&format!("{}€{}", "a".repeat(152), "b".repeat(7)), Eight), [152, 9]);
        assert_eq!(units(&format!("{}€{}", "a".repeat(151), "b".repeat(8)), Sixteen), [151, 10]);
        // The first half of an emoji would be the 67th unit.
        assert_eq!(units(&"😀".repeat(36), Eight), [66, 6]);
        assert_eq!(units(&format!("ç{}", "😀".repeat(35)), Sixteen), [65, 6]);

        let parts = split(&"a".repeat(161), Eight);
        assert_eq!(parts[0].header, [5, 0, 3, 0x34, 2, 1]);
        assert_eq!(parts[1].header, [5, 0, 3, 0x34, 2, 2]);
        assert_eq!(
            (parts[0].packed().len(), parts[0].unpacked().len(), parts[0].esm_class()),
            (140, 159, 0x40)
        );
        assert_eq!(parts[1].unpacked(), b"\x05\0\x03\x34\x02\x02aaaaaaaa");
        let parts = split(&"ç".repeat(71), Sixteen);
        assert_eq!(parts[0].header, [6, 8, 4, 0x12, 0x34, 2, 1]);
        assert_eq!((parts[0].packed().len(), parts[0].data_coding()), (139, 8));
    }

    fn french() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 éèàùçêœ’€\\[\\]~|{}^…«»\n😀]{1,400}"
    }

    proptest! {
        #[test]
        fn segments_part_nothing_lose_nothing_and_fit_the_air(text in french(), wide: bool, number: u16) {
            let width = if wide { ReferenceWidth::Sixteen } else { ReferenceWidth::Eight };
            let segments = prepare(&text, &policy(width)).unwrap().segments(number);
            let mut joined = String::new();
            for segment in &segments {
                let decoded = match segment.coding {
                    Coding::Gsm7 => gsm7::decode(&segment.bytes),
                    Coding::Ucs2 => charset::ucs2(&segment.bytes),
                };
                prop_assert!(!decoded.damaged, "a pair was parted");
                let room = if segments.len() == 1 { segment.coding.limit() } else { width.room(segment.coding) };
                prop_assert!((1..=room).contains(&segment.units()));
                prop_assert!(segment.packed().len() <= 140);
                prop_assert!(segment.unpacked().len() <= 160);
                prop_assert_eq!(segment.esm_class() != 0, segments.len() > 1);
                joined.push_str(&decoded.text);
                // Over the air and back.
                if segment.coding == Coding::Gsm7 {
                    let header = segment.header.len();
                    let mut back = gsm7::unpack(&segment.packed()[header..], gsm7::fill(header));
                    if back.len() + 1 == segment.bytes.len() {
                        prop_assert_eq!(segment.bytes.last(), Some(&0));
                        back.push(0);
                    }
                    prop_assert_eq!(&back, &segment.bytes);
                }
            }
            prop_assert_eq!(joined, typography(&text));
        }
    }
}
