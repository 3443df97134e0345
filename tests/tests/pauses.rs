//! Recordings that are controlled while they are made: pause, resume, stop, discard, by the API of the real daemon; and
//! nobody is recorded who did not hear the announcement.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::Row as _;
use voxea_tests::scratch::{self, Answered, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, event, rtp};
use voxea_tests::voicemail;

const PATIENCE: Duration = Duration::from_secs(30);
const PACKET: Duration = Duration::from_millis(20);
const SILENCE: u8 = 0xD5;
const RELAY: &str = "application/dtmf-relay";
/// What a key by INFO says that nothing else does.
const SECRET: &str = "471147";

async fn scratch(ports: &str, line: &str) -> Result<Scratch> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n{}",
        voicemail::line(line)
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "debug".to_owned()));
    Ok(scratch)
}

async fn dial(running: &Running, direction: &'static str) -> Result<Box<Call>> {
    let mut invite = Invite::new("0145000003", "3000");
    invite.direction = direction;
    match Call::place(running.sip().await?, &invite).await? {
        Answer::Up(call) => Ok(call),
        Answer::Refused(message) => bail!("refused: {}", message.status),
    }
}

/// The id of the only call's recording, which need not be closed.
async fn recording(running: &Running) -> Result<String> {
    let request = voicemail::only(running).await?;
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let shown = running.rest().get(&target).await?;
    let id = &shown["items"][0]["recording"]["id"];
    Ok(id.as_str().context("no recording")?.to_owned())
}

async fn control(running: &Running, id: &str, what: &str) -> Result<Answered> {
    running.rest().call("POST", &format!("/v1/recordings/{id}/{what}"), None).await
}

/// The recording, once what was wanted is done.
async fn done(running: &Running, id: &str, what: &str) -> Result<Value> {
    let answered = control(running, id, what).await?;
    let words = String::from_utf8_lossy(&answered.body);
    ensure!(answered.status == 200, "{what}: {}: {words}", answered.status);
    answered.json()
}

async fn refused(running: &Running, id: &str, what: &str, state: &str) -> Result<()> {
    let answered = control(running, id, what).await?;
    let body = answered.json()?;
    ensure!(
        answered.status == 409 && body["state"] == state,
        "{what}: {}: {body}",
        answered.status
    );
    Ok(())
}

/// What the audit trail has of a recording, but for reads: actions and actors.
async fn trail(running: &Running, id: &str) -> Result<Vec<(String, String)>> {
    let rows = running.rest().get(&format!("/v1/audit?limit=500&object=recording/{id}")).await?;
    let rows = rows["items"].as_array().context("no items")?;
    let entry = |row: &Value| Some((row["action"].as_str()?.to_owned(), row["actor"].as_str()?.to_owned()));
    Ok(rows
        .iter()
        .filter_map(entry)
        .filter(|(action, _)| action != "read" && action != "listened")
        .collect())
}

/// The types of the feed's events about recordings, and their ends.
async fn events(running: &Running) -> Result<Vec<(String, String)>> {
    let page = running.rest().get("/v1/changes?limit=500").await?;
    let items = page["items"].as_array().context("no items")?;
    let told = |event: &Value| {
        let kind = event["type"].as_str()?.strip_prefix("fr.voxea.")?;
        Some((kind.to_owned(), event["data"]["end"].as_str().unwrap_or_default().to_owned()))
    };
    Ok(items
        .iter()
        .filter_map(told)
        .filter(|(kind, _)| kind.starts_with("recording."))
        .collect())
}

fn manifest(scratch: &Scratch, id: &str) -> Result<Value> {
    let text = std::fs::read(scratch.path().join(format!("blobs/recordings/{id}.vman")))?;
    Ok(serde_json::from_slice::<Value>(&text)?["manifest"].clone())
}

fn recordings(scratch: &Scratch) -> Result<usize> {
    Ok(std::fs::read_dir(scratch.path().join("blobs/recordings"))?.count())
}

/// Every byte that the daemon wrote.
fn written(folder: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        bytes.extend(if path.is_dir() { written(&path)? } else { std::fs::read(path)? });
    }
    Ok(bytes)
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// What the caller says in a packet: loud, its number in the first octets, and nothing of it silence.
fn frame(number: usize) -> Vec<u8> {
    let digits = [number, number >> 4, number >> 8].map(|digit| 0x20 | (digit % 16) as u8);
    let loud = (0..157).map(|at| [0x2A, 0xAA][at / 4 % 2] ^ (number % 16) as u8);
    digits.into_iter().chain(loud).collect()
}

