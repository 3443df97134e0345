//! Object storage that is away, hangs or lies, and a daemon that dies between two steps: nothing is lost and nothing is there twice.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::net::TcpListener;
use voxea_tests::s3::{Meddler, S3};
use voxea_tests::scratch::{Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite};
use voxea_tests::spool::{BUCKET, PATIENCE, both, here, installation, job, moved, shown, sound, speak, verified};
use voxea_tests::voicemail;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_costs_nothing_and_is_shown() -> Result<()> {
    let server = S3::start(None).await?;
    let port = server.address.port();
    server.make(BUCKET).await?;
    let scratch = installation(server.address, "26700-26799").await?;
    server.kill().await?;
    let running = scratch.run().await?;
    let id = speak(&running).await?;
    let job_shown = job(&running, |job| job["attempts"].as_i64() > Some(1)).await?;
    ensure!(
        job_shown["waiting"]["files"] == 2 && job_shown["waiting"]["bytes"].as_u64() > Some(20_000),
        "{job_shown}"
    );
    let said = job_shown["last_error"].as_str().unwrap_or_default();
    ensure!(said.contains("object storage s3://mairie") && said.contains("refused"), "{said}");
    ensure!(job_shown["due_at"].is_string(), "{job_shown}");
    shown(&running, &[("voxea_blobs_waiting", 2), ("voxea_blobs_moved_total", 0)]).await?;
    // It is heard all the same, and calls go on.
    let whole = sound(&running, &id, None).await?;
    ensure!(
        here(&scratch, &id, "vrec").exists() && here(&scratch, &id, "vman").exists(),
        "a file is gone"
    );
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000002", "3000")).await? else {
        bail!("refused while the object storage is away")
    };
    call.hang_up().await?;

    let server = S3::start(Some(port)).await?;
    server.make(BUCKET).await?;
    moved(&scratch, &running, &id).await?;
    ensure!(both(&id).iter().all(|name| name.contains(&id)), "no names");
    let names = server.names(BUCKET).await?;
    ensure!(both(&id).iter().all(|name| names.contains(name)), "{names:?}");
    ensure!(sound(&running, &id, None).await? == whole, "another sound from the bucket");

    // What is there alone is not heard while it is away, and the caller is told to come again.
    server.kill().await?;
    let answered = running.rest().call("GET", &format!("/v1/recordings/{id}/audio"), None).await?;
    ensure!(answered.status == 503, "{}", answered.status);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_any_two_steps_leaves_one_verified_object() -> Result<()> {
    let server = S3::start(None).await?;
    server.make(BUCKET).await?;
    for (failpoint, ports) in [
        ("blobs.sent", "26800-26819"),
        ("blobs.verified", "26820-26839"),
        ("blobs.noted", "26840-26859"),
        ("blobs.removed", "26860-26879"),
    ] {
        for nth in [1, 2] {
            let mut scratch = installation(server.address, ports).await?;
            let already = server.names(BUCKET).await?;
            scratch.environment = vec![("VOXEA_FAILPOINT".to_owned(), format!("{failpoint}={nth}"))];
            let running = scratch.run().await?;
            let id = hang_up_and_die(running, &scratch)
                .await
                .with_context(|| format!("{failpoint} {nth}"))?;
            scratch.environment.clear();
            let running = scratch.run().await?;
            moved(&scratch, &running, &id).await?;
            let mut names = server.names(BUCKET).await?;
            names.retain(|name| !already.contains(name));
            ensure!(names == both(&id), "{failpoint} {nth}: {names:?}");
            let (good, words) = verified(&scratch, &["--all"]).await?;
            ensure!(good && words == "sound: 1 recordings; not sound: 0\n", "{failpoint} {nth}: {words}");
            running.stop().await?;
        }
    }
    Ok(())
}

