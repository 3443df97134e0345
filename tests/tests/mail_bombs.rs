//! Mails that are made to kill who reads them: each becomes a flagged request within five seconds and 256 MB, and the mail
//! behind it comes within a second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};

/// What one of them may take, from the server's OK to the committed request.
const TIME: Duration = Duration::from_secs(5);
/// What the mail behind it may take.
const NEXT: Duration = Duration::from_secs(1);
/// The most memory that the daemon may ever have had.
const MEMORY: u64 = 256 * 1024 * 1024;

struct Bomb {
    name: &'static str,
    /// One of the flags that its interaction must have.
    flag: &'static str,
    /// Behind From, Subject and Message-ID.
    rest: Vec<u8>,
}

fn bomb(name: &'static str, flag: &'static str, rest: impl Into<Vec<u8>>) -> Bomb {
    Bomb {
        name,
        flag,
        rest: rest.into(),
    }
}

fn bombs() -> Vec<Bomb> {
    let lines = |line: &str, bytes: usize| format!("{line}\r\n").repeat(bytes / (line.len() + 2));
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(32_700);
    let segments: String = (0..400_000).map(|number| format!(";\r\n name*{number}=a")).collect();
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(10_000);
    let deep: String = (0..5_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}x\r\n\r\n--b{level}x\r\n"))
        .collect();
    let html = "<div><table><tr><td><a href='https://a.fr'>x".repeat(400_000);
    let spaced = format!("Con{}tent-Type: message/rfc822\r\n\r\n", " ".repeat(300)).repeat(32_700);
    vec![
        bomb("32,700 nested messages", "undecodable", nested.clone()),
        bomb("nested messages with blanks in the name of the field", "undecodable", spaced),
        bomb(
            "400,000 segments of a parameter",
            "undecodable",
            format!("Content-Type: text/plain{segments}\r\n\r\nx\r\n"),
        ),
        bomb("50 MB", "oversize", format!("\r\n{}", lines(&"a".repeat(76), 50_000_000))),
        bomb(
            "24 MB of text",
            "truncated",
            format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                lines(&"=C3=A9".repeat(12), 24_000_000)
            ),
        ),
        bomb(
            "10,000 parts",
            "undecodable",
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"),
        ),
        bomb("5,000 multiparts inside one another", "undecodable", deep),
        bomb(
            "1,000,000 header fields",
            "undecodable",
            format!("{}\r\nx\r\n", "X: y\r\n".repeat(1_000_000)),
        ),
        bomb(
            "base64 that is none",
            "truncated",
            format!(
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                lines(&"!?=-".repeat(19), 20_000_000)
            ),
        ),
        bomb(
            "a megabyte of encoded words",
            "undecodable",
            format!("Comments: {}\r\n\r\nx\r\n", "=?utf-8?Q?=C3=A9?=\r\n ".repeat(50_000)),
        ),
        bomb(
            "beginnings of encoded words",
            "undecodable",
            format!("References: {}\r\n\r\nx\r\n", "=?utf-8?Q?\r\n ".repeat(50_000)),
        ),
        bomb(
            "20 MB of HTML, deep",
            "truncated",
            format!("Content-Type: text/html\r\n\r\n{html}\r\n"),
        ),
        bomb(
            "dashes under a boundary of dashes",
            "undecodable",
            format!(
                "Content-Type: multipart/mixed; boundary={}x\r\n\r\n{}\r\n",
                "-".repeat(150),
                lines(&"-".repeat(900), 20_000_000)
            ),
        ),
        bomb(
            "messages in an encoding that hides them",
            "undecodable",
            format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: =?utf-8?Q?b=61se64?=\r\n\r\n{nested}"),
        ),
    ]
}

fn channel(dovecot: &Dovecot) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\nfirst = \"all\"\n",
        dovecot.port
    )
}

/// The interaction of the mail with this subject, once it is there.
async fn taken(running: &Running, subject: &str, within: Duration) -> Result<(Value, Duration)> {
    let began = Instant::now();
    loop {
        let all = requests(running, "channel=email").await?;
        if let Some(request) = all.into_iter().find(|request| request["subject"] == subject) {
            let took = began.elapsed();
            let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
            return Ok((running.rest().get(&target).await?["items"][0].clone(), took));
        }
        ensure!(
            began.elapsed() < within,
            "{subject} did not come within {within:?}:\n{}",
            running.log()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The most memory that a process has had, in bytes.
fn peak(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mail_stops_the_next_one() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let process = running.process()?;
    let mut mailbox = dovecot.client("mairie").await?;
    for (number, bomb) in bombs().into_iter().enumerate() {
        let head = format!(
            "From: c{number}@example.org\r\nSubject: {}\r\nMessage-ID: <bombe{number}@example.org>\r\n",
            bomb.name
        );
        mailbox.append("INBOX", &[head.as_bytes(), &bomb.rest].concat()).await?;
        let (shown, took) = taken(&running, bomb.name, TIME).await?;
        let next = format!(
            "From: c{number}@example.org\r\nSubject: suivant {number}\r\nMessage-ID: <suivant{number}@example.org>\r\n\r\nBonjour\r\n"
        );
        mailbox.append("INBOX", next.as_bytes()).await?;
        let (behind, next) = taken(&running, &format!("suivant {number}"), NEXT).await?;
        let peak = peak(process)?;
        println!(
            "{}: {} in {took:?}, the next in {next:?}, at most {} MB so far",
            bomb.name,
            shown["flags"],
            peak >> 20
        );
        let flags = shown["flags"].as_array().context("no flags")?;
        assert!(flags.contains(&json!(bomb.flag)), "{}: {flags:?}", bomb.name);
        assert_eq!(shown["from"], format!("c{number}@example.org"), "{}", bomb.name);
        assert_eq!(
            (&behind["text"], &behind["flags"]),
            (&json!("Bonjour"), &json!([])),
            "{}",
            bomb.name
        );
        assert!(peak <= MEMORY, "{}: {} MB", bomb.name, peak >> 20);
    }
    assert_eq!(running.process()?, process, "the daemon is the one that was started");
    running.stop().await
}
