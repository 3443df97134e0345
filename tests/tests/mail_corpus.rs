//! The made-up mailbox in CI's size; `scripts/mails --full` runs the whole of it with the same code.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use anyhow::Result;
use voxea_tests::mails::whole;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

async fn mixed(store: &str) -> Result<()> {
    let verdict = whole::run(&scratch::binary()?, store, 1, 500, &[]).await?;
    println!("{}", verdict.told());
    assert!(verdict.is_sound() && verdict.repeats == 0, "{}", verdict.told());
    assert!(
        verdict.differences.is_empty(),
        "every mail is shown as it was written: {}",
        verdict.told()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_mails_become_the_requests_they_must_on_sqlite() -> Result<()> {
    mixed("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_mails_become_the_requests_they_must_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    mixed(&cluster.database("voxea")?).await
}