/// A caller who speaks all the time, a packet of [`frame`] each 20 ms, until it is dropped; some of them are keys instead.
struct Speaker {
    task: tokio::task::JoinHandle<()>,
    begun: Instant,
}

impl Speaker {
    fn new(call: &Call, keys: Vec<(std::ops::Range<usize>, u8)>) -> Self {
        let (socket, remote) = call.rtp();
        let begun = Instant::now();
        let task = tokio::spawn(async move {
            for number in 0_usize.. {
                tokio::time::sleep_until((begun + PACKET * number as u32).into()).await;
                let key = keys.iter().find(|(range, _)| range.contains(&number));
                let packet = match key {
                    None => rtp(8, number, 0x5EED, &frame(number)),
                    Some((range, code)) => {
                        let at = number - range.start;
                        event(number, range.start, *code, number + 1 == range.end, 160 * (at as u16 + 1))
                    }
                };
                if socket.send_to(&packet, remote).await.is_err() {
                    return;
                }
            }
        });
        Self { task, begun }
    }

    /// Waits until so many packets have left.
    async fn until(&self, packets: u32) {
        tokio::time::sleep_until((self.begun + PACKET * packets).into()).await;
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.task.abort();
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_and_typed_in_a_pause_is_nowhere() -> Result<()> {
    undisturbed(what_was_said_and_typed_in_a_pause_is_nowhere_once).await
}

/// Goes red where the pause is by the sweep and not by arrival, where a re-INVITE ends it, where what follows is moved, and
/// where an INFO of a pause has a line in the log.
async fn what_was_said_and_typed_in_a_pause_is_nowhere_once() -> Result<()> {
    let scratch = scratch("26500-26519", "silence_seconds = 2\nbeep = false").await?;
    let running = scratch.run().await?;
    let call = dial(&running, "sendrecv").await?;
    let id = recording(&running).await?;
    refused(&running, &id, "pause", "recording").await?;
    // 200 ms of greeting, and then the message; keys in the pause from packet 110 on.
    let speaker = Speaker::new(&call, vec![(110..115, 4), (120..125, 9)]);
    speaker.until(50).await;
    ensure!(call.inform(RELAY, &format!("Signal=5\r\nDuration={SECRET}\r\n")).await? == 200);
    let lines = || running.log().lines().filter(|line| line.contains("\"what\":\"INFO\"")).count();
    let deadline = Instant::now() + PATIENCE;
    // It was sent twice.
    while lines() < 2 {
        ensure!(Instant::now() < deadline, "the log is not loud");
        tokio::time::sleep(PACKET).await;
    }

    speaker.until(75).await;
    let asked = Instant::now();
    let paused = done(&running, &id, "pause").await?;
    let in_force = Instant::now();
    ensure!(paused["paused"] == true && paused["state"] == "recording", "{paused}");
    ensure!(paused["pauses"][0]["duration_ms"].is_null(), "{paused}");
    ensure!(done(&running, &id, "pause").await? == paused, "twice is once");
    call.renegotiate("sendonly").await?;
    speaker.until(105).await;
    call.renegotiate("sendrecv").await?;
    for sign in ["4", "9"] {
        ensure!(call.inform(RELAY, &format!("Signal={sign}\r\nDuration={SECRET}\r\n")).await? == 200);
    }
    // Longer than the silence that ends a call.
    speaker.until(200).await;
    let asked_again = Instant::now();
    let resumed = done(&running, &id, "resume").await?;
    let recorded_again = Instant::now();
    ensure!(
        resumed["paused"] == false && !resumed["pauses"][0]["duration_ms"].is_null(),
        "{resumed}"
    );
    ensure!(done(&running, &id, "resume").await? == resumed, "twice is once");
    ensure!(lines() == 2, "keys of the pause are in the log: {} lines", lines());
    speaker.until(275).await;
    call.hang_up().await?;
    let begun = speaker.begun;
    drop(speaker);

    let interaction = voicemail::interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(interaction["recording"]["state"] == "sealed", "{interaction}");
    ensure!(interaction["call"]["end"] == "caller", "{interaction}");
    let (left, right) = voicemail::heard(&running, &interaction).await?;
    ensure!(right.iter().all(|octet| *octet == SILENCE), "our side is not silent");
    // Sample-exact: where a packet of before the pause stands says where each other one has to.
    let probe = frame(30);
    let at = left
        .windows(160)
        .position(|window| window == probe)
        .context("the beginning is not there")?;
    let place = |number: usize| (at + number * 160) as i64 - 30 * 160;
    let pauses = manifest(&scratch, &id)?["pauses"].clone();
    let (first, samples) = (
        pauses[0][0].as_u64().context("no pause")? as usize,
        pauses[0][1].as_u64().context("no length")? as usize,
    );
    ensure!(pauses == json!([[first, samples]]), "{pauses}");
    ensure!(
        resumed["pauses"][0]["offset_ms"] == first / 8 && resumed["pauses"][0]["duration_ms"] == samples / 8,
        "{resumed} {pauses}"
    );
    let key = |number: usize| (110..115).contains(&number) || (120..125).contains(&number);
    for (sample, octet) in left.iter().enumerate() {
        let since = sample as i64 - place(0);
        let number = usize::try_from(since / 160).unwrap_or(0);
        let expected = if since < 0 || (first..first + samples).contains(&sample) || key(number) {
            SILENCE
        } else {
            frame(number)[(since % 160) as usize]
        };
        // What was on its way when the call ended.
        let last = place(274);
        ensure!(
            *octet == expected || sample as i64 >= last,
            "sample {sample} is {octet:#x} and not {expected:#x}; pause {first}+{samples}, packet {number}"
        );
    }
    // The pause is that of the calls, within a packet.
    let offset = |moment: Instant| (moment - begun).as_micros() as i64 * 8 / 1_000 + place(0);
    let (from, to) = (first as i64, (first + samples) as i64);
    ensure!(
        (offset(asked) - 160..=offset(in_force) + 160).contains(&from),
        "{} {from} {}",
        offset(asked),
        offset(in_force)
    );
    ensure!(
        (offset(asked_again) - 160..=offset(recorded_again) + 160).contains(&to),
        "{} {to} {}",
        offset(asked_again),
        offset(recorded_again)
    );
    let me = trail(&running, &id).await?.first().context("no row")?.1.clone();
    ensure!(me.starts_with("key:"), "{me}");
    let told = trail(&running, &id).await?;
    ensure!(
        told == [("paused".to_owned(), me.clone()), ("resumed".to_owned(), me.clone())],
        "{told:?}"
    );
    let shown = running.rest().get(&format!("/v1/recordings/{id}")).await?;
    ensure!(
        shown["pauses"][0]["paused_by"] == me.as_str() && shown["pauses"][0]["resumed_by"] == me.as_str(),
        "{shown}"
    );
    for what in ["pause", "resume", "stop", "discard"] {
        refused(&running, &id, what, "sealed").await?;
    }
    ensure!(scratch.say(&["recording", "verify", &id]).await?.contains("sealed"));
    let log = running.log();
    running.stop().await?;
    let bytes = written(scratch.path())?;
    ensure!(holds(&bytes, b"INVITE sip:3000@"), "the artefact is there to be read");
    for secret in [SECRET, "Signal="] {
        ensure!(!log.contains(secret) && !holds(&bytes, secret.as_bytes()), "{secret} was written");
    }
    Ok(())
}

/// Goes red where the masked octets reach the disk, to be overwritten later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_pause_leaves_silence_and_says_that_nobody_knows() -> Result<()> {
    let scratch = scratch("26520-26539", "").await?;
    let running = scratch.run().await?;
    let call = dial(&running, "sendrecv").await?;
    call.beep(PATIENCE).await?;
    let id = recording(&running).await?;
    let speaker = Speaker::new(&call, Vec::new());
    speaker.until(50).await;
    let first = done(&running, &id, "pause").await?["pauses"][0]["offset_ms"]
        .as_u64()
        .context("no pause")?;
    let file = scratch.path().join(format!("blobs/recordings/{id}.vrec"));
    // Until a second of the pause is on the disk.
    let deadline = Instant::now() + PATIENCE;
    while std::fs::metadata(&file).map_or(0, |file| file.len()) < 32 + (first + 1_000) * 16 {
        ensure!(Instant::now() < deadline, "nothing is written");
        tokio::time::sleep(PACKET).await;
    }
    running.kill().await?;
    drop((speaker, call));
    let running = scratch.run().await?;
    let interaction = voicemail::interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(interaction["recording"]["state"] == "partial", "{interaction}");
    let (left, _) = voicemail::heard(&running, &interaction).await?;
    let (before, paused) = left.split_at(first as usize * 8 + 8);
    ensure!(before.iter().any(|octet| *octet != SILENCE), "the beginning is lost");
    ensure!(paused.len() > 7_900 && paused.iter().all(|octet| *octet == SILENCE), "it is heard");
    let shown = running.rest().get(&format!("/v1/recordings/{id}")).await?;
    ensure!(shown["paused"] == false && shown["pauses"][0]["duration_ms"].is_null(), "{shown}");
    ensure!(manifest(&scratch, &id)?["pauses"].is_null(), "nobody knows how long it was");
    ensure!(scratch.say(&["recording", "verify", &id]).await?.contains("partial"));
    running.stop().await
}

/// Goes red where the recording goes on without its call, or the end is somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_recording_is_whole_and_its_call_hung_up() -> Result<()> {
    let scratch = scratch("26540-26559", "").await?;
    let running = scratch.run().await?;
    let call = dial(&running, "sendrecv").await?;
    call.beep(PATIENCE).await?;
    let id = recording(&running).await?;
    let speaker = Speaker::new(&call, Vec::new());
    speaker.until(60).await;
    done(&running, &id, "pause").await?;
    speaker.until(70).await;
    let asked = Instant::now();
    let stopped = done(&running, &id, "stop").await?;
    call.ended(PATIENCE).await?;
    let me = trail(&running, &id).await?.pop().context("no row")?.1;
    ensure!(
        stopped["state"] == "sealed" && stopped["reason"] == format!("stopped by {me}"),
        "{stopped}"
    );
    let spoken = (asked - speaker.begun).as_millis() as i64;
    let length = stopped["duration_ms"].as_i64().context("no length")?;
    ensure!(
        (length - spoken).abs() < 400,
        "{length} ms are recorded, {spoken} ms after the beep it was stopped"
    );
    let pause = &stopped["pauses"][0];
    let end = pause["offset_ms"].as_i64().zip(pause["duration_ms"].as_i64());
    ensure!(end.is_some_and(|(at, long)| (at + long - length).abs() <= 1), "{stopped}");
    let interaction = voicemail::interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(interaction["call"]["end"] == "operator", "{interaction}");
    ensure!(events(&running).await? == [("recording.available".to_owned(), "operator".to_owned())]);
    let actions: Vec<String> = trail(&running, &id).await?.into_iter().map(|(action, _)| action).collect();
    ensure!(actions == ["paused", "stopped"], "{actions:?}");
    refused(&running, &id, "stop", "sealed").await?;
    ensure!(scratch.say(&["recording", "verify", &id]).await?.contains("sealed"));
    running.stop().await
}

