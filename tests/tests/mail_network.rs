//! Mails through a network that fails, in CI's size; `scripts/mails --full` runs the whole of it with the same code.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use anyhow::Result;
use voxea_tests::mails::cuts;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// 40 faults; the daemon never needs more memory than a batch and what the town's mails are worth.
const PLAN: cuts::Plan = cuts::Plan {
    mailboxes: 4,
    lives: 3,
    faults: 4,
    mails: 300,
};

async fn through_a_failing_network(store: &str) -> Result<()> {
    let outcome = cuts::run(&scratch::binary()?, store, 21, PLAN, &[]).await?;
    let told = outcome.verdict.told();
    println!("{:?}, at most {} MB: {told}", outcome.faults, outcome.memory / 1_000_000);
    assert!(outcome.verdict.is_sound() && outcome.verdict.repeats == 0, "{told}");
    assert!(outcome.faults.all() >= 40 && outcome.faults.giants > 0, "{:?}", outcome.faults);
    assert!(outcome.memory < 256_000_000, "{} bytes", outcome.memory);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_network_loses_and_doubles_nothing_on_sqlite() -> Result<()> {
    through_a_failing_network("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_network_loses_and_doubles_nothing_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    through_a_failing_network(&cluster.database("voxea")?).await
}

/// The gate can fail: a daemon that does not know mails again takes them in twice, and the account shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgetting_what_was_taken_in_is_caught() -> Result<()> {
    for seed in 0..5 {
        let outcome = cuts::run(&scratch::binary()?, "sqlite:voxea.db", seed, PLAN, &[("VOXEA_MUTANT", "no_dedup")]).await?;
        println!("mutant: {}", outcome.verdict);
        if outcome.verdict.interactions.doubled > 0 {
            return Ok(());
        }
    }
    panic!("two hundred faults of a daemon that knows nothing again, and nothing was doubled")
}
