//! What became of a reply.

use serde_json::json;

use super::door::Outbox;
use super::parking;
use super::row::ReplyState;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, NewEvent};
use crate::request::record;
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Place, Vault};

/// What a channel says of a reply that it leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The peer took it.
    Submitted {
        /// The peer's id of it, by which a receipt will name it.
        native_id: Option<String>,
        /// Whether nothing more will be heard of it, as of a mail after its 250.
        last_word: bool,
    },
    /// It reached the citizen.
    Delivered {
        /// When, by the peer's clock, milliseconds UTC.
        at: Millis,
    },
    /// It will not arrive.
    Rejected {
        /// The peer's reason.
        reason: String,
    },
    /// Nobody can say whether it arrived.
    Unknown {
        /// What happened.
        reason: String,
    },
    /// It was not sent, and shall be tried again.
    Retry {
        /// When, milliseconds UTC.
        at: Millis,
        /// What the peer said.
        reason: String,
    },
    /// It was not sent; the lease is handed back as if it had not been taken.
    Return,
}

#[derive(sqlx::FromRow)]
struct Settled {
    request_id: String,
    interaction_id: String,
    channel: String,
    account: String,
}

impl Outbox {
    /// Settles replies, all in one transaction. A reply that is settled already moves only forward: a receipt's word is
    /// not overwritten by a late response.
    ///
    /// # Errors
    /// The store's; nothing is settled then, and the caller tries again.
    pub async fn settle(&self, settlements: Vec<(String, Settlement)>) -> Result<()> {
        if settlements.is_empty() {
            return Ok(());
        }
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let (mut events, mut queued) = (Vec::new(), false);
        for (id, settlement) in &settlements {
            queued |= matches!(settlement, Settlement::Retry { .. } | Settlement::Return);
            one(&mut tx, &self.vault, now, id, settlement, &mut events).await?;
        }
        self.finish(tx, now, &events).await?;
        if queued {
            self.ring();
        }
        Ok(())
    }

    /// Appends the events and commits.
    pub(super) async fn finish(&self, mut tx: Tx, now: Millis, events: &[NewEvent]) -> Result<()> {
        if events.is_empty() {
            return tx.commit().await;
        }
        let first = feed::next_positions(&mut tx, events.len()).await?;
        feed::append(&mut tx, first, now, events).await?;
        tx.commit().await?;
        self.feed.committed();
        Ok(())
    }
}

async fn one(tx: &mut Tx, vault: &Vault, now: Millis, id: &str, settlement: &Settlement, events: &mut Vec<NewEvent>) -> Result<()> {
    match settlement {
        Settlement::Retry { at, reason } => {
            let sql = "UPDATE reply SET lease_until = 0, due_at = $2, reason = $3 WHERE id = $1 AND state = 'queued'";
            on!(Tx, tx, db => sqlx::query(sql).bind(id).bind(at).bind(vault.seal(Place::ReplyReason, id, reason)?.as_ref()).execute(db).await.map(|_| ()))?;
        }
        Settlement::Return => {
            let sql = "UPDATE reply SET lease_until = 0, attempts = attempts - 1 WHERE id = $1 AND state = 'queued' AND lease_until > 0";
            on!(Tx, tx, db => sqlx::query(sql).bind(id).execute(db).await.map(|_| ()))?;
        }
        Settlement::Submitted { native_id, last_word } => {
            submitted(tx, vault, now, id, native_id.as_deref(), *last_word, events).await?;
        }
        Settlement::Delivered { at } => settled(tx, vault, *at, id, ReplyState::Delivered, None, events).await?,
        Settlement::Rejected { reason } => settled(tx, vault, now, id, ReplyState::Rejected, Some(reason), events).await?,
        Settlement::Unknown { reason } => settled(tx, vault, now, id, ReplyState::Unknown, Some(reason), events).await?,
    }
    Ok(())
}

async fn submitted(
    tx: &mut Tx,
    vault: &Vault,
    now: Millis,
    id: &str,
    native_id: Option<&str>,
    last_word: bool,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    let sql = "UPDATE reply SET state = 'submitted', submitted_at = $2, settled_at = $3, native_id = $4, native_key = $5, reason = NULL \
               WHERE id = $1 AND state IN ('queued', 'unknown') RETURNING request_id, interaction_id, channel, account";
    let key = native_id.map(parking::key);
    let settled_at = last_word.then_some(now);
    let row: Option<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(id).bind(now).bind(settled_at).bind(native_id).bind(&key).fetch_optional(db).await)?;
    let Some(row) = row else { return Ok(()) };
    events.push(event(EventKind::InteractionSent, &row, id, ReplyState::Submitted));
    if last_word {
        note(tx, vault, now, &row, id, ReplyState::Submitted, None).await?;
        events.push(event(EventKind::ReplySettled, &row, id, ReplyState::Submitted));
    }
    if let Some(key) = key
        && let Some((state, reason, at)) = parking::unpark(tx, vault, &row.account, &key).await?
    {
        settled(tx, vault, at, id, state.into(), reason.as_deref(), events).await?;
    }
    Ok(())
}

pub(super) async fn settled(
    tx: &mut Tx,
    vault: &Vault,
    at: Millis,
    id: &str,
    state: ReplyState,
    reason: Option<&str>,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    // Forward only: what is delivered or rejected stays so; unknown may still be settled by a late receipt.
    let sql = "UPDATE reply SET state = $2, settled_at = $3, reason = $4 \
               WHERE id = $1 AND state IN ('queued', 'submitted', 'unknown') AND state <> $2 \
               RETURNING request_id, interaction_id, channel, account";
    let sealed = vault.seal_some(Place::ReplyReason, id, reason)?;
    let row: Option<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(id).bind(state.as_str()).bind(at).bind(sealed.as_deref()).fetch_optional(db).await)?;
    let Some(row) = row else { return Ok(()) };
    note(tx, vault, at, &row, id, state, reason).await?;
    events.push(event(EventKind::InteractionDelivery, &row, id, state));
    events.push(event(EventKind::ReplySettled, &row, id, state));
    Ok(())
}

async fn note(tx: &mut Tx, vault: &Vault, at: Millis, row: &Settled, id: &str, state: ReplyState, reason: Option<&str>) -> Result<()> {
    let actor = Account::parse(&row.account).map_or(Actor::System, Actor::Channel);
    let detail = json!({"reply_id": id, "state": state.as_str(), "reason": reason});
    record(tx, vault, &row.request_id, at, &actor, "settled", &detail).await
}

fn event(kind: EventKind, row: &Settled, id: &str, state: ReplyState) -> NewEvent {
    NewEvent::of_request(kind, &row.request_id)
        .with("reply_id", id)
        .with("interaction_id", row.interaction_id.as_str())
        .with("channel", row.channel.as_str())
        .with("state", state.as_str())
}
