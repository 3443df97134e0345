//! Recordings as evidence: encrypted, signed, verified by the real binary, and exported in every form.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Impairment, Invite};
use voxea_tests::voicemail;

fn channels(ports: &str) -> String {
    format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n{}",
        voicemail::line("beep = false")
    )
}

/// A citizen speaks and hangs up; the recording's id and what of the caller is in it.
async fn speak(running: &Running) -> Result<(String, Vec<u8>)> {
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("refused")
    };
    call.play(voicemail::speech()?, &Impairment::default()).await?;
    call.hang_up().await?;
    let interaction = voicemail::interaction(running, &voicemail::only(running).await?).await?;
    ensure!(interaction["recording"]["state"] == "sealed", "{interaction}");
    let (left, _) = voicemail::heard(running, &interaction).await?;
    // What was said during the greeting is not in it.
    let second = voicemail::speech()?.get(8_000..16_000).context("no speech")?;
    ensure!(finds(&left, second), "the speech is not in the recording");
    let id = interaction["recording"]["id"].as_str().context("no id")?.to_owned();
    Ok((id, left))
}

fn file(scratch: &Scratch, id: &str, ending: &str) -> PathBuf {
    scratch.path().join("blobs/recordings").join(format!("{id}.{ending}"))
}

/// What the command says, and whether it found all sound.
async fn verify(scratch: &Scratch, arguments: &[&str]) -> Result<(bool, String)> {
    let said = scratch.command(&[&["recording", "verify"], arguments].concat()).output().await?;
    let words = String::from_utf8(said.stdout)? + &String::from_utf8_lossy(&said.stderr);
    Ok((said.status.success(), words))
}

/// Changes an octet, asks, and changes it back.
async fn with_flipped(scratch: &Scratch, path: &Path, at: usize, id: &str) -> Result<String> {
    let original = std::fs::read(path)?;
    let mut changed = original.clone();
    changed[at] ^= 0x10;
    std::fs::write(path, changed)?;
    let (sound, words) = verify(scratch, &[id]).await?;
    ensure!(!sound && words.contains("NOT SOUND"), "octet {at} of {}: {words}", path.display());
    let (all, said) = verify(scratch, &["--all"]).await?;
    ensure!(!all && said.contains(id) && said.ends_with("not sound: 1\n"), "{said}");
    std::fs::write(path, original)?;
    Ok(words)
}

fn finds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

