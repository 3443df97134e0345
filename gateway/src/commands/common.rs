//! What several commands do.

use std::io::Write as _;
use std::path::Path;

use voxea_core::store::Store;

use crate::config::Config;
use crate::failure::Failure;

/// Opens the database alone, and brings it up to date.
pub(super) async fn database(config: &Config) -> Result<Store, Failure> {
    let store = Store::open(config.store.url.reveal()).await?;
    store.migrate().await?;
    Ok(store)
}

/// The same of a database that must be there: what is done to one that was just made by a slip of the path is done to nothing.
pub(super) async fn existing(config: &Config) -> Result<Store, Failure> {
    if let Some(path) = config.store.url.reveal().strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        return Err(Failure::Usage(format!(
            "{path} does not exist, so that nothing was done; put the backup there, or name its place in [store] url"
        )));
    }
    database(config).await
}

/// A line for the person, on stdout. A closed pipe is no failure.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
