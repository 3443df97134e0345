//! Making, showing, winding back and removing consumers.

use serde_json::json;

use super::row::{COLUMNS, Consumer, Lag, Stored, check_name, find, locked, may, missing};
use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::feed::{Begin, Feed, Filter};
use crate::store::{Store, Tx, on};

/// Consumers of a town, at most: each is a series of metrics.
const MOST: i64 = 200;

/// What came of a PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// As it is now.
    pub consumer: Consumer,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// The door.
#[derive(Debug, Clone)]
pub struct Consumers {
    pub(super) store: Store,
    pub(super) feed: Feed,
}

impl Consumers {
    /// Over a store and its feed.
    #[must_use]
    pub const fn new(store: Store, feed: Feed) -> Self {
        Self { store, feed }
    }

    /// Makes a consumer that begins at `from`, or gives the one that is there another filter, which counts from its position
    /// on. A batch that is out then was chosen by the old one: its lease is lost, and what it held and passes the new filter
    /// comes again. `owner` hands it over, as when an application gets a new key; only who may change what Voxea goes by does
    /// that.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] for name, filter or position; [`CoreError::Conflict`] when the name is another's, or there are
    /// too many; what [`Begin`] is refused with; the store's.
    pub async fn put(&self, actor: &Actor, name: &str, filter: &Filter, from: Begin, owner: Option<&str>) -> Result<Made> {
        check_name(name)?;
        filter.check()?;
        if owner.is_some_and(|owner| owner != actor.to_string()) && !actor.may(Operation::Admin) {
            return Err(CoreError::invalid(
                "/owner",
                "is another than who calls; only an admin key hands a consumer over",
            ));
        }
        let terms = serde_json::to_string(filter).map_err(|error| CoreError::Store(error.to_string()))?;
        // Before the transaction, which must not wait for a reader.
        let position = from.position(&self.feed).await?;
        let mut tx = self.store.begin().await?;
        let found = locked(&mut tx, name).await?;
        if let Some(found) = found {
            if !may(actor, &found.owner) {
                return Err(CoreError::Conflict(format!(
                    "the name {name} is another client's; choose another one"
                )));
            }
            let owner = owner.unwrap_or(&found.owner).to_owned();
            if found.filter == *filter && found.owner == owner {
                return Ok(Made {
                    consumer: found,
                    is_new: false,
                });
            }
            let sql = sqlx::AssertSqlSafe(format!(
                "UPDATE consumer SET filter = $2, owner = $3, version = version + 1, lease = NULL, lease_until = 0, lease_events = 0, acked = NULL \
                 WHERE name = $1 RETURNING {COLUMNS}"
            ));
            let row: Stored = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(name).bind(&terms).bind(&owner).fetch_one(db).await)?;
            enter(&mut tx, actor, "changed", name, &json!({"filter": filter, "owner": owner})).await?;
            tx.commit().await?;
            return Ok(Made {
                consumer: row.try_into()?,
                is_new: false,
            });
        }
        let owner = owner.map_or_else(|| actor.to_string(), str::to_owned);
        let sql = sqlx::AssertSqlSafe(format!(
            "INSERT INTO consumer (name, owner, filter, position, created_at) SELECT $1, $2, $3, $4, $5 \
             WHERE (SELECT COUNT(*) FROM consumer) < $6 ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ));
        let made: Option<Stored> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(name).bind(&owner).bind(&terms).bind(position).bind(time::now()).bind(MOST).fetch_optional(db).await)?;
        let Some(made) = made else {
            drop(tx);
            return Err(CoreError::Conflict(match find(&self.store, name).await? {
                Some(_) => format!("somebody else has just made {name}; ask again"),
                None => format!("there are {MOST} consumers already; remove those that nobody uses"),
            }));
        };
        enter(&mut tx, actor, "created", name, &json!({"filter": filter, "owner": owner})).await?;
        tx.commit().await?;
        Ok(Made {
            consumer: made.try_into()?,
            is_new: true,
        })
    }

    /// One consumer.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn get(&self, actor: &Actor, name: &str) -> Result<Consumer> {
        find(&self.store, name).await?.ok_or(missing())?.of(actor)
    }

    /// Those of the caller, by name; of who may change what Voxea goes by, all.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<Consumer>> {
        let all = self.all().await?;
        Ok(all.into_iter().filter(|consumer| may(actor, &consumer.owner)).collect())
    }

    /// Every one, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn all(&self) -> Result<Vec<Consumer>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM consumer ORDER BY name"));
        let rows: Vec<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter().map(Consumer::try_from).collect()
    }

    /// How far one is behind the feed. What its filter and its holder's contract leave out counts until it asks again.
    ///
    /// # Errors
    /// The store's.
    pub async fn lag(&self, consumer: &Consumer, now: Millis) -> Result<Lag> {
        let events = self.feed.head().await? - consumer.position;
        let sql = "SELECT at FROM event WHERE position > $1 ORDER BY position LIMIT 1";
        let first: Option<Millis> =
            on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(consumer.position).fetch_optional(db).await)?;
        Ok(Lag {
            events: events.max(0),
            age: first.map_or(0, |at| (now - at).max(0)),
        })
    }

    /// Stands it elsewhere in the feed, also further on. A batch that is out loses its lease.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; what [`Begin`] is refused with; the store's.
    pub async fn rewind(&self, actor: &Actor, name: &str, to: Begin) -> Result<Consumer> {
        let position = to.position(&self.feed).await?;
        let mut tx = self.store.begin().await?;
        locked(&mut tx, name).await?.ok_or(missing())?.of(actor)?;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE consumer SET position = $2, version = version + 1, lease = NULL, lease_until = 0, lease_events = 0, acked = NULL WHERE name = $1 \
             RETURNING {COLUMNS}"
        ));
        let row: Stored = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(name).bind(position).fetch_one(db).await)?;
        enter(&mut tx, actor, "rewound", name, &json!({"position": position})).await?;
        tx.commit().await?;
        row.try_into()
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn remove(&self, actor: &Actor, name: &str) -> Result<()> {
        let mut tx = self.store.begin().await?;
        locked(&mut tx, name).await?.ok_or(missing())?.of(actor)?;
        on!(Tx, &mut tx, db => sqlx::query("DELETE FROM consumer WHERE name = $1").bind(name).execute(db).await.map(|_| ()))?;
        enter(&mut tx, actor, "removed", name, &json!({})).await?;
        tx.commit().await
    }
}

async fn enter(tx: &mut Tx, actor: &Actor, action: &str, name: &str, detail: &serde_json::Value) -> Result<()> {
    audit::append(tx, &[Entry::new(actor, action, format!("consumer/{name}")).detail(detail)]).await
}
