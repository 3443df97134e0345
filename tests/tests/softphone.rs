//! baresip calls in: what it says is recorded, on hold and off again, over UDP, TCP and TLS.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::authority::Authority;
use voxea_tests::baresip::{Baresip, Settings};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::sip::g711;
use voxea_tests::voicemail::{self, heard, interaction, lag, speech};

async fn calls(transport: &str, ports: &str, more: &str, config: &str) -> Result<()> {
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
        codecs: &format!("PCMA/8000/1{more}"),
        modules: &["srtp"],
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
    calls("udp", "28200-28219", "", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_tcp() -> Result<()> {
    calls("tcp", "28220-28239", ";mediaenc=srtp", "rtcp_mux yes").await
}

/// A trunk over TLS has to encrypt its sound as well, unless it is told otherwise: with its own keys the call is as any
/// other, its reports and its hold included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_tls_with_srtp() -> Result<()> {
    calls("tls", "28240-28259", ";mediaenc=srtp-mand", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_over_tls_with_srtp_on_one_port() -> Result<()> {
    calls("tls", "28280-28299", ";mediaenc=srtp-mand", "rtcp_mux yes").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_in_clear_is_refused_over_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.issue("voxea", "127.0.0.1")?;
    let [path, key] = ["pem", "key"].map(|end| authority.file("voxea", end));
    let channels = format!(
        "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\nmedia_ports = \"28300-28309\"\ntls = {{ certificate = {path:?}, key_file = {key:?} }}\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let addresses = running.up("sip").await?;
    let server = addresses
        .first()
        .and_then(|address| address.strip_prefix("tls:"))
        .context("no address")?;
    let settings = Settings {
        account: ";transport=tls",
        ..Settings::default()
    };
    let mut phone = Baresip::start(folder.path(), &[], &settings).await?;
    phone.tell("dial", &format!("sip:3000@{server};transport=tls")).await?;
    let closed = phone.event("CALL_CLOSED").await?;
    ensure!(closed["param"].as_str().is_some_and(|why| why.contains("488")), "{closed}");
    running.stop().await
}

/// Four seconds of a tone that only wideband carries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_in_wideband() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // It does not start without an authority.
    Authority::new(folder.path())?;
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"28260-28279\"\n\
         [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{}",
        voicemail::line("silence_seconds = 60")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let server = running.sip().await?;
    let turn = std::f64::consts::TAU * 5_000.0 / 16_000.0;
    let tone: Vec<i16> = (0..64_000).map(|at| (9_000.0 * (turn * f64::from(at)).sin()) as i16).collect();
    let settings = Settings {
        codecs: "G722/16000/1",
        modules: &["g722"],
        wide: Some(&tone),
        ..Settings::default()
    };
    let mut phone = Baresip::start(folder.path(), &[], &settings).await?;
    phone.tell("dial", &format!("sip:3000@{server}")).await?;
    phone.event("CALL_ESTABLISHED").await?;
    tokio::time::sleep(Duration::from_millis(7_000)).await;
    phone.tell("hangup", "").await?;

    let shown = interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(shown["recording"]["state"] == "sealed", "{shown}");
    let id = shown["recording"]["id"].as_str().context("no recording")?;
    let mut rest = running.rest();
    let recording = rest.get(&format!("/v1/recordings/{id}")).await?;
    ensure!(recording["codec"] == "g722" && recording["rate"] == 16_000, "{recording}");
    let duration = recording["duration_ms"].as_u64().context("no duration")?;
    ensure!((6_000..7_500).contains(&duration), "{recording}");
    let wav = rest.call("GET", &format!("/v1/recordings/{id}/audio"), None).await?.body;
    // PCM16, stereo, 16 kHz.
    ensure!(wav.get(20..28) == Some(&[1, 0, 2, 0, 0x80, 0x3e, 0, 0]), "{:x?}", &wav[..44]);
    let frames = wav[44..].as_chunks::<4>().0;
    ensure!(frames.len() as u64 / 16 == duration, "{} frames, {duration} ms", frames.len());
    let left: Vec<i16> = frames.iter().map(|&[low, high, ..]| i16::from_le_bytes([low, high])).collect();
    // The share at 5 kHz of each 20 ms; the function counts for 8 kHz.
    let pure = left.chunks(320).filter(|frame| g711::purity(frame, 2_500.0) > 0.9).count();
    ensure!((190..=201).contains(&pure), "{pure} of 200 frames are the tone");
    ensure!(shown["call"]["quality"]["lost"] == 0, "{shown}");
    running.stop().await
}
