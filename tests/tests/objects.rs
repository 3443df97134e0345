//! Recordings and files in object storage: moved by the real binary to a real S3 server, and read from there as if they were here.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ring::digest;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::time::Instant;
use voxea_tests::authority::Authority;
use voxea_tests::s3::{self, S3};
use voxea_tests::scratch::{Running, Scratch};
use voxea_tests::spool::{BUCKET, PATIENCE, SECRET, both, here, installation, job, moved, shown, sound, speak, verified};

async fn run_sql(scratch: &Scratch, sql: &'static str) -> Result<()> {
    let url = format!("sqlite:{}", scratch.path().join("voxea.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await?;
    sqlx::query(sql).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_goes_to_the_bucket_and_is_heard_from_there() -> Result<()> {
    let server = S3::start(None).await?;
    let scratch = installation(server.address, "26500-26599").await?;
    let (well, said) = doctor(&scratch).await?;
    ensure!(
        !well && said.contains("FAIL  object storage") && said.contains("no such bucket"),
        "{said}"
    );
    server.make(BUCKET).await?;
    let (_, said) = doctor(&scratch).await?;
    ensure!(
        said.contains(&format!("ok    object storage: s3://{BUCKET}/voxea/test takes")),
        "{said}"
    );
    ensure!(server.names(BUCKET).await?.is_empty(), "the doctor left something");

    let running = scratch.run().await?;
    let id = speak(&running).await?;
    moved(&scratch, &running, &id).await?;
    ensure!(server.names(BUCKET).await? == both(&id), "{:?}", server.names(BUCKET).await?);
    let object = server.object(BUCKET, &both(&id)[1]).await?;

    // A plain file is a header of 32 octets and the sound, to which a WAV adds its own.
    let whole = sound(&running, &id, None).await?;
    ensure!(whole.len() > 20_000 && whole[58..] == object[32..], "another sound");
    for (range, from, to) in [
        ("bytes=0-99", 0, 100),
        ("bytes=1000-9999", 1_000, 10_000),
        ("bytes=-777", whole.len() - 777, whole.len()),
    ] {
        ensure!(sound(&running, &id, Some(range)).await? == whole[from..to], "{range}");
    }
    for target in ["audio?format=flac", "audio?format=pcm16", "waveform?points=50"] {
        let answered = running.rest().call("GET", &format!("/v1/recordings/{id}/{target}"), None).await?;
        ensure!(answered.status == 200 && !answered.body.is_empty(), "{target}: {}", answered.status);
    }
    let (sound, words) = verified(&scratch, &[&id]).await?;
    ensure!(sound && words.contains("plain"), "{words}");
    let (sound, words) = verified(&scratch, &["--all"]).await?;
    ensure!(sound && words == "sound: 1 recordings; not sound: 0\n", "{words}");

    // A large artefact is a file of its own.
    let letter = json!({"from": "Jeanne Martin", "text": "😀".repeat(80_000)});
    large(&running, &server, &letter).await?;
    let metrics = [
        ("voxea_blobs_moved_total", 3),
        ("voxea_blobs_waiting", 0),
        ("voxea_blobs_failures_total", 0),
    ];
    shown(&running, &metrics).await?;

    // No secret is told, and where the files are is not forgotten.
    let log = running.log();
    ensure!(!log.contains(SECRET) && !log.contains("AKIATEST"), "a key is in the log");
    running.stop().await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("voxea/test", "voxea/other"))?;
    let refused = scratch.command(&["run"]).output().await?;
    let words = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        refused.status.code() == Some(2) && words.contains(&format!("blobs = \"s3://{BUCKET}/voxea/test\"")),
        "{words}"
    );
    // And what lies there plain is not left so by a conversion.
    std::fs::write(&config, &text)?;
    scratch.new_master_key().await?;
    let refused = scratch.command(&["vault", "seal"]).output().await?;
    let words = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && words.contains("in object storage, unencrypted"),
        "{words}"
    );
    Ok(())
}

