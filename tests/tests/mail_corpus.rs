//! The made-up mailbox in CI's size; `scripts/mails --full` runs the whole of it with the same code.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use anyhow::Result;
use voxea_tests::corpus::Kind;
use voxea_tests::mails::whole;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// Kinds of which some letters are not yet read: undeclared windows-1252, characters split between encoded words.
const UNREAD: [Kind; 2] = [Kind::Charset, Kind::Attached];

async fn mixed(store: &str) -> Result<()> {
    let verdict = whole::run(&scratch::binary()?, store, 1, 500, &[]).await?;
    println!("{}", verdict.told());
    assert!(verdict.is_sound() && verdict.repeats == 0, "{}", verdict.told());
    let otherwise: Vec<&Kind> = verdict.differences.keys().filter(|kind| !UNREAD.contains(kind)).collect();
    assert!(otherwise.is_empty(), "every mail is shown as it was written: {otherwise:?}");
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
