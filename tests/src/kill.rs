//! kill -9, again and again, with the peers' ledgers as oracle: what a peer was told we have is there, once.

pub mod calls;
pub mod messages;
pub mod texts;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};
use serde_json::Value;

pub use crate::dice::Dice;
use crate::scratch::{Rest, Running};

/// What came of one kind of contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// What the peer was told we have.
    pub acknowledged: usize,
    /// Of these, what is not there in the end.
    pub lost: usize,
    /// What is there more than once, acknowledged or not.
    pub doubled: usize,
}

impl Tally {
    /// Whether the promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }

    /// Judges: `acknowledged` are the peer's names, `found` how often each is there.
    #[must_use]
    pub fn judge<'a>(acknowledged: impl IntoIterator<Item = &'a str>, found: &BTreeMap<String, usize>) -> Self {
        let mut tally = Self {
            doubled: found.values().filter(|count| **count > 1).count(),
            ..Self::default()
        };
        for name in acknowledged {
            tally.acknowledged += 1;
            tally.lost += usize::from(!found.contains_key(name));
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledged {} / lost {} / doubled {}",
            self.acknowledged, self.lost, self.doubled
        )
    }
}

/// A back-office application that pulls the feed and survives the daemon's deaths.
#[derive(Debug, Default)]
pub struct Reader {
    cursor: Option<String>,
    /// What it saw, in its order: sequence, type, subject.
    pub seen: Vec<(String, String, String)>,
}

impl Reader {
    /// Reads to the end of what is there.
    ///
    /// # Errors
    /// When the daemon dies meanwhile; the cursor is then where the last whole page ended.
    pub async fn pull(&mut self, rest: &mut Rest) -> Result<()> {
        loop {
            let after = self.cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let page = rest.get(&format!("/v1/changes?limit=500{after}")).await?;
            let text = |event: &Value, member: &str| event[member].as_str().unwrap_or_default().to_owned();
            let events = page["items"].as_array().into_iter().flatten();
            self.seen
                .extend(events.map(|event| (text(event, "sequence"), text(event, "type"), text(event, "subject"))));
            self.cursor = page["next"].as_str().map(str::to_owned);
            if page["has_more"] != true {
                return Ok(());
            }
        }
    }

    /// Holds what was seen across all deaths against one read from the beginning: the same, in order, each once, and
    /// exactly one `request.created` a request.
    ///
    /// # Errors
    /// What differs.
    pub async fn verify(&mut self, running: &Running) -> Result<usize> {
        let mut whole = Self::default();
        whole.pull(&mut running.rest()).await?;
        // The outbox may still be at work: the reader goes on, and is held to what the whole had by then.
        self.pull(&mut running.rest()).await?;
        let same = self.seen.get(..whole.seen.len()) == Some(whole.seen.as_slice());
        ensure!(
            same,
            "a reader saw {} events, the feed has {}, and they differ",
            self.seen.len(),
            whole.seen.len()
        );
        ensure!(whole.seen.is_sorted_by(|a, b| a.0 < b.0), "sequences do not rise");
        let mut created: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind, subject) in &whole.seen {
            if kind == "fr.voxea.request.created" {
                *created.entry(subject).or_default() += 1;
            }
        }
        ensure!(created.values().all(|count| *count == 1), "a request was created twice");
        ensure!(
            created.len() == requests(running, "").await?.len(),
            "requests and their events differ in number"
        );
        Ok(whole.seen.len())
    }
}

/// Every request, by a filter such as `channel=sms`.
///
/// # Errors
/// When the daemon does not answer.
pub async fn requests(running: &Running, filter: &str) -> Result<Vec<Value>> {
    let (mut rest, mut all, mut after) = (running.rest(), Vec::new(), String::new());
    loop {
        let page = rest.get(&format!("/v1/requests?limit=500&{filter}{after}")).await?;
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_sees_what_is_missing_and_what_is_double() {
        let found = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let tally = Tally::judge(["a", "b", "c"], &found);
        assert_eq!(
            tally,
            Tally {
                acknowledged: 3,
                lost: 1,
                doubled: 1
            }
        );
        assert!(!tally.is_sound());
        assert!(Tally::judge(["a"], &BTreeMap::from([("a".to_owned(), 1)])).is_sound());
    }
}