/// Whom we trust is said in the configuration; the client has the ring provider alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_tls_must_be_one_of_an_authority_that_we_know() -> Result<()> {
    let (server, folder) = (S3::start(None).await?, tempfile::tempdir()?);
    server.make(BUCKET).await?;
    let authority = Authority::new(folder.path())?;
    authority.issue("s3", "127.0.0.1")?;
    let address = s3::behind_tls(server.address, authority.acceptor("s3")?).await?;
    let scratch = installation(address, "27000-27009").await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?.replace("http://", "https://");
    std::fs::write(&config, &text)?;
    let (well, said) = doctor(&scratch).await?;
    ensure!(
        !well && said.contains("FAIL  object storage") && said.contains("certificate"),
        "{said}"
    );
    let trusting = format!("[store.s3]\nca_file = \"{}\"\n", authority.file("ca", "pem").display());
    std::fs::write(&config, text.replace("[store.s3]\n", &trusting))?;
    let (_, said) = doctor(&scratch).await?;
    ensure!(said.contains("ok    object storage"), "{said}");
    Ok(())
}

async fn doctor(scratch: &Scratch) -> Result<(bool, String)> {
    let said = scratch.command(&["doctor"]).output().await?;
    Ok((said.status.success(), String::from_utf8(said.stdout)?))
}

