//! Copies of all requests that programs make and go on from, whatever is written meanwhile and whichever backup was restored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::timeout;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Scratch};

const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that one writer opens while copies are made; afterwards it only changes what is there.
const OPENED: usize = 40;

/// A backup is restored: readers are sent to the snapshot, and nobody goes on with a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restored_backup_readers_begin_anew() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    running.rest().visit("kept").await?;
    running.stop().await?;
    let (database, backup) = (scratch.path().join("voxea.db"), scratch.path().join("backup.db"));
    std::fs::copy(&database, &backup)?;
    let running = scratch.run().await?;
    running.rest().visit("lost").await?;
    let next = running.rest().get("/v1/changes").await?["next"]
        .as_str()
        .context("no next")?
        .to_owned();
    running.stop().await?;
    std::fs::remove_file(&database)?;
    let refused = scratch.say(&["feed", "new-epoch"]).await.map_err(|error| error.to_string());
    ensure!(
        refused.is_err_and(|words| words.contains("does not exist")) && !database.exists(),
        "an epoch for nothing"
    );
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
        rest.visit(&format!("new-{number}")).await?;
    }
    let refused = rest.call("GET", &target, None).await?;
    let problem = refused.json()?;
    assert_eq!((refused.status, problem["epoch"].as_str()), (409, Some(epoch.trim())));
    let way_back = problem["snapshot"].as_str().context("no way back")?;
    let snapshot = rest.get(way_back).await?;
    assert_eq!(snapshot["items"].as_array().map(Vec::len), Some(6));
    let changes = snapshot["changes"].as_str().context("no cursor")?;
    let late = rest.visit("late").await?;
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
    let stop = Arc::new(AtomicBool::new(false));
    let mut rest = running.rest();
    for number in 0..20 {
        rest.visit(&format!("first-{number}")).await?;
    }
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(change(running.rest(), writer, Arc::clone(&stop))))
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
async fn change(mut rest: Rest, writer: usize, stop: Arc<AtomicBool>) -> usize {
    let mut made = 0;
    while !stop.load(Ordering::SeqCst) {
        // Not for ever another one: a list in pages of three would never reach its end. The same call has the same answer.
        let Ok(id) = rest.visit(&format!("{writer}-{}", made.min(OPENED))).await else {
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
