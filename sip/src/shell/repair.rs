//! What a crash left: recordings without end.

use std::collections::HashMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use tokio::task::spawn_blocking;
use voxea_core::Core;
use voxea_core::artefact::{CallEnd, Ending, RecordingOutcome, RecordingRow};
use voxea_core::base::account::Account;
use voxea_core::base::error::Result;
use voxea_core::base::time::{self, Millis};
use voxea_recorder::repair::Closed;

use super::evidence;
use crate::media::Kept;

/// Calls that were committed and never answered, by their interaction. Their callers still repeat the INVITE, and are
/// served when the repetition reaches us; after a while nobody will.
pub(super) type Orphans = HashMap<String, RecordingRow>;

/// Closes every call that was answered or has a file, and returns those that may not have been.
///
/// # Errors
/// The store's.
pub(super) async fn repair(core: &Core, account: &Account) -> Result<Orphans> {
    let mut orphans = Orphans::new();
    for row in core.recordings.unfinished(account).await? {
        if row.discarded_by.is_some() {
            // Nothing of it is to stay, and it has no key any more.
            close(core, &row, &failed("it was discarded"), time::now()).await?;
            core.recordings.erase_discarded(&core.blobs, &row.id).await?;
            continue;
        }
        let path = core.blobs.path(&row.path);
        let repaired = match core.recordings.key(&row) {
            Ok(key) => {
                let kept = evidence::kept(core, &row.id, key.as_ref().map(evidence::key));
                spawn_blocking(move || repair_file(&path, &kept)).await
            }
            Err(error) => Ok(Some((failed(&error.to_string()), time::now()))),
        };
        let repaired = repaired.unwrap_or_else(|error| Some((failed(&error.to_string()), time::now())));
        match (repaired, row.answered_at) {
            (Some((outcome, last)), _) => close(core, &row, &outcome, last).await?,
            // A file is made with the first sample: the caller was hearing what is said before it.
            (None, Some(answered)) => close(core, &row, &failed("the daemon died before the recording began"), answered).await?,
            (None, None) => {
                orphans.insert(row.interaction_id.clone(), row);
            }
        }
    }
    sign_late(core, account).await?;
    Ok(orphans)
}

/// Signs what the disk took no manifest of before the process ended, and what it took one of too late to be told. Nothing else:
/// who can take a manifest away must not have another one made for what he put in the sound's place.
async fn sign_late(core: &Core, account: &Account) -> Result<()> {
    for row in core.recordings.to_sign(account).await? {
        // Who has no key any more has nothing that could be signed.
        let Ok(key) = core.recordings.key(&row) else { continue };
        let kept = evidence::kept(core, &row.id, key.as_ref().map(evidence::key));
        let why = row.reason.unwrap_or_default();
        let samples = u64::try_from(row.samples).unwrap_or(0);
        let signed = spawn_blocking(move || kept.catch_up(&why, time::now(), samples)).await;
        match signed {
            Ok(Ok(true)) => {
                core.recordings.signed(&row.id).await?;
                tracing::info!(recording = row.id, "a recording has got its manifest");
            }
            Ok(Ok(false)) => tracing::error!(recording = row.id, "a recording's file is gone before it had a manifest"),
            Ok(Err(error)) => tracing::error!(%error, recording = row.id, "a recording has no manifest"),
            Err(error) => tracing::error!(%error, recording = row.id, "a recording has no manifest"),
        }
    }
    Ok(())
}

/// Closes a call of which there is no sound.
///
/// # Errors
/// The store's.
pub(super) async fn give_up(core: &Core, row: &RecordingRow) -> Result<()> {
    close(
        core,
        row,
        &failed("the daemon died before the call was answered, or at once after it"),
        time::now(),
    )
    .await
}

async fn close(core: &Core, row: &RecordingRow, outcome: &RecordingOutcome, at: Millis) -> Result<()> {
    core.recordings
        .ended(&row.interaction_id, &Ending::new(CallEnd::Crash, at), None, outcome)
        .await
}

/// What is to be saved, and when the call ended: with the last thing that was written of it. `None` when there is no file.
fn repair_file(path: &Path, kept: &Kept) -> Option<(RecordingOutcome, Millis)> {
    let written = path.metadata().ok()?.modified();
    let last = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let last = last.and_then(|since| Millis::try_from(since.as_millis()).ok());
    let outcome = match kept.close("the daemon died during the call", time::now()) {
        Ok(Closed { samples: 0, .. }) => failed("the daemon died before the recording began"),
        Ok(Closed {
            samples,
            partial: Some(reason),
        }) => RecordingOutcome::Partial {
            samples,
            reason,
            signed: true,
        },
        // It had been closed, and only the store did not know.
        Ok(Closed { samples, partial: None }) => RecordingOutcome::Sealed { samples },
        Err(error) => failed(&error.words()),
    };
    Some((outcome, last.unwrap_or_else(time::now)))
}

fn failed(reason: &str) -> RecordingOutcome {
    RecordingOutcome::Failed { reason: reason.to_owned() }
}
