//! Recordings and the calls they belong to, from the answer to the sealed file.

use super::reached::{INTERACTION, reached};
use crate::artefact::{Ending, RecordingOutcome, RecordingRow, RecordingState};
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::catalogue::Catalogue;
use crate::feed::{self, EventKind, Feed, NewEvent};
use crate::store::on;
use crate::store::{Store, Tx};

const COLUMNS: &str = "SELECT id, interaction_id, state, path, codec, rate, samples, reason, started_at, sealed_at FROM recording";

/// The door to recordings.
#[derive(Debug, Clone)]
pub struct Recordings {
    store: Store,
    feed: Feed,
    catalogue: Catalogue,
}

impl Recordings {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, feed: Feed, catalogue: Catalogue) -> Self {
        Self { store, feed, catalogue }
    }

    /// One recording.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor reaches no request of its call; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        let row: Option<RecordingRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let missing = CoreError::NotFound { what: "recording" };
        let Some(row) = row else { return Err(missing) };
        let reach = self.catalogue.reach(actor, Operation::Read);
        let reached = reached(&self.store, &reach, INTERACTION, &row.interaction_id).await?;
        reached.map(|_| row).ok_or(missing)
    }

    /// Recordings of `account` that never came to an end: what a crash left.
    ///
    /// # Errors
    /// The store's.
    pub async fn unfinished(&self, account: &Account) -> Result<Vec<RecordingRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE state IN ('recording', 'sealing') \
             AND interaction_id IN (SELECT id FROM interaction WHERE account = $1) ORDER BY id LIMIT 10000"
        ));
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(account.key()).fetch_all(db).await)?)
    }

    /// The caller confirmed our 200 and hears the greeting.
    ///
    /// # Errors
    /// The store's.
    pub async fn answered(&self, interaction_id: &str, at: Millis) -> Result<()> {
        let sql = "UPDATE call_detail SET answered_at = $2 WHERE interaction_id = $1 AND answered_at IS NULL";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(interaction_id).bind(at).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// The call is over. Tells how it ended and what became of its audio; `started_at` is the moment of sample 0.
    /// A call that has ended already is left as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn ended(&self, interaction_id: &str, ending: &Ending, started_at: Option<Millis>, outcome: &RecordingOutcome) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE call_detail SET ended_at = $2, ended_by = $3, ended_reason = $4 WHERE interaction_id = $1 AND ended_by IS NULL";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(interaction_id).bind(ending.at).bind(ending.by.as_str())
            .bind(&ending.reason).execute(db).await.map(|_| ()))?;
        let sealed = seal(&mut tx, interaction_id, started_at, outcome).await?;
        if let Some((recording_id, request_id)) = sealed {
            let sql = "UPDATE request SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING version";
            let version: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&request_id).bind(time::now()).fetch_one(db).await)?;
            let (kind, state) = match outcome {
                RecordingOutcome::Sealed { .. } => (EventKind::RecordingAvailable, RecordingState::Sealed),
                RecordingOutcome::Partial { .. } => (EventKind::RecordingAvailable, RecordingState::Partial),
                RecordingOutcome::Failed { .. } => (EventKind::RecordingFailed, RecordingState::Failed),
            };
            let recording = NewEvent::of_request(kind, &request_id)
                .with("interaction_id", interaction_id)
                .with("recording_id", recording_id)
                .with("state", state.as_str())
                .with("end", ending.by.as_str());
            let updated = NewEvent::of_request(EventKind::RequestUpdated, &request_id).with("version", version);
            let first = feed::next_positions(&mut tx, 2).await?;
            feed::append(&mut tx, first, time::now(), &[recording, updated]).await?;
        }
        tx.commit().await?;
        self.feed.committed();
        Ok(())
    }
}

/// Closes the recording's row and returns its id and its request's, unless it was closed before.
async fn seal(
    tx: &mut Tx,
    interaction_id: &str,
    started_at: Option<Millis>,
    outcome: &RecordingOutcome,
) -> Result<Option<(String, String)>> {
    let (state, samples, reason) = match outcome {
        RecordingOutcome::Sealed { samples } => (RecordingState::Sealed, *samples, None),
        RecordingOutcome::Partial { samples, reason } => (RecordingState::Partial, *samples, Some(reason)),
        RecordingOutcome::Failed { reason } => (RecordingState::Failed, 0, Some(reason)),
    };
    let sql = "UPDATE recording SET state = $2, samples = $3, reason = $4, sealed_at = $5, started_at = COALESCE($6, started_at) \
               WHERE interaction_id = $1 AND state IN ('recording', 'sealing') RETURNING id";
    let id: Option<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql)
        .bind(interaction_id).bind(state.as_str()).bind(i64::try_from(samples).unwrap_or(i64::MAX)).bind(reason)
        .bind(time::now()).bind(started_at).fetch_optional(db).await)?;
    let Some(id) = id else { return Ok(None) };
    let sql = "SELECT request_id FROM request_interaction WHERE interaction_id = $1 ORDER BY position LIMIT 1";
    let request: Option<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(interaction_id).fetch_optional(db).await)?;
    Ok(request.map(|request| (id, request)))
}
