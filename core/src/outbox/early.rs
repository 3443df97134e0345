//! A receipt that came before its text's fate was unknown, and so found nothing that it could be about.
//!
//! On one connection a response comes before its receipt, or the connection ends. With several, the receipt may come on
//! one while the text is in flight on another, which dies: the receipt waits for an id that nobody will tell any more. It
//! is looked at again when the text becomes unknown, by the rule of `late`, and by the job that gives up on receipts, for
//! what that rule could not tell before.

use super::door::Outbox;
use super::late::{self, Meant};
use super::parking::{self, Waiting};
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::feed::NewEvent;
use crate::store::{Tx, on};

impl Outbox {
    /// Looks again at what waits from the number of a text, if that is of unknown fate.
    pub(super) async fn heard_before(&self, tx: &mut Tx, reply_id: &str, now: Millis, events: &mut Vec<NewEvent>) -> Result<()> {
        let sql = "SELECT account, recipient_key FROM reply WHERE id = $1 AND state = 'unknown' AND channel = 'sms'";
        let found: Option<(String, String)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(reply_id).fetch_optional(db).await)?;
        match found {
            Some((account, recipient_key)) => self.heard_early(tx, &account, &recipient_key, now, events).await,
            None => Ok(()),
        }
    }

    /// The same for every number that something waits from and a text of unknown fate went to.
    pub(super) async fn hear_again(&self) -> Result<()> {
        let sql = "SELECT DISTINCT p.account, p.sender_key FROM receipt_parked p \
                   JOIN reply r ON r.account = p.account AND r.recipient_key = p.sender_key AND r.state = 'unknown' \
                   WHERE p.native_id IS NOT NULL LIMIT 1000";
        let numbers: Vec<(String, String)> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        for (account, recipient_key) in numbers {
            let (now, mut events) = (time::now(), Vec::new());
            let mut tx = self.store.begin().await?;
            self.heard_early(&mut tx, &account, &recipient_key, now, &mut events).await?;
            self.finish(tx, now, &events).await?;
        }
        Ok(())
    }

    async fn heard_early(&self, tx: &mut Tx, account: &str, recipient_key: &str, now: Millis, events: &mut Vec<NewEvent>) -> Result<()> {
        let waiting = parking::waiting(tx, account, recipient_key).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let Some(meant) = late::only_unknown(tx, account, recipient_key, now).await? else {
            return Ok(());
        };
        let Some(Waiting { native_id, native_key, .. }) = only_own(tx, &meant, waiting).await? else {
            return Ok(());
        };
        late::learn(tx, &meant, &native_id, &native_key, now).await?;
        match parking::unpark(tx, &self.vault, account, &native_key).await? {
            Some((state, reason, at)) => self.heard(tx, &meant, at, state, reason.as_deref(), events).await,
            None => Ok(()),
        }
    }
}

/// The one receipt that came since the text was there, however often it came; `None` when several did, of which one
/// is not its own.
async fn only_own(tx: &mut Tx, meant: &Meant, mut waiting: Vec<Waiting>) -> Result<Option<Waiting>> {
    let sql = "SELECT created_at FROM reply WHERE id = $1";
    let created: Millis = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(&meant.reply_id).fetch_one(db).await)?;
    waiting.retain(|receipt| receipt.at >= created);
    let Some(last) = waiting.pop() else { return Ok(None) };
    let same = waiting.iter().all(|receipt| receipt.native_key == last.native_key);
    Ok(same.then_some(last))
}
