//! SIP under loss, floods, junk and load, in CI's size; `scripts/sip-load --full` runs the whole count with the same code.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use std::time::Duration;

use anyhow::Result;
use voxea_tests::load::scenes::{self, Row};
use voxea_tests::scratch;

fn judge(row: &Row) {
    println!("{}: {}; {}", row.what, row.measured, row.beside);
    assert!(row.sound, "{row:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_for_lost_datagrams() -> Result<()> {
    judge(&scenes::loss(&scratch::binary()?, 100, 30).await?);
    judge(&scenes::loss(&scratch::binary()?, 100, 100).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_without_ack_is_given_back() -> Result<()> {
    judge(&scenes::unconfirmed(&scratch::binary()?, 500).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_keeps_no_call_away() -> Result<()> {
    judge(&scenes::junk(&scratch::binary()?, 1_000.0, Duration::from_secs(5)).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_bye_was_lost_are_given_back() -> Result<()> {
    judge(&scenes::lost_byes(&scratch::binary()?, 100, 20.0).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signalling_alone_keeps_up() -> Result<()> {
    judge(&scenes::signalling(&scratch::binary()?, 300, 30.0, false).await?);
    Ok(())
}
