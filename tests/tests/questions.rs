//! Texts that answer a question of ours, across days: the daemon is stopped, and its past is moved back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(30);

async fn said(smsc: &Smsc, from: &str, text: &str) -> Result<()> {
    smsc.send(&Message::plain(from, text));
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "a text was not taken");
    Ok(())
}

/// The requests of a number, the earliest first.
async fn of(running: &Running, from: &str) -> Result<Vec<Value>> {
    let mut all = requests(running, "channel=sms").await?;
    all.retain(|request| request["from"] == from);
    Ok(all)
}

/// All that is known of a request was so many hours earlier.
async fn earlier(folder: &Path, request: &str, hours: i64) -> Result<()> {
    let pool = SqlitePool::connect(&format!("sqlite:{}/voxea.db", folder.display())).await?;
    for sql in [
        "UPDATE transition SET at = at - $1 WHERE request_id = $2",
        "UPDATE reply SET created_at = created_at - $1 WHERE request_id = $2",
        "UPDATE request SET received_at = received_at - $1, last_contact_at = last_contact_at - $1 WHERE id = $2",
    ] {
        let done = sqlx::query(sql).bind(hours * 3_600_000).bind(request).execute(&pool).await?;
        ensure!(done.rows_affected() == 1, "{sql}");
    }
    pool.close().await;
    Ok(())
}

/// Red with another number of hours in the rule, and where only the day of a conversation counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_joins_after_71_hours_and_after_73_it_is_another_demand() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let channel = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n",
        smsc.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let citizens = [("33671717171", 71), ("33673737373", 73)];
    let mut asked = Vec::new();
    for (count, (number, _)) in citizens.iter().enumerate() {
        said(&smsc, number, "Un arbre est tombé").await?;
        let request = of(&running, &format!("+{number}")).await?.pop().context("no request")?;
        let path = format!("/v1/requests/{}", request["id"].as_str().context("no id")?);
        let mut rest = running.rest();
        let waits = json!({"status": "awaiting_citizen"});
        let patched = rest.call_with("PATCH", &path, &[("If-Match", "*")], Some(&waits)).await?;
        ensure!(patched.status == 200, "{}: {:?}", patched.status, patched.json());
        let question = json!({"text": "Dans quelle rue, s'il vous plaît ?"});
        ensure!(rest.call("POST", &format!("{path}/replies"), Some(&question)).await?.status == 202);
        ensure!(smsc.until(PATIENCE, |ledger| ledger.submits.len() > count).await, "it is not asked");
        asked.push(request["id"].as_str().context("no id")?.to_owned());
    }
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "a receipt was not taken");
    running.stop().await?;
    for (request, (_, hours)) in asked.iter().zip(citizens) {
        earlier(scratch.path(), request, hours).await?;
    }
    let running = scratch.run().await?;
    running.up("smpp").await?;
    for (number, _) in citizens {
        said(&smsc, number, "Rue Foch, devant le 12").await?;
    }
    let [in_time, late] = [of(&running, "+33671717171").await?, of(&running, "+33673737373").await?];
    assert_eq!((in_time.len(), late.len()), (1, 2));
    let shown = running.rest().get(&format!("/v1/requests/{}/interactions", asked[0])).await?;
    let texts: Vec<&str> = shown["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["text"].as_str())
        .collect();
    assert_eq!(
        texts,
        ["Un arbre est tombé", "Dans quelle rue, s'il vous plaît ?", "Rue Foch, devant le 12"]
    );
    running.stop().await
}
