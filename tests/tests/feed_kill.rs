//! Readers of the feed by every way, while everything dies; `scripts/feed-kill N` is the same in full.

use std::time::Duration;

use anyhow::{Result, ensure};
use voxea_tests::feed_kill::{Outcome, PATIENCE, Place, run};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

const DEATHS: usize = 20;

fn sound(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.is_sound(), "{outcome:?}");
    ensure!(
        outcome.events > 0 && outcome.contacts > 0 && outcome.daemon > 0 && outcome.readers > 0,
        "{outcome:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_ends_with_what_was_committed_sqlite() -> Result<()> {
    sound(&run(&scratch::binary()?, &Place::Sqlite, DEATHS, 1, &[], PATIENCE).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_ends_with_what_was_committed_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    let outcome = run(
        &scratch::binary()?,
        &Place::Postgres(&cluster, "feed".to_owned()),
        DEATHS,
        2,
        &[],
        PATIENCE,
    )
    .await?;
    ensure!(outcome.database > 0, "{outcome:?}");
    sound(&outcome)
}

/// The gate can fail: a feed that leaves out what is committed while a page is read is seen by those who pull and by webhooks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_with_holes_is_seen() -> Result<()> {
    let mutants = [("VOXEA_MUTANT", "feed_reads_past")];
    let mut seen = Outcome::default();
    for seed in 1..=6 {
        // What is missing never comes: the wait for it is short.
        let outcome = run(&scratch::binary()?, &Place::Sqlite, 8, seed, &mutants, Duration::from_secs(2)).await?;
        println!("{outcome:?}");
        seen = seen.and(&outcome);
        if seen.missing.webhook > 0 && seen.missing.sum() > seen.missing.webhook {
            return Ok(());
        }
    }
    anyhow::bail!("{seen:?}")
}
