//! What a delivery says: a citizen's text, a part of one, or a receipt for one of ours.
//!
//! Reading never fails. What cannot be read is said to be so, and its bytes are kept.

mod receipt;
mod udh;

use bytes::Bytes;
use voxea_rules::udh::shifts;
use voxea_rules::{charset, gsm7, sms};

pub use receipt::{Ids, Receipt, ReceiptState, message_state};

use crate::pdu::{Delivery, Part};

/// What an account means by data_coding 0 (SMPP 3.4 §5.2.19 leaves it to the SMSC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultAlphabet {
    /// GSM 7-bit, a septet in each byte.
    #[default]
    Gsm7,
    /// GSM 7-bit, eight septets in seven bytes.
    Gsm7Packed,
    /// ISO 8859-1.
    Latin1,
}

impl DefaultAlphabet {
    /// What a text of ours may have that goes out in it.
    #[must_use]
    pub const fn of_texts(self) -> sms::Alphabet {
        match self {
            Self::Gsm7 | Self::Gsm7Packed => sms::Alphabet::Gsm7,
            Self::Latin1 => sms::Alphabet::Latin1,
        }
    }
}

/// How the bytes of a text are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// GSM 7-bit, a septet in each byte.
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big-endian.
    Ucs2,
    /// None that is known here.
    Binary,
}

/// A text, or a part of one.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// How `bytes` are read.
    pub alphabet: Alphabet,
    /// The text alone: no user data header, no packing, and no table of a national language.
    pub bytes: Bytes,
    /// The user data header as it came, empty without one.
    pub header: Bytes,
    /// Of a long text.
    pub part: Option<Part>,
    /// The user data header runs over the end, and `bytes` are then all that came; or a language's table lacks what was
    /// written by it.
    pub damaged: bool,
}

/// What a text reads as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// `None` when nothing of it could be read.
    pub text: Option<String>,
    /// Some of it could not be read.
    pub undecodable: bool,
}

/// What a delivery says.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A citizen's.
    Text(Text),
    /// Of a text of ours.
    Receipt(Receipt),
}

/// esm_class, message type in bits 5 to 2 (§5.2.12).
const MESSAGE_TYPE: u8 = 0b0011_1100;
const RECEIPT: u8 = 0b0000_0100;
const INTERMEDIATE: u8 = 0b0010_0000;
/// esm_class, UDHI.
const HEADER: u8 = 0b0100_0000;

/// Whether this esm_class says that what comes is a receipt, final or on the way.
#[must_use]
pub const fn is_receipt(esm_class: u8) -> bool {
    matches!(esm_class & MESSAGE_TYPE, RECEIPT | INTERMEDIATE)
}

/// Reads a delivery. Only esm_class and receipted_message_id make a receipt, never the wording: what looks like one
/// and comes as a plain text was written by a citizen.
#[must_use]
pub fn read(delivery: &Delivery, default: DefaultAlphabet) -> Content {
    let text = text(delivery, default);
    if is_receipt(delivery.esm_class) || delivery.tlvs.receipted_message_id.is_some() {
        let words = match text.alphabet {
            Alphabet::Ucs2 => charset::ucs2(&text.bytes).text,
            _ => charset::latin1(&text.bytes).text,
        };
        return Content::Receipt(receipt::read(&words, &delivery.tlvs));
    }
    Content::Text(text)
}

fn text(delivery: &Delivery, default: DefaultAlphabet) -> Text {
    let (mut bytes, mut header, mut part, mut damaged) = (delivery.body.clone(), Bytes::new(), delivery.tlvs.sar, false);
    if delivery.esm_class & HEADER != 0 {
        match udh::split(&delivery.body) {
            Some(split) => {
                (header, bytes) = (split.header, split.rest);
                part = split.part.or(part);
            }
            None => damaged = true,
        }
    }
    let (mut alphabet, packed) = alphabet(delivery.data_coding, default);
    if packed {
        bytes = gsm7::unpack(&bytes, gsm7::fill(header.len())).into();
    }
    let shifts = shifts(&header);
    if alphabet == Alphabet::Gsm7 && !shifts.is_default() {
        // Each part names its language in its own header, which does not go on with it: what is kept can be read alone.
        let decoded = gsm7::decode_national(&bytes, shifts);
        (alphabet, bytes) = (Alphabet::Ucs2, charset::encode_ucs2(&decoded.text).into());
        damaged |= decoded.damaged;
    }
    Text {
        alphabet,
        bytes,
        header,
        part,
        damaged,
    }
}

