//! Calls that are being recorded, and a daemon that is killed meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use serde_json::Value;

use super::{Dice, Tally, requests};
use crate::scratch::{Running, Scratch};
use crate::sip::{Answer, Call, Impairment, Invite};

/// Calls in one life of the daemon.
const CALLS: usize = 50;
/// Of the greeting that the line plays here.
const GREETING: Duration = Duration::from_millis(200);
/// What a recording may lack at its end.
const LACK: Duration = Duration::from_secs(1);
/// How long the daemon waits for a caller who repeats an INVITE, and a little more.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Calls whose 200 was heard.
    pub calls: Tally,
    /// Recordings that began before the kill.
    pub recordings: usize,
    /// Of these, how many lack more than a second, or cannot be fetched.
    pub short: usize,
    /// Of these, how many have another voice than their caller's, or none.
    pub strange: usize,
    /// The most that one lacked, in milliseconds.
    pub worst_ms: u64,
    /// Recordings that `voxea recording verify --all` found sound at the end.
    pub verified: usize,
    /// Those that it did not, or did not look at.
    pub unsound: usize,
    /// What it said of those.
    pub faults: String,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.calls.is_sound() && self.short == 0 && self.strange == 0 && self.unsound == 0
    }
}

/// Kills the daemon `kills` times during calls, and counts. With `encrypted` it has a master key.
///
/// # Errors
/// When the daemon does not come back, or a peer fails.
pub async fn run(binary: &Path, store: &str, kills: u64, encrypted: bool) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let short = folder.path().join("short.wav");
    std::fs::write(&short, greeting())?;
    let scratch = Scratch::new(binary, store, &CHANNELS.replace("short.wav", &short.to_string_lossy())).await?;
    if encrypted {
        scratch.new_master_key().await?;
    }
    let mut dice = Dice::new(kills ^ 0xCA11);
    let (mut number, mut answered) = (0, BTreeMap::new());
    for _ in 0..kills {
        let running = scratch.run().await?;
        let server = running.sip().await?;
        let mut talking = tokio::task::JoinSet::new();
        for _ in 0..CALLS {
            number += 1;
            let caller = format!("01450{number:05}");
            talking.spawn(async move {
                let Ok(Answer::Up(call)) = Call::place(server, &Invite::new(&caller, "3000")).await else {
                    return None;
                };
                Some((caller, call))
            });
        }
        let mut calls = Vec::new();
        while let Some(joined) = talking.join_next().await {
            calls.extend(joined?);
        }
        let clean = Impairment::default();
        let spoken: Vec<Vec<u8>> = calls.iter().map(|(caller, _)| vec![voice(caller); 8_000 * 5]).collect();
        let speak = calls.iter().zip(&spoken).map(|((_, call), speech)| call.play(speech, &clean));
        let speaking = async {
            for played in join_all(speak).await {
                played?;
            }
            Ok::<(), anyhow::Error>(())
        };
        let begun = Instant::now();
        let _ = tokio::time::timeout(dice.time(Duration::from_millis(300), Duration::from_millis(2500)), speaking).await;
        running.kill().await?;
        let killed = Instant::now();
        answered.extend(calls.iter().map(|(caller, call)| {
            (
                caller.clone(),
                [call.answered, begun].map(|since| killed.saturating_duration_since(since)),
            )
        }));
    }
    let running = scratch.run().await?;
    let outcome = judge(&running, &answered).await;
    running.stop().await?;
    let mut outcome = outcome?;
    (outcome.verified, outcome.unsound, outcome.faults) = verify(&scratch).await?;
    // Each that may be heard is one that was looked at.
    outcome.unsound += outcome.recordings.saturating_sub(outcome.verified + outcome.unsound);
    Ok(outcome)
}

/// What the binary itself says of its recordings, without a daemon: how many are sound, how many are not, and why.
async fn verify(scratch: &Scratch) -> Result<(usize, usize, String)> {
    let said = scratch.command(&["recording", "verify", "--all"]).output().await?;
    let words = String::from_utf8(said.stdout)?;
    let counts = words
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("sound: ")?.split_once(" recordings; not sound: "));
    let (sound, wrong) = counts.with_context(|| format!("{words}{}", String::from_utf8_lossy(&said.stderr)))?;
    let (sound, wrong) = (sound.parse()?, wrong.parse()?);
    ensure!(said.status.success() == (wrong == 0), "{words}");
    Ok((sound, wrong, if wrong > 0 { words } else { String::new() }))
}

