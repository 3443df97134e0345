//! kill -9 in CI's size; `scripts/kill --full` runs the whole count with the same code.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a gate prints its figures, and fails where it stands"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use voxea_tests::kill::{calls, messages, texts};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

fn binary() -> PathBuf {
    scratch::binary().expect("the daemon is built")
}

/// `VOXEA_KILLS`, 20 when it is not set.
fn kills() -> u64 {
    std::env::var("VOXEA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

async fn sound(name: &str, store: &str) -> Result<()> {
    let outcome = messages::run(&binary(), store, kills(), &[], messages::PATIENCE).await?;
    println!(
        "{name}, {} kills: texts {}; mails {}; answers {}; {} events read",
        kills(),
        outcome.texts,
        outcome.mails,
        outcome.answered,
        outcome.events
    );
    assert!(outcome.is_sound(), "{outcome:?}");
    assert!(outcome.texts.acknowledged > 0 && outcome.mails.acknowledged > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_on_sqlite() -> Result<()> {
    sound("SQLite", "sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    sound("PostgreSQL", &cluster.database("voxea")?).await
}

async fn calls_sound(name: &str, store: &str, encrypted: bool) -> Result<()> {
    let kills = (kills() / 4).max(2);
    let outcome = calls::run(&binary(), store, kills, encrypted).await?;
    println!(
        "{name}, {kills} kills: calls {}; {} recordings, {} too short, {} with a strange voice, at most {} ms lacking, {} verified, {} not sound",
        outcome.calls, outcome.recordings, outcome.short, outcome.strange, outcome.worst_ms, outcome.verified, outcome.unsound
    );
    assert!(outcome.is_sound(), "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_call_keeps_all_but_its_last_second_on_sqlite() -> Result<()> {
    calls_sound("SQLite, encrypted", "sqlite:voxea.db", true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_call_keeps_all_but_its_last_second_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    calls_sound("PostgreSQL", &cluster.database("voxea")?, false).await
}

/// The gate can fail: a daemon that acknowledges before it commits loses texts, and the oracle sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledging_before_the_commit_is_caught() -> Result<()> {
    for _ in 0..5 {
        // What is lost never comes: the wait for it is short.
        let outcome = messages::run(
            &binary(),
            "sqlite:voxea.db",
            6,
            &[("VOXEA_MUTANT", "ack_before_commit")],
            Duration::from_secs(10),
        )
        .await?;
        println!("mutant: texts {}; mails {}", outcome.texts, outcome.mails);
        if outcome.texts.lost > 0 || outcome.mails.lost > 0 {
            return Ok(());
        }
    }
    panic!("thirty kills of a daemon that acknowledges too early, and nothing was missed")
}

async fn both_ways(name: &str, store: &str) -> Result<()> {
    let kills = (kills() / 2).max(4);
    let outcome = texts::run(&binary(), store, kills, &[]).await?;
    println!(
        "{name}, {kills} kills: texts {}; replies {}, {} shown as unknown, {} of these sent twice",
        outcome.texts, outcome.replies, outcome.unknown, outcome.unknown_doubled
    );
    assert!(outcome.is_sound(), "{outcome:?}");
    assert!(outcome.replies.acknowledged > 0 && outcome.unknown_doubled == 0, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_is_lost_or_sent_twice_on_sqlite() -> Result<()> {
    both_ways("SQLite", "sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_is_lost_or_sent_twice_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    both_ways("PostgreSQL", &cluster.database("voxea")?).await
}

/// The gate can fail: a daemon that sends again what its dead predecessor may have sent is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_again_after_a_death_is_caught() -> Result<()> {
    for _ in 0..5 {
        let outcome = texts::run(&binary(), "sqlite:voxea.db", 6, &[("VOXEA_MUTANT", "send_again")]).await?;
        println!("mutant: replies {}", outcome.replies);
        if outcome.replies.doubled > 0 {
            return Ok(());
        }
    }
    panic!("thirty kills of a daemon that sends again, and nothing was seen")
}
