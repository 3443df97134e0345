//! `voxea feed`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::base::actor::Actor;
use voxea_core::base::time;
use voxea_core::feed;

use super::common::{existing, say};
use crate::config::Config;
use crate::failure::Failure;

/// What to do about the feed.
#[derive(Debug, Subcommand)]
pub(super) enum FeedCommand {
    /// Give the feed another epoch and print it. Once after a backup was restored, before the daemon starts: the programs that
    /// read the feed have seen what the backup does not know, and learn by this to fetch the snapshot.
    NewEpoch,
}

/// Does what was asked.
///
/// # Errors
/// The database's, and where there is none.
pub(super) async fn feed(config: &Config, command: &FeedCommand) -> Result<ExitCode, Failure> {
    let FeedCommand::NewEpoch = command;
    let store = existing(config).await?;
    let made = feed::new_epoch(&store, &Actor::System, time::now()).await;
    store.close().await;
    say(made?);
    Ok(ExitCode::SUCCESS)
}
