//! `voxea audit`.

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use voxea_core::audit::{self, Broken, PublicKey, Seen, SigningKey, Sound, Trust};
use voxea_core::base::time::{self, Millis, rfc3339};
use voxea_core::store::Store;

use super::common::say;
use crate::config::{Config, ConfigError};
use crate::failure::Failure;

/// Rows between two words on how far it is.
const STRIDE: i64 = 100_000;

/// What to do with the audit trail. No command changes it.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Verify the trail, and name the first thing that is wrong with it. Needs no daemon and no network, and reads the
    /// database without writing it; exit 0 when all is sound, 1 when not.
    Verify(Verify),
    /// Print the trail as JSON Lines, which `verify --file` verifies without the database.
    Export {
        /// The first day: 2026-01-31.
        #[arg(long)]
        from: Option<String>,
        /// The last day.
        #[arg(long)]
        to: Option<String>,
    },
    /// Print the public half of the key that signs, to be kept apart from this machine.
    Key,
    /// Make a key and print it; `[audit] signing_key_file` names the file that it is put into.
    NewKey,
}

/// What the trail is held against.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The public key that the town kept; after a change of keys each of them. Without it, that of the daemon's own key.
    #[arg(long)]
    public_key: Vec<PublicKey>,
    /// A checkpoint that the town kept: the number of its row, a colon, its hash. Without it, the last one that this
    /// machine signed.
    #[arg(long)]
    seen: Option<Seen>,
    /// An export instead of the database; `-` is standard input.
    #[arg(long)]
    file: Option<PathBuf>,
}

/// Does what was asked. The configuration is only looked for where it is needed.
///
/// # Errors
/// What was typed, the configuration's, the database's, the file's.
pub(super) async fn audit(load: impl Fn() -> Result<Config, ConfigError>, command: AuditCommand) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::NewKey => say(SigningKey::generate()?.reveal().trim_end()),
        AuditCommand::Key => say(own_key(&load()?)?),
        AuditCommand::Export { from, to } => {
            let config = load()?;
            let (from, to) = (day(&config, "--from", from.as_deref())?, day(&config, "--to", to.as_deref())?);
            let store = Store::open_read_only(config.store.url.reveal()).await?;
            let mut out = BufWriter::new(std::io::stdout());
            let written = audit::export(&store, from.map(|day| day.0), to.map(|day| day.1), &mut out).await;
            store.close().await;
            written?;
            out.flush().map_err(Failure::system("writing the export"))?;
        }
        AuditCommand::Verify(wanted) => return verify(load, wanted).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(load: impl Fn() -> Result<Config, ConfigError>, wanted: Verify) -> Result<ExitCode, Failure> {
    let mut trust = Trust {
        named: !wanted.public_key.is_empty(),
        keys: wanted.public_key,
        seen: wanted.seen,
    };
    if trust.keys.is_empty() {
        trust.keys.push(own_key(&load()?)?);
    }
    let mut signers = Vec::new();
    let found = match wanted.file {
        Some(file) => from_file(&file, &trust)?,
        None => {
            let config = load()?;
            if trust.seen.is_none() {
                trust.seen = last_seen(&config.audit.trail.seen)?;
            }
            let store = Store::open_read_only(config.store.url.reveal()).await?;
            let found = audit::verify(&store, &trust, time::now(), tell_progress()).await;
            if let Ok(Err(Broken::Stranger(..))) = &found {
                signers = audit::signers(&store).await?;
            }
            store.close().await;
            found?
        }
    };
    Ok(match found {
        Ok(sound) => {
            report(&sound);
            for (from, key) in sound.keys.iter().skip(1) {
                say(format_args!("from row {from} on another key signs: {key}"));
            }
            ExitCode::SUCCESS
        }
        Err(broken) => {
            say(format_args!("NOT SOUND: {broken}"));
            for signer in signers {
                let known = trust.keys.iter().any(|key| key.id() == signer.key_id);
                let whose = if known { "given" } else { "not given" };
                let (key, count) = (&signer.key_id, counted(signer.checkpoints, "checkpoint"));
                say(format_args!(
                    "key {key}, {whose}: {count}, at rows {} to {}",
                    signer.first, signer.last
                ));
            }
            ExitCode::FAILURE
        }
    })
}

fn from_file(file: &Path, trust: &Trust) -> Result<Result<Sound, Broken>, Failure> {
    let named = |reason: String| Failure::Usage(format!("{}: {reason}", file.display()));
    if file == Path::new("-") {
        return audit::verify_lines(std::io::stdin().lock(), trust).map_err(named);
    }
    let open = File::open(file).map_err(|error| named(error.to_string()))?;
    audit::verify_lines(BufReader::new(open), trust).map_err(named)
}

/// A word every hundred thousand rows, for the person who waits.
fn tell_progress() -> impl FnMut(i64, i64) {
    let mut told = 0;
    move |rows, of| {
        if rows / STRIDE > told && std::io::stderr().is_terminal() {
            told = rows / STRIDE;
            let _ = writeln!(std::io::stderr().lock(), "{rows} of {of} rows");
        }
    }
}

fn report(sound: &Sound) {
    if let Some((seq, at)) = sound.anchor {
        say(format_args!("begins at checkpoint {seq} of {}", rfc3339(at)));
    }
    say(match sound.rows {
        0 => "sound: no rows".to_owned(),
        rows => format!("sound: {}, {} to {}", counted(rows, "row"), sound.first, sound.last),
    });
    match sound.signed {
        Some((seq, at)) => say(format_args!(
            "{}, the last one at row {seq} of {}; not signed yet: {}",
            counted(sound.checkpoints, "checkpoint"),
            rfc3339(at),
            counted(sound.last - seq, "row")
        )),
        None => say("no checkpoint: nothing of it is signed yet"),
    }
}

fn counted(count: i64, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// The public half of the key that the daemon signs with.
pub(super) fn own_key(config: &Config) -> Result<PublicKey, Failure> {
    let file = &config.audit.trail.signing_key;
    let key = SigningKey::read(file).map_err(|reason| {
        Failure::Usage(format!(
            "{}: {reason}; the daemon makes it at its first start, and --public-key does without it",
            file.display()
        ))
    })?;
    Ok(key.public())
}

/// The last checkpoint that this machine signed, if it has signed any.
fn last_seen(file: &Path) -> Result<Option<Seen>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let seen = text
                .parse()
                .map_err(|reason| Failure::Usage(format!("{}: {reason}", file.display())))?;
            Ok(Some(seen))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::system(format!("reading {}", file.display()))(error)),
    }
}

/// A day of the organisation: its first moment, and the first one after it.
fn day(config: &Config, option: &str, text: Option<&str>) -> Result<Option<(Millis, Millis)>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let zone = &config.organisation.time_zone;
    let day = time::start_of_day(text, zone).zip(time::end_of_day(text, zone));
    let wrong = || Failure::Usage(format!("{option} {text:?} is no day; an example: {option} 2026-01-31"));
    day.map(Some).ok_or_else(wrong)
}
