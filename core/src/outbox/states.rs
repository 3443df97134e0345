//! The states that a reply moves through, each with its history and its events.

use serde_json::json;

use super::parking;
use super::row::ReplyState;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::feed::{EventKind, NewEvent};
use crate::request::record;
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Place, Vault};

#[derive(sqlx::FromRow)]
struct Settled {
    request_id: String,
    interaction_id: String,
    channel: String,
    account: String,
    instead_of: Option<String>,
}

/// The peer took it. A late response still settles what was unknown, and a receipt that came before it counts now. What it
/// was to replace is replaced.
pub(super) async fn submitted(
    tx: &mut Tx,
    vault: &Vault,
    now: Millis,
    id: &str,
    native_id: Option<&str>,
    last_word: bool,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    let sql = "UPDATE reply SET state = 'submitted', submitted_at = $2, settled_at = $3, native_id = $4, native_key = $5, reason = NULL \
               WHERE id = $1 AND state IN ('queued', 'unknown') \
               RETURNING request_id, interaction_id, channel, account, instead_of";
    let key = native_id.map(parking::key);
    let settled_at = last_word.then_some(now);
    let row: Option<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(id).bind(now).bind(settled_at).bind(native_id).bind(&key).fetch_optional(db).await)?;
    let Some(row) = row else { return Ok(()) };
    events.push(event(EventKind::InteractionSent, &row, id, ReplyState::Submitted));
    if let Some(earlier) = &row.instead_of {
        settled(tx, vault, now, earlier, ReplyState::Cancelled, Some(&replaced_by(id)), events).await?;
    }
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

/// Its end, or that nobody knows it.
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
               RETURNING request_id, interaction_id, channel, account, instead_of";
    let sealed = vault.seal_some(Place::ReplyReason, id, reason)?;
    let row: Option<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(id).bind(state.as_str()).bind(at).bind(sealed.as_deref()).fetch_optional(db).await)?;
    let Some(row) = row else { return Ok(()) };
    note(tx, vault, at, &row, id, state, reason).await?;
    events.push(event(EventKind::InteractionDelivery, &row, id, state));
    events.push(event(EventKind::ReplySettled, &row, id, state));
    Ok(())
}

/// The reason of a reply that was replaced.
pub(super) fn replaced_by(id: &str) -> String {
    format!("replaced by reply {id}")
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
