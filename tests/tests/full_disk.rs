//! The disk of recordings is full: calls go on, operators see why, what comes back in time has lost nothing, and afterwards
//! nobody has to do anything.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Rest, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite};
use voxea_tests::small_disk::SmallDisk;
use voxea_tests::voicemail::{self, heard, lag, speech};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longest until a recording is given up, and then some.
const GIVEN_UP: Duration = Duration::from_secs(60);
/// What the system says of a full disk.
const FULL: &str = "No space left on device";

/// A call from this number, once it is heard.
async fn call(running: &Running, from: &str) -> Result<Box<Call>> {
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new(from, "3000")).await? else {
        bail!("{from} was refused")
    };
    call.beep(PATIENCE).await?;
    sleep(Duration::from_millis(300)).await;
    Ok(call)
}

/// Says the octets, and that we are heard meanwhile: a call goes on.
async fn says(call: &Call, octets: &[u8]) -> Result<()> {
    let before = call.heard().packets;
    call.play(octets, &Impairment::default()).await?;
    let packets = call.heard().packets - before;
    ensure!(packets as usize >= octets.len() / 160 * 9 / 10, "{packets} packets came");
    Ok(())
}

/// The call from this number as the API shows it, once it is so.
async fn shown(running: &Running, from: &str, state: &str) -> Result<Value> {
    let all = requests(running, "channel=voicemail").await?;
    let request = all.iter().find(|request| request["from"] == from).context("no request")?;
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let closed = |shown: &Value| !matches!(shown["items"][0]["recording"]["state"].as_str(), Some("recording" | "sealing"));
    let shown = running.rest().until(&target, GIVEN_UP, closed).await?["items"][0].clone();
    ensure!(
        shown["recording"]["state"] == state && shown["call"]["end"] == "caller",
        "not {state}: {shown}"
    );
    Ok(shown)
}

async fn recording(running: &Running, shown: &Value) -> Result<Value> {
    let id = shown["recording"]["id"].as_str().context("no recording")?;
    running.rest().get(&format!("/v1/recordings/{id}")).await
}

