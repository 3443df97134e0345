//! The whole mailbox in one life of the daemon: every mail as it must be, and everybody who must be acknowledged, once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::judge::{Ledger, Verdict, server, shown};
use super::{all_up, mailbox};
use crate::corpus::{Corpus, Mail};
use crate::dovecot::{Dovecot, Imap};
use crate::kill::requests;
use crate::scratch::{Running, Scratch};
use crate::smtp_sink::SmtpSink;

/// Longest without any progress.
const PATIENCE: Duration = Duration::from_secs(60);
/// Mails that are put into the mailbox at once.
const PORTION: usize = 500;

/// Puts the mails of a seed into a mailbox under the daemon's eyes, and judges.
///
/// # Errors
/// When a peer is missing, or the daemon fails.
pub async fn run(binary: &Path, store: &str, seed: u64, mails: usize, environment: &[(&str, &str)]) -> Result<Verdict> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let address = ([127, 0, 0, 1], dovecot.port).into();
    let mut scratch = Scratch::new(binary, store, &mailbox("mairie", address, sink.address)).await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let running = scratch.run().await?;
    all_up(&running, 1).await?;
    let (mut inbox, mut ledger, mut corpus) = (dovecot.client("mairie").await?, Ledger::default(), Corpus::new(seed, mails));
    loop {
        let portion: Vec<Mail> = corpus.by_ref().take(PORTION).collect();
        if portion.is_empty() {
            break;
        }
        ledger.enter(&portion);
        inbox.append_all("INBOX", portion.iter().map(|mail| mail.bytes.as_slice())).await?;
    }
    let mut inboxes = [inbox];
    let stuck = settled(&running, &sink, &mut inboxes, &ledger).await?;
    let [inbox] = &mut inboxes;
    let mut verdict = ledger.judge(&shown(&running).await?, &sink.ledger());
    verdict.stuck = stuck;
    (verdict.on_server, verdict.unseen) = server(inbox).await?;
    ensure!(verdict.on_server == ledger.mails, "{} mails are on the server", verdict.on_server);
    running.stop().await?;
    Ok(verdict)
}

/// Waits until every mail is marked, every request there and every acknowledgement sent, or nothing moves any more: then
/// the channels as they are.
///
/// # Errors
/// When daemon or server do not answer.
pub async fn settled(running: &Running, sink: &SmtpSink, inboxes: &mut [Imap], ledger: &Ledger) -> Result<Option<Value>> {
    let (mut before, mut moved) = ((usize::MAX, 0, 0), Instant::now());
    loop {
        let mut unseen = 0;
        for inbox in &mut *inboxes {
            unseen += server(inbox).await?.1;
        }
        let there = requests(running, "channel=email").await?.len();
        // Repeats do not count.
        let answered: BTreeSet<String> = sink.ledger().into_iter().flat_map(|mail| mail.to).collect();
        let now = (unseen, there, answered.len());
        if now.0 == 0 && now.1 >= ledger.threads() && now.2 >= ledger.senders().len() {
            return Ok(None);
        }
        if now != before {
            (before, moved) = (now, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            return Ok(Some(running.rest().get("/v1/channels").await?));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
