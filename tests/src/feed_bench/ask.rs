//! Programs that ask, and what each answer took.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dice::Dice;
use crate::scratch::{Rest, Running};
use crate::sse::Sse;

/// Programs at once.
pub const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// How long many answers took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// So many.
    pub count: usize,
    /// Half of them at most.
    pub p50: Duration,
    /// 99 of 100 at most.
    pub p99: Duration,
    /// All of them.
    pub most: Duration,
}

impl Times {
    /// Of these.
    #[must_use]
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |hundredth: usize| all.get(all.len() * hundredth / 100).copied().unwrap_or_default();
        Self {
            count: all.len(),
            p50: at(50),
            p99: at(99),
            most: all.last().copied().unwrap_or_default(),
        }
    }
}

/// Places anywhere in the list and in the feed.
#[derive(Debug)]
pub struct Cursors {
    /// Of requests.
    pub list: Vec<String>,
    /// Of events.
    pub feed: Vec<String>,
}

impl Cursors {
    /// Walks along both; a filter that nothing passes goes through the feed in great steps.
    ///
    /// # Errors
    /// When a page is refused.
    pub async fn collect(running: &Running) -> Result<Self> {
        let mut rest = running.rest();
        let list = walk(&mut rest, "/v1/requests?limit=500").await?;
        let feed = walk(&mut rest, "/v1/changes?limit=1&type=fr.voxea.channel.down").await?;
        ensure!(!list.is_empty() && !feed.is_empty(), "nothing is there");
        Ok(Self { list, feed })
    }
}

async fn walk(rest: &mut Rest, target: &str) -> Result<Vec<String>> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = rest.get(&format!("{target}{after}")).await?;
        let Some(next) = page["next"].as_str().filter(|_| page["has_more"] != false) else {
            return Ok(found);
        };
        after = format!("&after={next}");
        found.push(next.to_owned());
    }
}

/// Pages after any of these cursors, by eight programs over kept connections.
///
/// # Errors
/// When one is refused.
pub async fn pages(running: &Running, target: &str, cursors: &[String], spell: Duration) -> Result<Times> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (mut rest, cursors, target) = (running.rest(), cursors.to_vec(), target.to_owned());
        clients.spawn(async move {
            let (mut dice, mut took, begun) = (Dice::new(client as u64 + 1), Vec::new(), Instant::now());
            while begun.elapsed() < spell {
                let cursor = cursors
                    .get(usize::try_from(dice.below(cursors.len() as u64))?)
                    .context("no cursor")?;
                let asked = Instant::now();
                let answered = rest.call("GET", &format!("{target}&after={cursor}"), None).await?;
                ensure!(answered.status == 200, "{target}: {}", answered.status);
                took.push(asked.elapsed());
            }
            Ok::<_, anyhow::Error>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = clients.join_next().await {
        all.extend(took??);
    }
    Ok(Times::of(all))
}

/// Events a second that so many readers get together, each going on from its own place, 500 a page.
///
/// # Errors
/// When a page is refused.
pub async fn rate(running: &Running, cursors: &[String], readers: usize, spell: Duration) -> Result<f64> {
    let mut all = JoinSet::new();
    for reader in 0..readers {
        let begin = cursors.get(reader * cursors.len() / (readers * 2)).context("no cursor")?.clone();
        let mut rest = running.rest();
        all.spawn(async move {
            let (mut after, mut events, begun) = (begin.clone(), 0_usize, Instant::now());
            while begun.elapsed() < spell {
                let page = rest.call("GET", &format!("/v1/changes?limit=500&after={after}"), None).await?;
                ensure!(page.status == 200, "{}", page.status);
                // Counted without reading all of it: what a program does with its events is its own.
                events += page.body.windows(11).filter(|window| window == b"\"sequence\":").count();
                after = next(&page.body).unwrap_or_else(|| begin.clone());
            }
            Ok::<_, anyhow::Error>(events as f64 / begun.elapsed().as_secs_f64())
        });
    }
    let mut sum = 0.0;
    while let Some(rate) = all.join_next().await {
        sum += rate??;
    }
    Ok(sum)
}

/// `next` of a page that has more, from its last members.
fn next(body: &[u8]) -> Option<String> {
    let tail = String::from_utf8_lossy(body.get(body.len().saturating_sub(200)..)?).into_owned();
    let next = tail.rsplit_once("\"next\":\"")?.1.split('"').next()?.to_owned();
    tail.contains("\"has_more\":true").then_some(next)
}

/// Where the feed ends, as a cursor.
async fn end(rest: &mut Rest) -> Result<String> {
    let page = rest.get("/v1/requests?snapshot=true&limit=1").await?;
    Ok(page["changes"].as_str().context("no cursor")?.to_owned())
}

async fn contact(rest: &mut Rest) -> Result<Instant> {
    let body = json!({"text": "Un lampadaire est en panne"});
    let answered = rest.call("POST", "/v1/intake/web", Some(&body)).await?;
    ensure!(answered.status == 201, "{}", answered.status);
    Ok(Instant::now())
}

/// How long after the answer to a contact a long poll is answered; zero when it was first.
///
/// # Errors
/// When one is not answered.
pub async fn polls(running: &Running, rounds: usize) -> Result<Times> {
    let (mut writer, mut took) = (running.rest(), Vec::new());
    for _ in 0..rounds {
        let after = end(&mut writer).await?;
        let mut rest = running.rest();
        let waiting = tokio::spawn(async move {
            let target = format!("/v1/changes?after={after}");
            let page = rest.call_with("GET", &target, &[("Prefer", "wait=20")], None).await?;
            let heard = Instant::now();
            let page: Value = page.json()?;
            ensure!(page["items"].as_array().is_some_and(|items| !items.is_empty()), "an empty page");
            Ok(heard)
        });
        // It waits by then: nothing shows that from outside, and one that came later would only be answered sooner.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let committed = contact(&mut writer).await?;
        took.push(waiting.await??.saturating_duration_since(committed));
    }
    Ok(Times::of(took))
}

/// How long after the answer to a contact each of so many streams has its last event.
///
/// # Errors
/// When one has it not within a minute.
pub async fn streams(running: &Running, listeners: usize, rounds: usize) -> Result<Times> {
    let (mut writer, mut open) = (running.rest(), Vec::new());
    let (after, key) = (end(&mut writer).await?, writer.key().to_owned());
    for _ in 0..listeners {
        let target = format!("/v1/changes/stream?type=fr.voxea.request.created&after={after}");
        open.push(Sse::open(running.api, &key, &target, None).await?);
    }
    let mut took = Vec::new();
    for _ in 0..rounds {
        let mut hearing = JoinSet::new();
        for mut stream in open.drain(..) {
            hearing.spawn(async move {
                let event = timeout(PATIENCE, stream.event()).await.context("it heard nothing")??;
                ensure!(event.is_some(), "it ended");
                Ok::<_, anyhow::Error>((stream, Instant::now()))
            });
        }
        // Over a connection of its own: with so many streams, one that waited beside them gives its place up.
        let committed = contact(&mut running.rest()).await?;
        while let Some(heard) = hearing.join_next().await {
            let (stream, at) = heard??;
            took.push(at.saturating_duration_since(committed));
            open.push(stream);
        }
    }
    Ok(Times::of(took))
}
