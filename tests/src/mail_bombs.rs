//! Mails that are made to kill who reads them, through a real Dovecot into the real daemon, and what each of them cost; and one that a
//! made-up server declares to be larger than it is.

mod made;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::dovecot::{Dovecot, Imap, PASSWORD};
use crate::imap_server::ImapServer;
use crate::kill::requests;
use crate::scratch::{Running, Scratch, memory_of};
use made::Bomb;

/// What one of them may take, from the server's OK to the committed request.
pub const TIME: Duration = Duration::from_secs(5);
/// What the mail behind it may take.
pub const NEXT: Duration = Duration::from_secs(1);
/// The most memory that the daemon may have meanwhile, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;
/// The one that Dovecot would not send.
pub const LITERAL: &str = "a literal declared as 500 MB";
/// What it is declared to have.
const DECLARED: u64 = 500_000_000;
/// When a bomb, or the mail behind it, counts as never taken in.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a bomb came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// What it is.
    pub name: &'static str,
    /// Until its request was there.
    pub took: Duration,
    /// CPU time of the daemon from the bomb to the mail behind it.
    pub cpu: Duration,
    /// The most memory of the daemon from the bomb to the mail behind it, in bytes.
    pub memory: u64,
    /// The flags of its interaction.
    pub flags: Vec<String>,
    /// Until the mail behind it was there.
    pub next: Duration,
}

impl Figures {
    /// What it exceeded; `None` when it is as it must be. `busy`: the machine has something else to do, so that the daemon's CPU time
    /// stands for the time, and the mail behind it has twice its own.
    #[must_use]
    pub fn exceeded(&self, busy: bool) -> Option<String> {
        let (took, next) = if busy { (self.cpu, 2 * NEXT) } else { (self.took, NEXT) };
        let words: Vec<String> = [
            (took > TIME).then(|| format!("it took {took:?}")),
            (self.memory > MEMORY).then(|| format!("the daemon had {} MB", self.memory >> 20)),
            (self.next > next).then(|| format!("the next one took {:?}", self.next)),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!words.is_empty()).then(|| format!("{}: {}", self.name, words.join(", ")))
    }
}

/// Sends the bombs that `chosen` takes by their names, one after the other into one daemon, each with an ordinary mail behind it.
/// `environment` is the daemon's: a fault that is kept on purpose.
///
/// # Errors
/// When the daemon dies, one of them does not come within half a minute, is not flagged, or has lost its sender, or the mail behind
/// it is not as it was sent.
pub async fn run(binary: &Path, environment: &[(&str, &str)], chosen: impl Fn(&str) -> bool) -> Result<Vec<Figures>> {
    let dovecot = Dovecot::start().await?;
    let liar = ImapServer::start("menteur", PASSWORD).await?;
    let channels = mailbox("mairie", &format!("127.0.0.1:{}", dovecot.port)) + &mailbox("menteur", &liar.address().to_string());
    let mut scratch = Scratch::new(binary, "sqlite:voxea.db", &channels).await?;
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    scratch.environment = pairs.collect();
    let running = scratch.run().await?;
    crate::mails::all_up(&running, 2).await?;
    let process = running.process()?;
    let mut mailbox = dovecot.client("mairie").await?;
    let mut all = Vec::new();
    for (number, bomb) in made::all().iter().enumerate().filter(|(_, bomb)| chosen(bomb.name)) {
        all.push(one(&running, Place::Dovecot(&mut mailbox), number, bomb).await?);
    }
    if chosen(LITERAL) {
        let bomb = Bomb {
            name: LITERAL,
            flag: "oversize",
            rest: b"\r\nBonjour\r\n".to_vec(),
        };
        all.push(one(&running, Place::Liar(&liar), 99, &bomb).await?);
    }
    ensure!(running.process()? == process, "the daemon is not the one that was started");
    running.stop().await?;
    Ok(all)
}

fn mailbox(name: &str, address: &str) -> String {
    format!(
        "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\nsecurity = \"none\"\nuser = \"{name}\"\npassword = \"{PASSWORD}\"\n\
         first = \"all\"\nfetch_retry_seconds = 1\n\n"
    )
}

/// Where a bomb is put.
enum Place<'a> {
    Dovecot(&'a mut Imap),
    Liar(&'a ImapServer),
}

impl Place<'_> {
    async fn put(&mut self, mail: &[u8], lie: bool) -> Result<()> {
        match self {
            Place::Dovecot(client) => client.append("INBOX", mail).await,
            Place::Liar(server) => {
                if lie {
                    server.declare_next(DECLARED);
                }
                server.deliver(mail).map(drop)
            }
        }
    }
}

async fn one(running: &Running, mut place: Place<'_>, number: usize, bomb: &Bomb) -> Result<Figures> {
    let process = running.process()?;
    // proc(5): 5 sets the highest resident size back to the present one.
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("forgetting the daemon's peak of memory")?;
    let before = running.cpu()?;
    let from = format!("c{number}@example.org");
    let head = format!(
        "From: {from}\r\nSubject: {}\r\nMessage-ID: <bombe{number}@example.org>\r\n",
        bomb.name
    );
    place.put(&[head.as_bytes(), &bomb.rest].concat(), true).await?;
    let (shown, took) = taken(running, bomb.name).await?;
    let subject = format!("suivant {number}");
    let next = format!("From: {from}\r\nSubject: {subject}\r\nMessage-ID: <suivant{number}@example.org>\r\n\r\nBonjour\r\n");
    place.put(next.as_bytes(), false).await?;
    let (behind, next) = taken(running, &subject).await?;
    let flags: Vec<String> = shown["flags"]
        .as_array()
        .context("no flags")?
        .iter()
        .filter_map(|flag| flag.as_str().map(str::to_owned))
        .collect();
    ensure!(flags.iter().any(|flag| flag == bomb.flag), "{}: {flags:?}", bomb.name);
    ensure!(shown["from"] == from, "{}: {}", bomb.name, shown["from"]);
    ensure!(
        behind["text"] == "Bonjour" && behind["flags"] == json!([]),
        "behind {}: {behind}",
        bomb.name
    );
    Ok(Figures {
        name: bomb.name,
        took,
        cpu: running.cpu()?.saturating_sub(before),
        memory: memory_of(process, "VmHWM:")?,
        flags,
        next,
    })
}

/// The interaction of the mail with this subject, and after how long its request was there.
async fn taken(running: &Running, subject: &str) -> Result<(Value, Duration)> {
    let began = Instant::now();
    loop {
        let all = requests(running, "channel=email").await?;
        if let Some(request) = all.into_iter().find(|request| request["subject"] == subject) {
            let took = began.elapsed();
            let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
            return Ok((running.rest().get(&target).await?["items"][0].clone(), took));
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{subject} did not come within {PATIENCE:?}:\n{}",
            running.log()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The figures as a table.
#[must_use]
pub fn table(all: &[Figures]) -> String {
    let mut table = String::from("| bomb | seconds | CPU seconds | memory | flags | next mail after | |\n|---|---|---|---|---|---|---|\n");
    for figures in all {
        let _ = writeln!(
            table,
            "| {} | {:.2} | {:.2} | {} MB | {} | {:.2} s | {} |",
            figures.name,
            figures.took.as_secs_f64(),
            figures.cpu.as_secs_f64(),
            figures.memory.div_ceil(1 << 20),
            figures.flags.join(", "),
            figures.next.as_secs_f64(),
            if figures.exceeded(false).is_some() { "MISSED" } else { "met" }
        );
    }
    table
}
