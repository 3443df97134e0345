//! Pauses of recordings, by the API of the real daemon: what was said and typed in one is nowhere, whatever dies meanwhile.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use voxea_tests::controlled::{
    PACKET, PATIENCE, SILENCE, Speaker, dial, done, frame, holds, manifest, recording, refused, scratch, trail, written,
};
use voxea_tests::voicemail;

const RELAY: &str = "application/dtmf-relay";
/// What a key by INFO says that nothing else does.
const SECRET: &str = "471147";

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
