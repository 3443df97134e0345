//! Junk: random octets, SIP that was bitten, requests that mean nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::lines::request;
use super::link::{Link, number};

/// What is sent.
pub(super) struct Junk {
    pub(super) server: SocketAddr,
    pub(super) from: IpAddr,
    pub(super) per_second: f64,
    pub(super) time: Duration,
    pub(super) seed: u64,
}

/// Sends it, and throws away what comes back; how many datagrams it was. Blocks its thread.
pub(super) fn run(junk: &Junk) -> Result<usize> {
    let mut link = Link::open(junk.from, junk.server, 0, 0)?;
    let local = link.local()?;
    let (mut seed, mut sent) = (junk.seed, 0);
    let begun = Instant::now();
    let mut buffer = vec![0; 65_536];
    while begun.elapsed() < junk.time {
        while (sent as f64) < begun.elapsed().as_secs_f64() * junk.per_second {
            link.send(&datagram(&mut seed, sent, local, junk.server))?;
            sent += 1;
        }
        let mut wait = Some(Duration::from_millis(1));
        while link.receive(&mut buffer, wait.take())?.is_some() {}
    }
    Ok(sent)
}

fn datagram(seed: &mut u64, count: usize, local: SocketAddr, server: SocketAddr) -> Vec<u8> {
    let kind = number(seed) % 10;
    if kind < 3 {
        let length = number(seed) % 1_200;
        return (0..length).map(|_| number(seed) as u8).collect();
    }
    // Nobody answers 4000, so that no piece of junk becomes a call by accident.
    let method = ["INVITE", "BYE", "OPTIONS", "CANCEL", "REGISTER", "SUBSCRIBE", "NOTIFY", "X"][(number(seed) % 8) as usize];
    let text = request(
        method,
        local,
        server,
        count,
        *seed >> 16,
        kind.is_multiple_of(2).then_some("nobody"),
        9,
    )
    .replace("sip:3000", "sip:4000");
    let mut bytes = text.into_bytes();
    if kind < 7 {
        for _ in 0..=number(seed) % 8 {
            if bytes.is_empty() {
                break;
            }
            let at = (number(seed) as usize) % bytes.len();
            match number(seed) % 4 {
                0 => bytes[at] = number(seed) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, number(seed) as u8),
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
    bytes
}
