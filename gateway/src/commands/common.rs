//! What several commands do.

use std::io::Write as _;

use voxea_core::store::Store;

use crate::config::Config;
use crate::failure::Failure;

/// Opens the database alone, and brings it up to date.
pub(super) async fn database(config: &Config) -> Result<Store, Failure> {
    let store = Store::open(config.store.url.reveal()).await?;
    store.migrate().await?;
    Ok(store)
}

/// A line for the person, on stdout. A closed pipe is no failure.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
