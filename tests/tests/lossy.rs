//! An SMSC that loses a fifth of our answers: each text is there once, and known as redelivered. `VOXEA_TEXTS=10000` runs
//! the count that the issue names; CI's took 20 s with the debug build.

use anyhow::Result;
use voxea_tests::{lossy, scratch};

/// `VOXEA_TEXTS`, 2,000 when it is not set.
fn texts() -> usize {
    std::env::var("VOXEA_TEXTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_text_is_there_once_however_many_answers_are_lost() -> Result<()> {
    let outcome = lossy::run(&scratch::binary()?, "sqlite:voxea.db", texts(), 60).await?;
    println!("{outcome}");
    assert!(outcome.is_sound(), "{outcome}");
    assert!(
        outcome.lost.0 > texts() / 8 && outcome.lost.1 > 0 && outcome.again > texts() / 10,
        "{outcome}"
    );
    Ok(())
}

/// The gate can fail: an account that looks for redeliveries across links alone takes in twice what the same link repeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_rule_of_redelivery_the_oracle_sees_twins() -> Result<()> {
    let outcome = lossy::run(&scratch::binary()?, "sqlite:voxea.db", 300, 0).await?;
    println!("across links only: {outcome}");
    assert!(outcome.doubled > 0 && outcome.missing == 0, "{outcome}");
    Ok(())
}
