//! The messages of RFC 4475 and everyday oddities against the running daemon; what becomes of each stands in
//! `docs/sip-messages.md`, which this story holds true (`VOXEA_WRITE_DOCS=1` writes it anew).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Message, oddities};

const PATIENCE: Duration = Duration::from_secs(10);
/// After this long nothing more is said.
const QUIET: Duration = Duration::from_secs(2);

async fn daemon(line: &str, ports: &str) -> Result<(Scratch, Running)> {
    let greeting = concat!(env!("CARGO_MANIFEST_DIR"), "/data/short-greeting.wav");
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"{line}\"\ngreeting = \"{greeting}\"\nbeep = false\n"
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

fn options(transport: &str, from: SocketAddr) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bKafter;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:a@h>;tag=9\r\nTo: <sip:127.0.0.1>\r\nCall-ID: after\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What a final response to what was sent says; `silence` when the answer to a later OPTIONS comes first.
fn outcome(response: &Message) -> Option<String> {
    let status = response.start.split(' ').nth(1)?;
    if response.header("Call-ID") == Some("after") {
        return Some("silence".to_owned());
    }
    let is_call = status == "200" && response.header("CSeq")?.ends_with("INVITE");
    (!status.starts_with('1')).then(|| if is_call { "call".to_owned() } else { status.to_owned() })
}

/// Sends a datagram; what becomes of it. A call that is answered is confirmed and ended.
async fn by_udp(server: SocketAddr, make: impl Fn(SocketAddr) -> Result<Vec<u8>>) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(server).await?;
    let local = socket.local_addr()?;
    socket.send(&make(local)?).await?;
    socket.send(options("UDP", local).as_bytes()).await?;
    let (mut buffer, mut silent) = (vec![0; 65_535], false);
    loop {
        // An INVITE is answered after its commit, an OPTIONS at once: silence is what nothing follows.
        let patience = if silent { Duration::from_millis(700) } else { PATIENCE };
        let Ok(read) = timeout(patience, socket.recv(&mut buffer)).await else {
            ensure!(silent, "nothing was answered");
            return Ok("silence".to_owned());
        };
        let response = Message::parse(&buffer[..read?]).context("an unreadable answer")?;
        match outcome(&response).as_deref() {
            None => {}
            Some("silence") => silent = true,
            Some("call") => {
                for text in [confirming(&response, local, "ACK", 0)?, confirming(&response, local, "BYE", 1)?] {
                    socket.send(text.as_bytes()).await?;
                }
                return Ok("call".to_owned());
            }
            Some(status) => return Ok(status.to_owned()),
        }
    }
}

/// A request in the dialog that a 200 made.
fn confirming(response: &Message, local: SocketAddr, method: &str, after: u64) -> Result<String> {
    let header = |name: &str| response.header(name).with_context(|| format!("no {name}"));
    let number: u64 = header("CSeq")?.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(format!(
        "{method} sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method};rport\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContent-Length: 0\r\n\r\n",
        header("From")?,
        header("To")?,
        header("Call-ID")?,
        number + after
    ))
}

/// Sends a message by a stream of its own; what becomes of it.
async fn by_tcp(server: SocketAddr, message: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let local = stream.local_addr()?;
    stream.write_all(message).await?;
    // A message that claims more than it has swallows this one, and then nothing is answered.
    stream.write_all(options("TCP", local).as_bytes()).await?;
    let mut answers = Vec::new();
    while let Ok(read) = timeout(QUIET, stream.read_buf(&mut answers)).await {
        let ended = read? == 0;
        let text = String::from_utf8_lossy(&answers).into_owned();
        let mut starts = text.match_indices("SIP/2.0 ").filter_map(|(at, _)| text.get(at..));
        let found = starts.find_map(|from| outcome(&Message::parse(from.as_bytes())?).filter(|one| one != "silence"));
        if ended || found.is_some() {
            return Ok(found.unwrap_or_else(|| "silence".to_owned()));
        }
    }
    Ok("silence".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_odd_messages_is_written_down() -> Result<()> {
    let (_scratch, running) = daemon("3000", "26300-26699").await?;
    let server = running.sip().await?;
    let mut page = String::from(
        "# What becomes of odd messages\n\n`tests/tests/oddities.rs` sends each of these to the running daemon and holds this page true.\n\n\
         ## Everyday oddities, by UDP\n\nA plain INVITE to a line, each with one oddity (`tests/data/sip-oddities.txt`). `call`: answered 200, and taken in.\n\n\
         | oddity | paragraph | outcome |\n|---|---|---|\n",
    );
    let count = oddities(server)?.len();
    for number in 0..count {
        let odd = oddities(server)?.remove(number);
        let found = by_udp(server, |from| Ok(oddities(from)?.remove(number).message)).await?;
        ensure!(found == odd.outcome, "{}: expected {}, found {found}", odd.name, odd.outcome);
        writeln!(page, "| {} | {} | {found} |", odd.name, odd.paragraph)?;
    }
    running.stop().await?;

    // Here every number is a line, so that what can be a call becomes one.
    let (_scratch, running) = daemon("*", "26700-26799").await?;
    let tcp = running.up("sip").await?;
    let tcp = tcp
        .iter()
        .find_map(|address| address.strip_prefix("tcp:"))
        .context("no TCP")?
        .parse()?;
    page.push_str("\n## RFC 4475, by TCP\n\nEvery number is a line here. `silence`: a response, an ACK, or what nobody can be answered for.\n\n| message | outcome |\n|---|---|\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/rfc4475");
    let mut files: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "dat"));
    files.sort();
    ensure!(files.len() == 49, "{} messages", files.len());
    // One after another: some of them have the same branch.
    for file in files {
        let found = by_tcp(tcp, &std::fs::read(&file)?).await?;
        let name = file.file_stem().and_then(|name| name.to_str()).context("no name")?;
        writeln!(page, "| {name} | {found} |")?;
    }
    let log = running.log();
    ensure!(!log.contains("panicked"), "{log}");
    running.stop().await?;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sip-messages.md");
    if std::env::var_os("VOXEA_WRITE_DOCS").is_some() {
        std::fs::write(&file, &page)?;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    ensure!(written == page, "docs/sip-messages.md is behind:\n{page}");
    Ok(())
}
