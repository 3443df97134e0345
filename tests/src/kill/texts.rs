//! Texts in both directions, and a daemon that is killed meanwhile: what the SMSC was told we have is there once, and what we
//! were told to send was sent once, or is shown as `unknown`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Dice, Reader, Tally, requests};
use crate::scratch::{Running, Scratch};
use crate::smsc::{Answer, Manner, Message, Receipts, Smsc};

/// Texts that come in, and programs that answer citizens, in one life of the daemon.
const TEXTS: usize = 200;
const CLERKS: usize = 4;
/// Citizens who are answered.
const CITIZENS: usize = 40;
/// Longest life of a daemon that is to be killed, and its shortest.
const LIFE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(400));
/// How long the last life may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Texts in; the SMSC's ledger is the oracle.
    pub texts: Tally,
    /// Replies: `acknowledged` were answered with 202; `lost` are neither with the SMSC nor shown as unknown; `doubled` came
    /// to the SMSC more than once without being shown as unknown.
    pub replies: Tally,
    /// Replies that are shown as unknown in the end.
    pub unknown: usize,
    /// Those of them that the SMSC has more than once.
    pub unknown_doubled: usize,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.texts.is_sound() && self.replies.is_sound()
    }
}

/// Kills the daemon `kills` times under texts in both directions, and counts.
///
/// # Errors
/// When the daemon does not come back, or the last life does not bring everything to an end.
pub async fn run(binary: &Path, store: &str, kills: u64, environment: &[(&str, &str)]) -> Result<Outcome> {
    let manner = Manner {
        receipts: Receipts::None,
        ..Manner::default()
    };
    let smsc = Smsc::listen("voxea", "secret", manner).await?;
    let channels = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         response_seconds = 3\nreconnect_seconds = 1\n",
        smsc.address()
    );
    let mut scratch = Scratch::new(binary, store, &channels).await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answered = citizens(&scratch, &smsc).await?;
    let clerks = Arc::new(Clerks {
        answered,
        written: Mutex::new((0, Vec::new())),
    });
    let mut dice = Dice::new(kills.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x7E87);
    for round in 0..kills {
        let running = scratch.run().await?;
        running.up("smpp").await?;
        let first = smsc.look(|ledger| ledger.entries.len());
        let texts: Vec<Message> = (first..first + TEXTS)
            .map(|number| Message::plain(&texter(number), &format!("Bonjour, texte {number}")))
            .collect();
        smsc.send_all(&texts);
        // The SMSC takes some texts without saying so, and hears nothing for a while before every second kill.
        if round % 2 == 1 {
            smsc.answer([Answer::Take, Answer::Silence, Answer::Take, Answer::Silence]);
        }
        let mut writing = JoinSet::new();
        for _ in 0..CLERKS {
            let (clerks, mut rest) = (Arc::clone(&clerks), running.rest());
            writing.spawn(async move { while clerks.write(&mut rest).await.is_ok() {} });
        }
        tokio::time::sleep(dice.time(LIFE.0, LIFE.1)).await;
        if round % 2 == 1 {
            smsc.behave(|manner| manner.deaf = true);
            tokio::time::sleep(dice.time(Duration::from_millis(5), Duration::from_millis(40))).await;
        }
        running.kill().await?;
        // Each ends by itself with the connection that it writes over.
        while writing.join_next().await.is_some() {}
        smsc.behave(|manner| manner.deaf = false);
    }
    scratch.environment.clear();
    let running = scratch.run().await?;
    ensure!(
        smsc.until(PATIENCE, |ledger| ledger.all_settled()).await,
        "not every text was taken in the end"
    );
    let outcome = judge(&running, &smsc, &clerks).await;
    running.stop().await?;
    outcome
}

/// Who answers, what was written, and which replies were taken: the number in its text, and its id.
struct Clerks {
    answered: Vec<String>,
    written: Mutex<(usize, Vec<(usize, String)>)>,
}

impl Clerks {
    async fn write(&self, rest: &mut crate::scratch::Rest) -> Result<()> {
        let number = {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.0 += 1;
            written.0
        };
        let target = format!("/v1/requests/{}/replies", self.answered[number % self.answered.len()]);
        let answered = rest.call("POST", &target, Some(&json!({"text": said(number)}))).await?;
        ensure!(answered.status == 202, "{}", answered.status);
        let id = answered.json()?["id"].as_str().context("no id")?.to_owned();
        self.written.lock().unwrap_or_else(PoisonError::into_inner).1.push((number, id));
        Ok(())
    }
}

async fn citizens(scratch: &Scratch, smsc: &Smsc) -> Result<Vec<String>> {
    let running = scratch.run().await?;
    let first: Vec<Message> = (0..CITIZENS).map(|number| Message::plain(&texter(number), "Bonjour")).collect();
    smsc.send_all(&first);
    ensure!(
        smsc.until(PATIENCE, |ledger| ledger.all_settled()).await,
        "the first texts were not taken"
    );
    let all = requests(&running, "channel=sms").await?;
    running.stop().await?;
    Ok(all.iter().filter_map(|request| request["id"].as_str().map(str::to_owned)).collect())
}

async fn judge(running: &Running, smsc: &Smsc, clerks: &Clerks) -> Result<Outcome> {
    let mut reader = Reader::default();
    reader.pull(&mut running.rest()).await?;
    let mut received: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, kind, subject) in &reader.seen {
        if kind == "fr.voxea.interaction.received" {
            *received.entry(subject).or_default() += 1;
        }
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests(running, "channel=sms").await? {
        let count = request["id"].as_str().and_then(|id| received.get(id)).copied().unwrap_or(0);
        *found.entry(request["from"].as_str().unwrap_or_default().to_owned()).or_default() += count;
    }
    let names = |number: usize| format!("+{}", texter(number));
    let acknowledged: Vec<String> = smsc.look(|ledger| ledger.acknowledged().into_iter().map(names).collect());
    let mut outcome = Outcome {
        texts: Tally::judge(acknowledged.iter().map(String::as_str), &found),
        ..Outcome::default()
    };
    let (_, taken) = clerks.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut rest, mut unknown) = (running.rest(), Vec::new());
    for (number, id) in &taken {
        let target = format!("/v1/replies/{id}");
        let reply = rest.until(&target, PATIENCE, |reply| reply["state"] != "queued").await?;
        if reply["state"] == "unknown" {
            unknown.push(*number);
        }
    }
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    for text in smsc.look(|ledger| ledger.submits.iter().map(crate::smsc::Submit::text).collect::<Vec<_>>()) {
        *sent.entry(text).or_default() += 1;
    }
    let shown: Vec<String> = unknown.iter().map(|number| said(*number)).collect();
    outcome.unknown = shown.len();
    outcome.unknown_doubled = shown.iter().filter(|text| sent.get(*text).is_some_and(|count| *count > 1)).count();
    // What is shown as unknown is neither lost nor a surprise, whatever the SMSC has of it.
    sent.extend(shown.into_iter().map(|text| (text, 1)));
    let taken: Vec<String> = taken.iter().map(|(number, _)| said(*number)).collect();
    outcome.replies = Tally::judge(taken.iter().map(String::as_str), &sent);
    Ok(outcome)
}

fn texter(number: usize) -> String {
    format!("336{number:08}")
}

fn said(number: usize) -> String {
    format!("Votre demande est en cours, {number}")
}
