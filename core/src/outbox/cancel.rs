//! Taking a reply back.

use serde_json::json;

use super::door::Outbox;
use super::part::PartRow;
use super::row::{COLUMNS, ReplyRow, ReplyState};
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::feed::{EventKind, NewEvent};
use crate::request::record;
use crate::store::{Tx, on};

impl Outbox {
    /// Takes a reply back that no channel has in its hands yet: it is never sent. One that is taken back already stays so.
    /// Of a text that was sent, in an account that allows it, the peer is asked to forget it: it is `submitted` until the
    /// peer has, and `cancel_at` says that it is asked.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor may not answer its request; [`CoreError::Conflict`] when it is being
    /// sent or was sent; the store's.
    pub async fn cancel(&self, actor: &Actor, id: &str) -> Result<ReplyRow> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        // The row is locked, so that no channel leases it in between.
        let sql = sqlx::AssertSqlSafe(format!("UPDATE reply SET attempts = attempts WHERE id = $1 RETURNING {COLUMNS}"));
        let row: Option<ReplyRow> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let mut row = row.ok_or(CoreError::NotFound { what: "reply" })?;
        let sql = "SELECT channel, theme FROM request WHERE id = $1";
        let (channel, theme): (String, Option<String>) =
            on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(&row.request_id).fetch_one(db).await)?;
        if !self.catalogue.reach(actor, Operation::Reply).covers(&channel, theme.as_deref()) {
            return Err(CoreError::NotFound { what: "reply" });
        }
        row.open(&self.vault).strict()?;
        if row.state == ReplyState::Cancelled.as_str() {
            return Ok(row);
        }
        let taken = take_back(&mut tx, id, now).await?;
        if !taken && self.ask_for(&mut tx, &mut row, now).await? {
            let detail = json!({"reply_id": id});
            record(&mut tx, &self.vault, &row.request_id, now, actor, "cancelling", &detail).await?;
            tx.commit().await?;
            self.ring();
            return Ok(row);
        }
        if !taken {
            return Err(CoreError::Conflict(match row.state.as_str() {
                "queued" => "it is being sent".to_owned(),
                state => format!("it is {state}, and what was sent is not taken back"),
            }));
        }
        row.state = ReplyState::Cancelled.as_str().to_owned();
        row.settled_at = Some(now);
        let detail = json!({"reply_id": id, "state": row.state});
        record(&mut tx, &self.vault, &row.request_id, now, actor, "settled", &detail).await?;
        let event = NewEvent::of_request(EventKind::ReplySettled, &row.request_id)
            .with("reply_id", id)
            .with("interaction_id", row.interaction_id.as_str())
            .with("channel", row.channel.as_str())
            .with("state", row.state.as_str());
        self.finish(tx, now, &[event]).await?;
        // Those behind it may go.
        self.ring();
        Ok(row)
    }

    /// Notes that the peer is to be asked, where it can be; the row says so then. What another text may stand in the place of
    /// is not asked back: the id is that one's too.
    async fn ask_for(&self, tx: &mut Tx, row: &mut ReplyRow, now: Millis) -> Result<bool> {
        let allowed = Account::parse(&row.account).is_ok_and(|account| self.texting(&account).cancel);
        if !allowed || row.channel != "sms" {
            return Ok(false);
        }
        let sql = "UPDATE reply SET cancel_at = COALESCE(cancel_at, $2) WHERE id = $1 AND state = 'submitted' AND settled_at IS NULL \
                   AND (native_id IS NOT NULL OR segments > 1) \
                   AND NOT EXISTS (SELECT 1 FROM reply n WHERE n.instead_of = reply.id AND n.state IN ('queued', 'unknown')) RETURNING cancel_at";
        row.cancel_at = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(&row.id).bind(now).fetch_optional(db).await)?;
        Ok(row.cancel_at.is_some())
    }

    /// The segments of a reply, in order; none of a reply of one.
    ///
    /// # Errors
    /// The store's.
    pub async fn parts(&self, reply: &ReplyRow) -> Result<Vec<PartRow>> {
        if reply.segments < 2 {
            return Ok(Vec::new());
        }
        let sql = "SELECT number, state, native_id FROM reply_part WHERE reply_id = $1 ORDER BY number";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(&reply.id).fetch_all(db).await)?)
    }
}

/// Cancels a reply that waits and that no channel holds, and of which nothing was sent; whether it did.
pub(super) async fn take_back(tx: &mut Tx, id: &str, now: Millis) -> Result<bool> {
    let sql = "UPDATE reply SET state = 'cancelled', settled_at = $2 WHERE id = $1 AND state = 'queued' AND lease_until = 0 \
               AND NOT EXISTS (SELECT 1 FROM reply_part p WHERE p.reply_id = reply.id AND p.state <> 'queued') RETURNING id";
    let taken: Option<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(id).bind(now).fetch_optional(db).await)?;
    Ok(taken.is_some())
}
