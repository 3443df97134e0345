//! The feed as back-office applications read it, on both databases and across the daemon's deaths.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use voxea_tests::feed_bench::seed::Place;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Scratch};
use voxea_tests::sse::Sse;

const PATIENCE: Duration = Duration::from_secs(60);
/// Deaths of a story.
const DEATHS: usize = 6;

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
        match town.rest().visit(&format!("{writer}-{number}")).await {
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
        first.rest().visit("k").await
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
    rest.visit("before").await?;
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
        rest.visit(&number.to_string()).await?;
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
    running.rest().visit("one").await?;
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
            writer.visit(&number.to_string()).await?;
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

/// Whoever catches up over years of what is not shown to it moves on with each page: broken off, it does not begin anew.
#[tokio::test]
async fn a_reader_of_little_moves_on_while_it_catches_up() -> Result<()> {
    const REQUESTS: u64 = 4_000;
    let place = Place::Sqlite;
    let scratch = Scratch::new(&scratch::binary()?, &place.store(REQUESTS)?, "").await?;
    place.fill(&scratch, REQUESTS).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let mut stream = Sse::open(running.api, rest.key(), "/v1/changes/stream?type=fr.voxea.channel.*", None).await?;
    let mut ids = Vec::new();
    while stream.beats < 3 {
        timeout(PATIENCE, stream.frame()).await.context("it says nothing")??;
        ids.extend(stream.last.clone());
    }
    let mut before = Vec::new();
    for id in &ids {
        // Each is a place in the feed, further on than the one before.
        let page = rest.get(&format!("/v1/changes?limit=1&after={id}")).await?;
        before.push(page["items"][0]["sequence"].as_str().context("nothing follows")?.to_owned());
    }
    ensure!(before.windows(2).all(|pair| pair[0] < pair[1]), "{before:?}");
    running.stop().await?;
    Ok(())
}
