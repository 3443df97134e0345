//! The commands of the binary, one file each.

mod check;
mod doctor;
mod key;
mod migrate;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use voxea_core::Core;
use voxea_core::base::error::CoreError;
use voxea_core::store::Store;

use crate::config::{self, Config, ConfigError};

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
    /// Try every peer and say what was found.
    Doctor,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration. Exit code 2.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The database or the blobs.
    #[error("{0}")]
    Core(#[from] CoreError),
    /// Something of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// What the person typed. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A task that the daemon cannot live without has ended.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What was being done when the operating system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// 2 for what the person must mend first, 1 for the rest.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What a person must see; [`Failure::code`] is the exit code.
    pub(crate) fn execute(self) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::system("starting the runtime"))?;
        let load = || config::load(self.config.as_deref());
        let done = match self.command {
            Command::Check => check::check(load()),
            Command::Run { no_migrate } => runtime.block_on(crate::run::run(load()?, !no_migrate)),
            Command::Migrate => runtime.block_on(migrate::migrate(&load()?)),
            Command::Key { command } => runtime.block_on(key::key(&load()?, command)),
            Command::Doctor => runtime.block_on(doctor::doctor(load()?)),
        };
        // A blocking task that is stuck must not hold the process.
        runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        done
    }
}

/// Opens the core's doors as the configuration says.
///
/// # Errors
/// The database's, or the blob folder's.
pub(crate) async fn open(config: &Config, migrate: bool) -> Result<Core, Failure> {
    Ok(Core::open(config.core(migrate)).await?)
}

/// Opens the database alone, and brings it up to date.
async fn database(config: &Config) -> Result<Store, Failure> {
    let store = Store::open(config.store.url.reveal()).await?;
    store.migrate().await?;
    Ok(store)
}

/// A line for the person, on stdout. A closed pipe is no failure.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
