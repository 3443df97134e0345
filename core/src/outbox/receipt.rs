//! Receipts: what the peer says later of a message that it took.

use super::settle::settled;
use super::{Outbox, ReplyState};
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::on;
use crate::store::Tx;

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
    /// Every way in which the peer may have written the id before: as it is, hexadecimal for decimal and back.
    pub ids: Vec<String>,
    /// The end it speaks of. Receipts on the way ("accepted", "en route") are none.
    pub state: ReceiptState,
    /// The peer's words for a rejection.
    pub reason: Option<String>,
    /// When it happened, milliseconds UTC.
    pub at: Millis,
}

/// Ids are used again by some peers: an older message than this is not meant.
const MEMORY_MS: Millis = 15 * 24 * 3600 * 1000;
/// A receipt that waits longer for its message than this waits in vain.
const PARKED_MS: Millis = 24 * 3600 * 1000;

/// The form in which ids are compared: lower case, without leading zeros.
pub(super) fn key(id: &str) -> String {
    let trimmed = id.trim().trim_start_matches('0');
    trimmed.to_ascii_lowercase()
}

impl Outbox {
    /// Takes a receipt in. One that comes before the response with its id is parked until that comes. Repeating it
    /// changes nothing. The channel may acknowledge it when this has returned.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipt(&self, account: &Account, receipt: &ReceiptIn) -> Result<()> {
        let now = time::now();
        let mut keys: Vec<String> = receipt.ids.iter().map(|id| key(id)).collect();
        keys.dedup();
        let mut tx = self.store.begin().await?;
        let mut found = None;
        for key in &keys {
            let sql = "SELECT id FROM reply WHERE account = $1 AND native_key = $2 AND submitted_at > $3 ORDER BY position DESC LIMIT 1";
            found = on!(Tx, &mut tx, db => sqlx::query_scalar::<_, String>(sql)
                .bind(account.key()).bind(key).bind(now - MEMORY_MS).fetch_optional(db).await)?;
            if found.is_some() {
                break;
            }
        }
        let mut events = Vec::new();
        if let Some(reply_id) = found {
            settled(&mut tx, receipt.at, &reply_id, receipt.state.into(), receipt.reason.as_deref(), &mut events).await?;
        } else {
            park(&mut tx, account, &keys, receipt, now).await?;
        }
        self.finish(tx, now, &events).await
    }

    /// What a delivery status notification says of one of our mails (RFC 3464). Returns whether it was one of ours.
    ///
    /// # Errors
    /// The store's.
    pub async fn mail_receipt(&self, message_id: &str, state: ReceiptState, reason: Option<&str>) -> Result<bool> {
        let now = time::now();
        let sql = "SELECT id FROM reply WHERE message_id = $1 LIMIT 1";
        let mut tx = self.store.begin().await?;
        let found: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(message_id).fetch_optional(db).await)?;
        let Some(reply_id) = found else { return Ok(false) };
        let mut events = Vec::new();
        settled(&mut tx, now, &reply_id, state.into(), reason, &mut events).await?;
        self.finish(tx, now, &events).await?;
        Ok(true)
    }

    /// Gives up on receipts: parked ones whose message never came are dropped, and texts submitted before `before` of
    /// which nothing was heard become unknown. Returns how many did.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_receipts(&self, before: Millis) -> Result<u64> {
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM receipt_parked WHERE at < $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(time::now() - PARKED_MS).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        let sql = "SELECT id FROM reply WHERE state = 'submitted' AND settled_at IS NULL AND submitted_at < $1 LIMIT 1000";
        let ids: Vec<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(before).fetch_all(db).await)?;
        let count = ids.len() as u64;
        let unknown = |id| (id, super::Settlement::Unknown { reason: "no receipt came".to_owned() });
        self.settle(ids.into_iter().map(unknown).collect()).await?;
        Ok(count)
    }
}

async fn park(tx: &mut Tx, account: &Account, keys: &[String], receipt: &ReceiptIn, now: Millis) -> Result<()> {
    let group = id::new();
    let state = if receipt.state == ReceiptState::Delivered { "delivered" } else { "rejected" };
    for key in keys {
        let sql = "INSERT INTO receipt_parked (account, native_key, receipt, state, reason, at) VALUES ($1, $2, $3, $4, $5, $6)";
        on!(Tx, &mut *tx, db => sqlx::query(sql)
            .bind(account.key()).bind(key).bind(&group).bind(state).bind(&receipt.reason).bind(now).execute(db).await.map(|_| ()))?;
    }
    Ok(())
}

/// Takes the receipt that waits for an id, if one does.
pub(super) async fn unpark(tx: &mut Tx, account: &str, key: &str) -> Result<Option<(ReceiptState, Option<String>, Millis)>> {
    let sql = "SELECT receipt, state, reason, at FROM receipt_parked WHERE account = $1 AND native_key = $2 ORDER BY at DESC LIMIT 1";
    let row: Option<(String, String, Option<String>, Millis)> =
        on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(account).bind(key).fetch_optional(db).await)?;
    let Some((group, state, reason, at)) = row else { return Ok(None) };
    let sql = "DELETE FROM receipt_parked WHERE account = $1 AND receipt = $2";
    on!(Tx, tx, db => sqlx::query(sql).bind(account).bind(group).execute(db).await.map(|_| ()))?;
    let state = if state == "delivered" { ReceiptState::Delivered } else { ReceiptState::Rejected };
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
