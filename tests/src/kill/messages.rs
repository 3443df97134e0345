//! Texts and mails under load, and a daemon that is killed meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Dice, Reader, Tally, requests};
use crate::dovecot::Dovecot;
use crate::scratch::{Running, Scratch};
use crate::smsc::{Manner, Message, Smsc};
use crate::smtp_sink::SmtpSink;

/// Texts and mails that are handed over in one life of the daemon.
const TEXTS: usize = 600;
const MAILS: usize = 20;
/// How long the last life may take to bring everything in.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Longest life of a daemon that is to be killed, and its shortest.
const LIFE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(400));

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Of texts: the SMSC's ledger is the oracle.
    pub texts: Tally,
    /// Of mails: what stands in the mailbox is the oracle.
    pub mails: Tally,
    /// Mails that were acknowledged to the citizen, and how many of them twice under another Message-ID.
    pub answered: Tally,
    /// Events that a reader saw across all deaths.
    pub events: usize,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.texts.is_sound() && self.mails.is_sound() && self.answered.is_sound()
    }
}

/// Kills the daemon `kills` times, and counts. `patience` is how long the last life may take to bring everything in.
///
/// # Errors
/// When a peer is missing, the daemon does not come back within ten seconds, or a reader of the feed missed something.
pub async fn run(binary: &Path, store: &str, kills: u64, environment: &[(&str, &str)], patience: Duration) -> Result<Outcome> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let mut scratch = Scratch::new(binary, store, &channels(&smsc, &dovecot, &sink)).await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut mailbox = dovecot.client("mairie").await?;
    // "new" counts from the first connection: let that be over before the first mail.
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    running.stop().await?;
    let mut dice = Dice::new(kills.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x51ED);
    let (mut reader, mut mails) = (Reader::default(), 0);
    for round in 0..kills {
        let running = scratch.run().await?;
        let fresh: Vec<Vec<u8>> = (mails..mails + MAILS).map(mail).collect();
        mailbox.append_all("INBOX", fresh.iter().map(Vec::as_slice)).await?;
        mails += MAILS;
        // Last, so that the kill falls into the load.
        let first = smsc.look(|ledger| ledger.entries.len());
        let texts: Vec<Message> = (first..first + TEXTS)
            .map(|number| Message::plain(&texter(number), &format!("Bonjour, texte {number}")))
            .collect();
        smsc.send_all(&texts);
        live(&running, &mut reader, dice.time(LIFE.0, LIFE.1)).await;
        // A kill alone hardly ever falls between a commit and its answer: before every second one the peer goes deaf.
        if round % 2 == 1 {
            smsc.behave(|manner| manner.deaf = true);
            live(
                &running,
                &mut reader,
                dice.time(Duration::from_millis(5), Duration::from_millis(40)),
            )
            .await;
        }
        running.kill().await?;
        smsc.behave(|manner| manner.deaf = false);
    }
    // The faults are over; what is left comes in now.
    scratch.environment.clear();
    let running = scratch.run().await?;
    ensure!(
        smsc.until(patience, |ledger| ledger.all_settled()).await,
        "not every text was taken in the end"
    );
    let outcome = judge(&running, &smsc, &sink, &mut reader, mails, patience).await;
    running.stop().await?;
    outcome
}

/// Lets the daemon live for a while, and a reader pull meanwhile.
async fn live(running: &Running, reader: &mut Reader, span: Duration) {
    let mut rest = running.rest();
    let pulling = async {
        loop {
            if reader.pull(&mut rest).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(span, pulling).await;
}

async fn judge(running: &Running, smsc: &Smsc, sink: &SmtpSink, reader: &mut Reader, mails: usize, patience: Duration) -> Result<Outcome> {
    // Mails come in by polling and IDLE; a lost one never does, and then the wait ends with what is there.
    let enough = async {
        while requests(running, "channel=email").await?.len() < mails {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    let _ = tokio::time::timeout(patience, enough).await;
    let _ = sink.wait(mails, patience).await;
    let events = reader.verify(running).await?;
    let mut received: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, kind, subject) in &reader.seen {
        if kind == "fr.voxea.interaction.received" {
            *received.entry(subject).or_default() += 1;
        }
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests(running, "").await? {
        let interactions = request["id"].as_str().and_then(|id| received.get(id)).copied().unwrap_or(0);
        *found.entry(request["from"].as_str().unwrap_or_default().to_owned()).or_default() += interactions;
    }
    let acknowledged: Vec<String> = smsc.look(|ledger| {
        ledger
            .acknowledged()
            .into_iter()
            .map(|number| format!("+{}", texter(number)))
            .collect()
    });
    let written: Vec<String> = (0..mails).map(writer).collect();
    let mut answers: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
    for mail in sink.ledger() {
        for to in &mail.to {
            answers
                .entry(to.clone())
                .or_default()
                .insert(mail.header("Message-ID").unwrap_or_default());
        }
    }
    let answers = answers.into_iter().map(|(to, ids)| (to, ids.len())).collect();
    let of = |wanted: fn(&str) -> bool| {
        found
            .iter()
            .filter(|(from, _)| wanted(from))
            .map(|(from, count)| (from.clone(), *count))
            .collect()
    };
    Ok(Outcome {
        texts: Tally::judge(acknowledged.iter().map(String::as_str), &of(|from| !from.contains('@'))),
        mails: Tally::judge(written.iter().map(String::as_str), &of(|from| from.contains('@'))),
        answered: Tally::judge(written.iter().map(String::as_str), &answers),
        events,
    })
}

fn texter(number: usize) -> String {
    format!("336{number:08}")
}

fn writer(number: usize) -> String {
    format!("citoyen{number}@example.org")
}

fn mail(number: usize) -> Vec<u8> {
    format!(
        "From: {from}\r\nTo: mairie@example.fr\r\nSubject: Demande {number}\r\nDate: Tue, 24 Nov 2026 09:00:00 +0100\r\n\
         Message-ID: <{number}@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour, demande {number}.\r\n",
        from = writer(number)
    )
    .into_bytes()
}

fn channels(smsc: &Smsc, dovecot: &Dovecot, sink: &SmtpSink) -> String {
    format!(
        r#"
[[smpp]]
name = "short-number"
address = "{}"
system_id = "voxea"
password = "secret"
number = "36123"

[[mailbox]]
name = "mairie"
address = "127.0.0.1:{}"
security = "none"
user = "mairie"
password = "{}"
first = "new"
poll_seconds = 5
acknowledge_per_hour = 100000

[mailbox.submission]
address = "{}"
security = "none"
from = "Mairie <mairie@example.fr>"
"#,
        smsc.address(),
        dovecot.port,
        crate::dovecot::PASSWORD,
        sink.address
    )
}
