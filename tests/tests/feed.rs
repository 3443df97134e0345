//! The feed as back-office applications read it, on both databases and across the daemon's deaths.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Scratch};
use voxea_tests::sse::Sse;

const PATIENCE: Duration = Duration::from_secs(60);
/// Deaths of a story.
const DEATHS: usize = 6;
/// Requests that one writer opens while copies are made; afterwards it only changes what is there.
const OPENED: usize = 40;

async fn visit(rest: &mut Rest, key: &str) -> Result<String> {
    let body = json!({"from": "0612345678", "text": "Bonjour"});
    let answered = rest
        .call_with("POST", "/v1/intake/counter", &[("Idempotency-Key", key)], Some(&body))
        .await?;
    ensure!(
        answered.status == 201,
        "{}: {}",
        answered.status,
        String::from_utf8_lossy(&answered.body)
    );
    Ok(answered.json()?["id"].as_str().context("no id")?.to_owned())
}

fn id(event: &Value) -> String {
    event["id"].as_str().unwrap_or_default().to_owned()
}

/// Where the daemon is at present, and whether the writers are done.
#[derive(Clone)]
struct Town {
    api: watch::Receiver<SocketAddr>,
    key: String,
    over: Arc<AtomicBool>,
    /// Contacts that were acknowledged.
    made: Arc<AtomicUsize>,
}

impl Town {
    fn rest(&self) -> Rest {
        Rest::new(*self.api.borrow(), &self.key)
    }
}

/// Reads pages with a wait, from death to death; the ids, as they came.
async fn by_cursor(town: Town) -> Vec<String> {
    let (mut after, mut seen, mut rest, mut at) = (String::new(), Vec::new(), town.rest(), *town.api.borrow());
    loop {
        let over = town.over.load(Ordering::SeqCst);
        if at != *town.api.borrow() {
            (rest, at) = (town.rest(), *town.api.borrow());
        }
        let prefer: &[(&str, &str)] = if over { &[] } else { &[("Prefer", "wait=2")] };
        let answered = rest.call_with("GET", &format!("/v1/changes?limit=7{after}"), prefer, None).await;
        let Some(page) = answered.ok().filter(|got| got.status == 200).and_then(|got| got.json().ok()) else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // What was read and the cursor behind it are kept together, as an application does in one transaction.
        seen.extend(page["items"].as_array().into_iter().flatten().map(id));
        after = format!("&after={}", page["next"].as_str().unwrap_or_default());
        if over && page["has_more"] == false {
            return seen;
        }
    }
}

/// Listens to the stream, from death to death; the ids, as they came.
async fn by_stream(town: Town) -> Vec<String> {
    let (mut last, mut seen): (Option<String>, Vec<String>) = (None, Vec::new());
    loop {
        let over = town.over.load(Ordering::SeqCst);
        let address = *town.api.borrow();
        let Ok(mut stream) = Sse::open(address, &town.key, "/v1/changes/stream", last.as_deref()).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Nothing for a while, after all was written: it has everything.
        while let Ok(Ok(Some(event))) = timeout(Duration::from_secs(3), stream.event()).await {
            seen.push(id(&event));
            last = stream.last.clone();
        }
        if over {
            return seen;
        }
    }
}

