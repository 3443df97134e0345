//! `voxea recording`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use voxea_core::artefact::{Bucket, RecordingRow, RecordingState, Shelf, belongs};
use voxea_core::audit::PublicKey;
use voxea_core::contact::evidence;
use voxea_core::store::Store;
use voxea_core::vault::Vault;
use voxea_recorder::Key;
use voxea_recorder::verify::{Sound, verify};

use super::audit::own_key;
use super::common::say;
use crate::config::{Config, ConfigError};
use crate::failure::Failure;
use crate::sound::{self, Doubt};

/// The exit code when nothing was found wrong, and not all could be reached.
const AWAY: u8 = 3;
/// Recordings between two words on how far it is.
const STRIDE: u64 = 1_000;

/// What to do with recordings. No command changes them.
#[derive(Debug, Subcommand)]
pub(super) enum RecordingCommand {
    /// Hold recordings against the manifests that were signed when they were closed, and name the first chunk or member that
    /// was changed since. Needs no daemon, no network but for what is in object storage, and writes nothing; exit 0 when all is sound, 1
    /// when not, 3 when nothing was found wrong, but object storage could not be reached.
    Verify(Verify),
}

/// Which ones, and what they are held against.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The recording's id, as the API shows it.
    #[arg(required_unless_present_any = ["all", "file"], conflicts_with_all = ["all", "file"])]
    id: Option<String>,
    /// Every recording that the database says has sound.
    #[arg(long)]
    all: bool,
    /// A copy of a recording's file, its manifest beside it; needs no database. An encrypted one is held against the signed
    /// chain, and not opened.
    #[arg(long, conflicts_with = "all")]
    file: Option<PathBuf>,
    /// The public key that the town kept; after a change of keys each of them. Without it, that of the daemon's own key.
    #[arg(long)]
    public_key: Vec<PublicKey>,
}

/// Does what was asked. The configuration is only looked for where it is needed.
///
/// # Errors
/// What was typed, the configuration's, the database's.
pub(super) async fn recording(load: impl Fn() -> Result<Config, ConfigError>, command: RecordingCommand) -> Result<ExitCode, Failure> {
    let RecordingCommand::Verify(wanted) = command;
    let keys = if wanted.public_key.is_empty() {
        vec![own_key(&load()?)?]
    } else {
        wanted.public_key
    };
    let trusted: Vec<[u8; 32]> = keys.iter().map(PublicKey::octets).collect();
    if let Some(file) = wanted.file {
        return copy(&file, &trusted);
    }
    let config = load()?;
    let store = Store::open_read_only(config.store.url.reveal()).await?;
    let judged = stored(&store, &config, wanted.id.as_deref(), &trusted).await;
    store.close().await;
    judged
}

/// A copy, wherever it lies.
fn copy(file: &Path, trusted: &[[u8; 32]]) -> Result<ExitCode, Failure> {
    let named = file.file_stem().and_then(|stem| stem.to_str());
    let id = named.ok_or_else(|| Failure::Usage(format!("{}: is no recording's file: its name is its id", file.display())))?;
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Ok(match verify(folder, id, None, trusted) {
        Ok(sound) => {
            report(id, &sound);
            ExitCode::SUCCESS
        }
        Err(fault) => broken(id, &fault),
    })
}

/// One that the database knows, or all.
async fn stored(store: &Store, config: &Config, id: Option<&str>, trusted: &[[u8; 32]]) -> Result<ExitCode, Failure> {
    let vault = Vault::look(store, config.store.master_keys.as_ref()).await?;
    // Else every file in object storage would be said to be missing.
    belongs(store, config.store.bucket.as_ref().map(Bucket::name)).await?;
    let shelf = Shelf::new(config.store.blobs.clone(), config.store.bucket.clone());
    let trusted: Arc<[[u8; 32]]> = trusted.into();
    if let Some(id) = id {
        let row = evidence::recording(store, id).await?;
        let state = row.state.parse::<RecordingState>().ok();
        if !state.is_some_and(RecordingState::is_audible) {
            let why = row.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            say(format_args!("{id}: no sound to verify, its state is {}{why}", row.state));
            return Ok(ExitCode::FAILURE);
        }
        return Ok(match judge(&vault, &shelf, &row, &trusted).await {
            Ok(sound) => {
                report(id, &sound);
                ExitCode::SUCCESS
            }
            Err(Doubt::Wrong(fault)) => broken(id, &fault),
            Err(Doubt::Away(words)) => away(id, &words),
        });
    }
    let (mut after, mut sound, mut wrong, mut unreached) = (String::new(), 0_u64, 0_u64, 0_u64);
    loop {
        let rows = evidence::audible(store, &after).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.id);
        for row in rows {
            match judge(&vault, &shelf, &row, &trusted).await {
                Ok(_) => sound += 1,
                Err(Doubt::Wrong(fault)) => {
                    wrong += 1;
                    broken(&row.id, &fault);
                }
                Err(Doubt::Away(words)) => {
                    unreached += 1;
                    away(&row.id, &words);
                }
            }
            let seen = sound + wrong + unreached;
            if seen.is_multiple_of(STRIDE) && std::io::stderr().is_terminal() {
                let _ = writeln!(std::io::stderr().lock(), "{seen} recordings");
            }
        }
    }
    let reached = match unreached {
        0 => String::new(),
        some => format!("; could not be reached: {some}"),
    };
    say(format_args!("sound: {sound} recordings; not sound: {wrong}{reached}"));
    Ok(match (wrong, unreached) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(AWAY),
        _ => {
            say(format_args!(
                "Keep what is not sound and its manifest as they are, and compare with the copies of a back-up (docs/recordings.md)"
            ));
            ExitCode::FAILURE
        }
    })
}

/// The file and its manifest, and both against the row.
async fn judge(vault: &Vault, shelf: &Shelf, row: &RecordingRow, trusted: &Arc<[[u8; 32]]>) -> Result<Sound, Doubt> {
    let key = vault
        .open_data_key(&row.id, row.data_key.as_deref())
        .map_err(|error| Doubt::Wrong(format!("database, {error}")))?
        .map(|key| Key::new(key.octets()));
    let sound = sound::verify(shelf, row, key, Arc::clone(trusted)).await?;
    let said = &sound.manifest;
    if said.state != row.state {
        return Err(Doubt::Wrong(format!(
            "database, state: it is {}, and was {} when it was closed",
            row.state, said.state
        )));
    }
    if u64::try_from(row.samples).ok() != Some(said.samples) {
        return Err(Doubt::Wrong(format!(
            "database, samples: they are {}, and the manifest says {}",
            row.samples, said.samples
        )));
    }
    Ok(sound)
}

fn broken(id: &str, fault: &impl std::fmt::Display) -> ExitCode {
    say(format_args!("NOT SOUND: {id}: {fault}"));
    ExitCode::FAILURE
}

fn away(id: &str, words: &str) -> ExitCode {
    say(format_args!("could not be verified: {id}: {words}"));
    ExitCode::from(AWAY)
}

fn report(id: &str, sound: &Sound) {
    let said = &sound.manifest;
    let chunks: u64 = said.segments.iter().map(|segment| segment.chunks).sum();
    let encrypted = said.segments.iter().any(|segment| segment.encrypted);
    let how = match (encrypted, sound.opened) {
        (false, _) => "plain",
        (true, true) => "encrypted, every chunk opens",
        (true, false) => "encrypted, not opened",
    };
    say(format_args!(
        "sound: {id}: {}, {} ms, {chunks} chunks, {how}",
        said.state,
        said.samples * 1000 / u64::from(said.rate.max(1))
    ));
}