async fn judge(running: &Running, answered: &BTreeMap<String, [Duration; 2]>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests(running, "channel=voicemail").await? {
        let from = request["from"].as_str().unwrap_or_default().replace("+33", "0");
        *found.entry(from.clone()).or_default() += 1;
        let Some([lived, spoken]) = answered.get(&from) else { continue };
        let id = request["id"].as_str().unwrap_or_default();
        let ended = |shown: &Value| shown["items"][0]["call"]["end"].is_string();
        let shown = running
            .rest()
            .until(&format!("/v1/requests/{id}/interactions"), PATIENCE, ended)
            .await?;
        let recording = &shown["items"][0]["recording"];
        let Some(due) = lived.checked_sub(GREETING + Duration::from_millis(100)) else {
            continue;
        };
        if due < LACK {
            continue;
        }
        outcome.recordings += 1;
        let kept = Duration::from_millis(recording["duration_ms"].as_u64().unwrap_or(0));
        let lacks = due.saturating_sub(kept);
        outcome.worst_ms = outcome.worst_ms.max(u64::try_from(lacks.as_millis()).unwrap_or(u64::MAX));
        let target = format!("/v1/recordings/{}/audio", recording["id"].as_str().unwrap_or_default());
        let audio = running.rest().call("GET", &target, None).await?;
        let whole = audio.status == 200 && audio.body.len() as u64 >= recording["duration_ms"].as_u64().unwrap_or(0) * 16;
        outcome.short += usize::from(lacks > LACK || recording["state"] != "partial" || !whole);
        outcome.strange += usize::from(!is_of(&from, *spoken > LACK, &audio.body));
    }
    outcome.calls = Tally::judge(answered.keys().map(String::as_str), &found);
    ensure!(outcome.recordings > 0, "no call lived long enough to be judged");
    Ok(outcome)
}

/// The one octet (A-law) that a caller says all the time: another one than those before and after.
fn voice(caller: &str) -> u8 {
    let number: usize = caller.trim_start_matches('0').parse().unwrap_or(0);
    // Loud, and neither silence nor what differs from it by its sign.
    0x20 | (number % 16) as u8
}

/// Whether the caller's channel of a WAV has nothing but this voice and silence, and the voice where it `must` be there: who began
/// to speak less than what may be lacking before the end is not in it.
fn is_of(caller: &str, must: bool, wav: &[u8]) -> bool {
    const SILENCE: u8 = 0xD5;
    let data = wav.windows(4).position(|four| four == b"data");
    let heard = data.and_then(|at| wav.get(at + 8..)).unwrap_or_default().iter().step_by(2);
    let mut voices = heard.filter(|&&octet| octet != SILENCE).peekable();
    (voices.peek().is_some() || !must) && voices.all(|&octet| octet == voice(caller))
}

/// PCM16, mono, 8 kHz: a quiet tone.
fn greeting() -> Vec<u8> {
    let samples: Vec<u8> = (0..1_600_i32)
        .flat_map(|at| i16::try_from((at % 20 - 10) * 100).unwrap_or(0).to_le_bytes())
        .collect();
    let length = u32::try_from(samples.len()).unwrap_or(0);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(8_000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

const CHANNELS: &str = r#"
[sip]
listen = ["udp:127.0.0.1:0"]
media_ports = "22000-23999"

[[sip.trunk]]
name = "pbx"
allow = ["127.0.0.0/8"]

[[sip.line]]
number = "3000"
greeting = "short.wav"
beep = false
silence_seconds = 60
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_known_and_another_is_not() {
        let wav = |octets: &[u8]| {
            let frames = octets.iter().flat_map(|&octet| [octet, 0xD5]);
            b"RIFF....WAVEdata....".iter().copied().chain(frames).collect::<Vec<u8>>()
        };
        let (own, other) = (voice("0145000001"), voice("0145000002"));
        assert!(is_of("0145000001", true, &wav(&[0xD5, own, own, 0xD5])));
        assert!(!is_of("0145000001", false, &wav(&[own, other])));
        assert!(!is_of("0145000001", true, &wav(&[0xD5])));
        assert!(is_of("0145000001", false, &wav(&[0xD5])));
    }
}
