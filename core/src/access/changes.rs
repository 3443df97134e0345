//! The record of who changed whose access.

use serde_json::Value;

use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Tx, on};

/// What was changed: `agent`, `role` or `client`, its id or code, and what happened to it.
pub(super) struct Change<'a> {
    pub(super) kind: &'static str,
    pub(super) subject: &'a str,
    pub(super) action: &'static str,
    /// What it became. No secret.
    pub(super) detail: Value,
}

/// Writes it, in the transaction of the change itself.
///
/// # Errors
/// The store's.
pub(super) async fn record(tx: &mut Tx, actor: &Actor, at: Millis, change: Change<'_>) -> Result<()> {
    let sql = "INSERT INTO access_change (id, at, actor, kind, subject, action, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(id::new()).bind(at).bind(actor.to_string()).bind(change.kind).bind(change.subject).bind(change.action)
        .bind(change.detail.to_string()).execute(db).await.map(|_| ()))?;
    Ok(())
}
