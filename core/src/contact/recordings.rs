//! Recordings and the calls they belong to, from the answer to the sealed file.

use super::call_notes::{CallNotes, What};
use super::live::Live;
use super::reached::{INTERACTION, reached};
use crate::artefact::{Ending, RecordingOutcome, RecordingRow};
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::Millis;
use crate::catalogue::Catalogue;
use crate::feed::Feed;
use crate::store::Store;
use crate::store::on;
use crate::vault::{DataKey, Place, Vault};

pub(super) const COLUMNS: &str = "SELECT id, interaction_id, state, path, codec, rate, samples, reason, started_at, sealed_at, data_key, keep_days, keep_until, \
     hold_reason, held_at, held_by, discarded_by, \
     (SELECT answered_at FROM call_detail c WHERE c.interaction_id = recording.interaction_id) AS answered_at FROM recording";

/// The door to recordings.
#[derive(Debug, Clone)]
pub struct Recordings {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    catalogue: Catalogue,
    notes: CallNotes,
    pub(super) live: Live,
}

impl Recordings {
    /// Over a store. Starts the task that notes what becomes of calls on the current runtime.
    #[must_use]
    pub fn new(store: Store, vault: Vault, feed: Feed, catalogue: Catalogue) -> Self {
        let notes = CallNotes::start(store.clone(), feed.clone());
        Self {
            store,
            vault,
            feed,
            catalogue,
            notes,
            live: Live::default(),
        }
    }

    /// One recording.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor reaches no request of its call; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        self.shown(actor, Operation::Read, id).await
    }

    /// One recording with its pauses, for somebody who may do this with its request.
    pub(super) async fn shown(&self, actor: &Actor, operation: Operation, id: &str) -> Result<RecordingRow> {
        let mut row = self.reachable(actor, operation, id).await?;
        row.pauses = self.pauses(id).await?;
        Ok(row)
    }

    /// One recording, for somebody who may do this with its request.
    pub(super) async fn reachable(&self, actor: &Actor, operation: Operation, id: &str) -> Result<RecordingRow> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        let row: Option<RecordingRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let missing = CoreError::NotFound { what: "recording" };
        let Some(mut row) = row else { return Err(missing) };
        let reach = self.catalogue.reach(actor, operation);
        let reached = reached(&self.store, &reach, INTERACTION, &row.interaction_id).await?;
        self.vault.opening(id).some(Place::RecordingHold, &mut row.hold_reason).strict()?;
        reached.map(|_| row).ok_or(missing)
    }

    /// The key of a recording's file; `None` where files are plain.
    ///
    /// # Errors
    /// [`CoreError::Sealed`] when it was changed, or destroyed.
    pub fn key(&self, row: &RecordingRow) -> Result<Option<DataKey>> {
        self.vault.open_data_key(&row.id, row.data_key.as_deref())
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

    /// Recordings of `account` of which the disk took no manifest when they were closed, at most a thousand. Only these may
    /// still be signed: of any other a missing manifest was taken away.
    ///
    /// # Errors
    /// The store's.
    pub async fn to_sign(&self, account: &Account) -> Result<Vec<RecordingRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE to_sign = 1 AND state = 'partial' \
             AND interaction_id IN (SELECT id FROM interaction WHERE account = $1) ORDER BY id LIMIT 1000"
        ));
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(account.key()).fetch_all(db).await)?)
    }

    /// A recording has got its manifest.
    ///
    /// # Errors
    /// The store's.
    pub async fn signed(&self, id: &str) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE recording SET to_sign = 0 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// The caller confirmed our 200 and hears the greeting. `codec` (`pcma`, `pcmu`, `g722`) where another one was agreed on
    /// than the call was taken in with: a caller that offered none chooses it with its ACK.
    ///
    /// # Errors
    /// The store's.
    pub async fn answered(&self, interaction_id: &str, at: Millis, codec: Option<&str>) -> Result<()> {
        let codec = codec.map(str::to_owned);
        self.notes.note(interaction_id, at, What::Answered { codec }).await
    }

    /// The call is over. Tells how it ended and what became of its audio; `started_at` is the moment of sample 0.
    /// A call that has ended already is left as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn ended(&self, interaction_id: &str, ending: &Ending, started_at: Option<Millis>, outcome: &RecordingOutcome) -> Result<()> {
        let what = What::Ended {
            ending: Box::new(ending.clone()),
            started_at,
            outcome: outcome.clone(),
        };
        self.notes.note(interaction_id, ending.at, what).await
    }
}
