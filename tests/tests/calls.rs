//! Calls: SIPp, which nobody here wrote, and a caller who knows bytes; what the recording holds, heard over REST.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails at that line")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, plan};
use voxea_tests::sipp;
use voxea_tests::voicemail::{self, heard, interaction, lag};

const SILENCE: u8 = 0xD5;
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that answers 3000 with a beep after a greeting of 200 ms; each story has ports of its own.
async fn daemon(ports: &str, beep: bool) -> Result<(Scratch, Running)> {
    let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"3000\"\ngreeting = \"{}\"\nbeep = {beep}\nsilence_seconds = 60\n",
        greeting.display()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

/// A story that counts milliseconds, told again when a busy machine stalled its caller: what is wrong stays wrong.
async fn undisturbed<F: Future<Output = Result<()>> + Send + 'static>(story: impl Fn() -> F) -> Result<()> {
    for _ in 0..2 {
        if matches!(tokio::spawn(story()).await, Ok(Ok(()))) {
            return Ok(());
        }
    }
    story().await
}

fn speech() -> &'static [u8] {
    voicemail::speech().unwrap()
}

async fn plays(running: &Running, scenario: &Path, folder: &Path, extra: &[&str]) -> Result<()> {
    let scenario = scenario.to_string_lossy();
    let mut arguments = vec!["-sf", &*scenario, "-timeout", "90"];
    arguments.extend(extra);
    sipp::run(running.sip().await?, folder, &arguments).await
}

