//! Receipts: what the peer says later of a message that it took.

use super::bounce;
use super::door::Outbox;
use super::late::{self, Meant};
use super::parking::{ReceiptIn, ReceiptState, key, park};
use super::part;
use super::rival::{self, RIVALS, Rival};
use super::row::{LIFE_MS, MEMORY_MS};
use super::settle::Settlement;
use super::states::settled;
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::feed::NewEvent;
use crate::store::{Tx, on};

/// A receipt that waits longer for its message than this waits in vain.
const PARKED_MS: Millis = 24 * 3600 * 1000;
/// The mail that has this Message-ID.
const SENT: &str = "SELECT id FROM reply WHERE message_id = $1 LIMIT 1";
/// After the end of a text's life its receipt may take so long.
const GRACE_MS: Millis = 3600 * 1000;

impl Outbox {
    /// Takes a receipt in. One that comes before the response with its id is parked until that comes. Repeating it
    /// changes nothing. One whose id nobody knows counts for the one text to its number that it can only be about; see
    /// `late`. The channel may acknowledge it when this has returned.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipt(&self, account: &Account, receipt: &ReceiptIn) -> Result<()> {
        let now = time::now();
        let mut keys: Vec<String> = receipt.ids.iter().map(|id| key(id)).collect();
        keys.dedup();
        let mut tx = self.store.begin().await?;
        let mut events = Vec::new();
        let from = receipt.from.as_deref().map(|from| self.vault.address(from));
        let mut meant = None;
        for key in &keys {
            meant = named(&mut tx, &account.key(), key, from.as_deref(), now - MEMORY_MS).await?;
            if meant.is_some() {
                break;
            }
        }
        if meant.is_none()
            && let Some(from) = &receipt.from
            && let ([key, ..], [native_id, ..]) = (&keys[..], &receipt.ids[..])
        {
            meant = late::only_unknown(&mut tx, &account.key(), &self.vault.address(from), now).await?;
            if let Some(meant) = &meant {
                late::learn(&mut tx, meant, native_id, key, now).await?;
            }
        }
        match meant {
            // Which of the two texts it speaks of, the answer tells.
            Some(Meant {
                rival: Some(Rival { in_flight: true, .. }),
                ..
            })
            | None => park(&mut tx, &self.vault, account, &keys, receipt, now).await?,
            Some(meant) => {
                let reason = receipt.reason.as_deref();
                self.heard(&mut tx, &meant, receipt.at, receipt.state, reason, &mut events).await?;
            }
        }
        self.finish(tx, now, &events).await
    }

    /// Settles the text, or the segment, that a receipt is about.
    pub(super) async fn heard(
        &self,
        tx: &mut Tx,
        meant: &Meant,
        at: Millis,
        state: ReceiptState,
        reason: Option<&str>,
        events: &mut Vec<NewEvent>,
    ) -> Result<()> {
        match meant.number {
            Some(number) => part::heard(tx, &self.vault, at, &meant.reply_id, number, state, reason, events).await,
            None => {
                let rival = meant.rival.as_ref().map(|rival| rival.id.as_str());
                rival::heard(tx, &self.vault, at, &meant.reply_id, rival, state, reason, events).await
            }
        }
    }

    /// What a delivery status notification or an abuse report says of one of our mails (RFC 3464, RFC 5965). `dead`: its address
    /// takes no mail; see [`Settlement::Undeliverable`]. Returns whether it was one of ours.
    ///
    /// # Errors
    /// The store's.
    pub async fn mail_receipt(&self, message_id: &str, state: ReceiptState, reason: Option<&str>, dead: bool) -> Result<bool> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let found: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(SENT).bind(message_id).fetch_optional(db).await)?;
        let Some(reply_id) = found else { return Ok(false) };
        let mut events = Vec::new();
        settled(&mut tx, &self.vault, now, &reply_id, state.into(), reason, &mut events).await?;
        // Said twice, it was entered the first time; the citizen may have written since.
        if dead && !events.is_empty() {
            bounce::back(&mut tx, &self.vault, now, &reply_id, reason.unwrap_or_default(), &mut events).await?;
        }
        self.finish(tx, now, &events).await?;
        Ok(true)
    }

    /// Whether a mail with this Message-ID, in brackets, is one that went out from here.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_sent(&self, message_id: &str) -> Result<bool> {
        let found: Option<String> = on!(Store, &self.store, db => sqlx::query_scalar(SENT).bind(message_id).fetch_optional(db).await)?;
        Ok(found.is_some())
    }

    /// Gives up on receipts: parked ones whose message never came are dropped, those count that by now can only be a text's of
    /// unknown fate, and texts of which nothing was heard an hour after the end of their lives become unknown (see
    /// [`Outbox::queue_queries`]). Returns how many did.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_receipts(&self, now: Millis) -> Result<u64> {
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM receipt_parked WHERE at < $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(now - PARKED_MS).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        self.hear_again().await?;
        let sql = "SELECT id FROM reply WHERE state = 'submitted' AND settled_at IS NULL \
                   AND (expires_at < $1 OR expires_at IS NULL AND created_at < $2) LIMIT 1000";
        let ids: Vec<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql)
            .bind(now - GRACE_MS).bind(now - GRACE_MS - LIFE_MS).fetch_all(db).await)?;
        let count = ids.len() as u64;
        self.settle(ids.into_iter().map(|id| (id, Settlement::Unheard)).collect()).await?;
        Ok(count)
    }

    /// Rejects texts whose life ended while they waited to be sent, and returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_queued(&self, now: Millis) -> Result<u64> {
        let sql = "SELECT id FROM reply WHERE state = 'queued' AND channel = 'sms' AND lease_until = 0 \
                   AND (expires_at <= $1 OR expires_at IS NULL AND created_at <= $2) LIMIT 1000";
        let ids: Vec<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(now).bind(now - LIFE_MS).fetch_all(db).await)?;
        let count = ids.len() as u64;
        self.settle(ids.into_iter().map(|id| (id, Settlement::overdue())).collect()).await?;
        Ok(count)
    }
}

/// What an id names: the latest text, or segment of one, that the SMSC gave it to; where it gave it to several, rather one to the
/// number that the receipt comes from. Only rather, as SMSCs write numbers in more than one way.
async fn named(tx: &mut Tx, account: &str, key: &str, from: Option<&str>, since: Millis) -> Result<Option<Meant>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT r.id, n.id, n.state FROM reply r LEFT JOIN reply n ON {RIVALS} \
         WHERE r.account = $1 AND r.native_key = $2 AND r.submitted_at > $3 \
         ORDER BY CASE WHEN r.recipient_key = $4 THEN 0 ELSE 1 END, r.position DESC LIMIT 1"
    ));
    let whole: Option<(String, Option<String>, Option<String>)> =
        on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(account).bind(key).bind(since).bind(from).fetch_optional(db).await)?;
    if let Some((reply_id, rival, rivals_state)) = whole {
        return Ok(Some(Meant {
            reply_id,
            number: None,
            rival: Rival::of(rival, rivals_state.as_deref()),
        }));
    }
    let sql = "SELECT reply_id, number FROM reply_part WHERE account = $1 AND native_key = $2 AND submitted_at > $3 ORDER BY submitted_at DESC LIMIT 1";
    let part: Option<(String, i64)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(account).bind(key).bind(since).fetch_optional(db).await)?;
    Ok(part.map(|(reply_id, number)| Meant {
        reply_id,
        number: Some(number),
        rival: None,
    }))
}
