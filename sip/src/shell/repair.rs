//! What a crash left: recordings without end.

use std::collections::HashMap;
use std::path::Path;

use tokio::task::spawn_blocking;
use voxea_core::Core;
use voxea_core::artefact::{CallEnd, RecordingOutcome, RecordingRow};
use voxea_core::base::account::Account;
use voxea_core::base::error::Result;
use voxea_core::base::time;
use voxea_recorder::reader;

/// Calls that were committed and never answered, by their interaction. Their callers still repeat the INVITE, and are
/// served when the repetition reaches us; after a while nobody will.
pub(super) type Orphans = HashMap<String, RecordingRow>;

/// Closes every recording that has a file and returns the calls that have none.
///
/// # Errors
/// The store's.
pub(super) async fn repair(core: &Core, account: &Account) -> Result<Orphans> {
    let mut orphans = Orphans::new();
    for row in core.recordings.unfinished(account).await? {
        let path = core.blobs.path(&row.path);
        let repaired = spawn_blocking(move || repair_file(&path)).await;
        match repaired.unwrap_or_else(|error| Some(failed(&error.to_string()))) {
            Some(outcome) => close(core, &row, &outcome).await?,
            None => {
                orphans.insert(row.interaction_id.clone(), row);
            }
        }
    }
    Ok(orphans)
}

/// Closes a call of which there is no sound.
///
/// # Errors
/// The store's.
pub(super) async fn give_up(core: &Core, row: &RecordingRow) -> Result<()> {
    close(core, row, &failed("the daemon died before the call was answered")).await
}

async fn close(core: &Core, row: &RecordingRow, outcome: &RecordingOutcome) -> Result<()> {
    core.recordings
        .ended(&row.interaction_id, CallEnd::Crash, time::now(), None, outcome)
        .await
}

/// `None` when there is no file.
fn repair_file(path: &Path) -> Option<RecordingOutcome> {
    if !path.exists() {
        return None;
    }
    Some(match reader::repair(path) {
        Ok(0) => failed("the daemon died before the recording began"),
        Ok(samples) => RecordingOutcome::Partial {
            samples,
            reason: "the daemon died during the call".to_owned(),
        },
        Err(error) => failed(&error.to_string()),
    })
}

fn failed(reason: &str) -> RecordingOutcome {
    RecordingOutcome::Failed { reason: reason.to_owned() }
}
