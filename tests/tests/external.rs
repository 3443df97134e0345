//! Other systems' requests against the real daemon: one for each id, whatever is sent how often and whoever dies.

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use voxea_tests::kill::requests;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Scratch};

/// Ids that are brought, each by so many clients at once.
const IDS: usize = 20;
const CLIENTS: usize = 4;

async fn every_id_is_one_request(store: &str) -> Result<()> {
    let mut scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    let mut answered = 0;
    // The daemon dies between the commit and the answer, again and again, until all have had an answer.
    for life in 0..3 {
        scratch.environment = match life {
            2 => Vec::new(),
            nth => vec![(
                "VOXEA_FAILPOINT".to_owned(),
                format!("http.external.before_answer={}", 7 + 11 * nth),
            )],
        };
        let running = scratch.run().await?;
        let clients = (0..CLIENTS).map(|_| async {
            let mut rest = running.rest();
            let mut done = 0;
            for id in 0..IDS {
                let body = json!({"text": format!("Demande {id}"), "status": "déposé"});
                let path = format!("/v1/requests/by-external/teleservice/{id}");
                match rest.call("PUT", &path, Some(&body)).await {
                    Ok(answer) => {
                        ensure!([200, 201, 409, 503].contains(&answer.status), "{} of {path}", answer.status);
                        done += usize::from(answer.status < 300);
                    }
                    // It died.
                    Err(_) if life < 2 => break,
                    Err(error) => return Err(error),
                }
            }
            anyhow::Ok(done)
        });
        answered = try_join_all(clients).await?.into_iter().sum();
        if life < 2 {
            running.kill().await?;
            continue;
        }
        let found = requests(&running, "channel=teleservice").await?;
        ensure!(found.len() == IDS, "{} requests of {IDS} ids", found.len());
        let mut rest = running.rest();
        for id in 0..IDS {
            let one = rest.get(&format!("/v1/requests/by-external/teleservice/{id}")).await?;
            let same = found.iter().find(|request| request["id"] == one["id"]).context("another request")?;
            ensure!(
                same == &one && one["external"][0]["id"].as_str() == Some(&*format!("{id}")),
                "{one}"
            );
        }
        let events = rest.get("/v1/changes?limit=500").await?;
        let created = events["items"].as_array().into_iter().flatten();
        ensure!(created.filter(|event| event["type"] == "fr.voxea.request.created").count() == IDS);
        running.stop().await?;
    }
    ensure!(answered == IDS * CLIENTS, "{answered} answers");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_one_request_on_sqlite_whatever_dies() -> Result<()> {
    every_id_is_one_request("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_one_request_on_postgresql_whatever_dies() -> Result<()> {
    let postgres = Postgres::start()?;
    every_id_is_one_request(&postgres.database("external")?).await
}
