//! Recordings for commands that run beside the daemon: which there are, and their keys.

use super::recordings::COLUMNS;
use crate::artefact::RecordingRow;
use crate::base::error::{CoreError, Result};
use crate::store::Store;
use crate::store::on;
use crate::vault::{DataKey, Vault};

/// Rows that are read at once.
const AT_ONCE: i64 = 500;

/// The recordings with sound after one in the order of their ids; a page of them, empty at the end.
///
/// # Errors
/// The store's.
pub async fn audible(store: &Store, after: &str) -> Result<Vec<RecordingRow>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE id > $1 AND state IN ('sealed', 'partial') ORDER BY id LIMIT {AT_ONCE}"
    ));
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(after).fetch_all(db).await)?)
}

/// The recordings after one that may have a file, however far they have come; a page of them, empty at the end.
///
/// # Errors
/// The store's.
pub async fn with_file(store: &Store, after: &str) -> Result<Vec<RecordingRow>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE id > $1 AND state IN ('recording', 'sealing', 'sealed', 'partial') ORDER BY id LIMIT {AT_ONCE}"
    ));
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(after).fetch_all(db).await)?)
}

/// One recording, whatever became of it.
///
/// # Errors
/// [`CoreError::NotFound`]; the store's.
pub async fn recording(store: &Store, id: &str) -> Result<RecordingRow> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
    let row: Option<RecordingRow> = on!(Store, store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    row.ok_or(CoreError::NotFound { what: "recording" })
}

/// The key of a recording; one that is made and kept now, when it has none. For encrypting what began plain.
///
/// # Errors
/// [`CoreError::Sealed`] when the one it has does not open; [`CoreError::Store`] when the vault is off; the store's.
pub async fn key_for(store: &Store, vault: &Vault, row: &RecordingRow) -> Result<DataKey> {
    if row.data_key.is_some()
        && let Some(key) = vault.open_data_key(&row.id, row.data_key.as_deref())?
    {
        return Ok(key);
    }
    let off = || CoreError::Store("the database is not encrypted".to_owned());
    let key = vault.new_data_key()?.ok_or_else(off)?;
    let stored = vault.seal_data_key(&row.id, &key)?;
    let sql = "UPDATE recording SET data_key = $2 WHERE id = $1 AND data_key IS NULL";
    let mut tx = store.begin().await?;
    on!(Tx, &mut tx, db => sqlx::query(sql).bind(&row.id).bind(stored).execute(db).await.map(|_| ()))?;
    tx.commit().await?;
    Ok(key)
}
