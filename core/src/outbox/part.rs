//! The segments of a text that goes out as several, and what they make of their reply.
//!
//! A reply is `submitted` when every segment is, `delivered` when the receipts came that its account sends (of every
//! segment, or one for all), `rejected` when one segment is, and otherwise `unknown` when one is.

use super::parking::{self, ReceiptState};
use super::row::ReplyState;
use super::states::{Taken, settled, submitted};
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::feed::NewEvent;
use crate::store::{Tx, on};
use crate::vault::Vault;

/// What became of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartEnd {
    /// The peer took it.
    Submitted {
        /// The peer's id of it, by which a receipt will name it.
        native_id: Option<String>,
    },
    /// It will not arrive.
    Rejected {
        /// The peer's reason.
        reason: String,
    },
    /// Nobody can say whether it was taken.
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// One segment, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PartRow {
    /// From 1.
    pub number: i64,
    /// As of a reply; never cancelled.
    pub state: String,
    /// The peer's id of it.
    pub native_id: Option<String>,
}

/// Takes the lock that orders all changes of a reply's segments.
pub(super) async fn lock(tx: &mut Tx, reply_id: &str) -> Result<()> {
    let sql = "UPDATE reply SET attempts = attempts WHERE id = $1";
    on!(Tx, tx, db => sqlx::query(sql).bind(reply_id).execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Whatever is left of a reply's segments in one of `from` ends as `to`, when the reply as a whole has ended.
pub(super) async fn end_all(tx: &mut Tx, reply_id: &str, from: ReplyState, to: ReplyState) -> Result<()> {
    let sql = "UPDATE reply_part SET state = $3 WHERE reply_id = $1 AND state = $2";
    on!(Tx, tx, db => sqlx::query(sql).bind(reply_id).bind(from.as_str()).bind(to.as_str()).execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Settles a segment, and its reply where that is decided by it.
pub(super) async fn settle(
    tx: &mut Tx,
    vault: &Vault,
    now: Millis,
    reply_id: &str,
    number: u8,
    end: &PartEnd,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    lock(tx, reply_id).await?;
    let (state, native_id, reason) = match end {
        PartEnd::Submitted { native_id } => (ReplyState::Submitted, native_id.as_deref(), None),
        PartEnd::Rejected { reason } => (ReplyState::Rejected, None, Some(reason.as_str())),
        PartEnd::Unknown { reason } => (ReplyState::Unknown, None, Some(reason.as_str())),
    };
    let key = native_id.map(parking::key);
    let sql = "UPDATE reply_part SET state = $3, native_id = $4, native_key = $5, submitted_at = $6 \
               WHERE reply_id = $1 AND number = $2 AND state IN ('queued', 'unknown') RETURNING account";
    let account: Option<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql)
        .bind(reply_id).bind(i64::from(number)).bind(state.as_str()).bind(native_id).bind(&key).bind(now).fetch_optional(db).await)?;
    let Some(account) = account else { return Ok(()) };
    if let Some(key) = key
        && let Some((state, reason, at)) = parking::unpark(tx, vault, &account, &key).await?
    {
        return heard(tx, vault, at, reply_id, i64::from(number), state, reason.as_deref(), events).await;
    }
    sum(tx, vault, now, reply_id, reason, events).await
}

/// A receipt of a segment.
#[expect(clippy::too_many_arguments, reason = "what a receipt says, and where it goes")]
pub(super) async fn heard(
    tx: &mut Tx,
    vault: &Vault,
    at: Millis,
    reply_id: &str,
    number: i64,
    state: ReceiptState,
    reason: Option<&str>,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    lock(tx, reply_id).await?;
    // The first word stands.
    let sql = "UPDATE reply_part SET state = $3 WHERE reply_id = $1 AND number = $2 AND state IN ('queued', 'submitted', 'unknown')";
    on!(Tx, &mut *tx, db => sqlx::query(sql)
        .bind(reply_id).bind(number).bind(ReplyState::from(state).as_str()).execute(db).await.map(|_| ()))?;
    sum(tx, vault, at, reply_id, reason, events).await
}

/// What the segments make of their reply.
async fn sum(tx: &mut Tx, vault: &Vault, at: Millis, reply_id: &str, reason: Option<&str>, events: &mut Vec<NewEvent>) -> Result<()> {
    let sql = "SELECT state, COUNT(*) FROM reply_part WHERE reply_id = $1 GROUP BY state";
    let counts: Vec<(String, i64)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(reply_id).fetch_all(db).await)?;
    let sql = "SELECT receipts FROM reply WHERE id = $1";
    let wanted: i64 = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(reply_id).fetch_one(db).await)?;
    match decided(&counts, wanted) {
        None => Ok(()),
        Some(ReplyState::Submitted) => {
            let taken = Taken {
                id: reply_id,
                native_id: None,
                last_word: false,
            };
            submitted(tx, vault, at, &[taken], events).await
        }
        Some(ReplyState::Unknown) => {
            let reason = reason.unwrap_or("what became of one of its segments is not known");
            settled(tx, vault, at, reply_id, ReplyState::Unknown, Some(reason), events).await
        }
        Some(state) => settled(tx, vault, at, reply_id, state, reason, events).await,
    }
}

/// What so many segments in each state make of their reply; `None` while some have not been sent.
fn decided(counts: &[(String, i64)], wanted: i64) -> Option<ReplyState> {
    let count = |state: ReplyState| {
        let of = counts.iter().find(|(name, _)| name == state.as_str());
        of.map_or(0, |(_, count)| *count)
    };
    if count(ReplyState::Rejected) > 0 {
        Some(ReplyState::Rejected)
    } else if count(ReplyState::Queued) > 0 {
        None
    } else if count(ReplyState::Delivered) >= wanted {
        Some(ReplyState::Delivered)
    } else if count(ReplyState::Unknown) > 0 {
        Some(ReplyState::Unknown)
    } else {
        Some(ReplyState::Submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::ReplyState::{Delivered, Queued, Rejected, Submitted, Unknown};
    use super::*;

    #[test]
    fn a_reply_is_what_its_segments_are() {
        for (states, wanted, expected) in [
            (&[(Queued, 1), (Submitted, 1)][..], 2, None),
            (&[(Submitted, 2)], 2, Some(Submitted)),
            (&[(Delivered, 1), (Submitted, 1)], 2, Some(Submitted)),
            (&[(Delivered, 1), (Submitted, 1)], 1, Some(Delivered)),
            (&[(Delivered, 2)], 2, Some(Delivered)),
            (&[(Delivered, 1), (Unknown, 1)], 2, Some(Unknown)),
            (&[(Delivered, 1), (Queued, 1)], 1, None),
            (&[(Delivered, 1), (Rejected, 1)], 1, Some(Rejected)),
            (&[(Queued, 2), (Rejected, 1)], 3, Some(Rejected)),
        ] {
            let counts: Vec<(String, i64)> = states.iter().map(|(state, count)| (state.as_str().to_owned(), *count)).collect();
            assert_eq!(decided(&counts, wanted), expected, "{states:?} of {wanted}");
        }
    }
}
