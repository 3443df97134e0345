//! The doors through which a text goes out, or does not.

use super::coding::{Coding, Encoded, coding, encode, units};
use super::policy::{Alphabet, Policy};
use super::prepared::Prepared;
use super::preview::{Preview, preview, preview_by};
use crate::typography::replaced;

/// A reply that takes more segments than the policy allows, or has nothing in it (`segments` 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The count, what costs so much, and the proposal: the members of the 422.
    pub preview: Preview,
    /// Segments that the policy allows; mostly 1.
    pub most: usize,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Preview {
            coding,
            units,
            limit,
            segments,
            ..
        } = &self.preview;
        let unit = match coding {
            Coding::Gsm7 => "septets",
            Coding::Ucs2 => "UTF-16 units",
        };
        match (units, self.most) {
            (0, _) => f.write_str("a text message cannot be empty"),
            (_, 1) => write!(f, "the text has {units} {unit}, one message holds {limit}"),
            (_, most) => write!(f, "the text has {units} {unit}, which take {segments} messages; {most} are allowed"),
        }
    }
}

impl std::error::Error for Refused {}

/// Prepares a reply for sending; the door through which a reply goes out, whole or in segments.
///
/// # Errors
/// [`Refused`] when it takes more segments than the policy allows, or is empty.
pub fn prepare(text: &str, policy: &Policy) -> Result<Prepared, Refused> {
    let chars = replaced(text).into_iter().map(|(_, char)| char).collect();
    let prepared = Prepared::of(chars, policy);
    if (1..=policy.most()).contains(&prepared.count) {
        Ok(prepared)
    } else {
        Err(Refused {
            preview: preview_by(text, policy),
            most: policy.most(),
        })
    }
}

/// True when the text, after typography is replaced, is one message and not empty.
#[must_use]
pub fn fits_one_segment(text: &str) -> bool {
    let chars: Vec<char> = replaced(text).into_iter().map(|(_, char)| char).collect();
    let coding = coding(&chars, Alphabet::default());
    (1..=coding.limit()).contains(&units(&chars, coding))
}

/// Encodes a whole text, after typography is replaced, however long it is: unpacked septets
/// where the 7-bit alphabet has every character, else UTF-16 big-endian.
#[must_use]
pub fn encode_for_submit(text: &str) -> Encoded {
    let chars: Vec<char> = replaced(text).into_iter().map(|(_, char)| char).collect();
    encode(&chars, coding(&chars, Alphabet::default()))
}

