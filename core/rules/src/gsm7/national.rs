//! National languages in seven bits (3GPP TS 23.038 §6.2.1.2 and annex A).
//!
//! A user data header may say that a language's table stands in place of the default alphabet (*locking shift*), or in
//! place of the extension table (*single shift*), or both. Handsets sold in Turkey, Portugal, Spain and India write so,
//! and so do their owners in France. We only read these tables: what goes out is the default alphabet or UCS-2, which
//! every handset reads.

mod locking;
mod single;

use super::alphabet::{DEFAULT, EXTENSION};

/// By code; 0 where there is nothing.
type Table = [u16; 128];

/// A language with tables of its own, by its code (3GPP TS 23.038 §6.2.1.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// 1
    Turkish,
    /// 2; single shift only
    Spanish,
    /// 3
    Portuguese,
    /// 4, and Assamese
    Bengali,
    /// 5
    Gujarati,
    /// 6
    Hindi,
    /// 7
    Kannada,
    /// 8
    Malayalam,
    /// 9
    Oriya,
    /// 10
    Punjabi,
    /// 11
    Tamil,
    /// 12
    Telugu,
    /// 13
    Urdu,
}

use Language::{Bengali, Gujarati, Hindi, Kannada, Malayalam, Oriya, Portuguese, Punjabi, Spanish, Tamil, Telugu, Turkish, Urdu};

impl Language {
    /// All of them, in the order of their codes, which begin at 1.
    pub const ALL: [Self; 13] = [
        Turkish, Spanish, Portuguese, Bengali, Gujarati, Hindi, Kannada, Malayalam, Oriya, Punjabi, Tamil, Telugu, Urdu,
    ];

    /// The language of a code; `None` for 0 (the default alphabet) and for codes that are reserved.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// What stands in place of the default alphabet; Spanish has nothing.
    fn locking(self) -> Option<&'static Table> {
        Some(match self {
            Turkish => &locking::TURKISH,
            Spanish => return None,
            Portuguese => &locking::PORTUGUESE,
            Bengali => &locking::BENGALI,
            Gujarati => &locking::GUJARATI,
            Hindi => &locking::HINDI,
            Kannada => &locking::KANNADA,
            Malayalam => &locking::MALAYALAM,
            Oriya => &locking::ORIYA,
            Punjabi => &locking::PUNJABI,
            Tamil => &locking::TAMIL,
            Telugu => &locking::TELUGU,
            Urdu => &locking::URDU,
        })
    }

    /// What stands in place of the extension table.
    fn single(self) -> &'static Table {
        match self {
            Turkish => &single::TURKISH,
            Spanish => &single::SPANISH,
            Portuguese => &single::PORTUGUESE,
            Bengali => &single::BENGALI,
            Gujarati => &single::GUJARATI,
            Hindi => &single::HINDI,
            Kannada => &single::KANNADA,
            Malayalam => &single::MALAYALAM,
            Oriya => &single::ORIYA,
            Punjabi => &single::PUNJABI,
            Tamil => &single::TAMIL,
            Telugu => &single::TELUGU,
            Urdu => &single::URDU,
        }
    }
}

/// Which tables a text is read by; without any, the default alphabet and its extension table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shifts {
    /// In place of the default alphabet.
    pub locking: Option<Language>,
    /// In place of the extension table.
    pub single: Option<Language>,
    /// A language was named that has no such table. Its text is read as a handset reads it that does not know the
    /// language: by the default tables (§6.2.1.2.4).
    pub unknown: bool,
}

impl Shifts {
    /// Whether anything is read otherwise than by the default tables.
    #[must_use]
    pub fn is_default(self) -> bool {
        self == Self::default()
    }

    /// Hears a locking shift to a language's code.
    pub(crate) fn lock(&mut self, code: u8) {
        self.locking = Language::of_code(code).filter(|language| language.locking().is_some());
        self.unknown |= self.locking.is_none() && code != 0;
    }

