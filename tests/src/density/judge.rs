//! The judge: every recording against what its caller said.

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;

use super::sender::sound;
use crate::kill::requests;
use crate::scratch::{Rest, Running};

/// Octets of a packet.
const FRAME: usize = 160;
/// What may be missing at the ends, where a packet is cut or still on its way: 100 ms.
const ENDS: usize = 800;
/// Where in a recording its place in what was said is looked for: 1 s from its beginning.
const LOOK: usize = 8_000;
/// How long the daemon may take to seal them all.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the recordings are worth.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Recordings that are sealed, whole, and octet for octet what was said.
    pub right: usize,
    /// The others.
    pub wrong: usize,
    /// Octets that are not what was said, in all of them.
    pub octets: usize,
    /// The shortest, in ms.
    pub shortest_ms: u64,
}

/// The number of a caller.
pub(super) fn caller(number: usize) -> String {
    format!("01450{number:05}")
}

/// Reads all recordings over the API.
pub(super) async fn judge(running: &Running, calls: usize) -> Result<Verdict> {
    let requests = requests(running, "channel=voicemail").await?;
    ensure!(requests.len() == calls, "{} requests of {calls} calls", requests.len());
    let mut judged = stream::iter(requests)
        .map(|request| {
            let mut rest = running.rest();
            async move {
                one(
                    &mut rest,
                    request["id"].as_str().context("no id")?,
                    request["from"].as_str().unwrap_or(""),
                )
                .await
            }
        })
        .buffer_unordered(4);
    let mut verdict = Verdict {
        shortest_ms: u64::MAX,
        ..Verdict::default()
    };
    while let Some(found) = judged.next().await {
        let (wrong, samples) = found?;
        verdict.shortest_ms = verdict.shortest_ms.min(samples as u64 / 8);
        verdict.octets += wrong;
        if wrong == 0 {
            verdict.right += 1;
        } else {
            verdict.wrong += 1;
        }
    }
    Ok(verdict)
}

/// Octets of one recording that are wrong, and how long it is.
async fn one(rest: &mut Rest, request: &str, from: &str) -> Result<(usize, usize)> {
    let call: usize = from
        .strip_prefix("+331450")
        .and_then(|rest| rest.parse().ok())
        .with_context(|| format!("who is {from}"))?;
    let closed = |shown: &serde_json::Value| {
        shown["items"][0]["recording"]["state"] != "recording" && shown["items"][0]["recording"]["state"] != "sealing"
    };
    let shown = rest
        .until(&format!("/v1/requests/{request}/interactions"), PATIENCE, closed)
        .await?;
    let recording = &shown["items"][0]["recording"];
    ensure!(recording["state"] == "sealed", "a recording is {recording}");
    let id = recording["id"].as_str().context("no recording")?;
    let audio = rest.call("GET", &format!("/v1/recordings/{id}/audio"), None).await?;
    ensure!(audio.status == 200, "audio answers {}", audio.status);
    let wav = &audio.body;
    let data = wav.windows(4).position(|four| four == b"data").context("no data in the WAV")? + 8;
    let octets: Vec<u8> = wav[data..].iter().step_by(2).copied().collect();
    Ok((compare(call, &octets), octets.len()))
}

/// Octets that are not what this call said, beside its ends; all of them when its place is not found.
fn compare(call: usize, octets: &[u8]) -> usize {
    let Some(mark) = octets.get(LOOK..LOOK + 16) else {
        return octets.len();
    };
    // It begins so many packets after the first, at most: the call waited for others.
    let packets = octets.len() / FRAME + 6_000;
    let mut said: Vec<u8> = Vec::with_capacity(packets * FRAME);
    (0..packets).for_each(|packet| said.extend_from_slice(&sound(call, packet)));
    let Some(place) = said.windows(16).position(|sixteen| sixteen == mark) else {
        return octets.len();
    };
    let Some(from) = place.checked_sub(LOOK) else { return octets.len() };
    let pairs = octets.iter().zip(&said[from..]).enumerate();
    pairs
        .filter(|(at, (heard, said))| heard != said && (ENDS..octets.len() - ENDS).contains(at))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_found_wherever_the_recording_began_and_one_octet_tells() {
        let said: Vec<u8> = (0..500).flat_map(|packet| sound(3, packet)).collect();
        let mut heard = said[12_345..70_000].to_vec();
        assert_eq!(compare(3, &heard), 0);
        assert_eq!(compare(4, &heard), heard.len());
        heard[20_000] ^= 1;
        assert_eq!(compare(3, &heard), 1);
        heard.remove(30_000);
        assert!(compare(3, &heard) > 20_000);
    }
}
