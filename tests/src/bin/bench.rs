//! The figures of the README, each beside the raw ceiling of the same run: `bench [--encrypted] [--out FILE] [PART...]`,
//! where a part is idle, sqlite, vault, postgres, mails, calls or listing. With `--encrypted` every daemon has a master key.
//! Needs the release build, Dovecot, PostgreSQL and python3.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use voxea_tests::ceiling::sqlite as sqlite_ceiling;
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PARTS: [&str; 7] = ["idle", "sqlite", "vault", "postgres", "mails", "calls", "listing"];
const TEXTS: usize = 30_000;
const MAILS: usize = 2_000;
const CALLS: usize = 100;
const TALK: Duration = Duration::from_secs(15);
const LISTED: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether every daemon has a master key.
static ENCRYPTED: OnceLock<()> = OnceLock::new();

/// A folder with a configuration, as the command line wants it.
async fn lay_out(binary: &Path, store: &str, channels: &str) -> Result<Scratch> {
    let scratch = Scratch::new(binary, store, channels).await?;
    if ENCRYPTED.get().is_some() {
        scratch.new_master_key().await?;
    }
    Ok(scratch)
}

/// One row: what, how much, the ceiling of the same run.
struct Row(String, String, String);

#[tokio::main]
async fn main() -> Result<()> {
    let binary = scratch::binary()?;
    let (parts, out) = arguments(std::env::args().skip(1))?;
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let mut rows = Vec::new();
    if wanted("idle") {
        rows.push(idle(&binary).await?);
    }
    if wanted("sqlite") {
        for window in [10, 64] {
            rows.push(texts(&binary, "SQLite", "sqlite:voxea.db", window, sqlite_ceiling(window)?).await?);
        }
    }
    if wanted("vault") && ENCRYPTED.get().is_none() {
        rows.push(vault(&binary).await?);
    }
    if wanted("postgres") {
        let cluster = Postgres::start()?;
        for window in [10, 64] {
            let url = cluster.database(&format!("w{window}"))?;
            rows.push(texts(&binary, "PostgreSQL", &url, window, cluster.inserts(window)?).await?);
        }
    }
    if wanted("mails") {
        rows.push(mails(&binary).await?);
    }
    if wanted("calls") {
        rows.push(calls(&binary).await?);
    }
    if wanted("listing") {
        rows.push(listing(&binary).await?);
    }
    let mut table = String::from("| what | measured | raw ceiling in the same run |\n|---|---|---|\n");
    for Row(what, measured, ceiling) in rows {
        table.push_str(&format!("| {what} | {measured} | {ceiling} |\n"));
    }
    println!("{table}");
    let (title, flag) = match ENCRYPTED.get() {
        Some(()) => (", encrypted at rest", " --encrypted"),
        None => ("", ""),
    };
    if let Some(file) = out.filter(|_| parts.is_empty()) {
        std::fs::write(
            file,
            format!("# Figures{title}\n\n`scripts/bench{flag}` printed, on two shared cores:\n\n{table}"),
        )?;
    }
    Ok(())
}

/// The parts that were named, and the file for the table of all of them.
fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Vec<String>, Option<String>)> {
    let (mut parts, mut out) = (Vec::new(), None);
    while let Some(argument) = given.next() {
        if argument == "--out" {
            out = Some(given.next().context("--out needs a file")?);
        } else if argument == "--encrypted" {
            ENCRYPTED.get_or_init(|| ());
        } else {
            ensure!(
                PARTS.contains(&argument.as_str()),
                "no part {argument}; there are {}",
                PARTS.join(", ")
            );
            parts.push(argument);
        }
    }
    Ok((parts, out))
}

async fn idle(binary: &Path) -> Result<Row> {
    let scratch = lay_out(binary, "sqlite:voxea.db", SIP).await?;
    let running = scratch.run().await?;
    running.up("sip").await?;
    let megabytes = running.memory()? / 1_048_576;
    running.stop().await?;
    Ok(Row(
        "memory of the idle daemon, SIP and API up".to_owned(),
        format!("{megabytes} MB"),
        "-".to_owned(),
    ))
}

async fn texts(binary: &Path, database: &str, store: &str, window: usize, ceiling: f64) -> Result<Row> {
    let (rate, cpu) = intake(binary, store, window, false).await?;
    let share = rate / ceiling * 100.0;
    let ceiling = format!("bare inserts of one row, {window} a commit: {ceiling:.0}/s, so {share:.0} %");
    Ok(Row(
        format!("texts in, committed then acknowledged, window {window}, {database}"),
        format!("{rate:.0}/s, {cpu:.0} µs of CPU each"),
        ceiling,
    ))
}

