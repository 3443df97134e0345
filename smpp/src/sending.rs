//! The part of a `[[smpp]]` that says how texts go out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use voxea_core::base::settings::Section;
use voxea_core::outbox::{Joined, Texting};
use voxea_rules::sms::{Alphabet, Letters};

use crate::content::Ids;
use crate::pace::Pace;
use crate::status::Meaning;
use crate::validity::Form;

/// How texts go out in an account.
#[derive(Debug, Clone)]
pub struct Sending {
    /// What the outbox must know.
    pub texting: Texting,
    /// How `validity_period` is written; `None`: it is left to the SMSC.
    pub validity: Option<Form>,
    /// How its receipts write the ids of its responses.
    pub receipt_ids: Ids,
    /// Refusals that this SMSC takes back later, beside the standard's.
    pub retry_statuses: HashSet<u32>,
    pace: Arc<Mutex<Pace>>,
}

impl Sending {
    /// Reads it. What is wrong is noted in the section's problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &Section<'_>) -> Self {
        let letters = section.one_of("letters", &Letters::NAMES, "propose");
        let joined = section.one_of("split_by", &Joined::NAMES, "udh8");
        let life = section.int_or("validity_seconds", 172_800, 0..=604_800);
        if (1..60).contains(&life) {
            section.problem("validity_seconds", "must be 0, which leaves it to the operator, or at least 60");
        }
        let form = match section.one_of("validity_format", &["relative", "absolute"], "relative") {
            "absolute" => Form::Absolute,
            _ => Form::Relative,
        };
        let texting = Texting {
            letters: letters.parse().unwrap_or_default(),
            // Of the bind, not of this; see `Config::read`.
            alphabet: Alphabet::default(),
            most_segments: u8::try_from(section.int_or("most_segments", 5, 1..=20)).unwrap_or(5),
            joined: joined.parse().unwrap_or_default(),
            life: if life == 0 { Texting::default().life } else { life * 1000 },
            cancel: section.bool_or("cancel", false),
            replace: section.bool_or("replace", false),
            query: section.bool_or("query", false),
            one_receipt: section.one_of("part_receipts", &["each", "one"], "each") == "one",
        };
        let per_second = u32::try_from(section.int_or("per_second", 0, 0..=100_000)).unwrap_or(0);
        Self {
            texting,
            validity: (life != 0).then_some(form),
            receipt_ids: match section.one_of("receipt_ids", &["any", "same", "decimal", "hexadecimal"], "any") {
                "same" => Ids::Same,
                "decimal" => Ids::Decimal,
                "hexadecimal" => Ids::Hexadecimal,
                _ => Ids::Any,
            },
            retry_statuses: statuses(section),
            pace: Arc::new(Mutex::new(Pace::new((per_second != 0).then_some(per_second)))),
        }
    }

    /// What a refusal means here.
    #[must_use]
    pub fn meaning(&self, status: u32) -> Meaning {
        match crate::status::meaning(status) {
            Meaning::Final if self.retry_statuses.contains(&status) => Meaning::Passing,
            meaning => meaning,
        }
    }

    /// The pace of all binds of the account.
    pub(crate) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next text may go; `None` at once.
    pub(crate) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.pace().ready_at(now)
    }
}

/// `["0x0400", "1025"]`: hexadecimal as the standard writes them, or decimal.
fn statuses(section: &Section<'_>) -> HashSet<u32> {
    let written = section.strings("retry_statuses").unwrap_or_default();
    let mut read = HashSet::new();
    for text in &written {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        match number {
            Some(number) if number != 0 => drop(read.insert(number)),
            _ => section.problem(
                "retry_statuses",
                format!("{text:?} is no command_status; an example: retry_statuses = [\"0x0400\", \"0x0401\"]"),
            ),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use voxea_core::base::settings::{Problems, parse};

    fn read(text: &str) -> (Sending, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let sending = Sending::read(&Section::root(&node, Path::new("/nowhere"), &problems));
        (sending, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn defaults_are_the_cores() {
        let (sending, problems) = read("");
        assert_eq!(problems, [""; 0]);
        assert_eq!(sending.texting, Texting::default());
        assert_eq!(sending.validity, Some(Form::Relative));
    }

    #[test]
    fn an_operators_own_refusals_may_pass() {
        let (sending, problems) = read("retry_statuses = [\"0x0400\", \"1025\"]\nvalidity_seconds = 0\n");
        assert_eq!((problems.len(), sending.validity), (0, None));
        assert_eq!(sending.meaning(0x400), Meaning::Passing);
        assert_eq!(sending.meaning(0x401), Meaning::Passing);
        assert_eq!(sending.meaning(0x402), Meaning::Final);
        assert_eq!(sending.meaning(0x58), Meaning::Throttled);
        let (_, problems) = read("retry_statuses = [\"busy\"]\nvalidity_seconds = 5\nletters = \"drop\"\nsplit_by = \"udh\"\n");
        let all = problems.join("\n");
        for part in [
            "retry_statuses: \"busy\" is no command_status",
            "validity_seconds: must be 0",
            "letters: is \"drop\", but must be one of keep, propose, replace",
            "split_by: is \"udh\", but must be one of udh8, udh16, sar",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