/// A call is recorded, and the daemon dies at its failpoint; the recording's id, from the name of its file in either place.
async fn hang_up_and_die(mut running: Running, scratch: &Scratch) -> Result<String> {
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("refused")
    };
    call.play(&voicemail::speech()?[..16_000], &Impairment::default()).await?;
    let files = std::fs::read_dir(scratch.path().join("blobs/recordings"))?;
    let id = files.flatten().find_map(|entry| {
        let path = entry.path();
        let stem = path.file_stem()?.to_str()?.to_owned();
        (path.extension()? == "vrec").then_some(stem)
    });
    call.hang_up().await?;
    running.died().await?;
    id.context("no file while the call went on")
}

/// The proof that the local copy goes only after the object was read back: a server, or what stands before it, that changes
/// one octet. With `VOXEA_MUTANT=no_verification` nothing is read back, and this goes red: the next test shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_not_what_was_sent_is_found_before_the_local_copy_goes() -> Result<()> {
    meddled("26900-26949", None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_verification_a_recording_is_lost() -> Result<()> {
    let caught = meddled("26950-26999", Some("no_verification")).await;
    let words = format!("{:#}", caught.err().context("the story does not see that nothing is verified")?);
    ensure!(words.contains("the local copy is gone"), "{words}");
    Ok(())
}

async fn meddled(ports: &str, mutant: Option<&str>) -> Result<()> {
    let server = S3::start(None).await?;
    server.make(BUCKET).await?;
    let meddler = Meddler::before(server.address, ".vrec").await?;
    let mut scratch = installation(meddler.address, ports).await?;
    scratch.environment = mutant
        .map(|mutant| ("VOXEA_MUTANT".to_owned(), mutant.to_owned()))
        .into_iter()
        .collect();
    let running = scratch.run().await?;
    let id = speak(&running).await?;
    let file = here(&scratch, &id, "vrec");
    let said = job(&running, |job| {
        !file.exists() || job["last_error"].as_str().is_some_and(|said| said.contains("is not what was sent"))
    })
    .await?;
    ensure!(meddler.changed() > 0, "nothing was changed");
    ensure!(file.exists(), "the local copy is gone, and the object is damaged: {said}");
    ensure!(
        said["waiting"]["files"] == 2 && here(&scratch, &id, "vman").exists(),
        "the manifest went without it: {said}"
    );
    let (good, words) = verified(&scratch, &[&id]).await?;
    ensure!(good, "{words}");
    meddler.relent();
    moved(&scratch, &running, &id).await?;
    let (good, words) = verified(&scratch, &[&id]).await?;
    ensure!(good, "{words}");
    running.stop().await
}

/// A server that takes connections and says nothing holds up uploads alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_holds_up_no_other_job() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let scratch = installation(listener.local_addr()?, "27020-27029").await?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((client, _)) = listener.accept().await {
            held.push(client);
        }
    });
    let running = scratch.run().await?;
    let id = speak(&running).await?;
    job(&running, |job| job["running"] == true && job["waiting"]["files"] == 2).await?;
    let other = |shown: &Value| {
        let mut items = shown["items"].as_array().into_iter().flatten();
        items
            .find(|item| item["kind"] == "outbox.expire_leases")
            .cloned()
            .unwrap_or_default()
    };
    let before = other(&running.rest().get("/v1/jobs").await?)["due_at"].clone();
    let next = |shown: &Value| other(shown)["due_at"] != before;
    let shown = running.rest().until("/v1/jobs", PATIENCE, next).await?;
    let mut items = shown["items"].as_array().into_iter().flatten();
    let upload = items.find(|item| item["kind"] == "blobs.upload").context("no upload job")?;
    ensure!(upload["running"] == true && upload["last_error"].is_null(), "{upload}");
    ensure!(sound(&running, &id, None).await?.len() > 20_000, "it is not heard");
    // In the end it is given up, and said.
    let said = job(&running, |job| job["last_error"].is_string()).await?;
    ensure!(said["attempts"] == 1 && here(&scratch, &id, "vrec").exists(), "{said}");
    running.stop().await
}
