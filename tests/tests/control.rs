//! Recordings that are stopped and discarded while they are made, by the API of the real daemon; and nobody is recorded who did
//! not hear the announcement.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sqlx::Row as _;
use voxea_tests::controlled::{
    PACKET, PATIENCE, SILENCE, Speaker, dial, done, events, frame, holds, manifest, recording, recordings, refused, scratch, trail, written,
};
use voxea_tests::scratch::Scratch;
use voxea_tests::sip::Impairment;
use voxea_tests::voicemail;

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
