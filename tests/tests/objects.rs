//! Recordings and files in object storage: moved by the real binary to a real S3 server, verified before the local copy goes,
//! and read from there as if they were here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::time::Instant;
use voxea_tests::authority::Authority;
use voxea_tests::s3::{self, Meddler, S3};
use voxea_tests::scratch::{self, Rest, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite};
use voxea_tests::voicemail;

const PATIENCE: Duration = Duration::from_secs(60);
const BUCKET: &str = "mairie";
const SECRET: &str = "hunter2-secret-key";

/// An installation whose files go to a bucket of the server at this address.
async fn installation(server: SocketAddr, ports: &str) -> Result<Scratch> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n{}",
        voicemail::line("beep = false")
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    let objects = format!(
        "blobs = \"s3://{BUCKET}/voxea/test\"\n\n[store.s3]\nendpoint = \"http://{server}\"\nregion = \"fr-par\"\naccess_key = \"AKIATEST\"\n\
         secret_key = \"{SECRET}\"\n"
    );
    let text = text.replacen("blobs = \"blobs\"\n", &objects, 1);
    std::fs::write(&config, text.replacen("[api]\n", "[api]\nmetrics_listen = \"127.0.0.1:0\"\n", 1))?;
    Ok(scratch)
}

/// A citizen speaks and hangs up; the recording's id.
async fn speak(running: &Running) -> Result<String> {
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("refused")
    };
    call.play(voicemail::speech()?, &Impairment::default()).await?;
    call.hang_up().await?;
    let interaction = voicemail::interaction(running, &voicemail::only(running).await?).await?;
    ensure!(interaction["recording"]["state"] == "sealed", "{interaction}");
    Ok(interaction["recording"]["id"].as_str().context("no id")?.to_owned())
}

/// The local file of a recording.
fn here(scratch: &Scratch, id: &str, ending: &str) -> PathBuf {
    scratch.path().join("blobs/recordings").join(format!("{id}.{ending}"))
}

/// The names of both objects of a recording.
fn both(id: &str) -> [String; 2] {
    ["vman", "vrec"].map(|ending| format!("voxea/test/recordings/{id}.{ending}"))
}

/// The upload job, once it is as it should be.
async fn job(running: &Running, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let find = |shown: &Value| {
        let mut items = shown["items"].as_array().into_iter().flatten();
        items.find(|item| item["kind"] == "blobs.upload").cloned().unwrap_or_default()
    };
    let shown = running.rest().until("/v1/jobs", PATIENCE, |shown| wanted(&find(shown))).await?;
    Ok(find(&shown))
}

/// Waits until nothing is in the local folder but what must be.
async fn moved(scratch: &Scratch, running: &Running, id: &str) -> Result<()> {
    let gone = || !here(scratch, id, "vrec").exists() && !here(scratch, id, "vman").exists();
    job(running, |job| gone() && job["waiting"]["files"] == 0 && job["last_error"].is_null()).await?;
    Ok(())
}

async fn sound(running: &Running, id: &str, range: Option<&str>) -> Result<Vec<u8>> {
    let headers: Vec<(&str, &str)> = range.map(|range| ("Range", range)).into_iter().collect();
    let target = format!("/v1/recordings/{id}/audio");
    let answered = running.rest().call_with("GET", &target, &headers, None).await?;
    let expected = if range.is_some() { 206 } else { 200 };
    ensure!(
        answered.status == expected,
        "{}: {}",
        answered.status,
        String::from_utf8_lossy(&answered.body)
    );
    Ok(answered.body)
}

async fn verified(scratch: &Scratch, arguments: &[&str]) -> Result<(bool, String)> {
    let said = scratch.command(&[&["recording", "verify"], arguments].concat()).output().await?;
    Ok((
        said.status.success(),
        String::from_utf8(said.stdout)? + &String::from_utf8_lossy(&said.stderr),
    ))
}

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
    let scratch = installation(server.address, "46500-46599").await?;
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
    let scratch = installation(address, "47000-47009").await?;
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

/// Holds metrics against what they should be.
async fn shown(running: &Running, wanted: &[(&str, u64)]) -> Result<()> {
    let line = running.logged(&["metrics listening"]).await?;
    let address: SocketAddr = serde_json::from_str::<Value>(&line)?["address"]
        .as_str()
        .context("no address")?
        .parse()?;
    let answered = Rest::new(address, "").call("GET", "/metrics", None).await?;
    let text = String::from_utf8(answered.body)?;
    for (name, value) in wanted {
        ensure!(
            text.lines().any(|line| line == format!("{name} {value}")),
            "{name} is not {value}:\n{text}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_recording_is_moved_verified_and_purged() -> Result<()> {
    let server = S3::start(None).await?;
    server.make(BUCKET).await?;
    let scratch = installation(server.address, "46600-46699").await?;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_costs_nothing_and_is_shown() -> Result<()> {
    let server = S3::start(None).await?;
    let port = server.address.port();
    server.make(BUCKET).await?;
    let scratch = installation(server.address, "46700-46799").await?;
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
        ("blobs.sent", "46800-46819"),
        ("blobs.verified", "46820-46839"),
        ("blobs.noted", "46840-46859"),
        ("blobs.removed", "46860-46879"),
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
    meddled("46900-46949", None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_verification_a_recording_is_lost() -> Result<()> {
    let caught = meddled("46950-46999", Some("no_verification")).await;
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
    ensure!(said["waiting"]["files"] == 1, "the manifest was not held up: {said}");
    let (good, words) = verified(&scratch, &[&id]).await?;
    ensure!(good, "{words}");
    meddler.relent();
    moved(&scratch, &running, &id).await?;
    let (good, words) = verified(&scratch, &[&id]).await?;
    ensure!(good, "{words}");
    running.stop().await
}
