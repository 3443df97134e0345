//! The mailbox through a network that fails, over and over, in the middle of everything.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::{join_all, try_join_all};

use super::judge::{Ledger, Verdict, server, shown};
use super::proxy::{Faults, Proxy};
use super::whole::settled;
use super::{all_up, mailbox};
use crate::corpus::{BLOCK, Corpus, Mail};
use crate::dice::Dice;
use crate::dovecot::Dovecot;
use crate::scratch::Scratch;
use crate::smtp_sink::SmtpSink;

/// Longest until all faults of a life have happened.
const PATIENCE: Duration = Duration::from_secs(90);

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Mailboxes of one daemon, each with its own failing network. A channel waits longer after each failure, so that
    /// several fail beside one another.
    pub mailboxes: usize,
    /// Lives of the daemon; each begins with short waits again.
    pub lives: usize,
    /// Faults a mailbox and life.
    pub faults: u64,
    /// Mails, spread over mailboxes and lives.
    pub mails: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The account.
    pub verdict: Verdict,
    /// What the network did.
    pub faults: Faults,
    /// The most memory that a life of the daemon had, bytes.
    pub memory: u64,
}

/// Runs it.
///
/// # Errors
/// When a peer is missing, the daemon fails, or it does not come back to a mailbox.
pub async fn run(binary: &Path, store: &str, seed: u64, plan: Plan, environment: &[(&str, &str)]) -> Result<Outcome> {
    let (dovecot, sink) = (Dovecot::start().await?, SmtpSink::start().await?);
    let (mut proxies, mut inboxes, mut channels) = (Vec::new(), Vec::new(), String::new());
    for at in 0..plan.mailboxes {
        let user = format!("mairie{at}");
        let proxy = Proxy::start(([127, 0, 0, 1], dovecot.port).into(), seed ^ (at as u64 + 1) << 32).await?;
        channels += &mailbox(&user, proxy.address, sink.address);
        inboxes.push(dovecot.client(&user).await?);
        proxies.push(proxy);
    }
    let mut scratch = Scratch::new(binary, store, &channels).await?;
    let running = scratch.run().await?;
    all_up(&running, plan.mailboxes).await?;
    running.stop().await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let (portions, ledger) = portions(seed, plan);
    let (mut dice, mut memory, mut due) = (Dice::new(seed ^ 0xC0FF_EE00), 0, 0);
    for life in portions {
        proxies.iter().for_each(|proxy| proxy.arm(plan.faults));
        due += plan.faults;
        let running = scratch.run().await?;
        // Half of them lie there when the first connection fails, and half come while others do.
        let filling = life.iter().zip(&mut inboxes).map(|(mails, inbox)| async {
            let (now, later) = mails.split_at(mails.len().div_ceil(2));
            inbox.append_all("INBOX", now.iter().map(|mail| mail.bytes.as_slice())).await?;
            for mail in later {
                inbox.append("INBOX", &mail.bytes).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
        try_join_all(filling).await?;
        let all = join_all(proxies.iter().map(|proxy| proxy.happened(due)));
        let happened = tokio::time::timeout(PATIENCE, all).await;
        ensure!(
            happened.is_ok(),
            "a mailbox does not come back: {}",
            running.rest().get("/v1/channels").await?
        );
        tokio::time::sleep(dice.time(Duration::ZERO, Duration::from_millis(300))).await;
        memory = memory.max(running.peak()?);
        running.stop().await?;
    }
    let running = scratch.run().await?;
    let stuck = settled(&running, &sink, &mut inboxes, &ledger).await?;
    let mut verdict = ledger.judge(&shown(&running).await?, &sink.ledger());
    verdict.stuck = stuck;
    for inbox in &mut inboxes {
        let (all, unseen) = server(inbox).await?;
        verdict.on_server += all;
        verdict.unseen += unseen;
    }
    ensure!(verdict.on_server == ledger.mails, "{} mails are on the server", verdict.on_server);
    memory = memory.max(running.peak()?);
    running.stop().await?;
    let faults = proxies.iter().map(Proxy::faults).fold(Faults::default(), |sum, one| Faults {
        cuts: sum.cuts + one.cuts,
        stalls: sum.stalls + one.stalls,
        giants: sum.giants + one.giants,
    });
    Ok(Outcome { verdict, faults, memory })
}

/// The mails of each life and mailbox. What belongs together stands in one block, and a block in one mailbox.
fn portions(seed: u64, plan: Plan) -> (Vec<Vec<Vec<Mail>>>, Ledger) {
    let mut ledger = Ledger::default();
    let mut boxes: Vec<Vec<Mail>> = (0..plan.mailboxes).map(|_| Vec::new()).collect();
    for (number, mail) in Corpus::new(seed, plan.mails).enumerate() {
        ledger.enter([&mail]);
        if let Some(mails) = boxes.get_mut(number / BLOCK % plan.mailboxes) {
            mails.push(mail);
        }
    }
    let mut lives: Vec<Vec<Vec<Mail>>> = (0..plan.lives).map(|_| Vec::new()).collect();
    for mails in boxes {
        let a_life = mails.len().div_ceil(plan.lives).max(1);
        let mut mails = mails.into_iter();
        for life in &mut lives {
            life.push(mails.by_ref().take(a_life).collect());
        }
    }
    (lives, ledger)
}
