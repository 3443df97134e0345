//! `voxea vault`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::vault;

use super::common::say;
use crate::failure::Failure;

/// What to do about encryption.
#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Print a new master key, alone on its line. As the first line of the file that `master_key_file` names it
    /// wraps from the next start on; keep the older lines below it.
    NewKey,
}

/// Prints a new key; needs no configuration and no database.
///
/// # Errors
/// The system's, when it gives no random bytes.
pub(super) fn vault(command: &VaultCommand) -> Result<ExitCode, Failure> {
    match command {
        VaultCommand::NewKey => say(vault::new_line()?),
    }
    Ok(ExitCode::SUCCESS)
}