/// The scenario with its audio file and the time that it takes, in milliseconds.
fn scenario(folder: &Path, speech: &[u8], milliseconds: usize) -> Result<PathBuf> {
    let audio = folder.join("speech.raw");
    std::fs::write(&audio, speech)?;
    let text = include_str!("../peers/sipp/speak.xml")
        .replace("SPEECH", &audio.to_string_lossy())
        .replace("SPOKEN", &milliseconds.to_string());
    let path = folder.join("speak.xml");
    std::fs::write(&path, text)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_is_recorded_sample_by_sample() -> Result<()> {
    undisturbed(sipp_is_recorded_sample_by_sample_once).await
}

async fn sipp_is_recorded_sample_by_sample_once() -> Result<()> {
    let (scratch, running) = daemon("24000-24199", true).await?;
    // Whole packets: SIPp fills the last one up with the beginning.
    let speech = &speech()[..speech().len() / 160 * 160];
    let spoken = speech.len() / 8;
    let path = scenario(scratch.path(), speech, spoken + 500)?;
    plays(&running, &path, scratch.path(), &["-m", "1"]).await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    let call = interaction(&running, &request).await?;
    assert_eq!((&call["call"]["end"], &call["call"]["dialled"]), (&"caller".into(), &"3000".into()));
    assert_eq!(call["call"]["diverted_from"][0], "+33145000000");
    let (left, right) = heard(&running, &call).await?;
    assert_eq!(left.len() as u64 / 8, call["recording"]["duration_ms"].as_u64().unwrap());
    let at = lag(&left, speech).context("the caller's voice is not in the recording")?;
    assert_eq!(left.get(at..at + speech.len()), Some(speech), "every sample at its time");
    // SIPp pauses 1 s after its ACK; greeting and beep take 0.5 s of it.
    assert!((3_200..4_800).contains(&at), "the voice begins {at} samples after the beep");
    let loud = |octets: &[u8]| {
        octets
            .iter()
            .enumerate()
            .filter(|(_, octet)| **octet != SILENCE)
            .map(|(place, _)| place)
            .collect::<Vec<_>>()
    };
    let (before, after, ours) = (loud(&left[..at]), loud(&left[at + speech.len()..]), loud(&right));
    assert!(
        before.is_empty() && after.is_empty() && ours.is_empty(),
        "sound where silence was: {} samples before ({:?}), {} after ({:?}), {} of ours",
        before.len(),
        before.first(),
        after.len(),
        after.first(),
        ours.len()
    );
    let tail = (left.len() - at - speech.len()) / 8;
    assert!((460..560).contains(&tail), "{tail} ms after the last word, 500 were waited");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_moves_no_sample() -> Result<()> {
    undisturbed(a_bad_network_moves_no_sample_once).await
}

async fn a_bad_network_moves_no_sample_once() -> Result<()> {
    let (_scratch, running) = daemon("24200-24399", true).await?;
    let impairment = Impairment {
        loss_percent: 3,
        reorder_every: 25,
        gap: Some((Duration::from_secs(2), Duration::from_secs(2))),
    };
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000002", "3000")).await? else {
        anyhow::bail!("refused")
    };
    let beeped = call.beep(PATIENCE).await?;
    // The beep's last packet has just come and is still to be heard; a person takes a moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let played = call.play(speech(), &impairment).await?;
    let hung_up = Instant::now();
    call.hang_up().await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    let shown = interaction(&running, &request).await?;
    let (left, _) = heard(&running, &shown).await?;
    // The beep's last packet plays for 20 ms after it came.
    let due = hung_up.duration_since(beeped).saturating_sub(Duration::from_millis(20)).as_millis() as i64;
    let length = left.len() as i64 / 8;
    assert!(
        (length - due).abs() <= 20,
        "{length} ms were recorded, {due} ms lay between beep and BYE"
    );
    let mut expected = vec![SILENCE; speech().len()];
    for (_, number, octets) in plan(speech(), &impairment) {
        expected[number * 160..number * 160 + octets.len()].copy_from_slice(octets);
    }
    let silent = expected
        .chunks(160)
        .filter(|chunk| chunk.iter().all(|octet| *octet == SILENCE))
        .count();
    assert!(silent > 100, "the network did its worst");
    let begun = played.started.duration_since(beeped).as_millis() as usize * 8;
    let same = |at: &usize| left.get(*at..at + 8_000) == expected.get(..8_000);
    let near = begun.saturating_sub(800)..begun + 800;
    let at = near
        .clone()
        .find(same)
        .with_context(|| format!("the beginning is not at {near:?}, but at {:?}", (0..left.len()).find(same)))?;
    assert_eq!(
        left.get(at..at + expected.len()),
        Some(expected.as_slice()),
        "what came stands at its time, the rest is silence"
    );
    running.stop().await
}

/// Descriptors and threads, without those of the database's pool, which opens readers when it has many to serve.
fn held(process: u32) -> Result<(usize, usize)> {
    let ours = |link: std::io::Result<PathBuf>| link.is_ok_and(|link| !link.to_string_lossy().contains("voxea.db"));
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?
        .flatten()
        .filter(|entry| ours(std::fs::read_link(entry.path())));
    let named = |path: PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| !name.starts_with("sqlx"));
    let threads = std::fs::read_dir(format!("/proc/{process}/task"))?
        .flatten()
        .filter(|entry| named(entry.path()));
    Ok((descriptors.count(), threads.count()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_leave_nothing_behind() -> Result<()> {
    let (scratch, running) = daemon("24400-25399", false).await?;
    let process = running.process()?;
    let path = scenario(scratch.path(), &speech()[..16_000], 2_000)?;
    plays(&running, &path, scratch.path(), &["-m", "1"]).await?;
    let before = held(process)?;
    plays(&running, &path, scratch.path(), &["-m", "200", "-r", "20", "-l", "200"]).await?;
    let all = requests(&running, "channel=voicemail").await?;
    assert_eq!(all.len(), 201);
    for request in &all {
        let call = interaction(&running, request).await?;
        assert_eq!(call["recording"]["state"], "sealed", "{call}");
    }
    let deadline = Instant::now() + PATIENCE;
    // A task of the runtime's blocking pool lingers for ten seconds.
    loop {
        let now = held(process)?;
        if now.0 <= before.0 && now.1 <= before.1 {
            break;
        }
        ensure!(Instant::now() < deadline, "descriptors and threads {before:?}, now {now:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_torture_stop_nothing() -> Result<()> {
    let (_scratch, running) = daemon("25400-25499", true).await?;
    let server = running.sip().await?;
    assert_eq!(voxea_tests::sip::options(server).await?, 200);
    let Answer::Refused(unknown) = Call::place(server, &Invite::new("0145000003", "4711")).await? else {
        anyhow::bail!("answered")
    };
    assert_eq!(unknown.status, 404);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/rfc4475");
    let mut sent = 0;
    for entry in std::fs::read_dir(folder)? {
        socket.send_to(&std::fs::read(entry?.path())?, server).await?;
        sent += 1;
    }
    assert_eq!(sent, 49);
    let mut answers = 0;
    let mut buffer = vec![0; 65_535];
    // Many name another host in Via and are answered there; those with rport or ours come back here.
    while tokio::time::timeout(Duration::from_millis(500), socket.recv_from(&mut buffer))
        .await
        .is_ok()
    {
        answers += 1;
    }
    assert!(answers > 0, "silence");
    let mut invite = Invite::new("0145000004", "3000");
    invite.payload_type = 0;
    let Answer::Up(call) = Call::place(server, &invite).await? else {
        anyhow::bail!("refused after the torture")
    };
    call.hang_up().await?;
    let from = requests(&running, "channel=voicemail").await?;
    assert!(from.iter().any(|request| request["from"] == "+33145000004"));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_calls_politely_and_seals_them() -> Result<()> {
    let (scratch, running) = daemon("25500-25599", false).await?;
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000005", "3000")).await? else {
        anyhow::bail!("refused")
    };
    call.play(&speech()[..16_000], &Impairment::default()).await?;
    let begun = Instant::now();
    running.stop().await?;
    assert!(begun.elapsed() < Duration::from_secs(10));
    call.ended(Duration::from_secs(1)).await.context("no BYE came")?;
    let running = scratch.run().await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    let shown = interaction(&running, &request).await?;
    assert_eq!(
        (&shown["call"]["end"], &shown["recording"]["state"]),
        (&"shutdown".into(), &"sealed".into())
    );
    running.stop().await
}