/// Encrypted and plain by turns, so that neither has the quieter minute.
async fn vault(binary: &Path) -> Result<Row> {
    let (window, rounds) = (64, 2);
    let (mut sealed, mut plain) = ((0.0, 0.0), (0.0, 0.0));
    for _ in 0..rounds {
        for (sum, encrypted) in [(&mut sealed, true), (&mut plain, false)] {
            let (rate, cpu) = intake(binary, "sqlite:voxea.db", window, encrypted).await?;
            *sum = (sum.0 + rate / f64::from(rounds), sum.1 + cpu / f64::from(rounds));
        }
    }
    Ok(Row(
        format!("texts in, encrypted at rest, window {window}, SQLite"),
        format!("{:.0}/s, {:.0} µs of CPU each", sealed.0, sealed.1),
        format!(
            "the same, plain: {:.0}/s, {:.0} µs of CPU each, so {:.0} %",
            plain.0,
            plain.1,
            sealed.0 / plain.0 * 100.0
        ),
    ))
}

/// Texts a second, and microseconds of CPU for each.
async fn intake(binary: &Path, store: &str, window: usize, encrypted: bool) -> Result<(f64, f64)> {
    let smsc = Smsc::listen(
        "voxea",
        "secret",
        Manner {
            window,
            ..Manner::default()
        },
    )
    .await?;
    let channels = format!(
        "[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n",
        smsc.address()
    );
    let scratch = lay_out(binary, store, &channels).await?;
    if encrypted {
        scratch.new_master_key().await?;
    }
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let messages: Vec<Message> = (0..TEXTS)
        .map(|n| {
            Message::plain(
                &format!("336{n:08}"),
                &format!("Bonjour, il y a un trou devant le {n} rue de la Paix."),
            )
        })
        .collect();
    let cpu = running.cpu()?;
    let begun = Instant::now();
    smsc.send_all(&messages);
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "not every text was acknowledged");
    let rate = TEXTS as f64 / begun.elapsed().as_secs_f64();
    let cpu = (running.cpu()? - cpu).as_secs_f64() * 1e6 / TEXTS as f64;
    running.stop().await?;
    Ok((rate, cpu))
}

