//! Recordings that are controlled while they are made: the installation, the caller who speaks all the time, and what can be
//! seen of a recording from outside.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::scratch::{self, Answered, Running, Scratch};
use crate::sip::{Answer, Call, Invite, event, rtp};
use crate::voicemail;

/// Longest that something may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two packets of sound.
pub const PACKET: Duration = Duration::from_millis(20);
/// What is heard where nothing is (A-law).
pub const SILENCE: u8 = 0xD5;

/// A town with one line of the telephone; `line` are further keys of it.
///
/// # Errors
/// When it cannot be laid out.
pub async fn scratch(ports: &str, line: &str) -> Result<Scratch> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n{}",
        voicemail::line(line)
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "debug".to_owned()));
    Ok(scratch)
}

/// Calls it; `direction` is that of the offer.
///
/// # Errors
/// When it does not answer.
pub async fn dial(running: &Running, direction: &'static str) -> Result<Box<Call>> {
    let mut invite = Invite::new("0145000003", "3000");
    invite.direction = direction;
    match Call::place(running.sip().await?, &invite).await? {
        Answer::Up(call) => Ok(call),
        Answer::Refused(message) => bail!("refused: {}", message.status),
    }
}

/// The id of the only call's recording, which need not be closed.
///
/// # Errors
/// When there is none, or several.
pub async fn recording(running: &Running) -> Result<String> {
    let request = voicemail::only(running).await?;
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let shown = running.rest().get(&target).await?;
    let id = &shown["items"][0]["recording"]["id"];
    Ok(id.as_str().context("no recording")?.to_owned())
}

/// Asks for a recording to be controlled.
///
/// # Errors
/// When nothing answers.
pub async fn control(running: &Running, id: &str, what: &str) -> Result<Answered> {
    running.rest().call("POST", &format!("/v1/recordings/{id}/{what}"), None).await
}

/// The recording, once what was wanted is done.
///
/// # Errors
/// When it is refused.
pub async fn done(running: &Running, id: &str, what: &str) -> Result<Value> {
    let answered = control(running, id, what).await?;
    let words = String::from_utf8_lossy(&answered.body);
    ensure!(answered.status == 200, "{what}: {}: {words}", answered.status);
    answered.json()
}

/// Asks for what is refused with 409 in this state of the recording.
///
/// # Errors
/// When it is not.
pub async fn refused(running: &Running, id: &str, what: &str, state: &str) -> Result<()> {
    let answered = control(running, id, what).await?;
    let body = answered.json()?;
    ensure!(
        answered.status == 409 && body["state"] == state,
        "{what}: {}: {body}",
        answered.status
    );
    Ok(())
}

/// What the audit trail has of a recording, but for reads: actions and actors.
///
/// # Errors
/// When it cannot be read.
pub async fn trail(running: &Running, id: &str) -> Result<Vec<(String, String)>> {
    let rows = running.rest().get(&format!("/v1/audit?limit=500&object=recording/{id}")).await?;
    let rows = rows["items"].as_array().context("no items")?;
    let entry = |row: &Value| Some((row["action"].as_str()?.to_owned(), row["actor"].as_str()?.to_owned()));
    Ok(rows
        .iter()
        .filter_map(entry)
        .filter(|(action, _)| action != "read" && action != "listened")
        .collect())
}

/// The types of the feed's events about recordings, and their ends.
///
/// # Errors
/// When they cannot be read.
pub async fn events(running: &Running) -> Result<Vec<(String, String)>> {
    let page = running.rest().get("/v1/changes?limit=500").await?;
    let items = page["items"].as_array().context("no items")?;
    let told = |event: &Value| {
        let kind = event["type"].as_str()?.strip_prefix("fr.voxea.")?;
        Some((kind.to_owned(), event["data"]["end"].as_str().unwrap_or_default().to_owned()))
    };
    Ok(items
        .iter()
        .filter_map(told)
        .filter(|(kind, _)| kind.starts_with("recording."))
        .collect())
}

/// The manifest of a recording.
///
/// # Errors
/// When there is none.
pub fn manifest(scratch: &Scratch, id: &str) -> Result<Value> {
    let text = std::fs::read(scratch.path().join(format!("blobs/recordings/{id}.vman")))?;
    Ok(serde_json::from_slice::<Value>(&text)?["manifest"].clone())
}

/// How many files of recordings there are.
///
/// # Errors
/// When the folder cannot be read.
pub fn recordings(scratch: &Scratch) -> Result<usize> {
    Ok(std::fs::read_dir(scratch.path().join("blobs/recordings"))?.count())
}

/// Every byte that the daemon wrote.
///
/// # Errors
/// When a file cannot be read.
pub fn written(folder: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        bytes.extend(if path.is_dir() { written(&path)? } else { std::fs::read(path)? });
    }
    Ok(bytes)
}

/// Whether bytes hold others.
#[must_use]
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// What the caller says in a packet: loud, its number in the first octets, and nothing of it silence.
#[must_use]
pub fn frame(number: usize) -> Vec<u8> {
    let digits = [number, number >> 4, number >> 8].map(|digit| 0x20 | (digit % 16) as u8);
    let loud = (0..157).map(|at| [0x2A, 0xAA][at / 4 % 2] ^ (number % 16) as u8);
    digits.into_iter().chain(loud).collect()
}

/// A caller who speaks all the time, a packet of [`frame`] each 20 ms, until it is dropped; some of them are keys instead.
pub struct Speaker {
    task: tokio::task::JoinHandle<()>,
    /// When its first packet left.
    pub begun: Instant,
}

impl Speaker {
    /// Begins to speak; `keys` are the packets that are keys, and their codes (RFC 4733).
    #[must_use]
    pub fn new(call: &Call, keys: Vec<(std::ops::Range<usize>, u8)>) -> Self {
        let (socket, remote) = call.rtp();
        let begun = Instant::now();
        let task = tokio::spawn(async move {
            for number in 0_usize.. {
                tokio::time::sleep_until((begun + PACKET * number as u32).into()).await;
                let key = keys.iter().find(|(range, _)| range.contains(&number));
                let packet = match key {
                    None => rtp(8, number, 0x5EED, &frame(number)),
                    Some((range, code)) => {
                        let at = number - range.start;
                        event(number, range.start, *code, number + 1 == range.end, 160 * (at as u16 + 1))
                    }
                };
                if socket.send_to(&packet, remote).await.is_err() {
                    return;
                }
            }
        });
        Self { task, begun }
    }

    /// Waits until so many packets have left.
    pub async fn until(&self, packets: u32) {
        tokio::time::sleep_until((self.begun + PACKET * packets).into()).await;
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