/// SMPP's data_coding where it has a meaning of its own, else 3GPP TS 23.038 §4; and whether septets are packed.
fn alphabet(data_coding: u8, default: DefaultAlphabet) -> (Alphabet, bool) {
    let by_default = match default {
        DefaultAlphabet::Gsm7 => (Alphabet::Gsm7, false),
        DefaultAlphabet::Gsm7Packed => (Alphabet::Gsm7, true),
        DefaultAlphabet::Latin1 => (Alphabet::Latin1, false),
    };
    match data_coding {
        0 => by_default,
        1 | 3 => (Alphabet::Latin1, false),
        8 => (Alphabet::Ucs2, false),
        // General coding with a message class; bits 3 and 2 are the alphabet, bit 5 says compressed.
        0x10..=0x1F => match data_coding & 0x0C {
            0x00 => by_default,
            0x08 => (Alphabet::Ucs2, false),
            _ => (Alphabet::Binary, false),
        },
        // A message waits; coding and class.
        0xC0..=0xDF => by_default,
        0xE0..=0xEF => (Alphabet::Ucs2, false),
        0xF0..=0xFF if data_coding & 0x04 == 0 => by_default,
        _ => (Alphabet::Binary, false),
    }
}

impl Text {
    /// Reads it.
    #[must_use]
    pub fn words(&self) -> Words {
        let decoded = match self.alphabet {
            Alphabet::Gsm7 => gsm7::decode(&self.bytes),
            Alphabet::Latin1 => charset::latin1(&self.bytes),
            Alphabet::Ucs2 => charset::ucs2(&self.bytes),
            Alphabet::Binary => {
                return Words {
                    text: None,
                    undecodable: true,
                };
            }
        };
        Words {
            text: Some(decoded.text),
            undecodable: decoded.damaged || self.damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::{Address, Tlvs};
    use proptest::prelude::*;

    fn delivery(esm_class: u8, data_coding: u8, body: &[u8]) -> Delivery {
        let number = |number: &str| Address {
            ton: 1,
            npi: 1,
            number: number.to_owned(),
        };
        Delivery {
            source: number("33612345678"),
            destination: number("36123"),
            esm_class,
            data_coding,
            body: Bytes::copy_from_slice(body),
            tlvs: Tlvs::default(),
            raw: Bytes::new(),
        }
    }

    fn text_of(delivery: &Delivery, default: DefaultAlphabet) -> Text {
        match read(delivery, default) {
            Content::Text(text) => text,
            Content::Receipt(_) => panic!("a receipt"),
        }
    }

    fn words(data_coding: u8, body: &[u8]) -> Words {
        text_of(&delivery(0, data_coding, body), DefaultAlphabet::Gsm7).words()
    }

    fn sound(text: &str) -> Words {
        Words {
            text: Some(text.to_owned()),
            undecodable: false,
        }
    }

    #[test]
    fn alphabets() {
        assert_eq!(words(0, b"\x1f\x7f d\x05j\x7f 5 \x1b\x65"), sound("Éà déjà 5 €"));
        assert_eq!(words(3, b"re\xE7u"), sound("reçu"));
        assert_eq!(words(1, b"ascii"), sound("ascii"));
        assert_eq!(words(8, b"\x00\xE7\xD8\x3D\xDE\x00"), sound("ç😀"));
        assert_eq!(words(0xF1, b"\x05"), sound("é"));
        assert_eq!(words(0x18, b"\x00\xE9"), sound("é"));
        for binary in [2, 4, 9, 0xF5, 0x14] {
            assert_eq!(
                words(binary, b"abc"),
                Words {
                    text: None,
                    undecodable: true
                },
                "{binary:#x}"
            );
        }
        assert!(words(8, b"\x00a\x00").undecodable);
        let latin = text_of(&delivery(0, 0, b"\xE9"), DefaultAlphabet::Latin1);
        assert_eq!(latin.words(), sound("é"));
    }

    #[test]
    fn packed_septets_after_a_header() {
        let mut body = vec![5, 0, 3, 42, 2, 1];
        body.extend(gsm7::pack(b"hellohello", gsm7::fill(6)));
        let text = text_of(&delivery(0x40, 0, &body), DefaultAlphabet::Gsm7Packed);
        assert_eq!(text.words(), sound("hellohello"));
        assert_eq!(
            text.part,
            Some(Part {
                reference: 42,
                total: 2,
                number: 1
            })
        );
    }

    #[test]
    fn texts_by_the_tables_of_a_language() {
        let turkish = b"\x03\x24\x01\x01kre\x1bs, 5 \x1be";
        let text = text_of(&delivery(0x40, 0, turkish), DefaultAlphabet::Gsm7);
        assert_eq!((text.words(), text.alphabet), (sound("kreş, 5 €"), Alphabet::Ucs2));
        assert_eq!(&text.header[..], b"\x03\x24\x01\x01");
        // A part, packed, with a locking shift beside its place.
        let mut body = vec![8, 0, 3, 42, 2, 2, 0x25, 1, 3];
        body.extend(gsm7::pack(b"informa\x09{o", gsm7::fill(9)));
        let text = text_of(&delivery(0x40, 0, &body), DefaultAlphabet::Gsm7Packed);
        assert_eq!((text.words(), text.part.map(|part| part.number)), (sound("informação"), Some(2)));
        // A language that nobody knows is read as a handset does that does not know it; another alphabet has no tables.
        let text = text_of(&delivery(0x40, 0, b"\x03\x24\x01\x7fcaf\x05"), DefaultAlphabet::Gsm7);
        assert_eq!((text.words().text.as_deref(), text.words().undecodable), (Some("café"), true));
        let text = text_of(&delivery(0x40, 8, b"\x03\x24\x01\x01\0\xe9"), DefaultAlphabet::Gsm7);
        assert_eq!(text.words(), sound("é"));
    }

    #[test]
    fn a_header_that_runs_over_the_end_keeps_all_bytes() {
        let text = text_of(&delivery(0x40, 0, b"\x20abc"), DefaultAlphabet::Gsm7);
        assert_eq!(
            (text.words(), &text.bytes[..]),
            (
                Words {
                    text: Some(" abc".to_owned()),
                    undecodable: true
                },
                &b"\x20abc"[..]
            )
        );
    }

    #[test]
    fn sar_parameters_make_a_part() {
        let part = Part {
            reference: 300,
            total: 3,
            number: 2,
        };
        let mut delivery = delivery(0, 0, b"abc");
        delivery.tlvs.sar = Some(part);
        assert_eq!(text_of(&delivery, DefaultAlphabet::Gsm7).part, Some(part));
    }

    #[test]
    fn what_makes_a_receipt() {
        for esm_class in [0x04, 0x20, 0x44, 0x07] {
            let read = read(&delivery(esm_class, 0, b"gibberish"), DefaultAlphabet::Gsm7);
            assert!(matches!(read, Content::Receipt(receipt) if receipt.ids.is_empty()));
        }
        let mut bare = delivery(0, 0, b"");
        bare.tlvs.receipted_message_id = Some("7".to_owned());
        assert!(matches!(read(&bare, DefaultAlphabet::Gsm7), Content::Receipt(_)));
        let written = delivery(0, 0, b"id:7 stat:DELIVRD err:000");
        assert!(
            matches!(read(&written, DefaultAlphabet::Gsm7), Content::Text(_)),
            "a citizen can write that"
        );
        // A peer that is built on rusmpp's defaults marks plain texts so.
        assert!(matches!(
            read(&delivery(0x08, 0, b"Bonjour"), DefaultAlphabet::Gsm7),
            Content::Text(_)
        ));
    }

    proptest! {
        #[test]
        fn nothing_is_unreadable_enough_to_fail(
            esm_class: u8, data_coding: u8, body in proptest::collection::vec(any::<u8>(), 0..260), packed: bool,
        ) {
            let default = if packed { DefaultAlphabet::Gsm7Packed } else { DefaultAlphabet::Gsm7 };
            if let Content::Text(text) = read(&delivery(esm_class, data_coding, &body), default) {
                let _ = text.words();
                prop_assert!(text.part.is_none_or(|part| part.total > 1 && (1..=part.total).contains(&part.number)));
            }
        }
    }
}
