//! `voxea client`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::access::OauthClients;
use voxea_core::base::actor::Actor;
use voxea_core::base::error::CoreError;
use voxea_core::base::time::rfc3339;
use voxea_core::store::Store;
use voxea_rules::visible::is_hidden;

use super::common::{database, say};
use super::terms::{Terms, known_codes, state};
use crate::config::Config;
use crate::failure::Failure;

/// The longest name and subject, in characters.
const LONGEST: usize = 200;

/// What to do with programs that an identity provider answers for.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Enter a program. A running daemon accepts its tokens at once.
    Add {
        /// The `name` of a section `[[oauth]]` of the configuration.
        #[arg(long)]
        issuer: String,
        /// What its tokens say in `sub`, or in `client_id`: every token that the provider gives to a program of this id.
        #[arg(long)]
        subject: String,
        /// For people.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        terms: Box<Terms>,
    },
    /// Every program.
    List,
    /// Take a program out. A running daemon refuses its tokens at once.
    Revoke {
        /// Its id; `voxea client list` shows it.
        id: String,
    },
}

/// Enters, lists or takes out programs; an empty database is migrated first.
///
/// # Errors
/// What was typed, or the database's.
pub(super) async fn client(config: &Config, command: ClientCommand) -> Result<ExitCode, Failure> {
    // What was typed is looked at before a database is made for it.
    if let ClientCommand::Add {
        issuer,
        subject,
        name,
        terms,
    } = &command
    {
        terms.contract(&config.organisation.time_zone)?;
        let names = config.trust.names();
        if !names.contains(&issuer.as_str()) {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Failure::Usage(format!(
                "--issuer {issuer:?} is no [[oauth]] section of the configuration; there are: {known}"
            )));
        }
        for (option, text) in [("--name", name), ("--subject", subject)] {
            let chars = text.chars().count();
            if chars == 0 || chars > LONGEST || text.contains(is_hidden) {
                return Err(Failure::Usage(format!("{option} must have 1 to {LONGEST} visible characters")));
            }
        }
    }
    let store = database(config).await?;
    let done = act(&store, config, command).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn act(store: &Store, config: &Config, command: ClientCommand) -> Result<(), Failure> {
    let clients = OauthClients::new(store.clone());
    match command {
        ClientCommand::Add {
            issuer,
            subject,
            name,
            terms,
        } => {
            let contract = terms.contract(&config.organisation.time_zone)?;
            known_codes(config, store, &contract).await?;
            match clients.add(&Actor::System, &issuer, &subject, &name, &contract).await {
                Ok(id) => say(id),
                Err(CoreError::Conflict(message)) => return Err(Failure::Usage(message)),
                Err(error) => return Err(error.into()),
            }
        }
        ClientCommand::List => {
            for client in clients.list().await? {
                let state = state(client.revoked_at, &client.contract);
                say(format_args!(
                    "{}\t{}\t{}\t{}\t{}\tmade {}\t{state}",
                    client.id,
                    client.issuer,
                    client.subject,
                    client.name,
                    client.contract.grant.operations.names(),
                    rfc3339(client.created_at)
                ));
            }
        }
        ClientCommand::Revoke { id } => clients.revoke(&Actor::System, &id).await?,
    }
    Ok(())
}