/// An artefact that is too large for its row comes back from the bucket.
async fn large(running: &Running, server: &S3, letter: &Value) -> Result<()> {
    let headers = [("Idempotency-Key", "large")];
    let taken = running
        .rest()
        .call_with("POST", "/v1/intake/letters", &headers, Some(letter))
        .await?;
    ensure!(taken.status == 201, "{}: {}", taken.status, String::from_utf8_lossy(&taken.body));
    let request = taken.json()?["id"].as_str().context("no id")?.to_owned();
    let shown = running.rest().get(&format!("/v1/requests/{request}/interactions")).await?;
    let interaction = shown["items"][0]["id"].as_str().context("no interaction")?;
    let target = format!("/v1/interactions/{interaction}/raw");
    let before = running.rest().call("GET", &target, None).await?;
    ensure!(
        before.status == 200 && before.body == letter.to_string().as_bytes(),
        "{}",
        before.status
    );
    let deadline = Instant::now() + PATIENCE;
    while server.names(BUCKET).await?.len() < 3 {
        ensure!(Instant::now() < deadline, "the artefact was not moved");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    job(running, |job| job["waiting"]["files"] == 0).await?;
    let after = running.rest().call("GET", &target, None).await?;
    ensure!(after.status == 200 && after.body == before.body, "another artefact from the bucket");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_recording_is_moved_verified_and_purged() -> Result<()> {
    let server = S3::start(None).await?;
    server.make(BUCKET).await?;
    let scratch = installation(server.address, "26600-26699").await?;
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    let id = speak(&running).await?;
    moved(&scratch, &running, &id).await?;
    let object = server.object(BUCKET, &both(&id)[1]).await?;
    ensure!(!object.windows(4).any(|four| four == [0xD5; 4]), "sound is readable in the bucket");
    let whole = sound(&running, &id, None).await?;
    ensure!(
        sound(&running, &id, Some("bytes=30000-34999")).await? == whole[30_000..35_000],
        "no Range"
    );
    let (good, words) = verified(&scratch, &[&id]).await?;
    ensure!(good && words.contains("every chunk opens"), "{words}");
    running.stop().await?;
    // A new master key touches no object.
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    ensure!(sound(&running, &id, None).await? == whole, "another sound after the rotation");
    running.stop().await?;
    ensure!(server.object(BUCKET, &both(&id)[1]).await? == object, "it was written anew");
    // A conversion that is run again has nothing to do.
    scratch.say(&["vault", "seal"]).await?;

    // Its time is over.
    run_sql(&scratch, "UPDATE recording SET keep_until = 1").await?;
    run_sql(&scratch, "UPDATE job SET due_at = 0 WHERE kind = 'recordings.purge'").await?;
    let running = scratch.run().await?;
    let target = format!("/v1/recordings/{id}");
    running.rest().until(&target, PATIENCE, |shown| shown["state"] == "purged").await?;
    let purging = |shown: &Value| {
        let mut items = shown["items"].as_array().into_iter().flatten();
        items.any(|job| job["kind"] == "recordings.purge" && job["running"] == false && job["last_error"].is_null())
    };
    running.rest().until("/v1/jobs", PATIENCE, purging).await?;
    ensure!(server.names(BUCKET).await?.is_empty(), "{:?}", server.names(BUCKET).await?);
    running.stop().await?;
    // The row that said where it was is gone, too, so that another bucket may follow.
    let config = scratch.path().join("voxea.toml");
    std::fs::write(&config, std::fs::read_to_string(&config)?.replace("voxea/test", "voxea/other"))?;
    scratch.run().await?.stop().await
}

/// A file that no call of a test could make: in parts, by the server's own rules for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_goes_in_parts() -> Result<()> {
    let server = S3::start(None).await?;
    server.make(BUCKET).await?;
    let scratch = installation(server.address, "27010-27019").await?;
    // As the daemon lays down what it keeps by its content.
    let content: Vec<u8> = (0..12_345_678_u32).map(|n| (n / 97 + n) as u8).collect();
    let hash = digest::digest(&digest::SHA256, &content);
    let name: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    let relative = format!("sha256/{}/{name}", &name[..2]);
    let file = scratch.path().join("blobs").join(&relative);
    std::fs::create_dir_all(file.parent().context("no folder")?)?;
    std::fs::write(&file, &content)?;
    let running = scratch.run().await?;
    job(&running, |job| !file.exists() && job["waiting"]["bytes"] == 0).await?;
    ensure!(
        server.names(BUCKET).await? == [format!("voxea/test/{relative}")],
        "{:?}",
        server.names(BUCKET).await?
    );
    ensure!(
        server.object(BUCKET, &format!("voxea/test/{relative}")).await? == content,
        "another content"
    );
    running.stop().await
}

/// What a citizen said is not kept here because a server is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_erased_here_while_the_server_is_away() -> Result<()> {
    let server = S3::start(None).await?;
    let port = server.address.port();
    let scratch = installation(server.address, "27030-27039").await?;
    server.kill().await?;
    let running = scratch.run().await?;
    let id = speak(&running).await?;
    running.stop().await?;
    run_sql(&scratch, "UPDATE recording SET keep_until = 1").await?;
    run_sql(&scratch, "UPDATE job SET due_at = 0 WHERE kind = 'recordings.purge'").await?;
    let running = scratch.run().await?;
    let purge = |shown: &Value| {
        let mut items = shown["items"].as_array().into_iter().flatten();
        items.find(|job| job["kind"] == "recordings.purge").cloned().unwrap_or_default()
    };
    let failed = |shown: &Value| {
        purge(shown)["last_error"]
            .as_str()
            .is_some_and(|said| said.contains("object storage"))
    };
    running.rest().until("/v1/jobs", PATIENCE, failed).await?;
    ensure!(
        !here(&scratch, &id, "vrec").exists() && !here(&scratch, &id, "vman").exists(),
        "a file is here"
    );
    let shown = running.rest().get(&format!("/v1/recordings/{id}")).await?;
    ensure!(shown["state"] == "purged", "{shown}");

    // What of it may be there is taken away once the server is back, and nobody is asked for it again.
    let server = S3::start(Some(port)).await?;
    server.make(BUCKET).await?;
    let done = |shown: &Value| purge(shown)["last_error"].is_null() && purge(shown)["running"] == false;
    running.rest().until("/v1/jobs", PATIENCE, done).await?;
    running.stop().await?;

    // With a folder again there is nothing to be moved.
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    let bucket = format!("s3://{BUCKET}/voxea/test");
    std::fs::write(&config, text.replace(&bucket, "blobs"))?;
    let said = scratch.say(&["check"]).await?;
    ensure!(said.contains("warning: ") && said.contains("store.s3: is not used"), "{said}");
    let running = scratch.run().await?;
    let jobs = running.rest().get("/v1/jobs").await?;
    ensure!(!jobs.to_string().contains("blobs.upload"), "{jobs}");
    running.stop().await
}