/// The text of a reply, encoded; the door through which a reply goes out that is never split and of which no letter is
/// replaced.
///
/// # Errors
/// [`Refused`] when it takes more than one segment, or is empty.
pub fn check_reply(text: &str) -> Result<Encoded, Refused> {
    if fits_one_segment(text) {
        Ok(encode_for_submit(text))
    } else {
        Err(Refused {
            preview: preview(text),
            most: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Letters, ReferenceWidth};
    use super::*;
    use crate::typography::typography;
    use proptest::prelude::*;

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

    #[test]
    fn letters_are_kept_proposed_or_replaced() {
        let by = |letters| Policy {
            letters,
            ..Policy::default()
        };
        let long = "Votre demande a été reçue. ".repeat(4);
        let plain = long.replace('ç', "c");
        for (letters, coding, segments, suggestion) in [
            (Letters::Keep, Coding::Ucs2, 2, None),
            (Letters::Propose, Coding::Ucs2, 2, Some(&plain)),
            (Letters::Replace, Coding::Gsm7, 1, Some(&plain)),
        ] {
            let preview = preview_by(&long, &by(letters));
            assert_eq!((preview.coding, preview.segments), (coding, segments), "{letters:?}");
            assert_eq!(preview.suggestion.as_ref(), suggestion, "{letters:?}");
            assert_eq!(preview.offending.len(), if coding == Coding::Ucs2 { 4 } else { 0 });
            let prepared = prepare(&long, &by(letters));
            assert_eq!(
                prepared.map(|prepared| prepared.text()).ok().as_ref(),
                suggestion.filter(|_| segments == 1)
            );
        }
        // What fits goes out as it was written, whoever pays.
        let short = prepare("Reçu, cœur", &by(Letters::Replace)).unwrap();
        assert_eq!(
            (short.text().as_str(), short.coding(), short.count()),
            ("Reçu, cœur", Coding::Ucs2, 1)
        );
        // Letters are language; a pictograph is not.
        assert_eq!(
            preview_by("OK 👍 merci", &by(Letters::Keep)).suggestion.as_deref(),
            Some("OK merci")
        );
        assert_eq!(preview_by("Reçu 👍", &by(Letters::Keep)).suggestion, None);
        // One foreign letter, and replacing the others saves nothing.
        let foreign = format!("{long}Ж");
        assert_eq!(prepare(&foreign, &by(Letters::Replace)).unwrap_err().preview.offending.len(), 5);
        assert_eq!(
            prepare("", &by(Letters::Replace)).unwrap_err().to_string(),
            "a text message cannot be empty"
        );
    }

    #[test]
    fn splitting_is_opted_in_to_and_has_an_end() {
        let by = |most_segments, letters| Policy {
            most_segments,
            letters,
            ..Policy::default()
        };
        let text = "à ç ".repeat(50);
        assert_eq!(prepare(&text, &by(1, Letters::Propose)).unwrap_err().preview.suggestion, None);
        let refused = prepare(&text, &by(2, Letters::Propose)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the text has 200 UTF-16 units, which take 3 messages; 2 are allowed"
        );
        assert_eq!(refused.preview.suggestion, Some("à c ".repeat(50)), "two messages instead of three");
        assert_eq!(prepare(&text, &by(3, Letters::Propose)).unwrap().count(), 3);
        let replaced = prepare(&text, &by(2, Letters::Replace)).unwrap();
        assert_eq!((replaced.coding(), replaced.units(), replaced.count()), (Coding::Gsm7, 200, 2));
        // Brackets and doubled spaces are squeezed where that saves another message.
        let squeezable = "[a]  ".repeat(45);
        assert_eq!(preview_by(&squeezable, &by(3, Letters::Propose)).segments, 3);
        assert_eq!(
            preview_by(&squeezable, &by(3, Letters::Propose)).suggestion,
            Some("(a) ".repeat(45).trim().to_owned())
        );
        assert!(prepare(&"a".repeat(153 * 255), &by(255, Letters::Keep)).is_ok());
        assert!(prepare(&"a".repeat(153 * 255 + 1), &by(255, Letters::Keep)).is_err());
    }

    /// Red where what the SMSC cannot read is found only when it is sent.
    #[test]
    fn what_an_smsc_of_latin1_lacks_is_said_where_it_stands() {
        let latin1 = Policy {
            alphabet: Alphabet::Latin1,
            ..Policy::default()
        };
        let text = format!("{}5 €", "é".repeat(80));
        assert!(prepare(&text, &Policy::default()).is_ok());
        let refused = prepare(&text, &latin1).unwrap_err().preview;
        let euro: Vec<(char, usize)> = refused.offending.iter().map(|one| (one.char, one.index)).collect();
        assert_eq!((refused.coding, refused.units, refused.limit), (Coding::Ucs2, 83, 70));
        assert_eq!(euro, [('€', 82)]);
        // In segments it goes out whole, all of them in one alphabet.
        let split = prepare(
            &text,
            &Policy {
                most_segments: 2,
                ..latin1
            },
        )
        .unwrap();
        assert_eq!((split.coding(), split.count()), (Coding::Ucs2, 2));
        assert_eq!(prepare(&"é[".repeat(53), &latin1).unwrap().coding(), Coding::Gsm7);
        assert_eq!(prepare("Δ", &latin1).unwrap().coding(), Coding::Ucs2);
    }

    fn french() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 éèàùçêœ’€\\[\\]~|{}^…«»\n😀]{0,400}"
    }

    proptest! {
        #[test]
        fn a_policy_never_costs_more_and_keeps_its_word(
            text in french(), most_segments in 0_u8..5, wide: bool, latin1: bool, letters in proptest::sample::select(vec![Letters::Keep, Letters::Propose, Letters::Replace]),
        ) {
            let width = if wide { ReferenceWidth::Sixteen } else { ReferenceWidth::Eight };
            let alphabet = if latin1 { Alphabet::Latin1 } else { Alphabet::Gsm7 };
            let policy = Policy { letters, most_segments, width, alphabet };
            let preview = preview_by(&text, &policy);
            let written = preview_by(&text, &Policy { letters: Letters::Keep, ..policy });
            prop_assert!(preview.segments <= written.segments);
            match prepare(&text, &policy) {
                Ok(prepared) => {
                    prop_assert_eq!((prepared.coding(), prepared.units(), prepared.count()), (preview.coding, preview.units, preview.segments));
                    prop_assert!(prepared.count() <= policy.most());
                    prop_assert_eq!(prepared.segments(7).len(), prepared.count());
                    prop_assert!(letters == Letters::Replace || prepared.text() == typography(&text));
                }
                Err(refused) => prop_assert_eq!(refused.preview, preview.clone()),
            }
            if let Some(suggestion) = preview.suggestion {
                let proposed = prepare(&suggestion, &policy);
                prop_assert!(proposed.is_ok_and(|proposed| proposed.text() == suggestion && proposed.count() <= preview.segments));
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
