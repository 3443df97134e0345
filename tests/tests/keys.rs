//! Keys, menus, opening hours and emergencies, as callers hear them: a caller who knows bytes, and SIPp.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, g711};

const PATIENCE: Duration = Duration::from_secs(30);
const RELAY: &str = "application/dtmf-relay";

/// Hz and packets of each prompt; each is a tone of its own.
const EMERGENCY: (f64, usize) = (500.0, 20);
const MENU: (f64, usize) = (700.0, 60);
const GREETING: (f64, usize) = (1_300.0, 20);
const CLOSED: (f64, usize) = (1_700.0, 30);

/// The themes that have a key in these stories.
const THEMES: [(&str, &str); 2] = [("voirie", "1"), ("dechets", "2")];

/// What a line says, beside number and greeting.
const MENU_LINE: &str = "menu = true\nmenu_prompt = \"menu.wav\"\nemergency = \"emergency.wav\"\ntheme = \"renseignement\"\n";
const CLOSED_LINE: &str = "closed_greeting = \"closed.wav\"\nhours = \"closed\"\n";

/// A daemon whose line 3000 says this; the sounds lie beside its configuration.
async fn daemon(ports: &str, line: &str) -> Result<(Scratch, Running)> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"3000\"\nsilence_seconds = 60\n"
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    for (name, sound) in [
        ("emergency.wav", EMERGENCY),
        ("menu.wav", MENU),
        ("greeting.wav", GREETING),
        ("closed.wav", CLOSED),
    ] {
        std::fs::write(scratch.path().join(name), g711::to_wav(&g711::tone(sound.0, sound.1)))?;
    }
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{text}greeting = \"greeting.wav\"\n{line}"))?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "trace".to_owned()));
    let running = scratch.run().await?;
    for (code, digit) in THEMES {
        let put = give_a_key(&running, code, digit).await?;
        ensure!(put == 200, "PUT of {code}: {put}");
    }
    Ok((scratch, running))
}

/// Gives a theme a key; the status.
async fn give_a_key(running: &Running, code: &str, digit: &str) -> Result<u16> {
    let mut rest = running.rest();
    let target = format!("/v1/themes/{code}");
    let found = rest.call("GET", &target, None).await?;
    let tag = found.header("etag").context("no ETag")?.to_owned();
    let mut theme = found.json()?;
    let members = theme.as_object_mut().context("no object")?;
    for answered in ["code", "domain", "version"] {
        members.remove(answered);
    }
    members.insert("digit".to_owned(), json!(digit));
    Ok(rest.call_with("PUT", &target, &[("if-match", &tag)], Some(&theme)).await?.status)
}

async fn dial(running: &Running) -> Result<Box<Call>> {
    match Call::place(running.sip().await?, &Invite::new("0145000002", "3000")).await? {
        Answer::Up(call) => Ok(call),
        Answer::Refused(message) => anyhow::bail!("refused: {}", message.status),
    }
}

/// The tones that were heard so far, in order, each with its packets; silence and the clicks between tones are left out.
fn heard(call: &Call) -> Vec<(f64, usize)> {
    let known = [EMERGENCY.0, MENU.0, GREETING.0, CLOSED.0, 1_000.0, 400.0];
    let mut found: Vec<(f64, usize)> = Vec::new();
    let mut before = 0.0;
    for packet in call.heard().octets.chunks(160) {
        let samples: Vec<i16> = packet.iter().map(|octet| g711::a_law(*octet)).collect();
        let tone = known.into_iter().find(|tone| g711::purity(&samples, *tone) > 0.9).unwrap_or(0.0);
        match found.last_mut() {
            Some(last) if tone == before && tone > 0.0 => last.1 += 1,
            _ if tone > 0.0 => found.push((tone, 1)),
            _ => {}
        }
        before = tone;
    }
    found
}

/// The same without their lengths.
fn tones(call: &Call) -> Vec<f64> {
    heard(call).into_iter().map(|(tone, _)| tone).collect()
}

/// Waits until a tone has been heard for so many packets.
async fn until(call: &Call, tone: f64, packets: usize) -> Result<()> {
    let heard_it = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !heard(call).iter().any(|(found, length)| *found == tone && *length >= packets) {
            look.tick().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, heard_it).await;
    waited.with_context(|| format!("{tone} Hz was not heard, but {:?}", heard(call)))
}

/// The last call's request and interaction, once its recording is closed.
async fn closed(running: &Running) -> Result<(Value, Value)> {
    let last = requests(running, "channel=voicemail").await?.pop().context("no request")?;
    let id = last["id"].as_str().context("no id")?;
    let over = |shown: &Value| {
        let state = &shown["items"][0]["recording"]["state"];
        state == "sealed" || state == "failed" || state == "partial"
    };
    let mut rest = running.rest();
    let shown = rest.until(&format!("/v1/requests/{id}/interactions"), PATIENCE, over).await?;
    Ok((rest.get(&format!("/v1/requests/{id}")).await?, shown["items"][0].clone()))
}

