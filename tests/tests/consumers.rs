//! Named consumers through the real daemon: workers that die, a daemon that is killed, and nothing skipped.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use voxea_tests::dice::Dice;
use voxea_tests::kill::Reader;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Scratch};

async fn visit(rest: &mut Rest, text: &str) -> Result<()> {
    let content = json!({"from": "06 12 34 56 78", "text": text});
    let answered = rest.call("POST", "/v1/intake/counter", Some(&content)).await?;
    ensure!(answered.status == 201, "{}", answered.status);
    Ok(())
}

/// What one worker has worked through: the sequences of each batch that it has acknowledged.
#[derive(Debug, Default)]
struct Worked {
    batches: Vec<Vec<String>>,
    /// A batch whose acknowledgement was not answered: it counts or it does not.
    doubtful: Option<(String, Vec<String>)>,
}

impl Worked {
    /// Asks and acknowledges until nothing is there, or the daemon dies. Every fourth batch is left, as by a worker that dies.
    async fn work(&mut self, rest: &mut Rest, dice: &mut Dice) -> Result<()> {
        if let Some((lease, events)) = self.doubtful.take() {
            let answered = acknowledge(rest, &lease).await;
            match answered {
                Ok(200) => self.batches.push(events),
                Ok(_) => {}
                Err(error) => {
                    self.doubtful = Some((lease, events));
                    return Err(error);
                }
            }
        }
        loop {
            let wanted = json!({"limit": 1 + dice.below(7), "lease_seconds": 1});
            let answered = rest.call("POST", "/v1/consumers/gru/batch", Some(&wanted)).await?;
            if answered.status == 409 {
                // Its lease runs; it says until when.
                ensure!(answered.header("retry-after").is_some() && answered.json()?["lease_until"].is_string());
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let batch = answered.json()?;
            ensure!(answered.status == 200, "{batch}");
            let sequence = |event: &Value| event["sequence"].as_str().unwrap_or_default().to_owned();
            let events: Vec<String> = batch["items"].as_array().context("no items")?.iter().map(sequence).collect();
            let Some(lease) = batch["lease"].as_str() else {
                ensure!(events.is_empty());
                return Ok(());
            };
            if dice.below(8) == 0 {
                continue;
            }
            self.doubtful = Some((lease.to_owned(), events.clone()));
            let status = acknowledge(rest, lease).await?;
            self.doubtful = None;
            ensure!(status == 200, "{status}");
            self.batches.push(events);
        }
    }
}

async fn acknowledge(rest: &mut Rest, lease: &str) -> Result<u16> {
    Ok(rest
        .call("POST", "/v1/consumers/gru/ack", Some(&json!({"lease": lease})))
        .await?
        .status)
}

async fn nothing_is_skipped(store: &str) -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    let mut dice = Dice::new(0xc0ffee);
    let mut worked = Worked::default();
    let deaths = std::env::var("VOXEA_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12_u64);
    for death in 0..deaths {
        let running = scratch.run().await?;
        let (mut rest, mut worker) = (running.rest(), running.rest());
        let begin = json!({"from": "beginning"});
        let put = rest.call("PUT", "/v1/consumers/gru", Some(&begin)).await?;
        ensure!(put.status == if death == 0 { 201 } else { 200 }, "{}", put.status);
        let life = dice.time(Duration::from_millis(100), Duration::from_millis(900));
        let mut own = Dice::new(death + 7);
        let writing = async {
            for number in 0.. {
                if visit(&mut rest, &format!("Demande {death}-{number}")).await.is_err() {
                    break;
                }
            }
        };
        let working = async {
            while worked.work(&mut worker, &mut own).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let dying = async {
            tokio::time::sleep(life).await;
            running.kill().await
        };
        let (_, (), died) = tokio::join!(tokio::time::timeout(Duration::from_secs(30), writing), working, dying);
        died?;
    }
    let running = scratch.run().await?;
    let mut rest = running.rest();
    visit(&mut rest, "La dernière").await?;
    worked.work(&mut rest, &mut dice).await?;
    let mut whole = Reader::default();
    whole.pull(&mut running.rest()).await?;
    let committed: Vec<&str> = whole.seen.iter().map(|(sequence, _, _)| sequence.as_str()).collect();
    let acknowledged: Vec<&str> = worked.batches.iter().flatten().map(String::as_str).collect();
    println!(
        "{deaths} deaths, {} events, {} batches, each acknowledged once and in order",
        committed.len(),
        worked.batches.len()
    );
    ensure!(acknowledged == committed, "{acknowledged:?}\n{committed:?}");
    let shown = rest.get("/v1/consumers").await?;
    ensure!(
        shown["items"][0]["lag"]["events"] == 0 && shown["items"][0]["lease"].is_null(),
        "{shown}"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_whatever_dies_on_sqlite() -> Result<()> {
    nothing_is_skipped("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_whatever_dies_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    nothing_is_skipped(&cluster.database("voxea")?).await
}

/// How many of many workers that ask at once get a batch, in so many rounds.
async fn raced(environment: &[(&str, &str)]) -> Result<Vec<usize>> {
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let running = scratch.run().await?;
    let mut rest = running.rest();
    visit(&mut rest, "Un lampadaire").await?;
    rest.call("PUT", "/v1/consumers/gru", Some(&json!({"from": "beginning"}))).await?;
    let mut workers: Vec<Rest> = (0..16).map(|_| running.rest()).collect();
    let mut got = Vec::new();
    for _ in 0..20 {
        let ask = |worker| async move {
            let worker: &mut Rest = worker;
            let answered = worker.call("POST", "/v1/consumers/gru/batch", Some(&json!({}))).await?;
            ensure!([200, 409].contains(&answered.status), "{}", answered.status);
            anyhow::Ok(answered.status == 200)
        };
        let given = join_all(workers.iter_mut().map(ask))
            .await
            .into_iter()
            .collect::<Result<Vec<bool>>>()?;
        got.push(given.into_iter().filter(|given| *given).count());
        rest.call("POST", "/v1/consumers/gru/rewind", Some(&json!({"to": "beginning"})))
            .await?;
    }
    running.stop().await?;
    Ok(got)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_workers_at_once_one_gets_the_batch() -> Result<()> {
    let got = raced(&[]).await?;
    ensure!(got == [1; 20], "{got:?}");
    // The gate can fail: without the guard two of them hold the same events.
    let got = raced(&[("VOXEA_MUTANT", "consumer_lends_twice")]).await?;
    ensure!(got.iter().any(|count| *count > 1), "{got:?}: the race above proves nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_says_why() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    for (path, content, pointer) in [
        ("/v1/consumers/gru", json!({"owner": "key:nobody"}), "/owner"),
        ("/v1/consumers/gru", json!({"owner": "\u{202e}abc"}), "/owner"),
        ("/v1/consumers/gru", json!({"types": ["fr.voxea.request.creatde"]}), "/types/0"),
        ("/v1/consumers/gru", json!({"themes": ["voirie", "voiri"]}), "/themes/1"),
        ("/v1/consumers/gru", json!({"from": "yesterday"}), "/from"),
    ] {
        let answered = rest.call("PUT", path, Some(&content)).await?;
        ensure!(
            answered.status == 422 && answered.json()?["errors"][0]["pointer"] == pointer,
            "{content}: {}",
            answered.json()?
        );
    }
    let misnamed = rest.call("PUT", "/v1/consumers/Gru", Some(&json!({}))).await?;
    ensure!(misnamed.status == 422 && misnamed.json()?["errors"][0]["parameter"] == "name");
    let key = scratch.say(&["key", "new", "--name", "autre", "--scope", "read"]).await?;
    let mut other = Rest::new(running.api, key.trim());
    let theirs = other.call("PUT", "/v1/consumers/gru", Some(&json!({}))).await?;
    ensure!(theirs.status == 201, "{}", theirs.status);
    let third = scratch.say(&["key", "new", "--name", "tiers", "--scope", "read"]).await?;
    let mut third = Rest::new(running.api, third.trim());
    ensure!(third.call("GET", "/v1/consumers/gru", None).await?.status == 404);
    ensure!(third.call("PUT", "/v1/consumers/gru", Some(&json!({}))).await?.status == 409);
    // Who may not hand one over is told that, whoever it names.
    let there = format!("key:{}", key.split('_').nth(1).context("a key has an id")?);
    let mut said = Vec::new();
    for owner in ["key:nobody", there.as_str()] {
        let refused = third.call("PUT", "/v1/consumers/lucy", Some(&json!({"owner": owner}))).await?;
        said.push((refused.status, refused.json()?["errors"].clone()));
    }
    ensure!(said[0] == said[1] && said[0].0 == 422, "{said:?}");
    let seen = rest.get("/v1/consumers").await?;
    ensure!(seen["items"].as_array().is_some_and(|items| items.len() == 1), "{seen}");
    running.stop().await
}
