//! A receipt with an id that nobody knows, and the text that it can only be about.
//!
//! A text whose response was lost has no id of the SMSC's. Its receipt can be told apart when, of all that was sent from
//! this account to that number, it alone has no end and nothing else is under way: then there is nothing else that an
//! unknown id could name. Neither the date (to the minute, in a zone of its own) nor the excerpt (often empty, often
//! recoded) that some SMSCs write into a receipt is proof of anything, so neither is looked at.

use super::rival::Rival;
use super::row::MEMORY_MS;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::{Tx, on};

/// What a receipt can only be about.
pub(super) struct Meant {
    pub(super) reply_id: String,
    /// Of a text of several segments, which.
    pub(super) number: Option<i64>,
    /// Of a text of one segment: which may stand in its place.
    pub(super) rival: Option<Rival>,
}

/// The one text to a number whose fate and id are not known, when nothing else to that number is open.
pub(super) async fn only_unknown(tx: &mut Tx, account: &str, recipient_key: &str, now: Millis) -> Result<Option<Meant>> {
    // What replaces another text has that one's id, and no other.
    let sql = "SELECT id, segments, native_key FROM reply \
               WHERE account = $1 AND recipient_key = $2 AND state = 'unknown' AND created_at > $3 \
               AND instead_of IS NULL LIMIT 2";
    let unknown: Vec<(String, i64, Option<String>)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
        .bind(account).bind(recipient_key).bind(now - MEMORY_MS).fetch_all(db).await)?;
    let [(reply_id, segments, None)] = &unknown[..] else {
        return Ok(None);
    };
    let sql = "SELECT COUNT(*) FROM reply WHERE account = $1 AND recipient_key = $2 \
               AND (state = 'submitted' AND settled_at IS NULL OR state = 'queued' AND lease_until > 0)";
    let open: i64 = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(account).bind(recipient_key).fetch_one(db).await)?;
    if open > 0 {
        return Ok(None);
    }
    let reply_id = reply_id.clone();
    if *segments < 2 {
        return Ok(Some(Meant {
            reply_id,
            number: None,
            rival: None,
        }));
    }
    let sql = "SELECT number, state, native_key FROM reply_part WHERE reply_id = $1 AND state NOT IN ('delivered', 'rejected') LIMIT 2";
    let parts: Vec<(i64, String, Option<String>)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(&reply_id).fetch_all(db).await)?;
    match &parts[..] {
        [(number, state, None)] if state == "unknown" => Ok(Some(Meant {
            reply_id,
            number: Some(*number),
            rival: None,
        })),
        _ => Ok(None),
    }
}

/// Keeps the id, so that the same receipt, when it comes again, is known.
pub(super) async fn learn(tx: &mut Tx, meant: &Meant, native_id: &str, native_key: &str, now: Millis) -> Result<()> {
    match meant.number {
        None => {
            let sql = "UPDATE reply SET native_id = $2, native_key = $3, submitted_at = COALESCE(submitted_at, $4) WHERE id = $1";
            on!(Tx, tx, db => sqlx::query(sql).bind(&meant.reply_id).bind(native_id).bind(native_key).bind(now).execute(db).await.map(|_| ()))?;
        }
        Some(number) => {
            let sql = "UPDATE reply_part SET native_id = $3, native_key = $4, submitted_at = $5 WHERE reply_id = $1 AND number = $2";
            on!(Tx, tx, db => sqlx::query(sql)
                .bind(&meant.reply_id).bind(number).bind(native_id).bind(native_key).bind(now).execute(db).await.map(|_| ()))?;
        }
    }
    Ok(())
}
