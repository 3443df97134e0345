//! Giving positions.

use std::sync::LazyLock;

use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Rows, SetSql, Tx};

use super::NewEvent;

static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("position", Column::Integer),
        ("id", Column::Text),
        ("type", Column::Text),
        ("subject", Column::Text),
        ("at", Column::Integer),
        ("data", Column::Text),
    ])
    .insert("event")
});

/// Takes `count` positions and returns the first. From here to its commit the transaction holds the feed, so nothing
/// slow may follow.
///
/// # Errors
/// The store's.
pub async fn next_positions(tx: &mut Tx, count: usize) -> Result<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE counter SET value = value + $1 WHERE name = 'feed' RETURNING value";
    let last: i64 = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(count).fetch_one(db).await)?;
    Ok(last - count + 1)
}

/// Appends events at the positions that begin with `first`.
///
/// # Errors
/// The store's.
pub async fn append(tx: &mut Tx, first: i64, at: Millis, events: &[NewEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Vec<serde_json::Value> = (first..)
        .zip(events)
        .map(|(position, event)| {
            serde_json::json!({
                "position": position,
                "id": id::new(),
                "type": event.kind.as_str(),
                "subject": event.subject,
                "at": at,
                "data": event.data().to_string(),
            })
        })
        .collect();
    let sql = INSERT.for_tx(tx);
    let rows = serde_json::Value::Array(rows).to_string();
    on!(Tx, tx, db => sqlx::query(sql).bind(rows).execute(db).await.map(|_| ()))?;
    Ok(())
}
