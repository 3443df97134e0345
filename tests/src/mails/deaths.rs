//! kill -9 while mails come in and acknowledgements go out: at random moments, and between any two steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::judge::{Ledger, Verdict, server, shown};
use super::whole::settled;
use super::{all_up, mailbox};
use crate::corpus::{Corpus, Mail};
use crate::dice::Dice;
use crate::dovecot::Dovecot;
use crate::scratch::Scratch;
use crate::smtp_sink::{Received, SmtpSink};

/// Between every two steps of a mail's way in, and of an acknowledgement's way out.
pub const POINTS: [&str; 11] = [
    "imap.fetched",
    "imap.attempted",
    "imap.files_written",
    "intake.before_commit",
    "intake.after_commit",
    "imap.after_commit",
    "imap.marked",
    "imap.saved",
    "mail.leased",
    "mail.sent",
    "mail.settled",
];
/// Mails a life.
const MAILS: usize = 6;
/// The shortest life that is to be killed, and by how much the longest is longer.
const LIFE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));
/// How long a daemon is waited for that is to die at a point, which it may never pass.
const AT_POINT: Duration = Duration::from_secs(3);
/// Mails that may be on their way out when the daemon dies, each of which may be sent again.
const IN_FLIGHT: usize = 8;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The account.
    pub verdict: Verdict,
    /// Kills, those at points among them.
    pub kills: u64,
    /// Deaths at a point.
    pub at_points: u64,
    /// Deliveries of a mail that the same life had delivered before: never right.
    pub within_a_life: usize,
    /// More repeats after one kill than there can be mails in flight.
    pub too_many: usize,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.verdict.is_sound() && (self.within_a_life, self.too_many) == (0, 0)
    }
}

/// Kills the daemon `kills` times.
///
/// # Errors
/// When a peer is missing, or the daemon does not come back.
pub async fn run(binary: &Path, store: &str, seed: u64, kills: u64, environment: &[(&str, &str)]) -> Result<Outcome> {
    let (dovecot, sink) = (Dovecot::start().await?, SmtpSink::start().await?);
    let address = ([127, 0, 0, 1], dovecot.port).into();
    let mut scratch = Scratch::new(binary, store, &mailbox("mairie", address, sink.address)).await?;
    let running = scratch.run().await?;
    all_up(&running, 1).await?;
    running.stop().await?;
    let base: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut inbox = dovecot.client("mairie").await?;
    let mails = usize::try_from(kills)? * MAILS;
    let (mut corpus, mut ledger, mut dice) = (Corpus::new(seed, mails), Ledger::default(), Dice::new(seed ^ 0xDEAD));
    let (mut outcome, mut ends) = (Outcome::default(), Vec::new());
    for round in 0..kills {
        let portion: Vec<Mail> = corpus.by_ref().take(MAILS).collect();
        ledger.enter(&portion);
        let bytes: Vec<&[u8]> = portion.iter().map(|mail| mail.bytes.as_slice()).collect();
        let (before, after) = bytes.split_at(usize::try_from(dice.below(MAILS as u64 + 1))?);
        inbox.append_all("INBOX", before.iter().copied()).await?;
        scratch.environment.clone_from(&base);
        // Every second one at a point, each of them in turn.
        let point = POINTS.get(usize::try_from(round / 2)? % POINTS.len()).filter(|_| round % 2 == 1);
        if let Some(point) = point {
            let plan = format!("{point}={}", 1 + dice.below(3));
            scratch.environment.push(("VOXEA_FAILPOINT".to_owned(), plan));
        }
        match scratch.run().await {
            Ok(mut running) => {
                inbox.append_all("INBOX", after.iter().copied()).await?;
                let died = match point {
                    Some(_) => tokio::time::timeout(AT_POINT, running.died()).await.is_ok_and(|died| died.is_ok()),
                    None => {
                        tokio::time::sleep(dice.time(LIFE.0, LIFE.1)).await;
                        false
                    }
                };
                outcome.at_points += u64::from(died);
                running.kill().await?;
            }
            // It may come to its point before it is ready.
            Err(error) => {
                ensure!(point.is_some(), error);
                inbox.append_all("INBOX", after.iter().copied()).await?;
                outcome.at_points += 1;
            }
        }
        outcome.kills += 1;
        // What the dead one had sent is in the ledger once its connections have ended.
        sink.quiet().await?;
        ends.push(sink.ledger().len());
    }
    scratch.environment.clear();
    let running = scratch.run().await?;
    let mut inboxes = [inbox];
    let stuck = settled(&running, &sink, &mut inboxes, &ledger).await?;
    let sent = sink.ledger();
    outcome.verdict = ledger.judge(&shown(&running).await?, &sent);
    outcome.verdict.stuck = stuck;
    let [inbox] = &mut inboxes;
    (outcome.verdict.on_server, outcome.verdict.unseen) = server(inbox).await?;
    ensure!(
        outcome.verdict.on_server == ledger.mails,
        "{} mails are on the server",
        outcome.verdict.on_server
    );
    (outcome.within_a_life, outcome.too_many) = repeats(&sent, &ends);
    running.stop().await?;
    Ok(outcome)
}

/// Repeats within one life, and those beyond what can have been in flight at a kill. `ends` says how long the ledger was
/// at each kill.
fn repeats(sent: &[Received], ends: &[usize]) -> (usize, usize) {
    let life = |at: usize| ends.partition_point(|end| *end <= at);
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let (mut within, mut after_kill) = (0, BTreeMap::new());
    for (at, mail) in sent.iter().enumerate() {
        let now = life(at);
        let Some(before) = last.insert(mail.header("Message-ID").unwrap_or_default(), now) else {
            continue;
        };
        if before == now {
            within += 1;
        } else {
            *after_kill.entry(before).or_insert(0_usize) += 1;
        }
    }
    (within, after_kill.values().map(|count| count.saturating_sub(IN_FLIGHT)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_right_only_after_a_kill() {
        let sent: Vec<Received> = ["a", "b", "a", "c", "c"]
            .into_iter()
            .map(|id| Received {
                from: String::new(),
                to: vec!["x".to_owned()],
                data: format!("Message-ID: <{id}>\r\n\r\n").into_bytes(),
                confirmed: true,
            })
            .collect();
        assert_eq!(repeats(&sent, &[2]), (1, 0));
        assert_eq!(repeats(&sent, &[2, 4]), (0, 0));
        assert_eq!(repeats(&sent, &[]), (2, 0));
        let many: Vec<Received> = (0..24)
            .map(|n| Received {
                data: format!("Message-ID: <{}>\r\n\r\n", n % 12).into_bytes(),
                ..sent[0].clone()
            })
            .collect();
        assert_eq!(repeats(&many, &[12]), (0, 4));
    }
}
