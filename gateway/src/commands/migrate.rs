//! `voxea migrate`.

use std::process::ExitCode;

use super::common::{database, say};
use crate::config::Config;
use crate::failure::Failure;

/// Brings the database up to date.
///
/// # Errors
/// The database's.
pub(super) async fn migrate(config: &Config) -> Result<ExitCode, Failure> {
    database(config).await?.close().await;
    say("the database is up to date");
    Ok(ExitCode::SUCCESS)
}
