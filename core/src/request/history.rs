//! Who changed what, and when.

use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::Tx;
use crate::store::on;

/// One entry of a request's history.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HistoryRow {
    /// UUIDv7, so that entries sort by their time.
    pub id: String,
    /// When, milliseconds UTC.
    pub at: Millis,
    /// `system`, `channel:kind/name`, `key:id`.
    pub actor: String,
    /// `created`, `joined`, `patched`, `replied`, `settled`…
    pub action: String,
    /// JSON: what changed, from what to what.
    pub detail: String,
}

/// Writes one entry inside the transaction of the change.
///
/// # Errors
/// The store's.
pub async fn record(tx: &mut Tx, request_id: &str, at: Millis, actor: &Actor, action: &str, detail: &serde_json::Value) -> Result<()> {
    let sql = "INSERT INTO history (id, request_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(id::new()).bind(request_id).bind(at).bind(actor.to_string()).bind(action).bind(detail.to_string())
        .execute(db).await.map(|_| ()))?;
    Ok(())
}
