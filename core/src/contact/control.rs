//! Recordings that are being made are paused, resumed, stopped, discarded.
//!
//! A pause is in force before it is written down: whoever asks for one has something to hide from the tape, whether or not
//! the store is there. What could not be written is written by the same call when it comes again, or by the end of the call.

use std::time::{Duration, Instant};

use serde_json::json;

use super::live::{Done, Entered, Order, Wish};
use super::recordings::Recordings;
use crate::artefact::{Blobs, Pause, PauseRow, RecordingRow, RecordingState};
use crate::audit;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time;
use crate::store::on;

/// How long a pause may take to be in force; a media thread looks every 20 ms.
const SOON: Duration = Duration::from_secs(2);

/// How long a call may take to end, its file to be closed and its end to be committed.
const UNTIL_OVER: Duration = Duration::from_secs(5);

impl Recordings {
    /// Says that a recording is being made in this process, and where orders for it go.
    #[must_use]
    pub fn enter(&self, recording: &str, orders: tokio::sync::mpsc::Sender<Order>) -> Entered {
        self.live.enter(recording, orders)
    }

    /// From now on the recording has silence. One that is paused stays so.
    ///
    /// # Errors
    /// As [`Recordings::get`]; [`CoreError::Conflict`] when nothing is being recorded, or it was paused too often;
    /// [`CoreError::Unanswered`] when the call is not this process's, or does not answer; the store's, when the pause is in
    /// force and could not be entered.
    pub async fn pause(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        let at = Instant::now();
        let row = self.going_on(actor, id).await?;
        if let Some(pause) = self.in_force(actor, &row, Wish::Pause, at).await? {
            let sql = "INSERT INTO recording_pause (recording_id, number, first_sample, samples, paused_by) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (recording_id, number) DO UPDATE SET paused_by = excluded.paused_by \
                       WHERE recording_pause.paused_by IS NULL";
            self.enter_pause(sql, actor, "paused", &row, pause).await?;
        }
        self.shown(actor, Operation::Reply, id).await
    }

    /// From now on it is recorded again. One that is not paused stays so.
    ///
    /// # Errors
    /// As [`Recordings::pause`].
    pub async fn resume(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        let at = Instant::now();
        let row = self.going_on(actor, id).await?;
        if let Some(pause) = self.in_force(actor, &row, Wish::Resume, at).await? {
            let sql = "INSERT INTO recording_pause (recording_id, number, first_sample, samples, resumed_by) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (recording_id, number) DO UPDATE SET samples = excluded.samples, resumed_by = excluded.resumed_by \
                       WHERE recording_pause.samples IS NULL";
            self.enter_pause(sql, actor, "resumed", &row, pause).await?;
        }
        self.shown(actor, Operation::Reply, id).await
    }

    /// The recording ends here and is closed; so does its call. Returns when both are committed.
    ///
    /// # Errors
    /// As [`Recordings::pause`].
    pub async fn stop(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        let at = Instant::now();
        self.going_on(actor, id).await?;
        self.ordered(actor, id, Wish::Stop, at, UNTIL_OVER).await?;
        self.shown(actor, Operation::Reply, id).await
    }

    /// Nothing stays of a recording that is being made, or would be: its key is destroyed at once, its call ends, its file
    /// goes. What was committed first holds whatever happens then: the next start ends it, or the hourly job.
    ///
    /// # Errors
    /// As [`Recordings::pause`]; [`CoreError::Conflict`] also when somebody holds it; [`CoreError::File`].
    pub async fn discard(&self, actor: &Actor, id: &str, blobs: &Blobs) -> Result<RecordingRow> {
        let at = Instant::now();
        let row = self.going_on(actor, id).await?;
        if !self.live.knows(id) {
            return Err(elsewhere());
        }
        if row.discarded_by.is_none() {
            self.claim(actor, &row).await?;
        }
        let over = self.ordered(actor, id, Wish::Discard, at, UNTIL_OVER).await;
        if !self.erase_discarded(blobs, id).await? {
            over?;
            return Err(elsewhere());
        }
        self.shown(actor, Operation::Reply, id).await
    }