/// Waits until the telephone has an alarm that names the cause, or none, wherever operators look.
async fn alarm(running: &Running, metrics: SocketAddr, up: bool) -> Result<()> {
    let wanted = |shown: &Value| {
        let sip = shown["items"].as_array().into_iter().flatten().find(|item| item["kind"] == "sip");
        sip.is_some_and(|sip| sip["state"] == "up" && sip["alarm"].as_str().is_some_and(|alarm| alarm.contains(FULL)) == up)
    };
    let shown = running.rest().until("/v1/channels", PATIENCE, wanted).await?;
    ensure!(up || !shown.to_string().contains("alarm"), "{shown}");
    let ready = running
        .rest()
        .until("/readyz", PATIENCE, |ready| (ready["degraded"] == true) == up)
        .await?;
    ensure!(ready["ready"] == true, "{ready}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = Rest::new(metrics, "").call("GET", "/metrics", None).await?.body;
        let text = String::from_utf8(text)?;
        let line = text
            .lines()
            .find(|line| line.contains("\"recordings_failing\""))
            .unwrap_or_default();
        let failing: u64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
        if (failing > 0) == up {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{failing} recordings fail");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn verifies(scratch: &Scratch, id: &str) -> Result<(bool, String)> {
    let said = scratch.command(&["recording", "verify", id]).output().await?;
    Ok((said.status.success(), String::from_utf8_lossy(&said.stdout).into_owned()))
}

async fn story(ports: &str, encrypted: bool) -> Result<()> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("silence_seconds = 60")
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch
        .environment
        .push(("VOXEA__API__METRICS_LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
    if encrypted {
        scratch.new_master_key().await?;
    }
    let blobs = scratch.path().join("blobs");
    std::fs::create_dir_all(&blobs)?;
    let disk = SmallDisk::mount(&blobs, 4 << 20)?;
    let running = scratch.run().await?;
    let line: Value = serde_json::from_str(&running.logged(&["metrics listening"]).await?)?;
    let metrics: SocketAddr = line["address"].as_str().context("no address")?.parse()?;
    let speech = speech()?;
    alarm(&running, metrics, false).await?;

    // Full for some seconds in the middle of a call: nothing of it is lost.
    let survivor = call(&running, "+33612000001").await?;
    says(&survivor, &speech[..16_000]).await?;
    disk.fill()?;
    says(&survivor, &speech[16_000..]).await?;
    alarm(&running, metrics, true).await?;
    disk.free()?;
    says(&survivor, &speech[..16_000]).await?;
    ensure!(survivor.hang_up().await? == 200, "it was still there");
    let found = shown(&running, "+33612000001", "sealed").await?;
    let (left, _) = heard(&running, &found).await?;
    let at = lag(&left, &speech[..16_000]).context("the beginning is missing")?;
    ensure!(
        left.get(at..at + 16_000) == Some(&speech[..16_000]),
        "what was said before it was full"
    );
    let rest = &speech[16_000..];
    ensure!(
        left.windows(rest.len()).any(|found| found == rest),
        "what was said while it was full"
    );
    alarm(&running, metrics, false).await?;

    // Full before one call begins and in the middle of another, and for longer than anything may wait.
    let cut = call(&running, "+33612000002").await?;
    says(&cut, &speech[..24_000]).await?;
    disk.fill()?;
    let whole = call(&running, "+33612000003").await?;
    let (first, second) = tokio::join!(says(&cut, rest), says(&whole, rest));
    first.and(second)?;
    for call in [&cut, &whole] {
        ensure!(call.hang_up().await? == 200, "it was still there");
    }
    alarm(&running, metrics, true).await?;
    let failed = recording(&running, &shown(&running, "+33612000003", "failed").await?).await?;
    ensure!(failed["reason"].as_str().is_some_and(|reason| reason.contains(FULL)), "{failed}");
    let found = shown(&running, "+33612000002", "partial").await?;
    let partial = recording(&running, &found).await?;
    ensure!(partial["reason"].as_str().is_some_and(|reason| reason.contains(FULL)), "{partial}");
    let (left, _) = heard(&running, &found).await?;
    ensure!(lag(&left, &speech[..16_000]).is_some(), "what was said before it was full is there");
    let id = partial["id"].as_str().context("no id")?;
    let (sound, words) = verifies(&scratch, id).await?;
    ensure!(!sound && words.contains("there is none"), "no manifest found room: {words}");
    alarm(&running, metrics, true).await?;

    // Room again: the alarm goes, the manifest comes, and the next call is as any other; also when the daemon died in between.
    let running = if encrypted {
        running.kill().await?;
        disk.free()?;
        scratch.run().await?
    } else {
        disk.free()?;
        alarm(&running, metrics, false).await?;
        running
    };
    running.up("sip").await?;
    let (sound, words) = verifies(&scratch, id).await?;
    ensure!(sound, "{words}");
    let next = call(&running, "+33612000004").await?;
    says(&next, &speech[..16_000]).await?;
    next.hang_up().await?;
    let found = shown(&running, "+33612000004", "sealed").await?;
    let id = recording(&running, &found).await?["id"].as_str().context("no id")?.to_owned();
    let (sound, words) = verifies(&scratch, &id).await?;
    ensure!(sound, "{words}");
    let log = running.log();
    let told = log.lines().filter(|line| line.contains("cannot be written")).count();
    let expected = if encrypted { 0 } else { 2 };
    ensure!(told == expected, "each time once in the log, and not {told} times:\n{log}");
    running.stop().await
}

/// Told again when a busy machine stalled the callers: what is wrong stays wrong.
async fn undisturbed(ports: &str, encrypted: bool) -> Result<()> {
    for _ in 0..2 {
        if story(ports, encrypted).await.is_ok() {
            return Ok(());
        }
    }
    story(ports, encrypted).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_no_call_and_is_got_over() -> Result<()> {
    undisturbed("49300-49319", false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_encrypted_recordings_likewise() -> Result<()> {
    undisturbed("49320-49339", true).await
}
