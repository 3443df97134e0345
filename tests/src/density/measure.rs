//! One size, measured: the daemon, its callers, the ceiling beside it, and the judge.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{StreamExt as _, stream};

use crate::scratch::Scratch;
use crate::sip::{Answer, Call, Invite};

use super::bare;
use super::judge::{self, Verdict};
use super::scale::{BEFORE, OURS, THEIRS, each};
use super::sender::Sender;

/// Runs of one size whose sender may fall behind.
const TRIES: usize = 5;

const CHANNELS: &str = "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"20000-29999\"\n\n[[sip.trunk]]\nname = \"pbx\"\n\
allow = [\"127.0.0.0/8\"]\n\n[[sip.line]]\nnumber = \"3000\"\nbeep = false\nsilence_seconds = 120\nmax_seconds = 600\n";

/// One size, measured.
#[derive(Debug)]
pub struct Figure {
    /// Calls at once.
    pub calls: usize,
    /// CPU of the daemon, in ms a call and second.
    pub cpu: f64,
    /// CPU that bare sockets need for the same packets, likewise.
    pub bare: f64,
    /// Bytes of memory (RSS) that each call took.
    pub memory: u64,
    /// What the sender says of itself.
    pub lateness: String,
    /// What came back of each call's 50 packets a second, at least.
    pub heard: f64,
    /// What the judge found.
    pub verdict: Verdict,
    /// Runs that were thrown away.
    pub thrown_away: usize,
}

/// Measures one size for so long; what falls behind is made again.
///
/// # Errors
/// When the daemon does not do its work, or the sender fell behind in every run.
pub async fn measure(binary: &Path, calls: usize, span: Duration) -> Result<Figure> {
    let mut late = String::new();
    for thrown_away in 0..TRIES {
        match attempt(binary, calls, span, thrown_away).await? {
            Ok(figure) => return Ok(figure),
            Err(lateness) => late = lateness,
        }
    }
    bail!("the sender of {calls} calls fell behind in {TRIES} runs ({late}): this machine is too busy")
}

/// A figure, or how late the sender was.
async fn attempt(binary: &Path, calls: usize, span: Duration, thrown_away: usize) -> Result<Result<Figure, String>> {
    let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    let channels = format!("{CHANNELS}greeting = \"{}\"\n", greeting.display());
    let mut scratch = Scratch::new(binary, "sqlite:voxea.db", &channels).await?;
    scratch.new_master_key().await?;
    scratch.core = Some(OURS);
    let running = scratch.run().await?;
    let server = running.sip().await?;
    let before = running.memory()?;
    let sender = Sender::start(Some(THEIRS))?;
    let up = place(server, calls, &sender).await?;
    tokio::time::sleep(BEFORE).await;
    let (begun, spent, heard) = (Instant::now(), running.cpu()?, sender.begin());
    tokio::time::sleep(span).await;
    let (spent, span, memory) = (running.cpu()? - spent, begun.elapsed(), running.memory()?);
    let heard = heard.least(&sender, span);
    hang_up(&up).await?;
    let lateness = sender.lateness();
    drop(sender);
    if !lateness.kept_up() {
        running.kill().await?;
        return Ok(Err(lateness.to_string()));
    }
    let bare = bare::beside(calls, span).await?;
    let verdict = judge::judge(&running, calls).await?;
    running.stop().await?;
    Ok(Ok(Figure {
        calls,
        cpu: each(spent, span, calls),
        bare,
        memory: memory.saturating_sub(before) / calls as u64,
        lateness: lateness.to_string(),
        heard,
        verdict,
        thrown_away,
    }))
}

/// Places the calls, some at a time; each speaks from its ACK on.
async fn place(server: std::net::SocketAddr, calls: usize, sender: &Sender) -> Result<Vec<Box<Call>>> {
    let mut up = Vec::with_capacity(calls);
    let mut placing = stream::iter(0..calls)
        .map(|number| async move {
            // No event loop waits at the other end: what it costs to wake one is charged to who sends.
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            let invite = Invite {
                listen: false,
                sound: Some(socket.local_addr()?),
                ..Invite::new(&judge::caller(number), "3000")
            };
            Ok::<_, anyhow::Error>((number, socket, Call::place(server, &invite).await?))
        })
        .buffer_unordered(16);
    while let Some(placed) = placing.next().await {
        match placed? {
            (number, socket, Answer::Up(call)) => {
                sender.add(number, socket, call.rtp().1);
                up.push(call);
            }
            (.., Answer::Refused(message)) => bail!("a call was refused: {}", message.status),
        }
    }
    ensure!(up.len() == calls, "{} calls are up", up.len());
    Ok(up)
}

async fn hang_up(up: &[Box<Call>]) -> Result<()> {
    let mut ending = stream::iter(up).map(|call| call.hang_up()).buffer_unordered(16);
    while let Some(status) = ending.next().await {
        ensure!(status.context("BYE")? == 200, "a BYE was refused");
    }
    Ok(())
}
