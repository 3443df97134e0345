//! Reading the feed.

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::base::wake::{Listener, Wake};
use crate::store::Store;
use crate::store::on;

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

    /// At most `limit` events after a position; 0 is before the first.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, after: i64, limit: usize) -> Result<Page> {
        let sql = "SELECT position, id, type, subject, at, data FROM event WHERE position > $1 ORDER BY position LIMIT $2";
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut items: Vec<Event> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(after).bind(wanted).fetch_all(db).await)?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().map_or(after, |event| event.position);
        Ok(Page { items, next, has_more })
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
