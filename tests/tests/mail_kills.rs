//! kill -9 under mails, in CI's size; `scripts/mails --full` runs the whole of it with the same code.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use anyhow::Result;
use voxea_tests::mails::deaths;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

async fn killed(store: &str) -> Result<()> {
    let outcome = deaths::run(&scratch::binary()?, store, 31, 22, &[]).await?;
    let (kills, at_points, told) = (outcome.kills, outcome.at_points, outcome.verdict.told());
    println!("{kills} kills, {at_points} of them at points: {told}");
    assert!(
        outcome.is_sound(),
        "{told}; {} and {} repeats without a kill",
        outcome.within_a_life,
        outcome.too_many
    );
    assert!(outcome.at_points > 0, "no point was ever reached");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_any_two_steps_lose_and_double_nothing_on_sqlite() -> Result<()> {
    killed("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_any_two_steps_lose_and_double_nothing_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    killed(&cluster.database("voxea")?).await
}

/// The gate can fail: a daemon that marks mails before it commits them loses some, and the account shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marking_before_the_commit_is_caught() -> Result<()> {
    for seed in 0..5 {
        let outcome = deaths::run(
            &scratch::binary()?,
            "sqlite:voxea.db",
            seed,
            12,
            &[("VOXEA_MUTANT", "ack_before_commit")],
        )
        .await?;
        println!("mutant: {}", outcome.verdict);
        if outcome.verdict.interactions.lost > 0 {
            return Ok(());
        }
    }
    panic!("sixty kills of a daemon that marks too early, and nothing was missed")
}
