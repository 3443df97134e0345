//! Connections for nothing: telephone systems, and what has their addresses, that open streams and say no word.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::stream::{Caller, Stream};
use voxea_tests::voicemail;

/// Longer than a connection without a message may last, and much shorter than one with.
const PATIENCE: Duration = Duration::from_secs(60);

async fn daemon(ports: &str) -> Result<(Scratch, Running, SocketAddr)> {
    let channels = format!(
        "[sip]\nlisten = [\"tcp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let addresses = running.up("sip").await?;
    let address = addresses.iter().find_map(|address| address.strip_prefix("tcp:"));
    let server = address.context("no TCP")?.parse()?;
    Ok((scratch, running, server))
}

/// A connection from 127.0.0.`host`.
async fn connect(server: SocketAddr, host: u8) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((([127, 0, 0, host]), 0).into())?;
    Ok(socket.connect(server).await?)
}

/// One that asks with OPTIONS, and can ask again.
struct Speaker {
    stream: Stream<TcpStream>,
    caller: Caller,
}

impl Speaker {
    async fn new(server: SocketAddr, host: u8) -> Result<Self> {
        let stream = connect(server, host).await?;
        let local = stream.local_addr()?;
        Ok(Self {
            stream: Stream::new(stream),
            caller: Caller::new("TCP", local, &format!("sip:{server}"), &format!("sip:pbx@{local}"), local),
        })
    }

    async fn asks(&mut self) -> Result<()> {
        self.stream.send(&self.caller.say("OPTIONS")).await?;
        let status = self.stream.response("OPTIONS").await?.status;
        ensure!(status == 200, "{status}");
        Ok(())
    }
}

/// Waits for the end of a connection.
async fn ended(stream: &mut TcpStream) -> Result<()> {
    let mut byte = [0];
    let read = timeout(PATIENCE, stream.read(&mut byte)).await.context("it is still open")?;
    ensure!(matches!(read, Ok(0) | Err(_)), "something was said");
    Ok(())
}

/// Whether nothing has come by now, an end neither.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_a_connection_and_says_nothing_has_it_for_half_a_minute() -> Result<()> {
    let (_scratch, running, server) = daemon("26800-26809").await?;
    let begun = Instant::now();
    let mut silent = connect(server, 1).await?;
    let mut beating = connect(server, 1).await?;
    let mut speaker = Speaker::new(server, 1).await?;
    speaker.asks().await?;
    // A keep-alive is answered, and is no message.
    beating.write_all(b"\r\n\r\n").await?;
    let mut pong = [0; 2];
    timeout(PATIENCE, beating.read_exact(&mut pong)).await??;
    ensure!(pong == *b"\r\n");
    for stream in [&mut silent, &mut beating] {
        ended(stream).await?;
        let lasted = begun.elapsed();
        ensure!((30..45).contains(&lasted.as_secs()), "{lasted:?}");
    }
    speaker.asks().await.context("who has spoken keeps the connection")?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_places_are_taken_and_somebody_has_something_to_say() -> Result<()> {
    let (_scratch, running, server) = daemon("26810-26819").await?;
    let mut first = Speaker::new(server, 2).await?;
    first.asks().await?;
    let mut silent = Vec::new();
    // 256 places, 64 of one address.
    for number in 1..256 {
        silent.push(connect(server, 2 + u8::try_from(number / 64)?).await?);
    }
    let mut newcomer = Speaker::new(server, 9).await?;
    newcomer.asks().await?;
    ended(&mut silent[0]).await?;
    ensure!(silent[1..].iter().all(is_open), "one place was needed");
    first.asks().await.context("who has spoken stays before who has not")?;

    // The last of these addresses has 64: its own longest silent one goes, though others are silent for longer.
    let mut crowded = Speaker::new(server, 5).await?;
    crowded.asks().await?;
    let own = 64 * 3 - 1;
    ended(&mut silent[own]).await?;
    ensure!(silent[1..own].iter().chain(&silent[own + 1..]).all(is_open), "the others stay");
    let log = running.log();
    ensure!(log.contains("connection_replaced"), "{log}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_tls_to_plain_tcp_is_told_of_at_once() -> Result<()> {
    let (_scratch, running, server) = daemon("26840-26849").await?;
    let mut stream = connect(server, 7).await?;
    stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await?;
    let mut nothing = [0; 16];
    // Much less than the 32 s in which somebody must have said something.
    let read = timeout(Duration::from_secs(10), stream.read(&mut nothing)).await?;
    ensure!(
        matches!(read, Ok(0) | Err(_)),
        "closed, without a word that TLS would not understand"
    );
    running.logged(&["\"tls_on_tcp\"", "127.0.0.7", "tls: listener"]).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_louder_log_has_a_line_a_message_and_names_nobody() -> Result<()> {
    let channels = format!(
        "[sip]\nlisten = [\"tcp:127.0.0.1:0\"]\nmedia_ports = \"26850-26859\"\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("")
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "debug".to_owned()));
    let running = scratch.run().await?;
    let addresses = running.up("sip").await?;
    let server: SocketAddr = addresses
        .iter()
        .find_map(|one| one.strip_prefix("tcp:"))
        .context("no TCP")?
        .parse()?;
    Speaker::new(server, 8).await?.asks().await?;
    let asked = running
        .logged(&["a SIP message", "\"OPTIONS\"", "\"in\"", "tcp:127.0.0.8:"])
        .await?;
    let answered = running.logged(&["a SIP message", "\"200\"", "\"out\""]).await?;
    let field = |line: &str, name: &str| serde_json::from_str::<serde_json::Value>(line).map(|entry| entry[name].clone());
    ensure!(field(&asked, "call_id")? == field(&answered, "call_id")?, "{asked} {answered}");
    ensure!(!asked.contains("sip:pbx") && !asked.contains("From"), "{asked}");
    running.stop().await
}
