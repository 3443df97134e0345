//! A browser plays a recording and seeks in it, by HTTP Range.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;
use voxea_tests::kill::requests;
use voxea_tests::page;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, g711};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_plays_and_seeks_in_every_form() -> Result<()> {
    let greeting = concat!(env!("CARGO_MANIFEST_DIR"), "/data/short-greeting.wav");
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"26100-26199\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"3000\"\ngreeting = \"{greeting}\"\nbeep = false\n"
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("refused")
    };
    let speech = g711::a_law_wav(include_bytes!("../data/citizen-fr.wav")).context("no speech")?;
    call.play(speech, &Impairment::default()).await?;
    call.hang_up().await?;
    let request = requests(&running, "").await?.remove(0);
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let sealed = |shown: &serde_json::Value| shown["items"][0]["recording"]["state"] == "sealed";
    let shown = running.rest().until(&target, Duration::from_secs(20), sealed).await?;
    let recording = &shown["items"][0]["recording"];
    let id = recording["id"].as_str().context("no recording")?;
    let ranged = running
        .rest()
        .call_with("GET", &format!("/v1/recordings/{id}/audio"), &[("Range", "bytes=100-199")], None)
        .await?;
    ensure!((ranged.status, ranged.body.len()) == (206, 100), "no Range: {}", ranged.status);

    let recorded = recording["duration_ms"].as_f64().context("no duration")? / 1000.0;
    for form in ["wav", "pcm16", "flac"] {
        let seconds = played(&running, &scratch, &format!("{id}.{form}")).await?;
        ensure!(
            (seconds - recorded).abs() < 0.05,
            "{form}: the browser sees {seconds} s, {recorded} s were recorded"
        );
    }
    running.stop().await
}

/// How long the browser says the sound is, once it has played it from the middle.
async fn played(running: &Running, scratch: &Scratch, name: &str) -> Result<f64> {
    let mut page = page::serve(running.api, &scratch.key).await?;
    let profile = tempfile::tempdir()?;
    let mut chromium = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--autoplay-policy=no-user-gesture-required",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}/try/{name}", page.address))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("chromium is missing: apt-get install chromium")?;
    let told = tokio::time::timeout(Duration::from_secs(60), page.told.wait_for(Option::is_some)).await;
    let words = told.context("the browser told nothing")??.clone().unwrap_or_default();
    chromium.kill().await?;
    Ok(words.strip_prefix("duration=").with_context(|| words.clone())?.parse()?)
}
