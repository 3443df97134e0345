//! Appending to the chain, inside the transaction of what is recorded.

use std::sync::LazyLock;

use super::chain::{Record, unhex};
use super::entry::Entry;
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::store::on;
use crate::store::{Column, Rows, Script, SetSql, Tx, row};

static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("seq", Column::Integer),
        ("at", Column::Integer),
        ("actor", Column::Text),
        ("action", Column::Text),
        ("object", Column::Text),
        ("detail", Column::Text),
        ("purpose", Column::Text),
        ("hash", Column::Text),
    ])
    .insert("audit")
});
static HEAD: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("hash", Column::Text)]).statement("UPDATE audit_head SET hash = r.hash FROM {rows} AS r WHERE audit_head.id = 1")
});

/// Appends entries, which last when the transaction does. From here to its commit nobody else can append, so nothing
/// slow may follow; other rows are locked before, and only the feed's counter is locked after it, always.
///
/// # Errors
/// The store's.
pub async fn append(tx: &mut Tx, entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    // The update locks the row, and what is returned of it was committed by whoever held it before.
    let sql = "UPDATE audit_head SET seq = seq + $1 WHERE id = 1 RETURNING seq, hash";
    let head: Option<(i64, String)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(count).fetch_optional(db).await)?;
    let known = head.and_then(|(last, hash)| Some((last - count + 1, unhex(&hash)?)));
    let Some((first, mut hash)) = known else {
        return Err(CoreError::Store(
            "the audit trail has no head; `voxea audit verify` says more".to_owned(),
        ));
    };
    let mut rows = Vec::with_capacity(entries.len());
    for (seq, entry) in (first..).zip(entries) {
        let (record, next) = Record::chained(entry, seq, &hash);
        hash = next;
        rows.push(row!({
            "seq": record.seq, "at": record.at, "actor": record.actor, "action": record.action, "object": record.object,
            "detail": record.detail, "purpose": record.purpose, "hash": record.hash,
        }));
    }
    let mut script = Script::default();
    script.add(&INSERT, rows);
    script.add(&HEAD, vec![row!({"hash": hex::encode(&hash)})]);
    script.run(tx).await
}
