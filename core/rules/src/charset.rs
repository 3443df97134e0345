//! The 8-bit and 16-bit alphabets of a text message, decoded without ever failing.
//!
//! SMPP 3.4 §5.2.19: `data_coding` 3 is Latin-1, 8 is UCS-2. Whatever cannot be read becomes
//! U+FFFD and is told by [`Decoded::damaged`]; the caller keeps the raw bytes beside the text.
//! No decoder yields U+0000, which PostgreSQL refuses in a text column: one citizen's stray
//! NUL must not stop an intake.
//!
//! Parts of a long text are joined as *bytes* and decoded once: a part may end in the middle
//! of a surrogate pair, of an escape pair, or even of a 16-bit unit.

/// What was read, and whether all of it could be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The text; U+FFFD stands for each thing that could not be read.
    pub text: String,
    /// True when something was replaced, guessed or left out: the interaction is to be
    /// flagged `undecodable`.
    pub damaged: bool,
}

/// Windows-1252 in 0x80 to 0x9F, where ISO 8859-1 has control characters that nobody texts
/// but where many gateways put `€`, `’` and `œ`; U+FFFD where Windows-1252 is empty too.
const C1: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”',
    '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// Reads Latin-1, with Windows-1252 in its C1 range (as the WHATWG Encoding Standard does).
#[must_use]
pub fn latin1(bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded {
        text: String::with_capacity(bytes.len()),
        damaged: false,
    };
    for &byte in bytes {
        let read = match byte {
            0 => char::REPLACEMENT_CHARACTER,
            0x80..=0x9F => C1[usize::from(byte - 0x80)],
            _ => char::from(byte),
        };
        decoded.damaged |= read == char::REPLACEMENT_CHARACTER;
        decoded.text.push(read);
    }
    decoded
}

/// Reads UCS-2 as what handsets really send: UTF-16, big-endian, surrogate pairs included.
///
/// A leading byte order mark is dropped, and obeyed when it says little-endian. A lone
/// surrogate is U+FFFD; an odd last byte is left out. Both are told by `damaged`.
#[must_use]
pub fn ucs2(bytes: &[u8]) -> Decoded {
    let (bytes, little) = match bytes {
        [0xFE, 0xFF, rest @ ..] => (rest, false),
        [0xFF, 0xFE, rest @ ..] => (rest, true),
        _ => (bytes, false),
    };
    let read = |pair: &[u8; 2]| {
        if little {
            u16::from_le_bytes(*pair)
        } else {
            u16::from_be_bytes(*pair)
        }
    };
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut decoded = Decoded {
        text: String::with_capacity(pairs.len()),
        damaged: !odd.is_empty(),
    };
    for unit in char::decode_utf16(pairs.iter().map(read)) {
        match unit {
            Ok('\0') | Err(_) => {
                decoded.damaged = true;
                decoded.text.push(char::REPLACEMENT_CHARACTER);
            }
            Ok(char) => decoded.text.push(char),
        }
    }
    decoded
}

/// Writes UTF-16, big-endian, without a byte order mark.
#[must_use]
pub fn encode_ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Decoded {
        Decoded {
            text: text.to_owned(),
            damaged: false,
        }
    }

    fn damaged(text: &str) -> Decoded {
        Decoded {
            text: text.to_owned(),
            damaged: true,
        }
    }

    #[test]
    fn latin1_reads_french_and_what_windows_puts_in_c1() {
        assert_eq!(latin1(b"re\xE7u \xE0 l\x92h\xF4tel, 3 \x80"), whole("reçu à l’hôtel, 3 €"));
        assert_eq!(latin1(b"a\x81b\0"), damaged("a\u{fffd}b\u{fffd}"));
    }

    #[test]
    fn ucs2_reads_pairs_marks_and_damage() {
        assert_eq!(ucs2(&encode_ucs2("Ça va 😀 œuf")), whole("Ça va 😀 œuf"));
        assert_eq!(ucs2(b"\xFE\xFF\0a"), whole("a"));
        assert_eq!(ucs2(b"\xFF\xFEa\0"), whole("a"));
        assert_eq!(ucs2(b"\0a\0"), damaged("a"), "odd byte");
        assert_eq!(ucs2(b"\xD8\x3D\0a"), damaged("\u{fffd}a"), "lone surrogate");
        assert_eq!(ucs2(b"\0\0\0a"), damaged("\u{fffd}a"), "NUL");
        assert_eq!(ucs2(b""), whole(""));
    }

    proptest! {
        #[test]
        fn no_bytes_fail_and_no_nul_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for decoded in [latin1(&bytes), ucs2(&bytes)] {
                prop_assert!(!decoded.text.contains('\0'));
                // U+FFFD may also have been sent as such, in UCS-2.
                prop_assert!(decoded.text.contains(char::REPLACEMENT_CHARACTER) || !decoded.damaged || bytes.len() % 2 == 1);
            }
        }

        #[test]
        fn ucs2_round_trip(text in "[^\0\u{feff}\u{fffe}]{0,100}") {
            prop_assert_eq!(ucs2(&encode_ucs2(&text)), whole(&text));
        }
    }
}
