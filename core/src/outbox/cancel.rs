//! Taking a reply back.

use serde_json::json;

use super::door::Outbox;
use super::lease::Outbound;
use super::part::PartRow;
use super::row::{COLUMNS, ReplyKind, ReplyRow, ReplyState};
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::feed::{EventKind, NewEvent};
use crate::request::record;
use crate::store::{Tx, on};
use crate::vault::Place;

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
        let sql = "UPDATE reply SET state = 'cancelled', settled_at = $2 WHERE id = $1 AND state = 'queued' AND lease_until = 0 \
                   AND NOT EXISTS (SELECT 1 FROM reply_part p WHERE p.reply_id = reply.id AND p.state <> 'queued') RETURNING id";
        let taken: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(id).bind(now).fetch_optional(db).await)?;
        if taken.is_none() && self.ask_for(&mut tx, &mut row, now).await? {
            let detail = json!({"reply_id": id});
            record(&mut tx, &self.vault, &row.request_id, now, actor, "cancelling", &detail).await?;
            tx.commit().await?;
            self.ring();
            return Ok(row);
        }
        if taken.is_none() {
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

    /// Notes that the peer is to be asked, where it can be; the row says so then.
    async fn ask_for(&self, tx: &mut Tx, row: &mut ReplyRow, now: Millis) -> Result<bool> {
        let allowed = Account::parse(&row.account).is_ok_and(|account| self.texting(&account).cancel);
        if !allowed || row.channel != "sms" {
            return Ok(false);
        }
        let sql = "UPDATE reply SET cancel_at = COALESCE(cancel_at, $2) WHERE id = $1 AND state = 'submitted' AND settled_at IS NULL \
                   AND (native_id IS NOT NULL OR segments > 1) RETURNING cancel_at";
        row.cancel_at = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(&row.id).bind(now).fetch_optional(db).await)?;
        Ok(row.cancel_at.is_some())
    }

    /// When the peer of an account is to be asked next to forget something.
    pub(super) async fn next_cancelled(&self, account: &Account) -> Result<Option<Millis>> {
        if !self.texting(account).cancel {
            return Ok(None);
        }
        let sql = "SELECT MIN(cancel_at) FROM reply WHERE account = $1 AND cancel_at IS NOT NULL AND state = 'submitted'";
        Ok(on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).fetch_one(db).await)?)
    }

    /// What the peer is to be asked to forget; asked again after `until`, unless it has answered.
    pub(super) async fn lease_cancelled(&self, account: &Account, limit: usize, now: Millis, until: Millis) -> Result<Vec<Outbound>> {
        if limit == 0 || !self.texting(account).cancel {
            return Ok(Vec::new());
        }
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE reply SET cancel_at = $3 WHERE id IN (SELECT id FROM reply WHERE account = $1 AND cancel_at <= $2 \
                   AND state = 'submitted' ORDER BY cancel_at LIMIT $4) RETURNING id, request_id, recipient, native_id, created_at";
        let rows: Vec<(String, String, String, Option<String>, Millis)> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(account.key()).bind(now).bind(until).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(db).await)?;
        let mut asked = Vec::with_capacity(rows.len());
        for (reply_id, request_id, mut to, native_id, created_at) in rows {
            self.vault.opening(&reply_id).text(Place::ReplyRecipient, &mut to).strict()?;
            let sql = "SELECT native_id FROM reply_part WHERE reply_id = $1 AND native_id IS NOT NULL ORDER BY number";
            let of_parts: Vec<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&reply_id).fetch_all(db).await)?;
            asked.push(Outbound {
                forget: native_id.into_iter().chain(of_parts).collect(),
                reply_id,
                request_id,
                reference: String::new(),
                kind: ReplyKind::Reply,
                channel: "sms".to_owned(),
                to,
                subject: None,
                text: String::new(),
                message_id: None,
                in_reply_to: None,
                references: Vec::new(),
                attempts: 1,
                created_at,
                expires_at: 0,
                priority: 0,
                split: None,
            });
        }
        tx.commit().await?;
        asked.retain(|outbound| !outbound.forget.is_empty());
        Ok(asked)
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
