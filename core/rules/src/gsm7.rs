//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1).
//!
//! A text is a row of septets. *Unpacked*, each septet stands in a byte of its own (what most
//! SMSCs mean by `data_coding` 0); *packed*, eight septets stand in seven bytes, the first
//! septet in the low bits (§6.1.2.1.1). Ten characters of the extension table cost two
//! septets, an escape and a code.
//!
//! `Ç` is in the alphabet, `ç` is not; neither are `â ê î ô û ë ï œ À È Ê`.

use crate::charset::Decoded;

/// The escape to the extension table (§6.2.1, note 1).
pub const ESCAPE: u8 = 0x1B;

/// The default table by code; the place of the escape is never looked up.
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\0', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table (§6.2.1.1): code after the escape, character.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// No code for this character.
const NONE: u8 = 0xFF;

/// The default table turned round for Latin-1; the Greek capitals are searched for.
const REVERSE: [u8; 256] = {
    let mut reverse = [NONE; 256];
    let mut code = 0;
    while code < 128 {
        let char = DEFAULT[code] as usize;
        if char < 256 && code != ESCAPE as usize {
            reverse[char] = code as u8;
        }
        code += 1;
    }
    reverse
};

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

/// How a character is written: one septet, or the one after an escape.
enum Code {
    Plain(u8),
    Escaped(u8),
}

fn code(char: char) -> Option<Code> {
    if let Some(&plain) = REVERSE.get(char as usize).filter(|&&plain| plain != NONE) {
        return Some(Code::Plain(plain));
    }
    if let Some(&(escaped, _)) = EXTENSION.iter().find(|(_, known)| *known == char) {
        return Some(Code::Escaped(escaped));
    }
    // Below 256 the reversed table has spoken; what is left are the Greek capitals in 0x10..0x1A.
    (char as u32 >= 256)
        .then(|| DEFAULT.iter().position(|known| *known == char))
        .flatten()
        .and_then(|place| u8::try_from(place).ok())
        .map(Code::Plain)
}

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
    let mut decoded = Decoded {
        text: String::with_capacity(unpacked.len()),
        damaged: false,
    };
    let mut septets = unpacked.iter().copied();
    while let Some(septet) = septets.next() {
        let (char, sound) = match septet {
            ESCAPE => match septets.next() {
                Some(code) => escaped(code),
                None => (char::REPLACEMENT_CHARACTER, false),
            },
            _ => plain(septet),
        };
        decoded.text.push(char);
        decoded.damaged |= !sound;
    }
    decoded
}

fn plain(septet: u8) -> (char, bool) {
    match DEFAULT.get(usize::from(septet)) {
        Some(char) => (*char, true),
        None => (char::REPLACEMENT_CHARACTER, false),
    }
}

fn escaped(code: u8) -> (char, bool) {
    match EXTENSION.iter().find(|(known, _)| *known == code) {
        Some((_, char)) => (*char, true),
        None if code == ESCAPE => (' ', false),
        None => (plain(code).0, false),
    }
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
    if fill + count * 7 == bits && matches!(septets.last(), Some(0 | 0x0D)) {
        septets.pop();
    }
    septets
}

#[cfg(test)]
mod tests {
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
        fn no_bytes_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300), fill in 0_u8..7) {
            let decoded = decode(&bytes);
            prop_assert!(!decoded.text.contains('\0'));
            prop_assert!(decoded.damaged || !decoded.text.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(unpack(&bytes, fill).iter().all(|septet| *septet < 0x80));
        }
    }
}
