//! `voxea agent`.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::access::{AgentRow, Lifetime, People, Profile};
use voxea_core::base::actor::Actor;
use voxea_core::base::error::CoreError;
use voxea_core::base::expected::Expected;
use voxea_core::base::secret::Secret;
use voxea_core::base::time::rfc3339;
use voxea_rules::password::{self, Guard};

use super::common::{database, say};
use crate::config::Config;
use crate::failure::Failure;

/// The longest password that is read, in bytes; more than its rule allows.
const LARGEST: u64 = 4096;

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Enter an agent, who can log in at once. The password is the first line of a file or of standard input.
    Add {
        /// What they log in with, in lower case.
        login: String,
        /// For people.
        #[arg(long)]
        name: String,
        /// What they may do: administrator, agent, reader, or another role. May be given several times.
        #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
        role: Vec<String>,
        /// Where they are written to.
        #[arg(long)]
        email: Option<String>,
        /// The file of the password; without it standard input.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Every agent.
    List,
    /// Let an agent in no more; their sessions end at once.
    Disable {
        /// Their login.
        login: String,
    },
    /// Let an agent in again.
    Enable {
        /// Their login.
        login: String,
    },
    /// Give an agent another password and take their codes away: for who has lost both. Their sessions end at once.
    Password {
        /// Their login.
        login: String,
        /// The file of the password; without it standard input.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
}

/// Keeps agents; an empty database is migrated first.
///
/// # Errors
/// What was typed, or the database's.
pub(super) async fn agent(config: &Config, command: AgentCommand) -> Result<ExitCode, Failure> {
    // The password is read and looked at before a database is made for it.
    let password = match &command {
        AgentCommand::Add {
            login,
            name,
            email,
            password_file,
            ..
        } => Some(read(
            password_file.as_deref(),
            &[login, name, email.as_deref().unwrap_or_default()],
        )?),
        AgentCommand::Password { login, password_file } => Some(read(password_file.as_deref(), &[login])?),
        AgentCommand::List | AgentCommand::Disable { .. } | AgentCommand::Enable { .. } => None,
    };
    let store = database(config).await?;
    let people = People::new(&store, Lifetime::default());
    let done = act(&people, command, password).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS).map_err(|error| match error {
        // A pointer into a body means nothing on a command line.
        CoreError::Invalid { pointer, message } => Failure::Usage(format!("{} {message}", pointer.trim_start_matches('/'))),
        CoreError::Conflict(message) => Failure::Usage(message),
        error => error.into(),
    })
}

async fn act(people: &People, command: AgentCommand, password: Option<Secret>) -> Result<(), CoreError> {
    let password = password.as_ref().map(Secret::reveal).unwrap_or_default();
    match command {
        AgentCommand::Add {
            login,
            name,
            role: roles,
            email,
            ..
        } => {
            let profile = Profile {
                login,
                name,
                email,
                roles,
                oidc: None,
                enabled: true,
            };
            let made = people.agents.put(&Actor::System, &Expected::Absent, profile).await?;
            people.agents.set_password(&Actor::System, &made.profile.login, password).await?;
            say(format_args!("{} can log in", made.profile.login));
        }
        AgentCommand::List => {
            for agent in people.agents.list().await? {
                say(line(&agent));
            }
        }
        AgentCommand::Disable { login } => enable(people, &login, false).await?,
        AgentCommand::Enable { login } => enable(people, &login, true).await?,
        AgentCommand::Password { login, .. } => {
            people.agents.set_password(&Actor::System, &login, password).await?;
            people.agents.remove_totp(&Actor::System, &login).await?;
        }
    }
    Ok(())
}

async fn enable(people: &People, login: &str, enabled: bool) -> Result<(), CoreError> {
    let agent = people.agents.get(login).await?;
    let profile = Profile { enabled, ..agent.profile };
    let expected = Expected::Versions(vec![agent.version]);
    people.agents.put(&Actor::System, &expected, profile).await.map(|_| ())
}

fn line(agent: &AgentRow) -> String {
    let profile = &agent.profile;
    let password = if agent.has_password { "password" } else { "no password" };
    let codes = if agent.has_totp { ", codes" } else { "" };
    let state = if profile.enabled { "enabled" } else { "disabled" };
    format!(
        "{}\t{}\t{}\t{password}{codes}\tmade {}\t{state}",
        profile.login,
        profile.name,
        profile.roles.join(" "),
        rfc3339(agent.created_at)
    )
}

/// The first line of a file that is not everybody's, or of standard input, if it is good enough.
fn read(file: Option<&Path>, known: &[&str]) -> Result<Secret, Failure> {
    let mut text = String::new();
    let (what, read) = match file {
        Some(file) => {
            let what = format!("reading {}", file.display());
            let open = File::open(file).map_err(Failure::system(what.clone()))?;
            let mode = open.metadata().map_err(Failure::system(what.clone()))?.permissions().mode();
            if mode & 0o007 != 0 {
                let message = format!("{}: everybody on this machine may read it; run chmod o-rwx on it", file.display());
                return Err(Failure::Usage(message));
            }
            (what, open.take(LARGEST).read_to_string(&mut text))
        }
        None if std::io::stdin().is_terminal() => {
            let message = "give the password by --password-file FILE or on standard input: what is typed here would be seen";
            return Err(Failure::Usage(message.to_owned()));
        }
        None => {
            let read = std::io::stdin().lock().take(LARGEST).read_to_string(&mut text);
            ("reading standard input".to_owned(), read)
        }
    };
    read.map_err(Failure::system(what))?;
    let password = text.lines().next().unwrap_or_default();
    password::check(password, Guard::Throttled, known).map_err(|message| Failure::Usage(format!("the password: {message}")))?;
    Ok(Secret::new(password))
}
