//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1).
//!
//! A text is a row of septets. *Unpacked*, each septet stands in a byte of its own (what most
//! SMSCs mean by `data_coding` 0); *packed*, eight septets stand in seven bytes, the first
//! septet in the low bits (§6.1.2.1.1). Ten characters of the extension table cost two
//! septets, an escape and a code.
//!
//! `Ç` is in the alphabet, `ç` is not; neither are `â ê î ô û ë ï œ À È Ê`.
//!
//! Where a header names a language, its tables stand in place of these two: [`decode_national`].

mod alphabet;
mod national;

use crate::charset::Decoded;
pub use alphabet::ESCAPE;
use alphabet::{Code, code};
pub use national::{Language, Shifts};

const CARRIAGE_RETURN: u8 = 0x0D;

/// A character that the alphabet does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unencodable {
    /// The character.
    pub char: char,
    /// Its place in the text, in characters (Unicode scalar values), from 0.
    pub index: usize,
}

impl std::fmt::Display for Unencodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "U+{:04X} at {} is not in the GSM 7-bit alphabet", self.char as u32, self.index)
    }
}

impl std::error::Error for Unencodable {}

/// What a character costs in septets: 1, 2 for the extension table, `None` when the alphabet
/// does not have it.
#[must_use]
pub fn septets(char: char) -> Option<usize> {
    code(char).map(|code| match code {
        Code::Plain(_) => 1,
        Code::Escaped(_) => 2,
    })
}

/// Writes a text as unpacked septets, one a byte, each below 0x80.
///
/// # Errors
/// The first character that the alphabet does not have.
pub fn encode(text: &str) -> Result<Vec<u8>, Unencodable> {
    let mut septets = Vec::with_capacity(text.len());
    for (index, char) in text.chars().enumerate() {
        match code(char).ok_or(Unencodable { char, index })? {
            Code::Plain(plain) => septets.push(plain),
            Code::Escaped(escaped) => septets.extend([ESCAPE, escaped]),
        }
    }
    Ok(septets)
}

/// Reads unpacked septets; never fails.
///
/// A byte of 0x80 or more and an escape at the very end become U+FFFD. After an escape, a code
/// that the extension table does not have is read from the default table, and a second escape
/// as a space, both as §6.2.1.1 asks of a handset. Each of the four is told by `damaged`.
#[must_use]
pub fn decode(unpacked: &[u8]) -> Decoded {
    decode_national(unpacked, Shifts::default())
}

