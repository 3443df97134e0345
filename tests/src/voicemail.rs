//! What came of a call, as the API shows it: the interaction, and the sound of both sides.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::kill::requests;
use crate::scratch::Running;
use crate::sip::g711;

/// Longest until a recording is closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// `[[sip.line]]` 3000 with a greeting of 200 ms; `more` are further keys, one a line.
#[must_use]
pub fn line(more: &str) -> String {
    let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    format!("[[sip.line]]\nnumber = \"3000\"\ngreeting = \"{}\"\n{more}\n", greeting.display())
}

/// The one request of all calls.
///
/// # Errors
/// When there is none, or several.
pub async fn only(running: &Running) -> Result<Value> {
    let mut all = requests(running, "channel=voicemail").await?;
    ensure!(all.len() == 1, "{} requests", all.len());
    all.pop().context("no request")
}

/// A request's call, once it has ended and its recording is closed.
///
/// # Errors
/// When that takes longer than 30 s.
pub async fn interaction(running: &Running, request: &Value) -> Result<Value> {
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let closed = |shown: &Value| {
        let state = &shown["items"][0]["recording"]["state"];
        state == "sealed" || state == "failed" || state == "partial"
    };
    Ok(running.rest().until(&target, PATIENCE, closed).await?["items"][0].clone())
}

/// What the caller said and what we said, as A-law, from the WAV that the API serves.
///
/// # Errors
/// When there is none, or it is not A-law stereo.
pub async fn heard(running: &Running, interaction: &Value) -> Result<(Vec<u8>, Vec<u8>)> {
    let id = interaction["recording"]["id"].as_str().context("no recording")?;
    let audio = running.rest().call("GET", &format!("/v1/recordings/{id}/audio"), None).await?;
    ensure!(audio.status == 200, "audio: {}", audio.status);
    let at = audio.body.windows(4).position(|four| four == b"data").context("no data chunk")?;
    ensure!(audio.body.get(20..24) == Some(&[6, 0, 2, 0]), "not A-law stereo");
    let frames = audio.body.get(at + 8..).context("no data")?;
    Ok((
        frames.iter().step_by(2).copied().collect(),
        frames.iter().skip(1).step_by(2).copied().collect(),
    ))
}

/// A citizen's words, as A-law.
///
/// # Errors
/// When the file is not what it was.
pub fn speech() -> Result<&'static [u8]> {
    g711::a_law_wav(include_bytes!("../data/citizen-fr.wav")).context("the speech")
}

/// Where the speech begins in the recording: an exact run of its loudest second.
#[must_use]
pub fn lag(left: &[u8], speech: &[u8]) -> Option<usize> {
    let probe = speech.get(8_000..16_000)?;
    left.windows(probe.len())
        .position(|window| window == probe)
        .and_then(|at| at.checked_sub(8_000))
}
