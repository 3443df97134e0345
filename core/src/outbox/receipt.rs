//! Receipts: what the peer says later of a message that it took.

use super::door::Outbox;
use super::parking::{ReceiptIn, ReceiptState, key, park};
use super::settle::{Settlement, settled};
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::store::on;

/// Ids are used again by some peers: an older message than this is not meant.
const MEMORY_MS: Millis = 15 * 24 * 3600 * 1000;
/// A receipt that waits longer for its message than this waits in vain.
const PARKED_MS: Millis = 24 * 3600 * 1000;

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
            settled(
                &mut tx,
                &self.vault,
                receipt.at,
                &reply_id,
                receipt.state.into(),
                receipt.reason.as_deref(),
                &mut events,
            )
            .await?;
        } else {
            park(&mut tx, &self.vault, account, &keys, receipt, now).await?;
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
        settled(&mut tx, &self.vault, now, &reply_id, state.into(), reason, &mut events).await?;
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
        let unknown = |id| {
            (
                id,
                Settlement::Unknown {
                    reason: "no receipt came".to_owned(),
                },
            )
        };
        self.settle(ids.into_iter().map(unknown).collect()).await?;
        Ok(count)
    }
}
