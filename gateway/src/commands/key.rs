//! `voxea key`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::access::Keys;
use voxea_core::base::actor::Actor;
use voxea_core::base::time::rfc3339;
use voxea_core::store::Store;
use voxea_rules::visible::is_hidden;

use super::common::{database, say};
use super::terms::{Terms, known_codes, state};
use crate::config::Config;
use crate::failure::Failure;

/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 100;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it once. A running daemon accepts it at once.
    New {
        /// Whom it is for.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        terms: Box<Terms>,
    },
    /// Every key, without its secret.
    List,
    /// Take a key back. A running daemon refuses it at once.
    Revoke {
        /// The part of the key between `vx_` and the next `_`; `voxea key list` shows it.
        id: String,
    },
}

/// Makes, lists or revokes keys; an empty database is migrated first.
///
/// # Errors
/// What was typed, or the database's.
pub(super) async fn key(config: &Config, command: KeyCommand) -> Result<ExitCode, Failure> {
    // What was typed is looked at before a database is made for it.
    if let KeyCommand::New { name, terms } = &command {
        terms.contract(&config.organisation.time_zone)?;
        let chars = name.chars().count();
        if chars == 0 || chars > LONGEST_NAME || name.contains(is_hidden) {
            return Err(Failure::Usage(format!("--name must have 1 to {LONGEST_NAME} visible characters")));
        }
    }
    let store = database(config).await?;
    let done = act(&store, config, command).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn act(store: &Store, config: &Config, command: KeyCommand) -> Result<(), Failure> {
    let keys = Keys::new(store.clone());
    match command {
        KeyCommand::New { name, terms } => {
            let contract = terms.contract(&config.organisation.time_zone)?;
            known_codes(config, store, &contract).await?;
            say(keys.create(&Actor::System, &name, &contract).await?);
        }
        KeyCommand::List => {
            for key in keys.list().await? {
                let state = state(key.revoked_at, &key.contract);
                say(format_args!(
                    "{}\t{}\t{}\tmade {}\t{state}",
                    key.id,
                    key.name,
                    key.contract.grant.operations.names(),
                    rfc3339(key.created_at)
                ));
            }
        }
        KeyCommand::Revoke { id } => keys.revoke(&Actor::System, &id).await?,
    }
    Ok(())
}
