//! An installation whose files go to a bucket of an S3 server, and what can be asked of both.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::scratch::{self, Rest, Running, Scratch};
use crate::sip::{Answer, Call, Impairment, Invite};
use crate::voicemail;

/// Longest until files are moved, or not.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The bucket.
pub const BUCKET: &str = "mairie";
/// The secret key, which must be told to nobody.
pub const SECRET: &str = "hunter2-secret-key";

/// An installation whose files go to a bucket of the server at this address.
///
/// # Errors
/// When the binary is missing, or refuses the configuration.
pub async fn installation(server: SocketAddr, ports: &str) -> Result<Scratch> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n{}",
        voicemail::line("beep = false")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    let objects = format!(
        "blobs = \"s3://{BUCKET}/voxea/test\"\n\n[store.s3]\nendpoint = \"http://{server}\"\nregion = \"fr-par\"\naccess_key = \"AKIATEST\"\n\
         secret_key = \"{SECRET}\"\n"
    );
    let text = text.replacen("blobs = \"blobs\"\n", &objects, 1);
    std::fs::write(&config, text.replacen("[api]\n", "[api]\nmetrics_listen = \"127.0.0.1:0\"\n", 1))?;
    Ok(scratch)
}

/// A citizen speaks and hangs up; the recording's id.
///
/// # Errors
/// When the call is refused, or not recorded.
pub async fn speak(running: &Running) -> Result<String> {
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("refused")
    };
    call.play(voicemail::speech()?, &Impairment::default()).await?;
    call.hang_up().await?;
    let interaction = voicemail::interaction(running, &voicemail::only(running).await?).await?;
    ensure!(interaction["recording"]["state"] == "sealed", "{interaction}");
    Ok(interaction["recording"]["id"].as_str().context("no id")?.to_owned())
}

/// The local file of a recording.
#[must_use]
pub fn here(scratch: &Scratch, id: &str, ending: &str) -> PathBuf {
    scratch.path().join("blobs/recordings").join(format!("{id}.{ending}"))
}

/// The names of both objects of a recording.
#[must_use]
pub fn both(id: &str) -> [String; 2] {
    ["vman", "vrec"].map(|ending| format!("voxea/test/recordings/{id}.{ending}"))
}

/// The upload job, once it is as it should be.
///
/// # Errors
/// When it is not within a minute; what is shown instead is in the message.
pub async fn job(running: &Running, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let find = |shown: &Value| {
        let mut items = shown["items"].as_array().into_iter().flatten();
        items.find(|item| item["kind"] == "blobs.upload").cloned().unwrap_or_default()
    };
    let shown = running.rest().until("/v1/jobs", PATIENCE, |shown| wanted(&find(shown))).await?;
    Ok(find(&shown))
}

/// Waits until nothing is in the local folder but what must be.
///
/// # Errors
/// When something is left there after a minute.
pub async fn moved(scratch: &Scratch, running: &Running, id: &str) -> Result<()> {
    let gone = || !here(scratch, id, "vrec").exists() && !here(scratch, id, "vman").exists();
    job(running, |job| gone() && job["waiting"]["files"] == 0 && job["last_error"].is_null()).await?;
    Ok(())
}

/// The sound of a recording as a WAV, or a range of it.
///
/// # Errors
/// When there is none.
pub async fn sound(running: &Running, id: &str, range: Option<&str>) -> Result<Vec<u8>> {
    let headers: Vec<(&str, &str)> = range.map(|range| ("Range", range)).into_iter().collect();
    let target = format!("/v1/recordings/{id}/audio");
    let answered = running.rest().call_with("GET", &target, &headers, None).await?;
    let expected = if range.is_some() { 206 } else { 200 };
    ensure!(
        answered.status == expected,
        "{}: {}",
        answered.status,
        String::from_utf8_lossy(&answered.body)
    );
    Ok(answered.body)
}

/// What `voxea recording verify` says, and whether it found all sound.
///
/// # Errors
/// When the command cannot be run.
pub async fn verified(scratch: &Scratch, arguments: &[&str]) -> Result<(bool, String)> {
    let said = scratch.command(&[&["recording", "verify"], arguments].concat()).output().await?;
    Ok((
        said.status.success(),
        String::from_utf8(said.stdout)? + &String::from_utf8_lossy(&said.stderr),
    ))
}

/// Holds metrics against what they should be.
///
/// # Errors
/// When one is another.
pub async fn shown(running: &Running, wanted: &[(&str, u64)]) -> Result<()> {
    let line = running.logged(&["metrics listening"]).await?;
    let address: SocketAddr = serde_json::from_str::<Value>(&line)?["address"]
        .as_str()
        .context("no address")?
        .parse()?;
    let answered = Rest::new(address, "").call("GET", "/metrics", None).await?;
    let text = String::from_utf8(answered.body)?;
    for (name, value) in wanted {
        ensure!(
            text.lines().any(|line| line == format!("{name} {value}")),
            "{name} is not {value}:\n{text}"
        );
    }
    Ok(())
}
