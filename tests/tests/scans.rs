//! Faxes and scanned letters: by a real mailbox and by a watched folder, with documents of other people's programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use voxea_tests::documents::{BROKEN, Documents, PLAIN, SHOWN};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smtp_sink::SmtpSink;

const PATIENCE: Duration = Duration::from_secs(60);
const FAX: &str = "+33140205051";

fn mailbox(dovecot: &Dovecot, sink: &SmtpSink) -> String {
    format!(
        "[[mailbox]]\nname = \"fax\"\nkind = \"fax\"\nsender = {{ from = \"subject\", pattern = 'de ([+0-9 ]+)' }}\n\
         address = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"fax\"\npassword = \"{PASSWORD}\"\n\n\
         [mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
        dovecot.port, sink.address
    )
}

fn folder(after: &str) -> String {
    format!(
        "[[scan]]\nname = \"courrier\"\nfolder = \"inbox\"\nafter = \"{after}\"\nsettle_seconds = 1\npatience_seconds = 3\n\
         sender = {{ pattern = '^([+0-9]{{10,12}})_' }}\n"
    )
}

/// A mail as a fax gateway sends it.
fn fax(number: usize, name: &str, document: &[u8]) -> Vec<u8> {
    let mut raw = format!(
        "From: Passerelle <fax@pbx.example>\r\nTo: fax@example.fr\r\nSubject: Fax de 01 40 20 50 51, 1 page\r\n\
         Message-ID: <f{number}@pbx.example>\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{name}\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    for line in base64(document).as_bytes().chunks(76) {
        raw.extend_from_slice(line);
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b"--b--\r\n");
    raw
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// A request that a letter was answered to: its id and reference.
async fn opened(running: &Running) -> Result<(String, String)> {
    let answered = running
        .rest()
        .call("POST", "/v1/intake/counter", Some(&json!({"text": "Un arbre est tombé."})))
        .await?;
    let request = answered.json()?;
    let word = |key: &str| request[key].as_str().map(str::to_owned).context("no request");
    Ok((word("id")?, word("ref")?))
}

async fn interactions(running: &Running, request: &str) -> Result<Vec<Value>> {
    let shown = running.rest().get(&format!("/v1/requests/{request}/interactions")).await?;
    Ok(shown["items"].as_array().cloned().unwrap_or_default())
}

/// Every interaction of a channel, with its request.
async fn taken(running: &Running, channel: &str) -> Result<Vec<(Value, Value)>> {
    let mut all = Vec::new();
    for request in requests(running, "").await? {
        for interaction in interactions(running, request["id"].as_str().unwrap_or_default()).await? {
            if interaction["channel"] == channel && interaction["direction"] == "in" {
                all.push((request.clone(), interaction));
            }
        }
    }
    Ok(all)
}

async fn until(running: &Running, channel: &str, count: usize) -> Result<Vec<(Value, Value)>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = taken(running, channel).await?;
        if all.len() >= count {
            ensure!(all.len() == count, "{} documents instead of {count}", all.len());
            return Ok(all);
        }
        ensure!(
            Instant::now() < deadline,
            "{} of {count} documents came in\n{}",
            all.len(),
            running.rest().get("/v1/channels").await?
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn flags(interaction: &Value) -> Vec<&str> {
    interaction["flags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The names that a folder holds, hidden ones left out.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(names) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faxes_by_mail_join_the_request_of_their_code() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &mailbox(&dovecot, &sink)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let (id, reference) = opened(&running).await?;
    let documents = Documents::of(&reference)?;
    let mut client = dovecot.client("fax").await?;
    let all: Vec<&str> = SHOWN.iter().chain(&PLAIN).chain(&BROKEN).copied().collect();
    for (number, name) in all.iter().enumerate() {
        client.append("INBOX", &fax(number, name, &documents.read(name)?)).await?;
    }
    let found = until(&running, "fax", all.len()).await?;
    for (request, interaction) in &found {
        let name = interaction["attachments"][0]["name"].as_str().context("no attachment")?;
        assert_eq!(interaction["from"], FAX, "{name}");
        let joined = request["id"] == id;
        assert_eq!(joined, SHOWN.contains(&name), "{name}: {request}");
        if !joined {
            assert_eq!(
                (&request["status"], &request["channel"]),
                (&json!("to_qualify"), &json!("fax")),
                "{name}"
            );
        }
        let unsearched = name == "half.pdf";
        assert_eq!(flags(interaction), if unsearched { vec!["unsearched"] } else { vec![] }, "{name}");
        let target = format!("/v1/attachments/{}", interaction["attachments"][0]["id"].as_str().context("no id")?);
        let bytes = running.rest().call("GET", &target, None).await?.body;
        assert_eq!(bytes, documents.read(name)?, "{name}: the bytes as they came");
    }
    // Nobody answers a machine, and a restart takes nothing in again.
    running.stop().await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    client
        .append("INBOX", &fax(1000, "last.png", &documents.read("plain.pdf")?))
        .await?;
    until(&running, "fax", all.len() + 1).await?;
    running.stop().await?;
    assert!(sink.ledger().is_empty(), "{} mails were sent", sink.ledger().len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_folder_takes_what_is_complete_and_moves_it_away() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &folder("move:done")).await?;
    let inbox = scratch.path().join("inbox");
    let running = scratch.run().await?;
    // The share comes late: the daemon runs without it.
    let away = |shown: &Value| {
        let items = shown["items"].as_array().into_iter().flatten();
        let mut scans = items.filter(|item| item["kind"] == "scan");
        scans.any(|item| item["state"] == "retrying" && item["last_error"].as_str().is_some_and(|said| said.contains("mounted")))
    };
    running.rest().until("/v1/channels", PATIENCE, away).await?;
    let (id, reference) = opened(&running).await?;
    let documents = Documents::of(&reference)?;
    std::fs::create_dir(&inbox)?;
    running.up("scan").await?;

    // A slow feeder: the first half, a pause that is longer than `settle`, the rest.
    let whole = documents.read("colour.pdf")?;
    let slow = inbox.join("0140205051_slow.pdf");
    std::fs::write(&slow, whole.get(..whole.len() / 2).context("no half")?)?;
    std::fs::write(inbox.join("a.pdf.part"), &whole)?;
    std::fs::write(inbox.join(".b.pdf"), &whole)?;
    std::fs::write(inbox.join("g3.tif"), documents.read("g3.tif")?)?;
    let found = until(&running, "letter", 1).await?;
    assert_eq!(found[0].1["subject"], "g3.tif", "only what is complete");
    let mut file = std::fs::File::options().append(true).open(&slow)?;
    std::io::Write::write_all(&mut file, whole.get(whole.len() / 2..).context("no half")?)?;
    drop(file);
    std::fs::rename(inbox.join("a.pdf.part"), inbox.join("a.pdf"))?;
    for name in PLAIN.iter().chain(&BROKEN) {
        std::fs::write(inbox.join(name), documents.read(name)?)?;
    }
    let found = until(&running, "letter", 8).await?;
    let by_name: BTreeMap<&str, &(Value, Value)> = found.iter().filter_map(|one| Some((one.1["subject"].as_str()?, one))).collect();
    for name in ["0140205051_slow.pdf", "a.pdf", "g3.tif"] {
        assert_eq!(by_name[name].0["id"], id, "{name}");
    }
    assert_eq!(by_name["0140205051_slow.pdf"].1["from"], FAX);
    for name in PLAIN.iter().chain(&BROKEN) {
        let (request, interaction) = by_name[name];
        assert_eq!(
            (&request["status"], &interaction["from"]),
            (&json!("to_qualify"), &json!("")),
            "{name}"
        );
    }
    assert_eq!(flags(&by_name["letter.docx"].1), ["unsearched", "undecodable"]);
    assert_eq!(flags(&by_name["half.pdf"].1), ["unsearched"]);
    let moved = |folder: &str| names(&inbox.join(folder));
    until_there(&inbox.join("done"), 6)?;
    until_there(&inbox.join("failed"), 4)?;
    assert_eq!(
        moved("done")?,
        [
            "0140205051_slow.pdf",
            "a.pdf",
            "foreign.png",
            "g3.tif",
            "plain.pdf",
            "wrong-digit.png"
        ]
    );
    assert_eq!(moved("failed")?, ["half.pdf", "half.pdf.txt", "letter.docx", "letter.docx.txt"]);
    let said = std::fs::read_to_string(inbox.join("failed/letter.docx.txt"))?;
    let reference = by_name["letter.docx"].0["ref"].as_str().context("no reference")?;
    assert!(said.contains(reference) && said.contains("ni un PDF"), "{said}");
    assert!(names(&inbox)?.is_empty(), "{:?}", names(&inbox)?);
    // The same file again is the same document; another one under its name is not.
    std::fs::write(inbox.join("g3.tif"), documents.read("g3.tif")?)?;
    std::fs::write(inbox.join("a.pdf"), documents.read("plain.pdf")?)?;
    until(&running, "letter", 9).await?;
    let log = running.log();
    running.stop().await?;
    assert!(!log.contains("0140205051") && !log.contains("40205051"), "a number is in the log");
    Ok(())
}

fn until_there(folder: &Path, count: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while names(folder)?.len() < count {
        ensure!(Instant::now() < deadline, "{}: {:?}", folder.display(), names(folder)?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_may_keep_its_files() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &folder("keep")).await?;
    let inbox = scratch.path().join("inbox");
    std::fs::create_dir(&inbox)?;
    let running = scratch.run().await?;
    running.up("scan").await?;
    let documents = Documents::of("2026-0000001-2")?;
    for name in ["page.png", "plain.pdf", "letter.docx"] {
        std::fs::write(inbox.join(name), documents.read(name)?)?;
    }
    until(&running, "letter", 3).await?;
    running.stop().await?;
    let running = scratch.run().await?;
    running.up("scan").await?;
    // Replaced, as a scanner does that always writes the same name.
    std::fs::write(inbox.join("page.png"), documents.read("sideways.png")?)?;
    until(&running, "letter", 4).await?;
    running.stop().await?;
    assert_eq!(names(&inbox)?, ["letter.docx", "page.png", "plain.pdf"]);
    assert!(!inbox.join(".voxea").exists(), "nothing is written into it");
    Ok(())
}

/// What a run of deaths left behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lost: usize,
    doubled: usize,
    astray: usize,
}

const DEATHS: [&str; 4] = ["scan.after_claim", "scan.before_commit", "scan.after_commit", "scan.after_move"];

/// Documents that come in while the daemon dies at a place, again and again.
async fn deaths(store: &str, places: &[&str], mutant: Option<&str>) -> Result<Tally> {
    const EACH: usize = 3;
    let mut scratch = Scratch::new(&scratch::binary()?, store, &folder("move:done")).await?;
    let inbox = scratch.path().join("inbox");
    std::fs::create_dir(&inbox)?;
    let documents = Documents::of("2026-0000001-2")?;
    let plain = documents.read("palette.png")?;
    let mut sent = Vec::new();
    for (round, place) in places.iter().enumerate() {
        for index in 0..EACH {
            let name = format!("{round}-{index}.png");
            // Each has bytes of its own behind its end, which PNG allows.
            let bytes = [plain.as_slice(), name.as_bytes()].concat();
            std::fs::write(inbox.join(&name), bytes)?;
            sent.push(name);
        }
        scratch.environment = vec![("VOXEA_FAILPOINT".to_owned(), format!("{place}=2"))];
        scratch
            .environment
            .extend(mutant.map(|name| ("VOXEA_MUTANT".to_owned(), name.to_owned())));
        scratch.run().await?.died().await?;
    }
    scratch.environment.clear();
    let running = scratch.run().await?;
    running.up("scan").await?;
    std::fs::write(inbox.join("last.png"), &plain)?;
    sent.push("last.png".to_owned());
    let deadline = Instant::now() + PATIENCE;
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    while !found.contains_key("last.png") {
        ensure!(Instant::now() < deadline, "the last one does not come in");
        tokio::time::sleep(Duration::from_millis(50)).await;
        found.clear();
        for (_, interaction) in taken(&running, "letter").await? {
            *found
                .entry(interaction["subject"].as_str().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
    }
    until_there(&inbox.join("done"), 1)?;
    running.stop().await?;
    let count = |name: &String| found.get(name).copied().unwrap_or(0);
    let done = names(&inbox.join("done"))?;
    Ok(Tally {
        lost: sent.iter().filter(|name| count(name) == 0).count(),
        doubled: sent.iter().filter(|name| count(name) > 1).count(),
        astray: sent.iter().filter(|name| !done.contains(name)).count(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_death_loses_or_doubles_a_document() -> Result<()> {
    assert_eq!(deaths("sqlite:voxea.db", &DEATHS, None).await?, Tally::default());
    let postgres = Postgres::start()?;
    assert_eq!(deaths(&postgres.database("scans")?, &DEATHS, None).await?, Tally::default());
    // The oracle sees it when a document is moved away before it is committed.
    let faulty = deaths("sqlite:voxea.db", &["scan.before_commit"], Some("scan_move_before_commit")).await?;
    ensure!(faulty.lost > 0, "nothing was lost by moving first: {faulty:?}");
    Ok(())
}

/// A document's way through the helper alone: how long it took, and the most memory that it was seen to hold, in kB.
async fn decoded(binary: &Path, document: PathBuf) -> Result<(Duration, u64)> {
    let bytes = std::fs::read(document)?;
    let begun = Instant::now();
    let mut child = tokio::process::Command::new(binary)
        .arg("decode")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let status = format!("/proc/{}/status", child.id().context("it has ended")?);
    let mut stdin = child.stdin.take().context("no stdin")?;
    let give = tokio::spawn(async move {
        let _ = stdin.write_all(&bytes).await;
    });
    let mut most = 0;
    while child.try_wait()?.is_none() {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = most.max(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    give.await?;
    Ok((begun.elapsed(), most))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_a_flagged_request_and_holds_up_nobody() -> Result<()> {
    const MEMORY: u64 = 256 * 1024;
    // What holds is five seconds and one, and a release build is held to it (`scripts/mail-bombs`). One that is not is slower, and
    // beside it other tests run.
    let slow = u32::from(scratch::binary()?.parent().is_some_and(|folder| folder.ends_with("debug")));
    let (longest, next) = (Duration::from_secs(5) * (1 + slow), Duration::from_secs(1) * (1 + slow));
    let bombs = Documents::bombs()?;
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &mailbox(&dovecot, &sink)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let (_, reference) = opened(&running).await?;
    let harmless = Documents::of(&reference)?;
    let mut client = dovecot.client("fax").await?;
    for (number, name) in bombs.names()?.iter().enumerate() {
        let begun = Instant::now();
        client.append("INBOX", &fax(2 * number, name, &bombs.read(name)?)).await?;
        let found = until(&running, "fax", 2 * number + 1).await?;
        let took = begun.elapsed();
        let (request, interaction) = found
            .iter()
            .find(|(_, interaction)| interaction["attachments"][0]["name"] == **name)
            .with_context(|| format!("{name} did not come in"))?;
        assert_eq!(
            (flags(interaction), &request["status"]),
            (vec!["unsearched"], &json!("to_qualify")),
            "{name}"
        );
        ensure!(took < longest, "{name} took {took:?}");
        let begun = Instant::now();
        client
            .append("INBOX", &fax(2 * number + 1, "page.png", &harmless.read("page.png")?))
            .await?;
        until(&running, "fax", 2 * number + 2).await?;
        ensure!(begun.elapsed() < next, "behind {name} the next one took {:?}", begun.elapsed());
    }
    let memory = running.memory()?;
    ensure!(memory < 256 * 1024 * 1024, "the daemon has {memory} bytes");
    running.stop().await?;
    // Each by itself, and how much it may hold.
    let (binary, mut largest) = (scratch::binary()?, 0);
    for name in bombs.names()? {
        let (took, memory) = decoded(&binary, bombs.path().join(&name)).await?;
        let said = format!("{name}: {took:?}, {memory} kB\n");
        std::io::Write::write_all(&mut std::io::stdout(), said.as_bytes())?;
        ensure!(took < longest && memory <= MEMORY, "{said}");
        largest = largest.max(memory);
    }
    ensure!(largest > MEMORY / 4, "nothing that was seen tries the limit: {largest} kB");
    Ok(())
}
