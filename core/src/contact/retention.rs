//! Recordings whose time is over are erased, unless somebody holds them.

use std::path::Path;

use serde_json::json;
use voxea_rules::visible::turns_direction;

use super::recordings::Recordings;
use crate::artefact::{self, Blobs, RecordingRow};
use crate::audit;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, NewEvent};
use crate::store::on;
use crate::vault::Place;

/// Recordings of one transaction.
const BATCH: i64 = 100;

/// The longest reason of a hold, in characters.
const REASON_CHARS: usize = 500;

#[derive(sqlx::FromRow)]
struct Purged {
    id: String,
    interaction_id: String,
}

impl Recordings {
    /// Keeps a recording from being erased, whatever its time, until [`Recordings::release`]. A new reason takes the place
    /// of an older one.
    ///
    /// # Errors
    /// As [`Recordings::get`]; [`CoreError::Invalid`] for a reason that is empty or longer than 500 characters,
    /// [`CoreError::Conflict`] when there is no sound any more; the store's.
    pub async fn hold(&self, actor: &Actor, id: &str, reason: &str) -> Result<RecordingRow> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS || reason.contains(turns_direction) {
            return Err(CoreError::invalid("/reason", "must say why, in 1 to 500 visible characters"));
        }
        self.set_hold(actor, id, Some(reason)).await
    }

    /// Lets its time count again. One that is not held stays as it is.
    ///
    /// # Errors
    /// As [`Recordings::hold`].
    pub async fn release(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        self.set_hold(actor, id, None).await
    }

    async fn set_hold(&self, actor: &Actor, id: &str, reason: Option<&str>) -> Result<RecordingRow> {
        self.reachable(actor, Operation::Admin, id).await?;
        let now = time::now();
        let sealed = self.vault.seal_some(Place::RecordingHold, id, reason)?;
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE recording SET hold_reason = $2, held_at = CASE WHEN $2 IS NULL THEN NULL ELSE $3 END, \
                   held_by = CASE WHEN $2 IS NULL THEN NULL ELSE $4 END WHERE id = $1 AND state <> 'purged' AND discarded_by IS NULL";
        let changed = on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(id).bind(sealed.as_deref()).bind(now).bind(actor.to_string()).execute(db).await.map(|done| done.rows_affected()))?;
        if changed == 0 {
            return Err(CoreError::Conflict("the recording was erased".to_owned()));
        }
        let action = if reason.is_some() { "held" } else { "released" };
        audit::append(&mut tx, &[audit::Entry::new(actor, action, format!("recording/{id}")).at(now)]).await?;
        tx.commit().await?;
        self.get(actor, id).await
    }

    /// Erases recordings whose time is over and that nobody holds. First the rows say so, in one commit with the events and
    /// the trail, and with it go the keys, so that nobody hears what copies of a file there may be; then the files go, here and in object storage. A file that a
    /// crash left, or an object storage that was away, is taken by the next run. Returns how many were erased.
    ///
    /// # Errors
    /// The store's, and [`Blobs::erase`]'s.
    pub async fn purge(&self, blobs: &Blobs, now: Millis) -> Result<usize> {
        let mut count = 0;
        loop {
            let marked = self.mark(now).await?;
            count += marked;
            if marked < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                break;
            }
        }
        self.take_away(blobs, now).await?;
        Ok(count)
    }

    async fn mark(&self, now: Millis) -> Result<usize> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE recording SET state = 'purged', reason = 'its time was over', data_key = NULL WHERE id IN (\
                   SELECT id FROM recording WHERE keep_until <= $1 AND hold_reason IS NULL AND state IN ('sealed', 'partial') \
                   ORDER BY keep_until, id LIMIT $2) RETURNING id, interaction_id";
        let purged: Vec<Purged> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(now).bind(BATCH).fetch_all(db).await)?;
        if purged.is_empty() {
            return Ok(0);
        }
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for recording in &purged {
            let sql = "SELECT request_id FROM request_interaction WHERE interaction_id = $1 ORDER BY position LIMIT 1";
            let request: Option<String> =
                on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&recording.interaction_id).fetch_optional(db).await)?;
            if let Some(request) = request {
                events.push(
                    NewEvent::of_request(EventKind::RecordingPurged, &request)
                        .with("interaction_id", recording.interaction_id.as_str())
                        .with("recording_id", recording.id.as_str())
                        .with("state", "purged"),
                );
            }
            let entry = audit::Entry::new(&Actor::System, "purged", format!("recording/{}", recording.id));
            entries.push(entry.at(now).detail(&json!({"interaction_id": recording.interaction_id})));
        }
        audit::append(&mut tx, &entries).await?;
        if !events.is_empty() {
            let first = feed::next_positions(&mut tx, events.len()).await?;
            feed::append(&mut tx, first, now, &events).await?;
        }
        tx.commit().await?;
        self.feed.committed();
        Ok(purged.len())
    }

    async fn take_away(&self, blobs: &Blobs, now: Millis) -> Result<()> {
        // What failed has a file at times, and is told of to nobody when that goes.
        // What was discarded goes at the end of its call, and here when that failed.
        let sql = "SELECT id, path FROM recording WHERE erased_at IS NULL AND keep_until <= $1 AND hold_reason IS NULL \
                   AND state IN ('purged', 'failed') \
                   UNION SELECT id, path FROM recording WHERE erased_at IS NULL AND discarded_by IS NOT NULL AND state = 'failed' \
                   ORDER BY id LIMIT 1000";
        let files: Vec<(String, String)> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(now).fetch_all(db).await)?;
        for (_, path) in &files {
            self.erase_here(blobs, path).await?;
        }
        for (id, path) in files {
            blobs.erase(&path).await?;
            blobs.erase(&manifest(&path)).await?;
            self.erased(&id, &path, now).await?;
        }
        Ok(())
    }

    /// Takes away the files of a recording on this machine alone.
    pub(super) async fn erase_here(&self, blobs: &Blobs, path: &str) -> Result<()> {
        blobs.erase_here(path).await?;
        blobs.erase_here(&manifest(path)).await
    }

    /// Notes that the files of a recording are gone, and takes its key if it still has one.
    pub(super) async fn erased(&self, id: &str, path: &str, now: Millis) -> Result<()> {
        let mut tx = self.store.begin().await?;
        artefact::forget(&mut tx, path).await?;
        artefact::forget(&mut tx, &manifest(path)).await?;
        let sql = "UPDATE recording SET erased_at = $2, data_key = NULL WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).bind(now).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }
}

/// What is signed of a recording lies beside its file.
fn manifest(path: &str) -> String {
    Path::new(path).with_extension("vman").to_string_lossy().into_owned()
}
