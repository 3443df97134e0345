//! Batches and their acknowledgement.

use super::door::Consumers;
use super::row::{Consumer, find, missing};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::mutant;
use crate::base::time::Millis;
use crate::feed::Event;
use crate::store::{Reach, on};

/// How often a batch is put together anew because the consumer was changed meanwhile.
const RACES: usize = 8;

/// What a consumer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// Events, in order, and what acknowledges exactly them.
    Out {
        /// At least one.
        events: Vec<Event>,
        /// The token.
        lease: String,
        /// Until when nobody else gets a batch.
        until: Millis,
        /// Where the position will be.
        next: i64,
        /// Whether more was there at that moment.
        has_more: bool,
    },
    /// There is nothing for it now, or not within what one call looks at.
    Empty {
        /// Where the position is.
        next: i64,
        /// Whether to ask again at once.
        has_more: bool,
    },
    /// One is out.
    Busy {
        /// Until when.
        until: Millis,
    },
}

/// What came of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The position, now or when the same was said before.
    At(i64),
    /// The lease is no longer, or never was, the one of the batch that is out: nothing has changed.
    Lost,
}

impl Consumers {
    /// Gives out the next events that `reach` covers, at most `limit` of them, for `lease` milliseconds. While a batch is out
    /// nobody gets one; once its lease is over the same events come again.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn batch(&self, actor: &Actor, reach: &Reach, name: &str, limit: usize, lease: Millis, now: Millis) -> Result<Batch> {
        for _ in 0..RACES {
            let consumer = self.get(actor, name).await?;
            if consumer.is_leased(now) {
                return Ok(Batch::Busy {
                    until: consumer.lease_until,
                });
            }
            let page = self.feed.filtered(reach, &consumer.filter, consumer.position, limit).await?;
            let (next, has_more) = (page.next, page.has_more);
            if page.items.is_empty() {
                if next == consumer.position || self.advance(&consumer, next).await? {
                    return Ok(Batch::Empty { next, has_more });
                }
                continue;
            }
            let (token, until) = (id::new(), now.saturating_add(lease));
            if self.lend(&consumer, &token, next, until, page.items.len(), now).await? {
                return Ok(Batch::Out {
                    events: page.items,
                    lease: token,
                    until,
                    next,
                    has_more,
                });
            }
        }
        Err(CoreError::Unanswered(format!(
            "too many ask for the batches of {name} at once; ask again"
        )))
    }

    /// Moves the position to where the batch of this lease ended, which counts as long as nobody was given the events again.
    /// The same may be said twice.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn acknowledge(&self, actor: &Actor, name: &str, lease: &str, now: Millis) -> Result<Acknowledged> {
        self.get(actor, name).await?;
        // One statement: whoever else changes the row does so before or after it.
        let sql = "UPDATE consumer SET position = lease_to, acked = lease, lease = NULL, lease_until = 0, lease_events = 0, ack_at = $3 \
                   WHERE name = $1 AND lease = $2 RETURNING position";
        let mut tx = self.store.begin().await?;
        let moved: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(name).bind(lease).bind(now).fetch_optional(db).await)?;
        tx.commit().await?;
        if let Some(position) = moved {
            return Ok(Acknowledged::At(position));
        }
        let consumer = find(&self.store, name).await?.ok_or(missing())?;
        let said_before = consumer.acked.as_deref() == Some(lease);
        Ok(if said_before {
            Acknowledged::At(consumer.position)
        } else {
            Acknowledged::Lost
        })
    }

    /// Nothing up to `next` is for this consumer: it need not be looked at again. False when it was changed meanwhile.
    async fn advance(&self, seen: &Consumer, next: i64) -> Result<bool> {
        let sql = "UPDATE consumer SET position = $5, lease = NULL, lease_until = 0, lease_events = 0 \
                   WHERE name = $1 AND version = $2 AND position = $3 AND COALESCE(lease, '') = $4 RETURNING name";
        let mut tx = self.store.begin().await?;
        let done: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&seen.name).bind(seen.version).bind(seen.position).bind(seen.lease.as_deref().unwrap_or_default()).bind(next)
            .fetch_optional(db).await)?;
        tx.commit().await?;
        Ok(done.is_some())
    }

    /// Enters a batch as out. False when the consumer is no longer as it was when the events were read: then another worker
    /// has them, or they are others.
    async fn lend(&self, seen: &Consumer, token: &str, next: i64, until: Millis, events: usize, now: Millis) -> Result<bool> {
        // As it would be without the guard: a test shows that two workers then hold the same events.
        let open = mutant::active("consumer_lends_twice");
        let sql = "UPDATE consumer SET lease = $5, lease_to = $6, lease_until = $7, lease_events = $8, batch_at = $9 \
                   WHERE name = $1 AND (version = $2 AND position = $3 AND COALESCE(lease, '') = $4 OR $10 = 1) RETURNING name";
        let mut tx = self.store.begin().await?;
        let done: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&seen.name).bind(seen.version).bind(seen.position).bind(seen.lease.as_deref().unwrap_or_default()).bind(token).bind(next)
            .bind(until).bind(i64::try_from(events).unwrap_or(i64::MAX)).bind(now).bind(i64::from(open)).fetch_optional(db).await)?;
        tx.commit().await?;
        Ok(done.is_some())
    }
}
