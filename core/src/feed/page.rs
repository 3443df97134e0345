//! Reading the feed.

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::base::wake::{Listener, Wake};
use crate::store::on;
use crate::store::{Reach, Store};

/// One event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Event {
    /// Its place in the order of commits; never given twice, may skip.
    pub position: i64,
    /// UUIDv7.
    pub id: String,
    /// Without the prefix `fr.voxea.`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// The request's id, or the account of a channel event.
    pub subject: String,
    /// When it was committed, nearly: milliseconds UTC.
    pub at: Millis,
    /// A JSON object.
    pub data: String,
}

/// A run of consecutive events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub items: Vec<Event>,
    /// Where the next page begins: the last position seen, or the one asked for when nothing is there yet.
    pub next: i64,
    /// Whether more was there at the moment of reading.
    pub has_more: bool,
}

/// The door to the stream.
#[derive(Debug, Clone)]
pub struct Feed {
    store: Store,
    wake: Wake,
}

impl Feed {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, wake: Wake::new() }
    }

    /// At most `limit` events after a position; 0 is before the first. Of requests, only those that are reached now: one
    /// that comes within reach later does so by a change, which is an event of its own.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, reach: &Reach, after: i64, limit: usize) -> Result<Page> {
        // Whoever is shown little would else look through the same events again each time. Every event up to the head is
        // committed, so that none of them appears behind it.
        let head = if reach.is_everything() { after } else { self.head().await? };
        let mut items = self.events(reach, after, limit.saturating_add(1)).await?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map_or(after, |event| event.position);
        let next = if has_more { last } else { last.max(head) };
        Ok(Page { items, next, has_more })
    }

    async fn events(&self, reach: &Reach, after: i64, limit: usize) -> Result<Vec<Event>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if reach.is_everything() {
            let sql = "SELECT position, id, type, subject, at, data FROM event WHERE position > $1 ORDER BY position LIMIT $2";
            return Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(after).bind(limit).fetch_all(db).await)?);
        }
        let reached = reach.condition("r", 3);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT e.position, e.id, e.type, e.subject, e.at, e.data FROM event e LEFT JOIN request r ON r.id = e.subject \
             WHERE e.position > $1 AND (r.id IS NULL OR {}) ORDER BY e.position LIMIT $2",
            reached.sql
        ));
        Ok(on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(after).bind(limit);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?)
    }

    /// The last position that was given.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self) -> Result<i64> {
        let sql = "SELECT value FROM counter WHERE name = 'feed'";
        Ok(on!(Store, &self.store, db => sqlx::query_scalar(sql).fetch_one(db).await)?)
    }

    /// Tells waiting readers that something was committed.
    pub fn committed(&self) {
        self.wake.ring();
    }

    /// Hears every commit of this node from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.wake.listen()
    }
}