    /// Hears a single shift to a language's code.
    pub(crate) fn shift(&mut self, code: u8) {
        self.single = Language::of_code(code);
        self.unknown |= self.single.is_none() && code != 0;
    }

    /// What a septet says that stands alone; `None` for a code without a character.
    pub(super) fn plain(self, septet: u8) -> Option<char> {
        match self.locking.and_then(Language::locking) {
            Some(table) => of(table, septet),
            None => DEFAULT.get(usize::from(septet)).copied().filter(|char| *char != '\0'),
        }
    }

    /// What a septet behind an escape says; `None` for a code without a character.
    pub(super) fn escaped(self, septet: u8) -> Option<char> {
        match self.single {
            Some(language) => of(language.single(), septet),
            None => EXTENSION.iter().find(|(code, _)| *code == septet).map(|(_, char)| *char),
        }
    }
}

fn of(table: &Table, septet: u8) -> Option<char> {
    let unit = *table.get(usize::from(septet))?;
    (unit != 0).then(|| char::from_u32(u32::from(unit))).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::alphabet::ESCAPE;
    use super::super::{decode, decode_national};
    use super::*;
    use proptest::prelude::*;

    fn locked(code: u8) -> Shifts {
        let mut shifts = Shifts::default();
        shifts.lock(code);
        shifts
    }

    fn shifted(code: u8) -> Shifts {
        let mut shifts = Shifts::default();
        shifts.shift(code);
        shifts
    }

    /// How many characters a table has, and the sum of their code points times their code plus one: a slip anywhere
    /// changes it. Counted apart from this file, from two published readings of the annex.
    fn digest(table: &Table) -> (usize, u32) {
        let held = table.iter().filter(|unit| **unit != 0).count();
        let sum = (1..)
            .zip(table)
            .map(|(place, unit): (u32, _)| place * u32::from(*unit))
            .fold(0, u32::wrapping_add);
        (held, sum)
    }

    #[test]
    fn each_table_is_as_it_was_compared() {
        let locking: [(usize, u32); 13] = [
            (127, 1_153_779),
            (0, 0),
            (127, 1_302_407),
            (114, 9_320_748),
            (120, 11_221_943),
            (127, 10_710_193),
            (120, 13_482_048),
            (120, 13_980_836),
            (116, 11_117_400),
            (110, 9_251_881),
            (102, 10_098_791),
            (120, 12_722_621),
            (127, 7_590_869),
        ];
        let single: [(usize, u32); 13] = [
            (17, 1_095_707),
            (19, 1_066_959),
            (37, 1_357_047),
            (82, 3_485_269),
            (70, 2_141_660),
            (88, 4_166_538),
            (73, 2_716_668),
            (82, 4_283_483),
            (75, 2_800_122),
            (76, 2_781_344),
            (77, 3_158_353),
            (78, 3_590_903),
            (90, 3_399_349),
        ];
        for (place, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!(language.locking().map_or((0, 0), digest), locking[place], "{language:?}");
            assert_eq!(digest(language.single()), single[place], "{language:?}");
        }
    }

    #[test]
    fn no_table_yields_an_escape_or_a_nul_and_all_have_a_space_a_line_and_the_euro() {
        for language in Language::ALL {
            if let Some(table) = language.locking() {
                assert_eq!(
                    (table[0x20], table[0x0A], table[0x0D], table[usize::from(ESCAPE)]),
                    (0x20, 0x0A, 0x0D, 0)
                );
                for (code, ascii) in (0x30..0x3A).chain(0x61..0x7B).map(|code| (code, code as u16)) {
                    assert_eq!(table[code], ascii, "{language:?}: digits and small letters stay");
                }
            }
            let table = language.single();
            assert_eq!(
                (table[0x65], table[0x0A], table[0x0D], table[usize::from(ESCAPE)]),
                (0x20AC, 0x0C, 0, 0)
            );
            for (code, char) in EXTENSION {
                assert_eq!(of(table, code), Some(char), "{language:?}: the extension table stays");
            }
        }
    }

    #[test]
    fn texts_of_the_languages() {
        // "Çocuğumuz için kreş yeri, 5 €": single shift writes ğ, ç and ş; locking shift has them and the euro.
        let single = b"\x09ocu\x1bgumuz i\x1bcin kre\x1bs yeri, 5 \x1be";
        assert_eq!(decode_national(single, shifted(1)).text, "Çocuğumuz için kreş yeri, 5 €");
        assert_eq!(
            decode_national(b"\x09ocu\x0cumuz i\x60in kre\x1d yeri, 5 \x04", locked(1)).text,
            "Çocuğumuz için kreş yeri, 5 €"
        );
        assert_eq!(decode_national(b"\x40stanbul'da k\x07z", locked(1)).text, "İstanbul'da kız");
        assert_eq!(decode_national(b"\x1bIstanbul", shifted(1)).text, "İstanbul");
        // Spanish: á í ó ú ç and their capitals.
        assert_eq!(
            decode_national(b"Petici\x1bon de informaci\x1bon, aqu\x1bi", shifted(2)).text,
            "Petición de información, aquí"
        );
        // Portuguese: both kinds.
        assert_eq!(
            decode_national(b"informa\x1b\x09\x1b{o, cora\x1b\x09\x1b|es", shifted(3)).text,
            "informação, corações"
        );
        assert_eq!(
            decode_national(b"informa\x09{o, voc\x04, \x18 5", locked(3)).text,
            "informação, você, € 5"
        );
        // Hindi "नमस्ते", Tamil "வணக்கம்", Urdu "سلام".
        assert_eq!(decode_national(b"\x2f\x42\x4c\x5f\x27\x59", locked(6)).text, "नमस्ते");
        assert_eq!(decode_national(b"\x49\x26\x15\x5f\x15\x42\x5f", locked(11)).text, "வணக்கம்");
        assert_eq!(decode_national(b"\x3d\x4d\x00\x4e", locked(13)).text, "سلام");
        // With a locking table, capitals of the Indian languages come behind an escape.
        let both = Shifts {
            locking: Some(Hindi),
            single: Some(Hindi),
            unknown: false,
        };
        let decoded = decode_national(b"\x1bM\x1bA\x1bI\x1bR\x1bI\x1bE \x1b\x1c", both);
        assert_eq!((decoded.text.as_str(), decoded.damaged), ("MAIRIE ०", false));
    }

    #[test]
    fn what_no_table_has_is_told() {
        // Behind an escape, a code without a character is read from the table in front (§6.2.1.2.2, note).
        for (bytes, shifts, text) in [
            (&b"a\x1bbc"[..], shifted(1), "abc"),
            (b"a\x1b\x60", locked(1), "aç"),
            (b"a\x1b", shifted(3), "a\u{fffd}"),
            (b"a\x1b\x1bb", shifted(3), "a b"),
            (b"\x0c", locked(4), "\u{fffd}"),
            (b"a\x80", locked(3), "a\u{fffd}"),
            (b"caf\x05", locked(2), "café"),
            (b"caf\x05", locked(14), "café"),
            (b"caf\x05", shifted(255), "café"),
        ] {
            let decoded = decode_national(bytes, shifts);
            assert_eq!((decoded.text.as_str(), decoded.damaged), (text, true), "{bytes:?} {shifts:?}");
        }
        assert!(locked(0).is_default() && shifted(0).is_default());
    }

    proptest! {
        #[test]
        fn no_bytes_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), lock: u8, shift: u8) {
            let mut shifts = locked(lock % 16);
            shifts.shift(shift % 16);
            let decoded = decode_national(&bytes, shifts);
            let control = |char| char == '\0' || u32::from(char) == u32::from(ESCAPE);
            prop_assert!(!decoded.text.contains(control));
            prop_assert!(decoded.damaged || !decoded.text.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(decoded.damaged || !shifts.unknown);
        }

        #[test]
        fn without_a_language_nothing_changes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode_national(&bytes, Shifts::default()), decode(&bytes));
        }
    }
}
