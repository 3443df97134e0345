//! What a text would cost, and what to write instead of one that costs too much.
//!
//! A proposal is only ever shown to whoever wrote the text. It is accepted when it is sent as it stands.

use serde::Serialize;

use super::coding::Coding;
use super::plain::{plain, squeeze};
use super::policy::Policy;
use super::prepared::Prepared;
use crate::typography::replaced;

/// At most this many offending characters are listed.
pub const MAX_OFFENDING: usize = 1_000;

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
    /// Messages that it would cost, with a reference of the policy's width; 0 for an empty text.
    pub segments: usize,
    /// What forces UCS-2, in order, at most [`MAX_OFFENDING`]; empty for `gsm7`.
    pub offending: Vec<Offending>,
    /// A text that says the same in one message of the 7-bit alphabet, or at least in fewer
    /// messages where the policy lets a text be split. `None` when the text is one already, and
    /// when there is no such text (another script, or still too long): what is proposed is
    /// always accepted. With [`super::Letters::Replace`], and where that saves a message, the text that
    /// goes out in place of the one that was written; all figures are then that text's.
    pub suggestion: Option<String>,
}

impl Preview {
    /// True when the text goes out as it is: one segment, and not empty.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.segments == 1
    }
}

/// Counts a text, and proposes another where that helps.
#[must_use]
pub fn preview(text: &str) -> Preview {
    preview_by(text, &Policy::default())
}

/// As [`preview`], by the policy of an account.
#[must_use]
pub fn preview_by(text: &str, policy: &Policy) -> Preview {
    let sent = replaced(text);
    let chars: Vec<char> = sent.iter().map(|(_, char)| *char).collect();
    let outgoing = Prepared::of(chars, policy);
    let offending = match outgoing.coding {
        Coding::Gsm7 => Vec::new(),
        Coding::Ucs2 => sent
            .iter()
            .filter(|(_, char)| !policy.alphabet.has(*char))
            .map(|&(index, char)| Offending { char, index })
            .take(MAX_OFFENDING)
            .collect(),
    };
    let suggestion = match outgoing {
        Prepared { replaced: true, .. } => Some(outgoing.text()),
        Prepared {
            coding: Coding::Gsm7,
            count: 0 | 1,
            ..
        } => None,
        _ => proposal(&outgoing, policy),
    };
    Preview {
        coding: outgoing.coding,
        units: outgoing.units,
        limit: outgoing.coding.limit(),
        segments: outgoing.count,
        offending,
        suggestion,
    }
}

/// The nearest text of the 7-bit alphabet that fits one message, or at least takes fewer where the policy lets a text be
/// split: equivalents first, and where that saves another message, single spaces and round brackets as well.
fn proposal(written: &Prepared, policy: &Policy) -> Option<String> {
    let plain = plain(&written.chars, policy)?;
    let squeezed = squeeze(&plain);
    let helps = |proposed: &Prepared| {
        let fewer = proposed.count < written.count && proposed.count <= policy.most();
        proposed.count == 1 && (written.count > 1 || written.coding == Coding::Ucs2) || (fewer && proposed.count > 0)
    };
    [plain, squeezed]
        .into_iter()
        .map(|chars| Prepared::new(chars, policy))
        .filter(helps)
        .min_by_key(|proposed| proposed.count)
        .map(|proposed| proposed.text())
}

#[cfg(test)]
mod tests {
    use super::super::check_reply;
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
    fn a_proposal_is_made_only_where_it_helps() {
        for (text, suggestion) in [
            ("Votre demande a été reçue", Some("Votre demande a été recue")),
            ("À l’hôtel de ville, Ève", Some("A l'hotel de ville, Eve")),
            ("FRANÇOIS, GARÇON", None),
            ("l’école…", None),
            ("OK 👍 merci", Some("OK merci")),
            ("merci 👨‍👩‍👧", Some("merci")),
            ("👍", None),
            ("спасибо", None),
            ("reçu, спасибо", None),
            ("dossier n° 12, 20 °C", Some("dossier no 12, 20 degC")),
            ("agent·e", Some("agent.e")),
        ] {
            assert_eq!(preview(text).suggestion.as_deref(), suggestion, "{text:?}");
        }
        let long = |text: &str, count| preview(&text.repeat(count)).suggestion;
        assert_eq!(long("ç", 160), Some("c".repeat(160)));
        assert_eq!(long("ç", 161), None, "still too long, so no proposal");
        assert_eq!(long("a", 161), None);
        assert_eq!(long("[a]", 33), Some("(a)".repeat(33)), "165 septets become 99");
        assert_eq!(long("ab  c ", 30), Some("ab c ".repeat(30).trim().to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_proposed_is_accepted(text in "[a-zA-Z0-9 éèàùçêœ’€\\[\\]~|{}^…«»\n😀]{0,400}") {
            if let Some(suggestion) = preview(&text).suggestion {
                prop_assert_ne!(&suggestion, &text);
                prop_assert_eq!(check_reply(&suggestion).map(|encoded| encoded.coding), Ok(Coding::Gsm7));
                prop_assert_eq!(preview(&suggestion).suggestion, None);
            }
        }
    }
}
