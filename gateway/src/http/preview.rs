//! How a text would go out, as `/v1/sms:preview` and the refusal of an over-long reply say it.

use serde::Serialize;
use utoipa::ToSchema;
use voxea_rules::sms;

/// How a text would go out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    /// `gsm7` or `ucs2`.
    #[schema(example = "gsm7")]
    coding: &'static str,
    /// Septets or UTF-16 units, after typography is replaced.
    units: usize,
    /// 160 or 70.
    limit: usize,
    /// How many messages it would need.
    segments: usize,
    /// What forces UCS-2.
    offending: Vec<Offending>,
    /// A text that fits and says the same, when there is one. Where the account replaces letters on the way out, the text
    /// that goes out in place of the one that was written.
    suggestion: Option<String>,
}

/// A character outside the 7-bit alphabet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Offending {
    /// The character.
    char: char,
    /// Its place in characters, from 0.
    index: usize,
}

impl From<sms::Preview> for Preview {
    fn from(preview: sms::Preview) -> Self {
        Self {
            coding: preview.coding.as_str(),
            units: preview.units,
            limit: preview.limit,
            segments: preview.segments,
            offending: preview
                .offending
                .into_iter()
                .map(|one| Offending {
                    char: one.char,
                    index: one.index,
                })
                .collect(),
            suggestion: preview.suggestion,
        }
    }
}
