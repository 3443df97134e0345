//! Readers of the feed by every way, while everything dies; `scripts/feed-kill N` is the same in full.

use anyhow::{Result, ensure};
use voxea_tests::feed_kill::{Outcome, Place, run};
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
    sound(&run(&scratch::binary()?, &Place::Sqlite, DEATHS, 1, &[]).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_ends_with_what_was_committed_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    let outcome = run(&scratch::binary()?, &Place::Postgres(&cluster, "feed".to_owned()), DEATHS, 2, &[]).await?;
    ensure!(outcome.database > 0, "{outcome:?}");
    sound(&outcome)
}
