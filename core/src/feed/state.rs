//! Where the feed begins and ends, and whose it is: what a cursor is held against.

use serde_json::json;
use sqlx::FromRow;

use crate::audit;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Store, on};

use super::Feed;

/// Positions that one step of the retention goes through.
const STEP: i64 = 5_000;
/// Hexadecimal digits of an epoch.
const EPOCH: usize = 8;

/// The feed at a moment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct State {
    /// Whose positions these are: eight hexadecimal digits, made with the database and anew after a backup was restored.
    pub epoch: String,
    /// Events up to here were removed, because their time was over; 0 for none.
    pub floor: i64,
    /// The last position that was given. Whatever stands up to it is committed.
    pub head: i64,
}

impl State {
    /// Passes a position from which a reader may go on without a hole.
    ///
    /// # Errors
    /// [`CoreError::FeedAhead`], [`CoreError::FeedGone`].
    pub fn follows(&self, after: i64) -> Result<()> {
        let (epoch, head, floor) = (self.epoch.clone(), self.head, self.floor);
        if after > head {
            return Err(CoreError::FeedAhead { after, head, epoch });
        }
        if after < floor {
            return Err(CoreError::FeedGone { after, floor, epoch });
        }
        Ok(())
    }
}

impl Feed {
    /// Its epoch, its beginning and its end.
    ///
    /// # Errors
    /// The store's.
    pub async fn state(&self) -> Result<State> {
        let sql = "SELECT f.epoch, f.floor, c.value AS head FROM feed f CROSS JOIN counter c WHERE f.one = 1 AND c.name = 'feed'";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).fetch_one(db).await)?)
    }

    /// Removes events that happened before a moment, the first ones first, and moves the floor with them. Returns whether there
    /// may be more to remove at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, before: Millis) -> Result<bool> {
        let mut tx = self.store.begin().await?;
        // Up to the first that stays: what is removed is always the whole of a beginning.
        let sql = "SELECT MAX(position), COUNT(*) FROM (SELECT position FROM event WHERE position < COALESCE(\
                   (SELECT MIN(position) FROM (SELECT position, at FROM event ORDER BY position LIMIT $2) AS beginning WHERE at >= $1), \
                   9223372036854775807) ORDER BY position LIMIT $2) AS gone";
        let (last, count): (Option<i64>, i64) = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(before).bind(STEP).fetch_one(db).await)?;
        let Some(last) = last else { return Ok(false) };
        let sql = "DELETE FROM event WHERE position <= $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(last).execute(db).await.map(|_| ()))?;
        let sql = "UPDATE feed SET floor = $1 WHERE floor < $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(last).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        Ok(count >= STEP)
    }
}

/// Gives the feed another epoch and returns it, so that every cursor from before is refused. Once after a backup was restored.
///
/// # Errors
/// The store's.
pub async fn new_epoch(store: &Store, actor: &Actor, now: Millis) -> Result<String> {
    // The end of a UUIDv7 is random; its beginning is the time.
    let fresh = id::new().replace('-', "");
    let epoch = fresh.get(fresh.len().saturating_sub(EPOCH)..).unwrap_or(&fresh).to_owned();
    let mut tx = store.begin().await?;
    let entry = audit::Entry::new(actor, "put", "feed").at(now).detail(&json!({"epoch": epoch}));
    audit::append(&mut tx, &[entry]).await?;
    let sql = "UPDATE feed SET epoch = $1";
    on!(Tx, &mut tx, db => sqlx::query(sql).bind(&epoch).execute(db).await.map(|_| ()))?;
    tx.commit().await?;
    Ok(epoch)
}
