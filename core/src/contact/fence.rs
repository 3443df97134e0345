//! Who may write for an account: a row holds its current epoch, and a write with another is refused.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::base::error::{CoreError, Result};
use crate::store::on;
use crate::store::{Store, Tx};

const READ_SQLITE: &str = "SELECT key, epoch FROM account WHERE key IN (SELECT value FROM json_each($1))";
/// The row lock lasts until the commit, so that nobody takes an account over between the look and the write.
const READ_POSTGRES: &str =
    "SELECT key, epoch FROM account WHERE key IN (SELECT jsonb_array_elements_text($1::jsonb)) ORDER BY key FOR SHARE";

/// The epochs of some accounts, which stay so until the transaction is over.
pub(super) async fn epochs(tx: &mut Tx, accounts: &BTreeSet<&str>) -> Result<HashMap<String, i64>> {
    let keys = Value::from(accounts.iter().copied().collect::<Vec<_>>()).to_string();
    let sql = match tx {
        Tx::Sqlite(_) => READ_SQLITE,
        Tx::Postgres(_) => READ_POSTGRES,
    };
    let rows: Vec<(String, i64)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(keys).fetch_all(db).await)?;
    Ok(rows.into_iter().collect())
}

/// Enters an account and returns its epoch. With `end_links`, links whose end nobody noted end at the last thing that is
/// known of them: a response that left shortly before that may not have arrived.
pub(super) async fn register(store: &Store, account: &str, end_links: bool) -> Result<i64> {
    let mut tx = store.begin().await?;
    let sql = "INSERT INTO account (key, epoch) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET epoch = account.epoch RETURNING epoch";
    let epoch: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(account).fetch_one(db).await)?;
    if end_links {
        let sql = "INSERT INTO link (id, account, ended_at) \
                   SELECT link, account, MAX(COALESCE(flushed_at, delivered_at)) FROM delivery WHERE account = $1 GROUP BY link, account \
                   ON CONFLICT DO NOTHING";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(account).execute(db).await.map(|_| ()))?;
    }
    tx.commit().await?;
    Ok(epoch)
}

/// Raises the epoch of an account that is entered, and returns it.
pub(super) async fn take_over(store: &Store, account: &str) -> Result<i64> {
    let mut tx = store.begin().await?;
    let sql = "UPDATE account SET epoch = epoch + 1 WHERE key = $1 RETURNING epoch";
    let epoch: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(account).fetch_optional(db).await)?;
    tx.commit().await?;
    epoch.ok_or(CoreError::NotFound { what: "account" })
}
