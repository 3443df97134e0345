//! The main job, live: the real daemon on a throw-away database, and a call, a text and a mail from the peers of the
//! tests. Prints what became of each, then stays up until Ctrl-C; `--once` ends by itself, with 1 when something is
//! not as it should be.

#![expect(clippy::print_stdout, reason = "the account of what happens is what this program is for")]

mod scenes;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use voxea_tests::imap_server::ImapServer;
use voxea_tests::page;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Manner, Smsc};
use voxea_tests::smtp_sink::SmtpSink;

/// Who and what takes part.
struct Stage {
    running: Running,
    key: String,
    smsc: Smsc,
    mailbox: ImapServer,
    sink: SmtpSink,
    begun: Instant,
}

impl Stage {
    /// A line of the account, with the seconds since the start.
    fn say(&self, line: &str) {
        println!("{:6.1} s  {line}", self.begun.elapsed().as_secs_f64());
        let _ = std::io::stdout().flush();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let once = std::env::args().any(|argument| argument == "--once");
    match play(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demonstration failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(once: bool) -> Result<()> {
    let begun = Instant::now();
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let mailbox = ImapServer::start("mairie", "secret").await?;
    let sink = SmtpSink::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels(&smsc, &mailbox, &sink)).await?;
    let running = scratch.run().await?;
    let key = scratch.key.clone();
    let stage = Stage {
        running,
        key,
        smsc,
        mailbox,
        sink,
        begun,
    };
    // Both before the first scene: a Ctrl-C in the middle must leave nothing behind either.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    tokio::pin!(told);
    let played = tokio::select! {
        played = show(&stage, once) => played,
        () = &mut told => Ok(()),
    };
    if played.is_ok() && !once {
        told.await;
    }
    println!();
    stage.say("stopping the daemon and removing its folder");
    let stopped = stage.running.stop().await;
    drop(scratch);
    played.and(stopped)
}

async fn show(stage: &Stage, once: bool) -> Result<()> {
    println!("Voxea, the main job. A real daemon, an empty SQLite database, peers that play PBX, operator and citizens.\n");
    for kind in ["sip", "smpp", "mailbox"] {
        let addresses = stage.running.up(kind).await?;
        stage.say(&format!("channel {kind:7} up    {}", addresses.join("  ")));
    }
    let page = page::serve(stage.running.api, &stage.key).await?.address;
    let (text, mail, call) = tokio::join!(scenes::text(stage), scenes::mail(stage), scenes::call(stage, page));
    text.context("the text")?;
    mail.context("the mail")?;
    call.context("the call")?;
    scenes::feed(stage).await.context("the feed")?;
    if !once {
        invite(stage, page).await?;
    }
    Ok(())
}

/// What a person may try now.
async fn invite(stage: &Stage, page: std::net::SocketAddr) -> Result<()> {
    let (api, key) = (stage.running.api, &stage.key);
    println!("\nIt stays up until Ctrl-C. Try:");
    println!(
        "  a softphone     sip:3000@{}   (no account, no registration, PCMA or PCMU)",
        stage.running.sip().await?
    );
    println!("  the recordings  http://{page}/");
    println!("  the requests    curl -H 'Authorization: Bearer {key}' http://{api}/v1/requests");
    println!("  the feed        curl -H 'Authorization: Bearer {key}' http://{api}/v1/changes");
    println!("  the channels    curl -H 'Authorization: Bearer {key}' http://{api}/v1/channels");
    println!("  a counter visit curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\");
    println!("                       -d '{{\"from\":\"0612345678\",\"text\":\"Un lampadaire est cassé\"}}' http://{api}/v1/intake/counter");
    println!("  what a text costs curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\");
    println!("                       -d '{{\"text\":\"Votre demande a été reçue\"}}' http://{api}/v1/sms:preview");
    Ok(())
}

fn channels(smsc: &Smsc, mailbox: &ImapServer, sink: &SmtpSink) -> String {
    format!(
        r#"
[sip]
listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
media_ports = "40000-41999"

[[sip.trunk]]
name = "pbx"
allow = ["127.0.0.0/8"]

[[sip.line]]
number = "3000"
silence_seconds = 30

[[smpp]]
name = "short-number"
address = "{}"
system_id = "voxea"
password = "secret"
number = "36123"

[[mailbox]]
name = "mairie"
address = "{}"
security = "none"
user = "mairie"
password = "secret"
first = "all"
poll_seconds = 5

[mailbox.submission]
address = "{}"
security = "none"
from = "Mairie de Saint-Exemple <mairie@example.fr>"
"#,
        smsc.address(),
        mailbox.address(),
        sink.address
    )
}

/// How long a scene may take.
const PATIENCE: Duration = Duration::from_secs(40);
