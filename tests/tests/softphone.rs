//! baresip calls in: what it says is recorded, on hold and off again, over UDP, TCP and TLS.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::authority::Authority;
use voxea_tests::baresip::{Baresip, Settings};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::voicemail::{self, heard, interaction, lag, speech};

async fn calls(transport: &str, ports: &str, config: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    let channels = format!(
        "[sip]\nlisten = [\"{transport}:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\
         tls = {{ certificate = \"{{}}/voxea.pem\", key_file = \"{{}}/voxea.key\" }}\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("silence_seconds = 60")
    );
    let channels = channels.replace("{}", &folder.path().to_string_lossy());
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let addresses = running.up("sip").await?;
    let server = addresses
        .first()
        .and_then(|address| address.split_once(':'))
        .context("no address")?
        .1;

    let said = &speech()?[..32_000];
    let settings = Settings {
        account: &format!(";transport={transport}"),
        config,
        ..Settings::default()
    };
    let mut phone = Baresip::start(folder.path(), said, &settings).await?;
    phone.tell("dial", &format!("sip:3000@{server};transport={transport}")).await?;
    phone.event("CALL_ESTABLISHED").await?;
    // Two seconds of silence, four of speech.
    tokio::time::sleep(Duration::from_millis(7_000)).await;
    phone.tell("hold", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    phone.tell("resume", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    phone.tell("hangup", "").await?;

    let shown = interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(
        shown["call"]["end"] == "caller" && shown["recording"]["state"] == "sealed",
        "{shown}"
    );
    ensure!(shown["from"] == "+33145000007", "{}", shown["from"]);
    let (left, _) = heard(&running, &shown).await?;
    ensure!(
        lag(&left, said).is_some(),
        "what was said is not in the recording of {} ms",
        left.len() / 8
    );
    // It reports every five seconds, about what it heard of us as well.
    let quality = &shown["call"]["quality"];
    ensure!(
        quality["received"].as_u64() > Some(250) && quality["lost"] == 0 && quality["remote_lost"] == 0,
        "{quality}"
    );
    ensure!(
        quality["round_trip_ms"].as_f64().is_some_and(|ms| ms < 50.0) && quality["mos"].as_f64().is_some_and(|mos| mos > 4.0),
        "{quality}"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_udp() -> Result<()> {
    calls("udp", "48200-48219", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_tcp() -> Result<()> {
    calls("tcp", "48220-48239", "rtcp_mux yes").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_tls() -> Result<()> {
    calls("tls", "48240-48259", "").await
}