    /// Takes away the files of a recording that was discarded and of which the call is over, if it is. Says whether it was. It was
    /// never closed, and so never left this machine: no object storage is asked, which may be away.
    ///
    /// # Errors
    /// The store's; [`CoreError::File`].
    pub async fn erase_discarded(&self, blobs: &Blobs, id: &str) -> Result<bool> {
        let sql = "SELECT path FROM recording WHERE id = $1 AND discarded_by IS NOT NULL AND state = 'failed'";
        let path: Option<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(id).fetch_optional(db).await)?;
        let Some(path) = path else { return Ok(false) };
        self.erase_here(blobs, &path).await?;
        self.erased(id, &path, time::now()).await?;
        Ok(true)
    }

    /// The pauses of a recording, in order.
    pub(super) async fn pauses(&self, id: &str) -> Result<Vec<PauseRow>> {
        let sql = "SELECT first_sample, samples, paused_by, resumed_by FROM recording_pause WHERE recording_id = $1 ORDER BY number";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_all(db).await)?)
    }

    /// A recording that is being made, for somebody who may change its request.
    async fn going_on(&self, actor: &Actor, id: &str) -> Result<RecordingRow> {
        let row = self.reachable(actor, Operation::Reply, id).await?;
        if row.state != RecordingState::Recording.as_str() {
            let what = format!("nothing is being recorded any more: the recording is {}", row.state);
            return Err(CoreError::Conflict(what));
        }
        Ok(row)
    }

    async fn in_force(&self, actor: &Actor, row: &RecordingRow, wish: Wish, at: Instant) -> Result<Option<Pause>> {
        match self.ordered(actor, &row.id, wish, at, SOON).await? {
            Done::InForce(pause) => Ok(pause),
            // Nobody answers so to these.
            Done::Over | Done::NotBegun | Done::Ending | Done::Full => Ok(None),
        }
    }

    /// Gives an order; what was done, when it was.
    async fn ordered(&self, actor: &Actor, id: &str, wish: Wish, at: Instant, within: Duration) -> Result<Done> {
        let refused = match self.live.order(id, wish, at, actor, within).await {
            None => return Err(elsewhere()),
            Some(done @ (Done::InForce(_) | Done::Over)) => return Ok(done),
            Some(Done::NotBegun) => "nothing is being recorded yet: the caller hears the announcement",
            Some(Done::Ending) => "nothing is being recorded any more: the call ends",
            Some(Done::Full) => "it was paused as often as a recording can be; it can be stopped, or discarded",
        };
        Err(CoreError::Conflict(refused.to_owned()))
    }

    /// Writes a pause, or its end, with its row of the trail; once.
    async fn enter_pause(&self, sql: &'static str, actor: &Actor, action: &str, row: &RecordingRow, pause: Pause) -> Result<()> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut tx = self.store.begin().await?;
        let entered = on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&row.id).bind(i64::from(pause.number)).bind(number(pause.first)).bind(pause.samples.map(number))
            .bind(actor.to_string()).execute(db).await.map(|done| done.rows_affected()))?;
        if entered == 0 {
            return Ok(());
        }
        let entry = audit::Entry::new(actor, action, format!("recording/{}", row.id));
        audit::append(&mut tx, &[entry.detail(&json!({"interaction_id": row.interaction_id}))]).await?;
        tx.commit().await
    }

    /// Commits that nothing of it is kept, and destroys its key.
    async fn claim(&self, actor: &Actor, row: &RecordingRow) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE recording SET discarded_by = $2, data_key = NULL \
                   WHERE id = $1 AND state IN ('recording', 'sealing') AND hold_reason IS NULL AND discarded_by IS NULL";
        let claimed = on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&row.id).bind(actor.to_string()).execute(db).await.map(|done| done.rows_affected()))?;
        if claimed == 0 {
            drop(tx);
            let row = self.going_on(actor, &row.id).await?;
            return match row.hold_reason {
                Some(_) => Err(CoreError::Conflict(
                    "somebody holds the recording, and what is held is not erased".to_owned(),
                )),
                // Somebody else was faster.
                None => Ok(()),
            };
        }
        let entry = audit::Entry::new(actor, "discarded", format!("recording/{}", row.id));
        audit::append(&mut tx, &[entry.detail(&json!({"interaction_id": row.interaction_id}))]).await?;
        tx.commit().await
    }
}

fn elsewhere() -> CoreError {
    CoreError::Unanswered(
        "the call does not answer: it is just ending, or another process has it; ask again, or read the recording".to_owned(),
    )
}
