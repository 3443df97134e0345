//! A thousand connections that send a byte a second, and the programs that have something to ask meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::slowloris::story;

const SLOW: usize = 1_000;
/// What 99 of 100 calls take at most. `scripts/feed-bench` prints the figures; this only tells a daemon that gives the slow no more
/// than their share from one where others wait until the slow have had their time, 15 s and more.
const BOUND: Duration = Duration::from_secs(5);

async fn holds(places: usize) -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?.replacen("[api]\n", &format!("[api]\nconnections = {places}\n"), 1);
    std::fs::write(&config, text)?;
    let running = scratch.run().await?;
    let times = story(&running, SLOW).await?;
    ensure!(times.count > 0 && times.p99 < BOUND, "{times:?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_connections_hold_up_nobody() -> Result<()> {
    holds(1_024).await
}

/// So many that all places are taken, and others wait: who asks gets one of those of the slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_three_times_as_many_as_there_are_places() -> Result<()> {
    holds(300).await
}