/// Brings contacts in, each until it is acknowledged.
async fn write(town: Town, writer: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut made = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        match visit(&mut town.rest(), &format!("{writer}-{number}")).await {
            Ok(id) => {
                made.push(id);
                number += 1;
                town.made.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    made
}

#[expect(clippy::print_stdout, reason = "how much the story was about")]
async fn across_deaths(store: &str) -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    let mut running = scratch.run().await?;
    let (sender, api) = watch::channel(running.api);
    let (over, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let town = Town {
        api,
        key: scratch.key.clone(),
        over: Arc::clone(&over),
        made: Arc::default(),
    };
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(town.clone(), writer, Arc::clone(&stop))))
        .collect();
    let cursors: Vec<_> = (0..3).map(|_| tokio::spawn(by_cursor(town.clone()))).collect();
    let streams: Vec<_> = (0..3).map(|_| tokio::spawn(by_stream(town.clone()))).collect();
    for death in 0..DEATHS {
        // In the middle of the writing, however fast that goes here.
        let (enough, waited) = (5 + 7 * death, Instant::now());
        while town.made.load(Ordering::SeqCst) < enough {
            ensure!(
                waited.elapsed() < PATIENCE,
                "nothing is written after {death} deaths: {}",
                running.log()
            );
            sleep(Duration::from_millis(3)).await;
        }
        running.kill().await?;
        running = scratch.run().await?;
        sender.send(running.api)?;
    }
    sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    let mut promised = Vec::new();
    for writer in writers {
        promised.extend(timeout(PATIENCE, writer).await??);
    }
    over.store(true, Ordering::SeqCst);
    // The truth: the feed from its beginning.
    let (mut whole, mut created, mut after): (Vec<String>, BTreeMap<String, usize>, String) = Default::default();
    loop {
        let page = running.rest().get(&format!("/v1/changes?limit=500{after}")).await?;
        for event in page["items"].as_array().context("no items")? {
            whole.push(id(event));
            if event["type"] == "fr.voxea.request.created" {
                *created.entry(event["subject"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        after = format!("&after={}", page["next"].as_str().context("no next")?);
        if page["has_more"] == false {
            break;
        }
    }
    assert!(promised.len() > 20, "{} contacts are no crowd", promised.len());
    for request in &promised {
        assert_eq!(created.get(request), Some(&1), "what was acknowledged is there once");
    }
    for reader in cursors.into_iter().chain(streams) {
        let seen = timeout(PATIENCE, reader).await??;
        assert_eq!(seen.len(), whole.len());
        assert_eq!(seen, whole, "in order, each once, none left out");
    }
    println!("{} acknowledged, {} events, {DEATHS} deaths", promised.len(), whole.len());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_end_with_the_committed_set_on_sqlite() -> Result<()> {
    across_deaths("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_end_with_the_committed_set_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    across_deaths(&cluster.database("voxea")?).await
}

/// Two nodes over one database: who waits at one hears of what the other commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_nodes_commit_wakes_who_waits() -> Result<()> {
    let cluster = Postgres::start()?;
    let store = cluster.database("voxea")?;
    let (one, other) = (
        Scratch::new(&scratch::binary()?, &store, "").await?,
        Scratch::new(&scratch::binary()?, &store, "").await?,
    );
    let (first, second) = (one.run().await?, other.run().await?);
    let next = first.rest().get("/v1/changes").await?["next"]
        .as_str()
        .context("no next")?
        .to_owned();
    let mut stream = Sse::open(second.api, &other.key, "/v1/changes/stream?type=fr.voxea.request.*", Some(&next)).await?;
    let began = Instant::now();
    let mut waiting = second.rest();
    let target = format!("/v1/changes?type=fr.voxea.request.*&after={next}");
    let poll = waiting.call_with("GET", &target, &[("Prefer", "wait=20")], None);
    let writing = async {
        sleep(Duration::from_millis(200)).await;
        visit(&mut first.rest(), "k").await
    };
    let (polled, written) = tokio::join!(poll, writing);
    let (page, request) = (polled?.json()?, written?);
    assert_eq!(page["items"][0]["subject"], request.as_str());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let event = timeout(PATIENCE, stream.event()).await??.context("it ended")?;
    assert_eq!(event["subject"], request.as_str());
    first.stop().await?;
    second.stop().await
}

/// A crowd at the stream, a slow one among it, and pages meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_listens_and_nobody_holds_up_another() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    visit(&mut rest, "before").await?;
    // What the daemon tells of itself at its start comes when it comes.
    let is_told = |page: &Value| page["items"].as_array().is_some_and(|items| !items.is_empty());
    rest.until("/v1/changes?type=fr.voxea.channel.up", PATIENCE, is_told).await?;
    let next = rest.get("/v1/changes").await?["next"].as_str().context("no next")?.to_owned();
    // A thousand by VOXEA_LISTENERS; the limit of open files of most shells allows fewer.
    let crowd: usize = std::env::var("VOXEA_LISTENERS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    let mut streams = Vec::new();
    for _ in 0..crowd {
        streams.push(Sse::open(running.api, &scratch.key, "/v1/changes/stream", Some(&next)).await?);
    }
    let before = running.memory()?;
    // This one never reads; its events stay with the kernel, and then with the feed.
    let asleep = streams.pop().context("a stream")?;
    let began = Instant::now();
    let listeners: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while seen.len() < 60 {
                    let event = timeout(PATIENCE, stream.event()).await??.context("it ended")?;
                    seen.push(id(&event));
                }
                anyhow::Ok((seen, stream))
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for number in 0..30 {
        let asked = Instant::now();
        visit(&mut rest, &number.to_string()).await?;
        slowest = slowest.max(asked.elapsed());
    }
    let page = rest.get(&format!("/v1/changes?limit=500&after={next}")).await?;
    let expected: Vec<String> = page["items"].as_array().context("no items")?.iter().map(id).collect();
    let mut held = Vec::new();
    for listener in listeners {
        let (seen, stream) = listener.await??;
        assert_eq!(seen, expected);
        held.push(stream);
    }
    let after = running.memory()?;
    println!(
        "{crowd} listeners, 60 events each, {:?} in all; slowest contact {slowest:?}; memory {before} then {after}",
        began.elapsed()
    );
    assert!(after < before + 64 * 1024 * 1024, "{before} then {after}");
    // The soft stop ends them all, the one asleep too, and in time.
    let stopped = Instant::now();
    running.stop().await?;
    assert!(stopped.elapsed() < Duration::from_secs(12), "{:?}", stopped.elapsed());
    for mut stream in held {
        assert!(
            !matches!(timeout(PATIENCE, stream.event()).await?, Ok(Some(_))),
            "nothing comes after the end"
        );
    }
    drop(asleep);
    Ok(())
}

/// Whose key is taken back is told nothing more, within a minute; a sign of life comes before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_ends_the_stream() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let key = scratch.say(&["key", "new", "--name", "reader", "--scope", "read"]).await?;
    let key = key.trim();
    let mut stream = Sse::open(running.api, key, "/v1/changes/stream", None).await?;
    visit(&mut running.rest(), "one").await?;
    let mut told = 0;
    while let Ok(event) = timeout(Duration::from_secs(3), stream.event()).await {
        event?.context("it ended")?;
        told += 1;
    }
    assert!(told >= 2, "{told} events");
    let name = key.split('_').nth(1).context("a key has an id")?;
    scratch.say(&["key", "revoke", name]).await?;
    let revoked = Instant::now();
    assert_eq!(timeout(PATIENCE, stream.event()).await??, None);
    println!(
        "ended {:?} after the key was taken back, {} signs of life before",
        revoked.elapsed(),
        stream.beats
    );
    assert!(stream.beats >= 1 && stream.last.is_some());
    running.stop().await
}

/// A backup is restored: readers are sent to the snapshot, and nobody goes on with a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restored_backup_readers_begin_anew() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    visit(&mut running.rest(), "kept").await?;
    running.stop().await?;
    let (database, backup) = (scratch.path().join("voxea.db"), scratch.path().join("backup.db"));
    std::fs::copy(&database, &backup)?;
    let running = scratch.run().await?;
    visit(&mut running.rest(), "lost").await?;
    let next = running.rest().get("/v1/changes").await?["next"]
        .as_str()
        .context("no next")?
        .to_owned();
    running.stop().await?;
    std::fs::copy(&backup, &database)?;
    for more in ["voxea.db-wal", "voxea.db-shm"] {
        let _ = std::fs::remove_file(scratch.path().join(more));
    }
    // Forgotten: the cursor lies beyond the end, and is refused all the same.
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let target = format!("/v1/changes?after={next}");
    let refused = rest.call("GET", &target, None).await?;
    assert_eq!(
        (refused.status, refused.json()?["type"].as_str()),
        (409, Some("urn:voxea:problem:feed-epoch"))
    );
    running.stop().await?;
    let epoch = scratch.say(&["feed", "new-epoch"]).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    for number in 0..5 {
        // Positions that were given before are given again.
        visit(&mut rest, &format!("new-{number}")).await?;
    }
    let refused = rest.call("GET", &target, None).await?;
    let problem = refused.json()?;
    assert_eq!((refused.status, problem["epoch"].as_str()), (409, Some(epoch.trim())));
    let way_back = problem["snapshot"].as_str().context("no way back")?;
    let snapshot = rest.get(way_back).await?;
    assert_eq!(snapshot["items"].as_array().map(Vec::len), Some(6));
    let changes = snapshot["changes"].as_str().context("no cursor")?;
    let late = visit(&mut rest, "late").await?;
    let page = rest.get(&format!("/v1/changes?type=fr.voxea.request.*&after={changes}")).await?;
    assert_eq!(page["items"][0]["subject"], late.as_str());
    running.stop().await
}

/// Whether copies made while four write, from a snapshot and the feed behind it, are what there is.
#[expect(clippy::print_stdout, reason = "how much the story was about")]
async fn copies(store: &str, mutant: Option<&str>) -> Result<bool> {
    let mut scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    scratch
        .environment
        .extend(mutant.map(|name| ("VOXEA_MUTANT".to_owned(), name.to_owned())));
    let running = scratch.run().await?;
    let (_sender, api) = watch::channel(running.api);
    let stop = Arc::new(AtomicBool::new(false));
    let town = Town {
        api,
        key: scratch.key.clone(),
        over: Arc::default(),
        made: Arc::default(),
    };
    let mut rest = running.rest();
    for number in 0..20 {
        visit(&mut rest, &format!("first-{number}")).await?;
    }
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(change(town.clone(), writer, Arc::clone(&stop))))
        .collect();
    let mut copies = Vec::new();
    for _ in 0..5 {
        let (mut copy, mut target) = (BTreeMap::new(), "/v1/requests?snapshot=true&limit=3".to_owned());
        let changes = loop {
            let page = rest.get(&target).await?;
            for request in page["items"].as_array().context("no items")? {
                copy.insert(request["id"].to_string(), request["version"].as_i64().unwrap_or_default());
            }
            match page["next"].as_str() {
                Some(next) => target = format!("/v1/requests?limit=3&after={next}"),
                None => break page["changes"].as_str().context("no cursor")?.to_owned(),
            }
        };
        copies.push((copy, changes));
    }
    stop.store(true, Ordering::SeqCst);
    let mut made = 0;
    for writer in writers {
        made += timeout(PATIENCE, writer).await??;
    }
    let mut truth = BTreeMap::new();
    let mut target = "/v1/requests?limit=500".to_owned();
    loop {
        let page = rest.get(&target).await?;
        for request in page["items"].as_array().context("no items")? {
            truth.insert(request["id"].to_string(), request["version"].as_i64().unwrap_or_default());
        }
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/v1/requests?limit=500&after={next}");
    }
    let mut whole = true;
    for (mut copy, changes) in copies {
        let mut after = changes;
        loop {
            let page = rest.get(&format!("/v1/changes?limit=500&after={after}")).await?;
            for event in page["items"].as_array().context("no items")? {
                if let Some(version) = event["data"]["version"].as_i64() {
                    let held = copy.entry(event["subject"].to_string()).or_default();
                    *held = version.max(*held);
                }
            }
            after = page["next"].as_str().context("no next")?.to_owned();
            if page["has_more"] == false {
                break;
            }
        }
        whole &= copy == truth;
    }
    println!("5 copies of {} requests, {made} changes meanwhile", truth.len());
    assert!(made > 10, "{made} changes are no crowd");
    running.stop().await?;
    Ok(whole)
}

/// Opens requests and changes those that are there, until it is told to stop; how often.
async fn change(town: Town, writer: usize, stop: Arc<AtomicBool>) -> usize {
    let (mut rest, mut made) = (town.rest(), 0);
    while !stop.load(Ordering::SeqCst) {
        // Not for ever another one: a list in pages of three would never reach its end. The same call has the same answer.
        let Ok(id) = visit(&mut rest, &format!("{writer}-{}", made.min(OPENED))).await else {
            continue;
        };
        let patch = json!({"assignee": format!("agent {made}"), "theme": if made % 2 == 0 { "voirie" } else { "proprete" }});
        let path = format!("/v1/requests/{id}");
        let patched = rest.call_with("PATCH", &path, &[("If-Match", "*")], Some(&patch)).await;
        made += usize::from(patched.is_ok_and(|got| got.status == 200));
        let page = rest.get("/v1/requests?limit=20").await.unwrap_or_default();
        let other = page["items"][(made + writer) % 20]["id"].as_str().unwrap_or(&id).to_owned();
        let patch = json!({"subject": format!("changé {writer} {made}")});
        let _ = rest
            .call_with("PATCH", &format!("/v1/requests/{other}"), &[("If-Match", "*")], Some(&patch))
            .await;
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_has_no_hole_on_sqlite() -> Result<()> {
    assert!(copies("sqlite:voxea.db", None).await?);
    Ok(())
}

/// The story above proves something: a daemon that takes the cursor with the last page is caught by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_takes_its_cursor_late_is_caught() -> Result<()> {
    assert!(!copies("sqlite:voxea.db", Some("snapshot_ends_late")).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_has_no_hole_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    assert!(copies(&cluster.database("voxea")?, None).await?);
    Ok(())
}

/// How soon a long poll is answered after the commit; the bound is for a machine that does much else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_wakes_at_the_commit() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let (mut waiter, mut writer) = (running.rest(), running.rest());
    let mut delays = Vec::new();
    let mut next = waiter.get("/v1/changes").await?["next"].as_str().context("no next")?.to_owned();
    for number in 0..40 {
        let target = format!("/v1/changes?after={next}");
        let poll = async {
            let got = waiter.call_with("GET", &target, &[("Prefer", "wait=20")], None).await?;
            anyhow::Ok((got.json()?, Instant::now()))
        };
        let writing = async {
            sleep(Duration::from_millis(30)).await;
            visit(&mut writer, &number.to_string()).await?;
            anyhow::Ok(Instant::now())
        };
        let (polled, acknowledged) = tokio::join!(poll, writing);
        let ((page, woken), acknowledged) = (polled?, acknowledged?);
        assert!(page["items"].as_array().is_some_and(|items| !items.is_empty()));
        delays.push(woken.saturating_duration_since(acknowledged));
        next = page["next"].as_str().context("no next")?.to_owned();
    }
    delays.sort();
    println!("after the writer's own answer: median {:?}, slowest {:?}", delays[20], delays[39]);
    assert!(delays[20] < Duration::from_millis(50), "{delays:?}");
    running.stop().await
}
