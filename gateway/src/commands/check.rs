//! `voxea check`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use voxea_core::base::error::Result;
use voxea_core::base::settings::Problem;
use voxea_core::catalogue::{Catalogue, Document, Snapshot};
use voxea_core::feed::Feed;
use voxea_core::store::Store;

use super::common::say;
use crate::config::{Config, ConfigError};
use crate::failure::Failure;

/// A database that takes longer is not asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says everything that is wrong with the configuration; 0 when nothing is, 2 otherwise. The database is only read, and only
/// where the configuration names themes.
///
/// # Errors
/// There is no configuration to check.
pub(super) async fn check(loaded: std::result::Result<Config, ConfigError>) -> std::result::Result<ExitCode, Failure> {
    let config = match loaded {
        Ok(config) => config,
        Err(wrong @ ConfigError::Wrong { .. }) => {
            say(&wrong);
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &config.warnings {
        say(warning);
    }
    let judged = if config.names_themes() { judged(&config).await } else { Vec::new() };
    let (harmless, wrong): (Vec<Problem>, Vec<Problem>) = judged.into_iter().partition(|problem| problem.harmless);
    for warning in &harmless {
        say(warning);
    }
    if !wrong.is_empty() {
        say(ConfigError::Wrong {
            file: config.file,
            problems: wrong,
        });
        return Ok(ExitCode::from(2));
    }
    let channels = usize::from(config.sip.is_some()) + config.smpp.len() + config.mailboxes.len() + config.scans.len();
    say(format_args!("the configuration is right; {} beside the API", counted(channels)));
    Ok(ExitCode::SUCCESS)
}

/// What the catalogue says. One that is not there yet will begin with what is shipped, unless another is imported first: what
/// that one lacks is a warning.
async fn judged(config: &Config) -> Vec<Problem> {
    let read = tokio::time::timeout(PATIENCE, catalogue(config)).await;
    let unread = match read {
        Ok(Ok(Some(catalogue))) => return config.judged_by(&catalogue),
        Ok(Ok(None)) => "there is no database yet, so it was compared with the catalogue that a new one begins with".to_owned(),
        Ok(Err(error)) => format!("the database could not be asked ({error}), so it was compared with the shipped catalogue"),
        Err(_) => "the database does not answer, so it was compared with the shipped catalogue".to_owned(),
    };
    let shipped = Document::shipped().map(|document| Snapshot::new(1, document, Default::default()));
    let judged = shipped.map(|shipped| config.judged_by(&shipped)).unwrap_or_default();
    let soften = |problem: Problem| Problem {
        message: format!("{} ({unread})", problem.message),
        harmless: true,
        ..problem
    };
    judged.into_iter().map(soften).collect()
}

/// The catalogue of the database; `None` when there is no database yet, or an empty one.
async fn catalogue(config: &Config) -> Result<Option<Arc<Snapshot>>> {
    let url = config.store.url.reveal();
    if let Some(path) = url.strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        return Ok(None);
    }
    let store = Store::open_read_only(url).await?;
    let door = Catalogue::new(store.clone(), Feed::new(store.clone()), config.organisation.calendar.clone());
    let read = door.fresh().await;
    store.close().await;
    read.map(|catalogue| Some(catalogue).filter(|catalogue| catalogue.version > 0))
}

fn counted(channels: usize) -> String {
    match channels {
        0 => "no channel".to_owned(),
        1 => "one channel".to_owned(),
        _ => format!("{channels} channels"),
    }
}