async fn audio(running: &Running, id: &str, form: &str) -> Result<Vec<u8>> {
    let target = format!("/v1/recordings/{id}/audio?format={form}");
    let whole = running.rest().call("GET", &target, None).await?;
    ensure!(whole.status == 200, "{form}: {}", whole.status);
    // A player that seeks.
    let part = running
        .rest()
        .call_with("GET", &target, &[("Range", "bytes=1000-5999")], None)
        .await?;
    ensure!(part.status == 206 && part.body[..] == whole.body[1_000..6_000], "{form}: no Range");
    Ok(whole.body.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_recording_is_evidence() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels("26300-26399")).await?;
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    let (id, left) = speak(&running).await?;

    // Every form is the same sound.
    let pcm16 = audio(&running, &id, "pcm16").await?;
    ensure!(
        pcm16.get(20..22) == Some(&[1, 0]) && pcm16.len() == 44 + left.len() * 4,
        "{}",
        pcm16.len()
    );
    let flac = audio(&running, &id, "flac").await?;
    ensure!(
        flac.starts_with(b"fLaC") && flac.len() < pcm16.len() * 2 / 3,
        "{} of {}",
        flac.len(),
        pcm16.len()
    );

    // The daemon need not be stopped to be held to its word.
    let (sound, words) = verify(&scratch, &[&id]).await?;
    ensure!(sound && words.contains("sealed") && words.contains("every chunk opens"), "{words}");
    running.stop().await?;
    let (sound, words) = verify(&scratch, &["--all"]).await?;
    ensure!(sound && words == "sound: 1 recordings; not sound: 0\n", "{words}");

    // Nothing of it can be read from the disk.
    let (recording, manifest) = (file(&scratch, &id, "vrec"), file(&scratch, &id, "vman"));
    let bytes = std::fs::read(&recording)?;
    let loud = &left[left.len() / 2..];
    let stereo: Vec<u8> = loud.iter().take(16).flat_map(|&octet| [octet, 0xD5]).collect();
    ensure!(
        !finds(&bytes, b"RIFF") && !finds(&bytes, b"WAVE") && !finds(&bytes, &stereo),
        "sound is readable"
    );
    let text = std::fs::read_to_string(&manifest)?;
    ensure!(
        !text.contains("0145000001") && !text.contains("33145000001"),
        "a number is in the manifest"
    );
    let said: Value = serde_json::from_str(&text)?;
    let announced = said["manifest"]["announced_ms"].as_u64().context("nothing was announced")?;
    ensure!((150..2_000).contains(&announced), "the greeting of 200 ms took {announced} ms");

    // One octet, wherever it is.
    for (at, named) in [
        (12, "header"),
        (40, "header"),
        (64, "chunk 0"),
        (64 + 4_112 * 3 + 7, "chunk 3"),
        (bytes.len() - 1, "chunk"),
    ] {
        let words = with_flipped(&scratch, &recording, at, &id).await?;
        ensure!(words.contains(named), "octet {at}: {words}");
    }
    for at in [0, 20, text.len() / 2, text.len() - 5] {
        let words = with_flipped(&scratch, &manifest, at, &id).await?;
        ensure!(words.contains("manifest, "), "octet {at}: {words}");
    }
    std::fs::rename(&manifest, manifest.with_extension("away"))?;
    let (sound, words) = verify(&scratch, &[&id]).await?;
    ensure!(!sound && words.contains("manifest, file: there is none"), "{words}");
    std::fs::rename(manifest.with_extension("away"), &manifest)?;

    // Who gets a copy of both files and knows the public key needs nothing else.
    let elsewhere = tempfile::tempdir()?;
    for from in [&recording, &manifest] {
        std::fs::copy(from, elsewhere.path().join(from.file_name().context("no name")?))?;
    }
    let key = scratch.say(&["audit", "key"]).await?;
    let copy = elsewhere.path().join(format!("{id}.vrec"));
    let said = tokio::process::Command::new(scratch::binary()?)
        .args(["recording", "verify", "--public-key", key.trim(), "--file"])
        .arg(&copy)
        .current_dir(elsewhere.path())
        .output()
        .await?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let other = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let (sound, words) = verify(&scratch, &[&id, "--public-key", other]).await?;
    ensure!(!sound && words.contains("key_id"), "{words}");

    // A new master key, and no file is written anew.
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    ensure!(std::fs::read(&recording)? == bytes, "the file was written anew");
    ensure!(audio(&running, &id, "pcm16").await? == pcm16, "another sound after the rotation");
    running.stop().await?;
    let (sound, words) = verify(&scratch, &[&id]).await?;
    ensure!(sound, "{words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_recording_is_evidence_too_and_stays_so_when_it_is_encrypted() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels("26400-26499")).await?;
    let running = scratch.run().await?;
    let (id, left) = speak(&running).await?;
    let pcm16 = audio(&running, &id, "pcm16").await?;
    running.stop().await?;
    let recording = file(&scratch, &id, "vrec");
    let (sound, words) = verify(&scratch, &[&id]).await?;
    ensure!(sound && words.contains("plain"), "{words}");
    let loud = &left[left.len() / 2..];
    let stereo: Vec<u8> = loud.iter().take(16).flat_map(|&octet| [octet, 0xD5]).collect();
    ensure!(finds(&std::fs::read(&recording)?, &stereo), "the search would find it");
    let words = with_flipped(&scratch, &recording, 32 + 4_096 * 2, &id).await?;
    ensure!(words.contains("chunk 2"), "{words}");

    scratch.new_master_key().await?;
    scratch.say(&["vault", "seal"]).await?;
    ensure!(!finds(&std::fs::read(&recording)?, &stereo), "it is still readable");
    let (sound, words) = verify(&scratch, &[&id]).await?;
    ensure!(sound && words.contains("every chunk opens"), "{words}");
    let running = scratch.run().await?;
    ensure!(
        audio(&running, &id, "pcm16").await? == pcm16,
        "another sound after it was encrypted"
    );
    running.stop().await?;
    // Again, as after an interruption at its end: nothing changes.
    let before = std::fs::read(&recording)?;
    scratch.say(&["vault", "seal"]).await?;
    ensure!(std::fs::read(&recording)? == before, "encrypted twice");
    Ok(())
}