/// Reads unpacked septets by the tables of the languages that a header names; never fails.
///
/// What these tables do not have is read as [`decode`] does (§6.2.1.2.2: from the table in
/// front), and told by `damaged`; so is a language that is not known.
#[must_use]
pub fn decode_national(unpacked: &[u8], shifts: Shifts) -> Decoded {
    let mut decoded = Decoded {
        text: String::with_capacity(unpacked.len()),
        damaged: shifts.unknown,
    };
    let mut septets = unpacked.iter().copied();
    while let Some(septet) = septets.next() {
        let read = match septet {
            ESCAPE => septets.next().and_then(|code| {
                let read = shifts.escaped(code);
                decoded.damaged |= read.is_none();
                read.or_else(|| if code == ESCAPE { Some(' ') } else { shifts.plain(code) })
            }),
            _ => shifts.plain(septet),
        };
        decoded.damaged |= read.is_none();
        decoded.text.push(read.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    decoded
}

/// Packs septets, after `fill` zero bits (0 to 6: what a user data header needs to end on a
/// septet boundary, 3GPP TS 23.040 §9.2.3.24). The eighth bit of each byte given is ignored.
#[must_use]
pub fn pack(septets: &[u8], fill: u8) -> Vec<u8> {
    let fill = usize::from(fill % 7);
    let mut packed = vec![0_u8; (fill + septets.len() * 7).div_ceil(8)];
    for (place, septet) in septets.iter().enumerate() {
        let bit = fill + place * 7;
        let spread = u16::from(septet & 0x7F) << (bit % 8);
        let [low, high] = spread.to_le_bytes();
        packed[bit / 8] |= low;
        if high != 0 {
            packed[bit / 8 + 1] |= high;
        }
    }
    packed
}

/// Packs the text of a message whose length will be known in bytes only, as SMPP's is: seven
/// spare bits would read as an `@`, so a carriage return stands there, which no reader sees
/// and [`unpack`] drops (the padding of §6.1.2.3.1).
#[must_use]
pub fn pack_text(septets: &[u8], fill: u8) -> Vec<u8> {
    let spare = pack(septets, fill).len() * 8 - usize::from(fill % 7) - septets.len() * 7;
    if spare == 7 {
        pack(&[septets, &[CARRIAGE_RETURN]].concat(), fill)
    } else {
        pack(septets, fill)
    }
}

/// The bits between a header of so many bytes (its length byte with it) and the first septet
/// (3GPP TS 23.040 §9.2.3.24): 0 to 6.
#[must_use]
pub fn fill(header: usize) -> u8 {
    // Less than 7, so nothing is cut.
    ((7 - header * 8 % 7) % 7) as u8
}

/// Unpacks septets that stand after `fill` bits (0 to 6), as many as there are.
///
/// SMPP gives a length in bytes, not in septets, so a text of 8n - 1 septets leaves seven
/// spare bits that look like one septet more: a last `@` or carriage return that ends exactly
/// on the byte boundary is taken for padding and dropped (§6.1.2.3.1 pads with the latter).
#[must_use]
pub fn unpack(packed: &[u8], fill: u8) -> Vec<u8> {
    let fill = usize::from(fill % 7);
    let bits = packed.len() * 8;
    let count = bits.saturating_sub(fill) / 7;
    let mut septets: Vec<u8> = (0..count)
        .map(|place| {
            let bit = fill + place * 7;
            let low = packed[bit / 8];
            let high = packed.get(bit / 8 + 1).copied().unwrap_or(0);
            (u16::from_le_bytes([low, high]) >> (bit % 8) & 0x7F) as u8
        })
        .collect();
    if fill + count * 7 == bits && matches!(septets.last(), Some(&0 | &CARRIAGE_RETURN)) {
        septets.pop();
    }
    septets
}

#[cfg(test)]
mod tests {
    use super::alphabet::{DEFAULT, EXTENSION};
    use super::*;
    use proptest::prelude::*;

    fn alphabet() -> Vec<char> {
        let default = DEFAULT.iter().copied().filter(|char| *char != '\0');
        default.chain(EXTENSION.iter().map(|(_, char)| *char)).collect()
    }

    fn in_alphabet() -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(alphabet()), 0..200).prop_map(|chars| chars.into_iter().collect())
    }

    #[test]
    fn the_tables_hold_137_characters_once_each() {
        let mut chars = alphabet();
        assert_eq!(chars.len(), 137);
        chars.sort_unstable();
        chars.dedup();
        assert_eq!(chars.len(), 137);
    }

    #[test]
    fn codes_of_the_standard() {
        for (char, bytes) in [
            ('@', &[0x00][..]),
            ('é', &[0x05]),
            ('Ç', &[0x09]),
            ('Δ', &[0x10]),
            ('Ξ', &[0x1A]),
            ('É', &[0x1F]),
            ('¤', &[0x24]),
            ('¡', &[0x40]),
            ('§', &[0x5F]),
            ('¿', &[0x60]),
            ('à', &[0x7F]),
            ('€', &[0x1B, 0x65]),
            ('[', &[0x1B, 0x3C]),
            ('\u{c}', &[0x1B, 0x0A]),
        ] {
            assert_eq!(encode(&char.to_string()).as_deref(), Ok(bytes), "{char:?}");
            assert_eq!(septets(char), Some(bytes.len()));
        }
    }

    #[test]
    fn french_that_is_missing() {
        for char in "çâêîôûëïœÀÈÊ«»’“”–…\u{a0}`\t\0😀αА".chars() {
            assert_eq!(septets(char), None, "{char:?}");
        }
        assert_eq!(encode("reçu"), Err(Unencodable { char: 'ç', index: 2 }));
    }

    #[test]
    fn damage_is_told_and_nothing_is_lost_beside_it() {
        for (bytes, text) in [
            (&b"a\x80b"[..], "a\u{fffd}b"),
            (b"a\x1b", "a\u{fffd}"),
            (b"\x1b\x1bb", " b"),
            (b"\x1bAb", "Ab"),
            (b"\x1b\xff", "\u{fffd}"),
        ] {
            assert_eq!(
                decode(bytes),
                Decoded {
                    text: text.to_owned(),
                    damaged: true
                }
            );
        }
    }

    #[test]
    fn packing_as_every_handset_does() {
        // "hellohello", the example known from countless PDUs.
        let packed = [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37];
        assert_eq!(pack(b"hellohello", 0), packed);
        assert_eq!(unpack(&packed, 0), b"hellohello");
        assert_eq!(pack(b"1234567", 0).len(), 7);
        assert_eq!(unpack(&pack(b"1234567", 0), 0), b"1234567", "padding is no @");
        assert_eq!(unpack(&pack(b"12345678", 0), 0), b"12345678");
        assert_eq!(pack_text(b"1234567", 0), pack(b"1234567\r", 0));
        assert_eq!(pack_text(b"123456", 0), pack(b"123456", 0));
        // Headers of an 8-bit and of a 16-bit reference, of a language, and none.
        assert_eq!([6, 7, 4, 9, 0].map(fill), [1, 0, 3, 5, 0]);
    }

    proptest! {
        #[test]
        fn round_trip(text in in_alphabet()) {
            let bytes = encode(&text).unwrap();
            prop_assert!(bytes.iter().all(|byte| *byte < 0x80));
            prop_assert_eq!(bytes.len(), text.chars().filter_map(septets).sum::<usize>());
            prop_assert_eq!(decode(&bytes), Decoded { text, damaged: false });
        }

        #[test]
        fn packed_round_trip(text in in_alphabet(), fill in 0_u8..7) {
            let septets = encode(&text).unwrap();
            let mut back = unpack(&pack(&septets, fill), fill);
            // Spare bits may look like one septet more; a real `@` at the end may look like them.
            if back.len() == septets.len() + 1 {
                prop_assert_eq!(back.pop(), Some(0));
            }
            if back.len() + 1 == septets.len() {
                prop_assert!(matches!(septets.last(), Some(0 | 0x0D)));
                back.extend(septets.last());
            }
            prop_assert_eq!(back, septets);
        }

        #[test]
        fn a_text_that_is_packed_comes_back_but_for_a_last_return(text in in_alphabet(), fill in 0_u8..7) {
            let septets = encode(&text).unwrap();
            let mut back = unpack(&pack_text(&septets, fill), fill);
            if back.len() + 1 == septets.len() {
                prop_assert!(matches!(septets.last(), Some(0 | 0x0D)));
                back.extend(septets.last());
            }
            prop_assert_eq!(back, septets);
        }

        #[test]
        fn no_bytes_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300), fill in 0_u8..7) {
            let decoded = decode(&bytes);
            prop_assert!(!decoded.text.contains('\0'));
            prop_assert!(decoded.damaged || !decoded.text.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(unpack(&bytes, fill).iter().all(|septet| *septet < 0x80));
        }
    }
}