/// The sealed key of the only recording, as it stands in the database.
async fn key(scratch: &Scratch) -> Result<Option<String>> {
    let url = format!("sqlite:{}", scratch.path().join("voxea.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await?;
    let row = sqlx::query("SELECT data_key FROM recording").fetch_one(&pool).await?;
    pool.close().await;
    Ok(row.try_get(0)?)
}

/// Goes red where the file is left to the hourly job, where the key stays, and where a held recording can be discarded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_discarded_recording_nothing_stays() -> Result<()> {
    for encrypted in [false, true] {
        let scratch = scratch("26560-26579", "").await?;
        if encrypted {
            scratch.new_master_key().await?;
        }
        let running = scratch.run().await?;
        let call = dial(&running, "sendrecv").await?;
        call.beep(PATIENCE).await?;
        let id = recording(&running).await?;
        let speaker = Speaker::new(&call, Vec::new());
        speaker.until(10).await;
        let deadline = Instant::now() + PATIENCE;
        let said: Vec<u8> = frame(5).iter().flat_map(|octet| [*octet, SILENCE]).collect();
        let folder = scratch.path().join("blobs");
        while recordings(&scratch)? == 0 || (!encrypted && !holds(&written(&folder)?, &said)) {
            ensure!(Instant::now() < deadline, "nothing is written");
            tokio::time::sleep(PACKET).await;
        }
        ensure!(key(&scratch).await?.is_some() == encrypted);
        let hold = format!("/v1/recordings/{id}/hold");
        let held = running.rest().call("PUT", &hold, Some(&json!({"reason": "contentieux"}))).await?;
        ensure!(held.status == 200, "{}", held.status);
        refused(&running, &id, "discard", "recording").await?;
        running.rest().call("DELETE", &hold, None).await?;

        let gone = done(&running, &id, "discard").await?;
        ensure!(recordings(&scratch)? == 0, "a file is left");
        ensure!(!holds(&written(&folder)?, &said), "it is on the disk");
        ensure!(key(&scratch).await?.is_none(), "the key is left");
        call.ended(PATIENCE).await?;
        drop(speaker);
        let (action, me) = trail(&running, &id).await?.pop().context("no row")?;
        ensure!(action == "discarded", "{action}");
        ensure!(
            gone["state"] == "failed" && gone["reason"] == format!("discarded by {me}") && gone["duration_ms"] == 0,
            "{gone}"
        );
        let interaction = voicemail::interaction(&running, &voicemail::only(&running).await?).await?;
        ensure!(interaction["call"]["end"] == "operator", "{interaction}");
        ensure!(events(&running).await? == [("recording.failed".to_owned(), "operator".to_owned())]);
        refused(&running, &id, "discard", "failed").await?;
        running.stop().await?;
        // Nothing of it comes back.
        let running = scratch.run().await?;
        ensure!(running.rest().get(&format!("/v1/recordings/{id}")).await?["state"] == "failed");
        running.stop().await?;
    }
    Ok(())
}

/// Goes red where an announcement counts as played that went to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_hear_the_announcement_is_not_recorded() -> Result<()> {
    let scratch = scratch("26580-26599", "rtp_timeout_seconds = 2\nhold_seconds = 2").await?;
    let running = scratch.run().await?;
    for direction in ["sendonly", "inactive"] {
        let call = dial(&running, direction).await?;
        // It speaks all the time, so that it is no absent caller.
        let speaker = Speaker::new(&call, Vec::new());
        call.ended(PATIENCE).await?;
        drop(speaker);
        ensure!(call.heard().packets == 0, "{direction}: it was spoken to");
    }
    let all = voxea_tests::kill::requests(&running, "channel=voicemail").await?;
    ensure!(all.len() == 2);
    for request in &all {
        let interaction = voicemail::interaction(&running, request).await?;
        ensure!(interaction["call"]["end"] == "rtp_timeout", "{interaction}");
        let id = interaction["recording"]["id"].as_str().context("no recording")?;
        let shown = running.rest().get(&format!("/v1/recordings/{id}")).await?;
        ensure!(
            shown["state"] == "failed"
                && shown["reason"]
                    .as_str()
                    .is_some_and(|why| why.contains("announcement could not be played")),
            "{shown}"
        );
    }
    let failed = ("recording.failed".to_owned(), "rtp_timeout".to_owned());
    ensure!(events(&running).await? == [failed.clone(), failed]);
    ensure!(recordings(&scratch)? == 0, "a file was made");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_at_first_hears_the_announcement_and_is_recorded_after_it() -> Result<()> {
    let scratch = scratch("26600-26619", "").await?;
    let running = scratch.run().await?;
    let call = dial(&running, "sendonly").await?;
    let speech = voicemail::speech()?.get(..8_000).context("no speech")?;
    call.play(speech, &Impairment::default()).await?;
    ensure!(call.heard().packets == 0, "it was spoken to");
    call.renegotiate("sendrecv").await?;
    call.beep(PATIENCE).await?;
    let greeting = call.heard();
    // 200 ms of greeting and 300 ms of beep.
    ensure!(greeting.packets >= 25, "{}", greeting.packets);
    call.play(speech, &Impairment::default()).await?;
    call.hang_up().await?;
    let interaction = voicemail::interaction(&running, &voicemail::only(&running).await?).await?;
    ensure!(interaction["recording"]["state"] == "sealed", "{interaction}");
    let id = interaction["recording"]["id"].as_str().context("no recording")?;
    let said = manifest(&scratch, id)?;
    ensure!(said["announced_ms"] == 200 && said["pauses"] == json!([]), "{said}");
    running.stop().await
}