async fn mails(binary: &Path) -> Result<Row> {
    let dovecot = Dovecot::start().await?;
    let mut mailbox = dovecot.client("mairie").await?;
    let raw: Vec<Vec<u8>> = (0..MAILS).map(mail).collect();
    mailbox.append_all("INBOX", raw.iter().map(Vec::as_slice)).await?;
    mailbox.command("SELECT INBOX").await?;
    let begun = Instant::now();
    mailbox.command("UID FETCH 1:* (BODY.PEEK[])").await?;
    let ceiling = MAILS as f64 / begun.elapsed().as_secs_f64();
    let channels = format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\nfirst = \"all\"\n",
        dovecot.port
    );
    let scratch = lay_out(binary, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let begun = Instant::now();
    let mut rest = running.rest();
    // The last mail's request tells that all are in: they come in order.
    while rest.get("/v1/changes?limit=1").await?["items"].as_array().is_none_or(Vec::is_empty) {}
    loop {
        let there = requests(&running, "channel=email").await?.len();
        if there >= MAILS {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{there} mails came in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = MAILS as f64 / begun.elapsed().as_secs_f64();
    running.stop().await?;
    Ok(Row(
        format!("mails from Dovecot, {MAILS} of 12 kB with an attachment"),
        format!("{rate:.0}/s"),
        format!("bare FETCH of the same mails: {ceiling:.0}/s, so {:.0} %", rate / ceiling * 100.0),
    ))
}

fn mail(number: usize) -> Vec<u8> {
    let attachment = format!("{number:08}JVBERi0xLjQK").repeat(400);
    format!(
        "From: c{number}@example.org\r\nTo: mairie@example.fr\r\nSubject: Demande {number}\r\nDate: Tue, 24 Nov 2026 09:00:00 +0100\r\nMessage-ID: <b{number}@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--b\r\n\
         Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"piece.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{attachment}\r\n--b--\r\n",
        "Bonjour, je vous écris au sujet de la cantine.\r\n".repeat(80)
    )
    .into_bytes()
}

async fn calls(binary: &Path) -> Result<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    let scratch = lay_out(binary, "sqlite:voxea.db", &format!("{SIP}greeting = \"{}\"\n", folder.display())).await?;
    let running = scratch.run().await?;
    let server = running.sip().await?;
    let mut up = Vec::new();
    for number in 0..CALLS {
        match Call::place(
            server,
            &Invite {
                listen: false,
                ..Invite::new(&format!("01450{number:05}"), "3000")
            },
        )
        .await?
        {
            Answer::Up(call) => up.push(call),
            Answer::Refused(message) => anyhow::bail!("refused: {}", message.status),
        }
    }
    let speech = vec![0x2A; 8_000 * usize::try_from(TALK.as_secs())?];
    let clean = Impairment::default();
    let before = running.cpu()?;
    let begun = Instant::now();
    let played = futures_util::future::join_all(up.iter().map(|call| call.play(&speech, &clean))).await;
    let (span, cpu) = (begun.elapsed(), running.cpu()? - before);
    let late = played
        .into_iter()
        .map(|played| played.map(|played| played.worst_lateness))
        .collect::<Result<Vec<_>>>()?;
    let worst = late.into_iter().max().unwrap_or_default();
    for call in &up {
        call.hang_up().await?;
    }
    running.stop().await?;
    let each = cpu.as_secs_f64() * 1000.0 / (span.as_secs_f64() * CALLS as f64);
    let verdict = if worst < Duration::from_millis(100) {
        "kept up"
    } else {
        "FELL BEHIND, not valid"
    };
    Ok(Row(
        format!("{CALLS} two-way recorded calls, PCMA, CPU a call-second"),
        format!("{each:.2} ms"),
        format!(
            "{}; the sender {verdict} (at most {} ms late)",
            socket_ceiling(CALLS)?,
            worst.as_millis()
        ),
    ))
}

/// What the same packets cost over bare sockets: CPU a call-second of receiving and sending one packet each way.
fn socket_ceiling(calls: usize) -> Result<String> {
    let sockets: Vec<std::net::UdpSocket> = (0..calls)
        .map(|_| std::net::UdpSocket::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let peer = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let begun = voxea_tests::scratch::cpu_of(std::process::id())?;
    let (packet, mut buffer, rounds) = ([0_u8; 172], [0_u8; 2048], 200);
    for _ in 0..rounds {
        for socket in &sockets {
            peer.send_to(&packet, socket.local_addr()?)?;
            socket.recv(&mut buffer)?;
        }
    }
    let spent = voxea_tests::scratch::cpu_of(std::process::id())?.saturating_sub(begun);
    // 50 packets a second; one sent and one received a packet, as here.
    let each = spent.as_secs_f64() * 1000.0 / (rounds * calls) as f64 * 50.0;
    Ok(format!("bare send and receive of the same packets: {each:.2} ms"))
}

async fn listing(binary: &Path) -> Result<Row> {
    let scratch = lay_out(binary, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let filled = futures_util::future::join_all((0..32).map(|worker| {
        let mut rest = running.rest();
        async move {
            for number in 0..LISTED / 32 {
                let body = json!({"from": format!("+336{worker:02}{number:06}"), "text": "Bonjour"});
                let answered = rest.call("POST", "/v1/intake/counter", Some(&body)).await?;
                ensure!(answered.status == 201, "{}", answered.status);
            }
            Ok(())
        }
    }));
    filled.await.into_iter().collect::<Result<Vec<()>>>()?;
    let mut rest = running.rest();
    let (mut times, mut after) = (Vec::new(), String::new());
    loop {
        let begun = Instant::now();
        let page = rest.get(&format!("/v1/requests?limit=100{after}")).await?;
        times.push(begun.elapsed());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    running.stop().await?;
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1000.0
    };
    Ok(Row(
        format!("a page of 100 requests among {LISTED}, SQLite"),
        format!("p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99)),
        format!("bare SELECT of the same rows: {:.2} ms", select_ceiling(&scratch)?),
    ))
}

fn select_ceiling(scratch: &Scratch) -> Result<f64> {
    let script = "import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1])\nt=time.time()\nfor i in range(500): c.execute('select * from request where position>? order by position limit 101',(i*900,)).fetchall()\nprint((time.time()-t)/500*1000)";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(scratch.path().join("voxea.db"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

const SIP: &str = "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"47000-47999\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n[[sip.line]]\nnumber = \"3000\"\nbeep = false\nsilence_seconds = 120\n";