/// Files of recordings on the disk.
fn recordings(scratch: &Scratch) -> Result<usize> {
    Ok(std::fs::read_dir(scratch.path().join("blobs/recordings"))?.count())
}

/// Every byte that the daemon wrote: database, write-ahead log, files.
fn written(folder: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes.extend(written(&path)?);
        } else {
            bytes.extend(std::fs::read(path)?);
        }
    }
    Ok(bytes)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_media_chooses_the_theme_and_is_no_sound() -> Result<()> {
    let (_scratch, running) = daemon("26200-26219", MENU_LINE).await?;
    let call = dial(&running).await?;
    let before = requests(&running, "channel=voicemail").await?.remove(0);
    assert_eq!(before["theme"], "renseignement", "the line's own, until a key is pressed");
    until(&call, MENU.0, 5).await?;
    // The beginning and two of the three last packets are lost.
    call.press('2', &[0, 1, 2, 5, 6]).await?;
    call.beep(PATIENCE).await?;
    let shown = running
        .rest()
        .get(&format!("/v1/requests/{}", before["id"].as_str().context("no id")?))
        .await?;
    assert_eq!(shown["theme"], "dechets", "stored before the beep");
    assert_eq!(tones(&call), [EMERGENCY.0, MENU.0, GREETING.0, 1_000.0], "{:?}", heard(&call));
    let menu = heard(&call)[1].1;
    assert!((5..MENU.1).contains(&menu), "the key ended the menu: {menu} packets");
    // A code typed during the message, 9 in it.
    // The beep's last packet has just come and is still to be heard, and what is said last must be heard before the BYE cuts
    // it: a person takes a moment at both ends.
    let pause = vec![g711::A_LAW_SILENCE; 2_400];
    let speech = [pause.clone(), vec![0x2A; 8_000], pause].concat();
    call.play(&speech, &Impairment::default()).await?;
    for sign in ['4', '9', '1', '#'] {
        call.press(sign, &[]).await?;
    }
    call.play(&speech, &Impairment::default()).await?;
    call.hang_up().await?;
    let (request, interaction) = closed(&running).await?;
    assert_eq!(
        (&request["theme"], &interaction["call"]["end"], &interaction["recording"]["state"]),
        (&"dechets".into(), &"caller".into(), &"sealed".into())
    );
    let mut rest = running.rest();
    let target = format!(
        "/v1/recordings/{}/audio",
        interaction["recording"]["id"].as_str().context("no recording")?
    );
    let audio = rest.call("GET", &target, None).await?.body;
    let at = audio.windows(4).position(|four| four == b"data").context("no data chunk")? + 8;
    let left: Vec<u8> = audio[at..].iter().step_by(2).copied().collect();
    let (spoken, silent) = (
        left.iter().filter(|octet| **octet == 0x2A).count(),
        left.iter().filter(|octet| **octet == g711::A_LAW_SILENCE).count(),
    );
    assert_eq!(
        (spoken, spoken + silent),
        (2 * 8_000, left.len()),
        "speech and silence, and nothing else"
    );
    let history = rest
        .get(&format!("/v1/requests/{}/history", request["id"].as_str().context("no id")?))
        .await?;
    let items = history["items"].as_array().context("no items")?;
    let chosen = items
        .iter()
        .find(|entry| entry["action"] == "patched")
        .context("not in the history")?;
    assert_eq!(chosen["actor"], "channel:sip/sip");
    assert!(chosen["detail"].to_string().contains("dechets"), "{chosen}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_by_info_and_both_ways_counts_once_and_is_written_nowhere() -> Result<()> {
    let (scratch, running) = daemon("26220-26239", MENU_LINE).await?;
    let call = dial(&running).await?;
    until(&call, MENU.0, 5).await?;
    // A key that chooses nothing, told both ways: heard once, it replays the menu; heard twice, it would end it.
    call.press('7', &[]).await?;
    assert_eq!(call.inform(RELAY, "Signal=7\r\nDuration=471147\r\n").await?, 200);
    assert_eq!(call.inform("application/media_control+xml", "<x/>").await?, 415);
    // What was heard before the key and all of it again; cut a second time it would be shorter.
    until(&call, MENU.0, MENU.1 + 5).await?;
    assert_eq!(call.inform(RELAY, "Signal=1\r\nDuration=471147\r\n").await?, 200);
    call.beep(PATIENCE).await?;
    assert_eq!(tones(&call), [EMERGENCY.0, MENU.0, GREETING.0, 1_000.0], "{:?}", heard(&call));
    // Half a second of message before and after.
    call.play(&vec![0x2A; 4_000], &Impairment::default()).await?;
    assert_eq!(call.inform(RELAY, "Signal=9\r\nDuration=471147\r\n").await?, 200);
    call.play(&vec![0x2A; 4_000], &Impairment::default()).await?;
    call.hang_up().await?;
    let (request, interaction) = closed(&running).await?;
    assert_eq!(request["theme"], "voirie");
    assert_eq!(interaction["recording"]["state"], "sealed", "9 during the message does nothing");
    let log = running.log();
    running.stop().await?;
    assert!(
        log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""),
        "the log is not loud"
    );
    let bytes = written(scratch.path())?;
    assert!(holds(&bytes, "INVITE sip:3000@"), "the artefact is there to be read");
    for secret in ["471147", "Signal="] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!holds(&bytes, secret), "{secret} was written to the disk");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_refuses_the_recording_and_the_request_stays() -> Result<()> {
    let (scratch, running) = daemon("26240-26259", "").await?;
    for by_info in [false, true] {
        let call = dial(&running).await?;
        until(&call, GREETING.0, 3).await?;
        assert_eq!(recordings(&scratch)?, 0, "nothing is recorded before the beep");
        if by_info {
            assert_eq!(call.inform("application/dtmf", "9").await?, 200);
        } else {
            call.press('9', &[]).await?;
        }
        call.ended(PATIENCE).await?;
        let mut told = tones(&call);
        assert_eq!(told.pop(), Some(400.0), "two low tones say so");
        assert!(!told.contains(&1_000.0), "and no beep: {told:?}");
        let (request, interaction) = closed(&running).await?;
        assert_eq!(request["status"], "received");
        assert_eq!(request["from"], "+33145000002");
        assert_eq!(
            (&interaction["call"]["end"], &interaction["recording"]["state"]),
            (&"refused_recording".into(), &"failed".into())
        );
        assert!(interaction["call"]["answered_at"].is_string(), "{interaction}");
        let id = interaction["recording"]["id"].as_str().context("no recording")?.to_owned();
        let recording = running.rest().get(&format!("/v1/recordings/{id}")).await?;
        assert_eq!(recording["reason"], "the caller refused to be recorded", "{recording}");
        assert_eq!(recordings(&scratch)?, 0, "nothing is left on the disk");
    }
    assert_eq!(give_a_key(&running, "voirie", "9").await?, 422, "no theme may have that key");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_the_hours_another_sentence_is_heard_and_a_message_taken() -> Result<()> {
    let line = format!("emergency = \"emergency.wav\"\n{CLOSED_LINE}");
    let (_scratch, running) = daemon("26260-26279", &line).await?;
    let call = dial(&running).await?;
    call.beep(PATIENCE).await?;
    assert_eq!(heard(&call), [EMERGENCY, CLOSED, (1_000.0, heard(&call)[2].1)]);
    let sentence = g711::tone(CLOSED.0, CLOSED.1);
    assert!(
        call.heard().octets.windows(sentence.len()).any(|window| window == sentence),
        "octet by octet"
    );
    call.play(&vec![0x2A; 4_000], &Impairment::default()).await?;
    call.hang_up().await?;
    let (_, interaction) = closed(&running).await?;
    assert_eq!(
        (&interaction["call"]["end"], &interaction["recording"]["state"]),
        (&"caller".into(), &"sealed".into())
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_line_without_messages_hangs_up_after_its_sentence() -> Result<()> {
    let (scratch, running) = daemon("26280-26299", &format!("{CLOSED_LINE}closed_takes_messages = false\n")).await?;
    let call = dial(&running).await?;
    call.ended(PATIENCE).await?;
    assert_eq!(heard(&call), [CLOSED], "all of it, and nothing else");
    let (request, interaction) = closed(&running).await?;
    assert_eq!(request["status"], "received");
    assert_eq!(
        (&interaction["call"]["end"], &interaction["recording"]["state"]),
        (&"operator".into(), &"failed".into())
    );
    assert_eq!(recordings(&scratch)?, 0);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_presses_a_key() -> Result<()> {
    let (scratch, running) = daemon("26320-26339", MENU_LINE).await?;
    let capture = Path::new("/usr/share/sip-tester/dtmf_2833_2.pcap");
    ensure!(capture.is_file(), "{} is missing: apt-get install sip-tester", capture.display());
    let text = include_str!("../peers/sipp/key.xml")
        .replace("CAPTURE", &capture.to_string_lossy())
        .replace("LISTENS", "2500");
    let scenario = scratch.path().join("key.xml");
    std::fs::write(&scenario, text)?;
    let sound = tokio::net::UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port();
    let output = Command::new("sipp")
        .arg("-sf")
        .arg(&scenario)
        .args([
            "-s",
            "3000",
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-timeout",
            "60",
            "-m",
            "1",
            "-mp",
            &sound.to_string(),
        ])
        .arg(running.sip().await?.to_string())
        .current_dir(scratch.path())
        .output()
        .await
        .context("sipp is missing: apt-get install sip-tester")?;
    ensure!(
        output.status.success(),
        "sipp (it sends captures from a raw socket, as root): {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let (request, interaction) = closed(&running).await?;
    assert_eq!(request["theme"], "dechets");
    assert_eq!(interaction["call"]["end"], "caller");
    running.stop().await
}
