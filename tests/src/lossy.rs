//! Texts from an SMSC that loses a fifth of our answers and delivers again until it has heard one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::kill::requests;
use crate::scratch::{Running, Scratch};
use crate::smsc::{Fate, Loss, Manner, Message, Smsc};

/// Answers lost by dropping their bytes, of a thousand.
const DROPPED: u64 = 200;
/// How often a link is cut: once in so many texts. Each costs up to a second until the next bind.
const CUT_ONE_IN: u64 = 200;
/// Clients that read what is there.
const READERS: usize = 16;
/// How long all may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Texts that the SMSC had, each another one.
    pub texts: usize,
    /// Of these, those that are not there.
    pub missing: usize,
    /// Interactions beyond one a text.
    pub doubled: usize,
    /// Texts whose `deliveries` do not fit what the SMSC knows: at least as often as it got an answer, at most as often as
    /// it delivered.
    pub miscounted: usize,
    /// Texts whose flag `redelivered` does not say whether they came more than once.
    pub misflagged: usize,
    /// Texts that came more than once.
    pub again: usize,
    /// Answers lost by dropping their bytes, and by cutting the link.
    pub lost: (usize, usize),
    /// Until every text was acknowledged.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether each is there once, and known for what it is.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.missing + self.doubled + self.miscounted + self.misflagged == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} texts, {} missing, {} doubled, {} miscounted, {} misflagged; {} came again, {} answers dropped, {} links cut, {:.1} s",
            self.texts,
            self.missing,
            self.doubled,
            self.miscounted,
            self.misflagged,
            self.again,
            self.lost.0,
            self.lost.1,
            self.elapsed.as_secs_f64()
        )
    }
}

/// Sends `count` texts through such an SMSC, with `redelivery_seconds` as the account's.
///
/// # Errors
/// When not all is acknowledged in the end, or the daemon does not answer.
pub async fn run(binary: &Path, store: &str, count: usize, redelivery_seconds: u32) -> Result<Outcome> {
    let manner = Manner {
        loss: Loss {
            dropped: DROPPED,
            cut: 1000 / CUT_ONE_IN,
        },
        ..Manner::default()
    };
    let smsc = Smsc::listen("voxea", "secret", manner).await?;
    let channels = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         redelivery_seconds = {redelivery_seconds}\nreconnect_seconds = 1\n",
        smsc.address()
    );
    let scratch = Scratch::new(binary, store, &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let begun = Instant::now();
    // Half of them say the same, from another number each: it is not the words that tell them apart.
    let texts: Vec<Message> = (0..count)
        .map(|number| Message::plain(&texter(number), &format!("Bonjour, le lampadaire {} est en panne", number / 2)))
        .collect();
    smsc.send_all(&texts);
    ensure!(
        smsc.until(PATIENCE, |ledger| ledger.all_settled()).await,
        "{} of {count} texts were acknowledged",
        smsc.look(|ledger| ledger.settled)
    );
    let elapsed = begun.elapsed();
    let outcome = judge(&running, &smsc, count).await;
    running.stop().await?;
    Ok(Outcome { elapsed, ..outcome? })
}

async fn judge(running: &Running, smsc: &Smsc, count: usize) -> Result<Outcome> {
    let mut found = shown(running).await?;
    let entries = smsc.look(|ledger| ledger.entries.clone());
    let mut outcome = Outcome {
        texts: count,
        lost: smsc.look(|ledger| ledger.lost),
        ..Outcome::default()
    };
    ensure!(entries.iter().all(|entry| entry.fate == Fate::Acknowledged), "a text was refused");
    for (number, entry) in entries.iter().enumerate() {
        let mine = found.remove(&format!("+{}", texter(number))).unwrap_or_default();
        outcome.doubled += mine.len().saturating_sub(1);
        let Some(first) = mine.first() else {
            outcome.missing += 1;
            continue;
        };
        let deliveries = first["deliveries"].as_u64().unwrap_or(0);
        let flagged = first["flags"]
            .as_array()
            .is_some_and(|flags| flags.iter().any(|flag| flag == "redelivered"));
        let fits = (u64::from(entry.answers)..=u64::from(entry.deliveries)).contains(&deliveries);
        outcome.miscounted += usize::from(!fits);
        outcome.misflagged += usize::from(flagged != (deliveries > 1));
        outcome.again += usize::from(deliveries > 1);
    }
    // What nobody sent is as wrong as what came twice.
    outcome.doubled += found.values().map(Vec::len).sum::<usize>();
    Ok(outcome)
}

/// Every text's interactions, by its sender. Each look at personal data is a row of the audit trail: many ask at once.
async fn shown(running: &Running) -> Result<BTreeMap<String, Vec<Value>>> {
    let all = requests(running, "channel=sms").await?;
    let asked = all.chunks(all.len().div_ceil(READERS).max(1)).map(|mine| async move {
        let (mut rest, mut found) = (running.rest(), Vec::new());
        for request in mine {
            let id = request["id"].as_str().context("no id")?;
            let shown = rest.get(&format!("/v1/requests/{id}/interactions")).await?;
            let from = request["from"].as_str().unwrap_or_default().to_owned();
            found.push((from, shown["items"].as_array().cloned().unwrap_or_default()));
        }
        anyhow::Ok(found)
    });
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (from, interactions) in futures_util::future::try_join_all(asked).await?.into_iter().flatten() {
        found.entry(from).or_default().extend(interactions);
    }
    Ok(found)
}

fn texter(number: usize) -> String {
    format!("336{number:08}")
}
