//! The states that a reply moves through, each with its history and its events.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::json;

use super::parking;
use super::row::ReplyState;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::feed::{EventKind, NewEvent};
use crate::request::record;
use crate::store::{Column, Row, Rows, SetSql, Tx, on, row};
use crate::vault::{Place, Vault};

#[derive(sqlx::FromRow)]
struct Settled {
    id: String,
    request_id: String,
    interaction_id: String,
    channel: String,
    account: String,
    instead_of: Option<String>,
}

/// What the peer took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) id: &'a str,
    /// The peer's id of it.
    pub(super) native_id: Option<&'a str>,
    /// Nothing more is heard of it.
    pub(super) last_word: bool,
}

static SUBMITTED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("submitted_at", Column::Integer),
        ("settled_at", Column::Integer),
        ("native_id", Column::Text),
        ("native_key", Column::Text),
    ])
    .statement(
        "UPDATE reply SET state = 'submitted', submitted_at = r.submitted_at, settled_at = r.settled_at, native_id = r.native_id, \
         native_key = r.native_key, reason = NULL \
         FROM {rows} AS r WHERE reply.id = r.id AND reply.state IN ('queued', 'unknown') \
         RETURNING reply.id, reply.request_id, reply.interaction_id, reply.channel, reply.account, reply.instead_of",
    )
});

/// The peer took them, each another. A late response still settles what was unknown, and a receipt that came before it counts
/// now. What one was to replace is replaced.
pub(super) async fn submitted(tx: &mut Tx, vault: &Vault, now: Millis, all: &[Taken<'_>], events: &mut Vec<NewEvent>) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row> = all
        .iter()
        .map(|one| {
            row!({
                "id": one.id, "submitted_at": now, "settled_at": one.last_word.then_some(now), "native_id": one.native_id,
                "native_key": one.native_id.map(parking::key),
            })
        })
        .collect();
    let (sql, rows) = (SUBMITTED.for_tx(tx), Row::array(&rows));
    let changed: Vec<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    let changed: HashMap<&str, &Settled> = changed.iter().map(|row| (row.id.as_str(), row)).collect();
    let known = || all.iter().filter_map(|one| Some((one, *changed.get(one.id)?)));
    let mut keys = Vec::new();
    for (one, row) in known() {
        events.push(event(EventKind::InteractionSent, row, ReplyState::Submitted));
        if let Some(earlier) = &row.instead_of {
            settled(tx, vault, now, earlier, ReplyState::Cancelled, Some(&replaced_by(one.id)), events).await?;
        }
        if one.last_word {
            note(tx, vault, now, row, ReplyState::Submitted, None).await?;
            events.push(event(EventKind::ReplySettled, row, ReplyState::Submitted));
        }
        keys.extend(one.native_id.map(|native_id| (row, parking::key(native_id))));
    }
    let named: Vec<(&str, &str)> = keys.iter().map(|(row, key)| (row.account.as_str(), key.as_str())).collect();
    let parked = parking::parked(tx, &named).await?;
    for (row, key) in keys {
        if parked.contains(&(row.account.clone(), key.clone()))
            && let Some((state, reason, at)) = parking::unpark(tx, vault, &row.account, &key).await?
        {
            settled(tx, vault, at, &row.id, state.into(), reason.as_deref(), events).await?;
        }
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
               RETURNING id, request_id, interaction_id, channel, account, instead_of";
    let sealed = vault.seal_some(Place::ReplyReason, id, reason)?;
    let row: Option<Settled> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(id).bind(state.as_str()).bind(at).bind(sealed.as_deref()).fetch_optional(db).await)?;
    let Some(row) = row else { return Ok(()) };
    note(tx, vault, at, &row, state, reason).await?;
    events.push(event(EventKind::InteractionDelivery, &row, state));
    events.push(event(EventKind::ReplySettled, &row, state));
    Ok(())
}

/// The reason of a reply that was replaced.
pub(super) fn replaced_by(id: &str) -> String {
    format!("replaced by reply {id}")
}

async fn note(tx: &mut Tx, vault: &Vault, at: Millis, row: &Settled, state: ReplyState, reason: Option<&str>) -> Result<()> {
    let actor = Account::parse(&row.account).map_or(Actor::System, Actor::Channel);
    let detail = json!({"reply_id": row.id, "state": state.as_str(), "reason": reason});
    record(tx, vault, &row.request_id, at, &actor, "settled", &detail).await
}

fn event(kind: EventKind, row: &Settled, state: ReplyState) -> NewEvent {
    NewEvent::of_request(kind, &row.request_id)
        .with("reply_id", row.id.as_str())
        .with("interaction_id", row.interaction_id.as_str())
        .with("channel", row.channel.as_str())
        .with("state", state.as_str())
}
