//! Kamailio with Record-Route in front of the daemon, SIPp as the caller behind it: neither is ours.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use voxea_tests::authority::Authority;
use voxea_tests::kamailio::Kamailio;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::voicemail::{self, heard, interaction, lag, speech};

/// Longest a scenario may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with all transports, which asks proxies for certificates of the test's authority, and believes no others.
async fn daemon(ports: &str, line: &str) -> Result<(Scratch, Running, Authority, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\
         tls = {{ certificate = \"{{}}/voxea.pem\", key_file = \"{{}}/voxea.key\", client_ca = \"{{}}/ca.pem\", client_required = true }}\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\nsrtp = \"optional\"\nca_file = \"{{}}/ca.pem\"\n{}",
        voicemail::line(line)
    );
    let channels = channels.replace("{}", &folder.path().to_string_lossy());
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running, authority, folder))
}

/// Where a proxy sends calls for the daemon by this transport.
async fn entrance(running: &Running, transport: &str) -> Result<String> {
    let addresses = running.up("sip").await?;
    let prefix = format!("{transport}:");
    let found = addresses.iter().find_map(|address| address.strip_prefix(prefix.as_str()));
    Ok(format!(
        "{};transport={transport}",
        found.with_context(|| format!("no {transport}"))?
    ))
}

/// Runs a scenario against a proxy over `u1` (UDP) or `t1` (TCP).
async fn sipp(folder: &Path, scenario: &str, mode: &str, proxy: &Kamailio) -> Result<()> {
    let speech = &speech()?[..32_000];
    let audio = folder.join("speech.raw");
    std::fs::write(&audio, speech)?;
    let text = scenario
        .replace("SPEECH", &audio.to_string_lossy())
        .replace("SPOKEN", &(speech.len() / 8 + 500).to_string());
    let file = folder.join("scenario.xml");
    std::fs::write(&file, text)?;
    let mut command = Command::new("sipp");
    command
        .arg("-sf")
        .arg(&file)
        .args(["-s", "3000", "-i", "127.0.0.1", "-m", "1", "-nostdin"]);
    command.args(["-t", mode, "-trace_err", "-error_file"]).arg(folder.join("errors"));
    // Its own time limit waits for calls that go on.
    command.arg(proxy.plain.to_string()).current_dir(folder).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.with_context(|| format!("sipp waits in vain; kamailio:\n{}", proxy.log()))?;
    let output = output.context("sipp is missing: scripts/install-peers installs it")?;
    ensure!(
        output.status.success(),
        "sipp: {}\n{}\n{}\nkamailio:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        std::fs::read_to_string(folder.join("errors")).unwrap_or_default(),
        proxy.log()
    );
    Ok(())
}

/// The call that was told in `proxied.xml`: hung up by the caller, heard twice, silent between.
async fn was_recorded(running: &Running) -> Result<()> {
    let shown = interaction(running, &voicemail::only(running).await?).await?;
    ensure!(
        shown["call"]["end"] == "caller" && shown["recording"]["state"] == "sealed",
        "{shown}"
    );
    let (left, _) = heard(running, &shown).await?;
    let speech = &speech()?[..32_000];
    let first = lag(&left, speech).context("what was said before the hold is not in the recording")?;
    let again = first + speech.len();
    ensure!(
        lag(&left[again..], speech).is_some(),
        "what was said after the hold is not in the recording of {} ms",
        left.len() / 8
    );
    Ok(())
}

/// From the caller to one proxy by one transport, from it to the daemon by another.
async fn through_one(mode: &str, transport: &str, ports: &str) -> Result<()> {
    let (_scratch, running, authority, folder) = daemon(ports, "silence_seconds = 60").await?;
    let next = entrance(&running, transport).await?;
    let proxy = Kamailio::start(folder.path(), &authority, "proxy", &next).await?;
    sipp(folder.path(), include_str!("../peers/sipp/proxied.xml"), mode, &proxy).await?;
    was_recorded(&running).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_through_a_proxy() -> Result<()> {
    through_one("u1", "udp", "28000-28019").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_through_a_proxy() -> Result<()> {
    through_one("t1", "tcp", "28020-28039").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_that_a_proxy_makes_tls() -> Result<()> {
    through_one("u1", "tls", "28040-28059").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_and_three_transports() -> Result<()> {
    let (_scratch, running, authority, folder) = daemon("28060-28079", "silence_seconds = 60").await?;
    let next = entrance(&running, "tls").await?;
    let near = Kamailio::start(folder.path(), &authority, "near", &next).await?;
    let next = format!("{};transport=tcp", near.plain);
    let far = Kamailio::start(folder.path(), &authority, "far", &next).await?;
    sipp(folder.path(), include_str!("../peers/sipp/proxied.xml"), "u1", &far).await?;
    was_recorded(&running).await?;
    running.stop().await
}

/// The daemon hangs up. The proxy beside it was killed and started anew during the call, so that no connection is left:
/// the BYE opens one, to where Record-Route says.
async fn outlasted(transport: &str, ports: &str) -> Result<()> {
    let (_scratch, running, authority, folder) = daemon(ports, "max_seconds = 6").await?;
    let next = entrance(&running, transport).await?;
    let mut near = Kamailio::start(folder.path(), &authority, "near", &next).await?;
    let next = format!("{};transport=udp", near.plain);
    let far = Kamailio::start(folder.path(), &authority, "far", &next).await?;
    let calling = sipp(folder.path(), include_str!("../peers/sipp/outlasted.xml"), "u1", &far);
    let restarting = async {
        // The request is there when the 200 leaves; the ACK has come when the call's start is told.
        let answered = |shown: &serde_json::Value| shown["items"][0]["call"]["answered_at"].is_string();
        let request = loop {
            match voicemail::only(&running).await {
                Ok(request) => break request,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
        running.rest().until(&target, Duration::from_secs(30), answered).await?;
        near.restart().await
    };
    tokio::try_join!(calling, restarting)?;
    let shown = interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(shown["call"]["end"] == "max_length", "{shown}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_bye_over_udp() -> Result<()> {
    outlasted("udp", "28080-28099").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_bye_opens_tcp_to_the_proxy() -> Result<()> {
    outlasted("tcp", "28100-28119").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_bye_opens_tls_to_the_proxy_and_shows_a_certificate() -> Result<()> {
    outlasted("tls", "28120-28139").await
}
