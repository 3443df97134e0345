//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{agent, audit, catalogue, check, client, decode, doctor, feed, key, mailbox, migrate, recording, vault};
use crate::config::{self, Ground};
use crate::failure::Failure;
use clap::{Parser, Subcommand};
use nix::sys::stat::{Mode, umask};

/// Citizen requests from every channel, in one place.
#[derive(Debug, Parser)]
#[command(name = "voxea", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The configuration; without it ./voxea.toml, then /etc/voxea/voxea.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon, in the foreground.
    Run {
        /// Leave the database as it is.
        #[arg(long)]
        no_migrate: bool,
    },
    /// Say everything that is wrong with the configuration.
    Check,
    /// Bring the database up to date.
    Migrate,
    /// API keys.
    Key {
        #[command(subcommand)]
        command: key::KeyCommand,
    },
    /// Persons who log in.
    Agent {
        #[command(subcommand)]
        command: agent::AgentCommand,
    },
    /// Programs that an identity provider answers for.
    Client {
        #[command(subcommand)]
        command: client::ClientCommand,
    },
    /// The audit trail: who did what, and who read what.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Recordings as evidence.
    Recording {
        #[command(subcommand)]
        command: recording::RecordingCommand,
    },
    /// Domains, services and themes.
    Catalogue {
        #[command(subcommand)]
        command: catalogue::CatalogueCommand,
    },
    /// The encryption of personal data.
    Vault {
        #[command(subcommand)]
        command: vault::VaultCommand,
    },
    /// Mailboxes before they are followed.
    Mailbox {
        #[command(subcommand)]
        command: mailbox::MailboxCommand,
    },
    /// The stream of changes that other programs read.
    Feed {
        #[command(subcommand)]
        command: feed::FeedCommand,
    },
    /// Try every peer and say what was found.
    Doctor,
    /// Search a document on standard input for codes; the daemon calls it.
    #[command(hide = true)]
    Decode {
        /// Its limits are set.
        #[arg(long)]
        confined: bool,
    },
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What a person must see; [`Failure::code`] is the exit code.
    pub(crate) fn execute(self) -> Result<ExitCode, Failure> {
        if let Command::Decode { confined } = self.command {
            return Ok(decode::decode(confined));
        }
        // Before any thread and any file: what citizens say is nobody else's on this machine, by whatever command the
        // database or the blobs come to be.
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::system("starting the runtime"))?;
        let load = || config::load(self.config.as_deref(), &Ground::default());
        let load_to_run = || config::load(self.config.as_deref(), &Ground::tried());
        let done = match self.command {
            Command::Check => runtime.block_on(check::check(load_to_run())),
            Command::Run { no_migrate } => runtime.block_on(crate::run::run(load_to_run()?, !no_migrate)),
            Command::Migrate => runtime.block_on(migrate::migrate(&load()?)),
            Command::Key { command } => runtime.block_on(key::key(&load()?, command)),
            Command::Agent { command } => runtime.block_on(agent::agent(&load()?, command)),
            Command::Client { command } => runtime.block_on(client::client(&load()?, command)),
            Command::Audit { command } => runtime.block_on(audit::audit(load, command)),
            Command::Recording { command } => runtime.block_on(recording::recording(load, command)),
            Command::Catalogue { command } => runtime.block_on(catalogue::catalogue(&load()?, command)),
            Command::Vault { command } => runtime.block_on(vault::vault(&command, load)),
            Command::Mailbox { command } => runtime.block_on(mailbox::mailbox(&load()?, command)),
            Command::Feed { command } => runtime.block_on(feed::feed(&load()?, &command)),
            Command::Doctor => runtime.block_on(doctor::doctor(load()?)),
            Command::Decode { confined } => Ok(decode::decode(confined)),
        };
        // A blocking task that is stuck must not hold the process.
        runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        done
    }
}
