//! Reading the feed.

use std::collections::HashMap;

use crate::base::error::Result;
use crate::base::mutant;
use crate::base::wake::{Listener, Wake};
use crate::store::Store;
use crate::store::on;

use super::Selection;
use super::stored::Event;

/// Positions that a page goes through at most when not everything is shown, so that it costs the same however rare that is. The
/// theme and the type have no index: one would cost every contact that is taken in, and this is a few milliseconds, of which the
/// whole feed of five million events takes a thousand times.
const WINDOW: i64 = 5_000;
/// Events that a page goes through at most when only the newest of each subject is shown.
const LATEST_WINDOW: usize = 5_000;

/// A run of consecutive events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub items: Vec<Event>,
    /// Where the next page begins: the last position seen, or the one asked for when nothing is there yet.
    pub next: i64,
    /// Whether more may be there already. A page may be empty and have more behind it, where little is shown.
    pub has_more: bool,
}

/// The door to the stream.
#[derive(Debug, Clone)]
pub struct Feed {
    pub(super) store: Store,
    wake: Wake,
}

impl Feed {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, wake: Wake::new() }
    }

    /// At most `limit` events after a position, as far as they are selected. [`State::floor`](super::State::floor), 0 at first, is
    /// before all that there are.
    ///
    /// # Errors
    /// [`FeedAhead`](crate::base::error::CoreError::FeedAhead) and [`FeedGone`](crate::base::error::CoreError::FeedGone) for a
    /// position from which nobody can go on without a hole; the store's.
    pub async fn select(&self, selection: &Selection, after: i64, limit: usize) -> Result<Page> {
        let read = self.read(selection, after, limit).await?;
        Ok(Page {
            items: read.items.into_iter().filter_map(|event| selection.view(event)).collect(),
            next: read.next,
            has_more: read.has_more,
        })
    }

    /// The same, of which events are left out that are followed by another one of their subject in the same page, unless they are
    /// tombstones. So a page reaches further: it goes through 5,000 selected events at most, until it would hold more than `limit`.
    ///
    /// # Errors
    /// As [`Feed::select`].
    pub async fn select_latest(&self, selection: &Selection, after: i64, limit: usize) -> Result<Page> {
        let read = self.read(selection, after, LATEST_WINDOW.max(limit)).await?;
        let (mut kept, mut last): (Vec<Option<Event>>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
        let (mut count, mut next, mut cut) = (0, after, false);
        for stored in read.items {
            let position = stored.position;
            let Some(event) = selection.view(stored) else { continue };
            let earlier = last.get(&event.subject).copied();
            let earlier = earlier
                .and_then(|at| kept.get_mut(at))
                .filter(|one| one.as_ref().is_some_and(|one| !one.is_tombstone()));
            if earlier.is_none() && count == limit {
                cut = true;
                break;
            }
            match earlier {
                Some(earlier) => *earlier = None,
                None => count += 1,
            }
            last.insert(event.subject.clone(), kept.len());
            kept.push(Some(event));
            next = position;
        }
        Ok(Page {
            items: kept.into_iter().flatten().collect(),
            next: if cut { next } else { read.next },
            has_more: cut || read.has_more,
        })
    }

    /// Every event after a position as it was stored, for who hands it on to several readers; each has its own view.
    ///
    /// # Errors
    /// As [`Feed::select`].
    pub async fn stored(&self, after: i64, limit: usize) -> Result<Page> {
        self.read(&Selection::everything(), after, limit).await
    }

    /// Events as they were stored, of which the selection may show something.
    async fn read(&self, selection: &Selection, after: i64, limit: usize) -> Result<Page> {
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let columns = "position, id, type, subject, at, data, channel, theme, theme_from";
        if selection.is_everything() {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {columns} FROM event WHERE position > $1 ORDER BY position LIMIT $2"
            ));
            let mut items: Vec<Event> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(after).bind(wanted).fetch_all(db).await)?;
            // Asked afterwards: what was removed meanwhile is not passed over in silence.
            let state = self.state().await?;
            state.follows(after)?;
            let has_more = items.len() > limit;
            items.truncate(limit);
            let mut next = items.last().map_or(after, |event| event.position);
            if mutant::active("feed_reads_past") {
                // As it would be with a head that is asked for after the events: what was committed in between is passed over.
                next = next.max(state.head);
            }
            return Ok(Page { items, next, has_more });
        }
        // Every event up to the head is committed, so that none of them appears behind it.
        let state = self.state().await?;
        state.follows(after)?;
        let until = state.head.min(after.saturating_add(WINDOW));
        let shown = selection.condition(4);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {columns} FROM event e WHERE e.position > $1 AND e.position <= $3 AND {} ORDER BY e.position LIMIT $2",
            shown.sql
        ));
        let mut items: Vec<Event> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(after).bind(wanted).bind(until);
            for text in shown.texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?;
        self.state().await?.follows(after)?;
        let cut = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| cut).map_or(until, |event| event.position);
        Ok(Page {
            items,
            next,
            has_more: cut || until < state.head,
        })
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
