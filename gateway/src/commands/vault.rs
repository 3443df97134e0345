//! `voxea vault`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::artefact::{self, Blobs};
use voxea_core::vault::{self, Vault};

use super::common::{database, say};
use crate::config::{Config, ConfigError};
use crate::failure::Failure;

/// What to do about encryption.
#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Print a new master key, alone on its line. As the first line of the file that `master_key_file` names it
    /// wraps from the next start on; keep the older lines below it.
    NewKey,
    /// Encrypt a database and blobs that began plain, under the key that is configured. The daemon must be stopped;
    /// it takes as much room again. What is interrupted ends when it is run again.
    Seal,
}

/// Does what was asked; a new key needs no configuration.
///
/// # Errors
/// The configuration's, the database's, the folder's.
pub(super) async fn vault(command: &VaultCommand, load: impl FnOnce() -> Result<Config, ConfigError>) -> Result<ExitCode, Failure> {
    match command {
        VaultCommand::NewKey => say(vault::new_line()?),
        VaultCommand::Seal => seal(&load()?).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn seal(config: &Config) -> Result<(), Failure> {
    let Some(masters) = &config.store.master_keys else {
        return Err(Failure::Usage(
            "no key is configured: put a line of `voxea vault new-key` into a file, and name that: [store] master_key_file = \"…\""
                .to_owned(),
        ));
    };
    // First of all, since a daemon that runs holds the folder.
    let blobs = Blobs::open(config.store.blobs.clone(), Vault::off())?;
    let store = database(config).await?;
    let sealed = artefact::seal(&store, &blobs, masters).await;
    store.close().await;
    sealed?;
    say("the database and the blobs are encrypted; back-ups from before are not");
    Ok(())
}
