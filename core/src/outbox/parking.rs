//! What a receipt says, and where it waits when it comes before the response that tells its id.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::row::ReplyState;
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Column, Row, Rows, SetSql, Tx, on, row};
use crate::vault::{Place, Vault};

/// How a receipt ends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// It reached the citizen.
    Delivered,
    /// It will not.
    Rejected,
}

impl From<ReceiptState> for ReplyState {
    fn from(state: ReceiptState) -> Self {
        match state {
            ReceiptState::Delivered => Self::Delivered,
            ReceiptState::Rejected => Self::Rejected,
        }
    }
}

/// A receipt as the channel understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptIn {
    /// Whom the text was for: the number that the receipt comes from, in the form in which replies keep it.
    pub from: Option<String>,
    /// Every way in which the peer may have written the id before: as it is, hexadecimal for decimal and back.
    pub ids: Vec<String>,
    /// The end it speaks of. Receipts on the way ("accepted", "en route") are none.
    pub state: ReceiptState,
    /// The peer's words for a rejection.
    pub reason: Option<String>,
    /// When it happened, milliseconds UTC.
    pub at: Millis,
}

/// The form in which ids are compared: lower case, without leading zeros.
pub(super) fn key(id: &str) -> String {
    let trimmed = id.trim().trim_start_matches('0');
    trimmed.to_ascii_lowercase()
}

/// Keeps a receipt until its message is known.
pub(super) async fn park(tx: &mut Tx, vault: &Vault, account: &Account, keys: &[String], receipt: &ReceiptIn, now: Millis) -> Result<()> {
    let group = id::new();
    let reason = vault.seal_some(Place::ReceiptReason, &group, receipt.reason.as_deref())?;
    let state = if receipt.state == ReceiptState::Delivered {
        "delivered"
    } else {
        "rejected"
    };
    let sender_key = receipt.from.as_deref().map(|from| vault.address(from));
    let mut native_id = receipt.ids.first().map(String::as_str);
    for key in keys {
        let sql = "INSERT INTO receipt_parked (account, native_key, receipt, native_id, sender_key, state, reason, at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        on!(Tx, &mut *tx, db => sqlx::query(sql)
            .bind(account.key()).bind(key).bind(&group).bind(native_id.take()).bind(sender_key.as_deref()).bind(state)
            .bind(reason.as_deref()).bind(now).execute(db).await.map(|_| ()))?;
    }
    Ok(())
}

static PARKED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("account", Column::Text), ("native_key", Column::Text)]).statement(
        "SELECT p.account, p.native_key FROM {rows} AS r JOIN receipt_parked p ON p.account = r.account AND p.native_key = r.native_key",
    )
});

/// For which of these ids, each with its account, a receipt waits.
pub(super) async fn parked(tx: &mut Tx, keys: &[(&str, &str)]) -> Result<HashSet<(String, String)>> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<Row> = keys
        .iter()
        .map(|(account, key)| row!({"account": account, "native_key": key}))
        .collect();
    let (sql, rows) = (PARKED.for_tx(tx), Row::array(&rows));
    let found: Vec<(String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    Ok(found.into_iter().collect())
}

/// A receipt that waits.
#[derive(sqlx::FromRow)]
pub(super) struct Waiting {
    /// Its id as it was written first.
    pub(super) native_id: String,
    pub(super) native_key: String,
    /// Since when.
    pub(super) at: Millis,
}

/// What waits from a number, the oldest first.
pub(super) async fn waiting(tx: &mut Tx, account: &str, sender_key: &str) -> Result<Vec<Waiting>> {
    let sql = "SELECT native_id, native_key, at FROM receipt_parked WHERE account = $1 AND sender_key = $2 AND native_id IS NOT NULL \
               ORDER BY at LIMIT 100";
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(account).bind(sender_key).fetch_all(db).await)?)
}

/// Takes the receipt that waits for an id, if one does, and what repeats it.
pub(super) async fn unpark(tx: &mut Tx, vault: &Vault, account: &str, key: &str) -> Result<Option<(ReceiptState, Option<String>, Millis)>> {
    let sql = "SELECT receipt, state, reason, at FROM receipt_parked WHERE account = $1 AND native_key = $2 ORDER BY at DESC LIMIT 1";
    let row: Option<(String, String, Option<String>, Millis)> =
        on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(account).bind(key).fetch_optional(db).await)?;
    let Some((group, state, mut reason, at)) = row else {
        return Ok(None);
    };
    // The state counts more than the words for it.
    vault.opening(&group).some(Place::ReceiptReason, &mut reason).lenient();
    let sql = "DELETE FROM receipt_parked WHERE account = $1 AND receipt IN \
               (SELECT receipt FROM receipt_parked WHERE account = $1 AND native_key = $2)";
    on!(Tx, tx, db => sqlx::query(sql).bind(account).bind(key).execute(db).await.map(|_| ()))?;
    let state = if state == "delivered" {
        ReceiptState::Delivered
    } else {
        ReceiptState::Rejected
    };
    Ok(Some((state, reason, at)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_compared_without_zeros_and_case() {
        assert_eq!(super::key("000A1F"), super::key("a1f"));
        assert_ne!(super::key("10"), super::key("1"));
    }
}
