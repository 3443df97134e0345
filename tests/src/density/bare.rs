//! The ceiling: the same packets over bare sockets, by a process that does nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{MsgFlags, recv};

use super::scale::{BEFORE, OURS, THEIRS, each};
use super::sender::Sender;
use crate::load::rivals::pin_thread;
use crate::scratch::cpu_of;

const PACKET: Duration = Duration::from_millis(20);
/// Packets' times from one sweep of a socket to the next, as in the daemon.
const SWEEP: usize = 5;
/// The argument by which this program is the bare one.
const FLAG: &str = "--bare";

/// CPU that bare sockets need for so many calls, in ms a call and second.
pub(super) async fn beside(calls: usize, span: Duration) -> Result<f64> {
    let span = span.min(Duration::from_secs(10));
    let mut peers = Vec::with_capacity(calls);
    for _ in 0..calls {
        peers.push(UdpSocket::bind("127.0.0.1:0")?);
    }
    let ports = peers
        .iter()
        .map(|peer| Ok(peer.local_addr()?.port().to_string()))
        .collect::<Result<Vec<_>>>()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(FLAG)
        .args(ports)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().context("no stdout")?));
    let sender = Sender::start(Some(THEIRS))?;
    for (number, peer) in peers.into_iter().enumerate() {
        let port: u16 = lines.next().context("the bare process ended")??.parse()?;
        sender.add(number, peer, SocketAddr::from(([127, 0, 0, 1], port)));
    }
    tokio::time::sleep(BEFORE / 2).await;
    let (begun, spent) = (Instant::now(), cpu_of(child.id())?);
    tokio::time::sleep(span).await;
    let (spent, span) = (cpu_of(child.id())? - spent, begun.elapsed());
    drop(child.stdin.take());
    ensure!(child.wait()?.success(), "the bare process failed");
    Ok(each(spent, span, calls))
}

/// The bare process, when these are its arguments: `--bare PORT...`. Ends when its stdin does.
///
/// # Errors
/// When a socket cannot be made.
pub fn run(arguments: &[String]) -> Result<bool> {
    let Some((FLAG, ports)) = arguments.split_first().map(|(flag, ports)| (flag.as_str(), ports)) else {
        return Ok(false);
    };
    let _ = pin_thread(OURS);
    let mut sockets = Vec::with_capacity(ports.len());
    for port in ports {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        say(socket.local_addr()?.port())?;
        sockets.push((socket, SocketAddr::from(([127, 0, 0, 1], port.parse()?))));
    }
    let over = std::thread::spawn(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let (mut next, packet, mut buffer) = (Instant::now(), [0_u8; 172], [0_u8; 2_048]);
    for tick in 0.. {
        if over.is_finished() {
            break;
        }
        for (number, (socket, peer)) in sockets.iter().enumerate() {
            let _ = socket.send_to(&packet, peer);
            if (number + tick) % SWEEP == 0 {
                while recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).is_ok() {}
            }
        }
        next = (next + PACKET).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(true)
}

#[expect(clippy::print_stdout, reason = "its parent reads the ports there")]
fn say(port: u16) -> Result<()> {
    println!("{port}");
    Ok(std::io::Write::flush(&mut std::io::stdout())?)
}
