//! A consumer as it is stored and shown.

use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::Millis;
use crate::feed::Filter;
use crate::store::{Store, Tx, on};

/// Characters of a name.
const LONGEST: usize = 64;

/// Where an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Unique in the town.
    pub name: String,
    /// Who may use it, as history names them: `key:…`, `oauth:…`, `agent:…`.
    pub owner: String,
    /// Which events it gets.
    pub filter: Filter,
    /// Everything up to here was acknowledged, or left out by the filter.
    pub position: i64,
    /// The token of the batch that is out.
    pub lease: Option<String>,
    /// Where the position will be once it is acknowledged.
    pub lease_to: i64,
    /// Until when nobody else gets a batch.
    pub lease_until: Millis,
    /// How many events are out.
    pub lease_events: i64,
    /// The token that was acknowledged last.
    pub acked: Option<String>,
    /// Rises with every change of its filter and every step that no acknowledgement made.
    pub version: i64,
    /// When a batch went out last.
    pub batch_at: Option<Millis>,
    /// When one was acknowledged last.
    pub ack_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
}

/// How far a consumer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Positions of the feed behind its own, at most so many events.
    pub events: i64,
    /// The age of the first of them, milliseconds; 0 when there is none.
    pub age: Millis,
}

#[derive(sqlx::FromRow)]
pub(super) struct Stored {
    name: String,
    owner: String,
    filter: String,
    position: i64,
    lease: Option<String>,
    lease_to: i64,
    lease_until: Millis,
    lease_events: i64,
    acked: Option<String>,
    version: i64,
    batch_at: Option<Millis>,
    ack_at: Option<Millis>,
    created_at: Millis,
}

pub(super) const COLUMNS: &str =
    "name, owner, filter, position, lease, lease_to, lease_until, lease_events, acked, version, batch_at, ack_at, created_at";

impl TryFrom<Stored> for Consumer {
    type Error = CoreError;

    fn try_from(row: Stored) -> Result<Self> {
        let filter = serde_json::from_str(&row.filter)
            .map_err(|error| CoreError::Store(format!("the filter of consumer {} cannot be read: {error}", row.name)))?;
        Ok(Self {
            name: row.name,
            owner: row.owner,
            filter,
            position: row.position,
            lease: row.lease,
            lease_to: row.lease_to,
            lease_until: row.lease_until,
            lease_events: row.lease_events,
            acked: row.acked,
            version: row.version,
            batch_at: row.batch_at,
            ack_at: row.ack_at,
            created_at: row.created_at,
        })
    }
}

impl Consumer {
    /// Passes its owner, and who may change what Voxea goes by; for everybody else it is not there.
    pub(super) fn of(self, actor: &Actor) -> Result<Self> {
        if may(actor, &self.owner) { Ok(self) } else { Err(missing()) }
    }

    /// Whether a batch is out and nobody else gets one yet.
    #[must_use]
    pub const fn is_leased(&self, now: Millis) -> bool {
        self.lease.is_some() && now < self.lease_until
    }
}

pub(super) fn may(actor: &Actor, owner: &str) -> bool {
    actor.to_string() == owner || actor.may(Operation::Admin)
}

pub(super) const fn missing() -> CoreError {
    CoreError::NotFound { what: "consumer" }
}

/// Refuses a name that would read badly in a metric or a path.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let fits = name.len() <= LONGEST && name.starts_with(plain) && name.chars().all(|char| plain(char) || "-_.".contains(char));
    if fits {
        return Ok(());
    }
    Err(CoreError::invalid(
        "/name",
        format!("must have 1 to {LONGEST} lower-case letters, digits, '-', '_' and '.', and begin with a letter or a digit"),
    ))
}

pub(super) async fn find(store: &Store, name: &str) -> Result<Option<Consumer>> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM consumer WHERE name = $1"));
    let row: Option<Stored> = on!(Store, store, db => sqlx::query_as(sql).bind(name).fetch_optional(db).await)?;
    row.map(Consumer::try_from).transpose()
}

/// The same, locked until the transaction ends. SQLite has one writer, who needs no lock.
pub(super) async fn locked(tx: &mut Tx, name: &str) -> Result<Option<Consumer>> {
    let lock = if matches!(tx, Tx::Postgres(_)) { " FOR UPDATE" } else { "" };
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM consumer WHERE name = $1{lock}"));
    let row: Option<Stored> = on!(Tx, tx, db => sqlx::query_as(sql).bind(name).fetch_optional(db).await)?;
    row.map(Consumer::try_from).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["gru", "a", "gru-2.test_x", "0", &"a".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Gru", "-a", ".", "a b", "é", "a/b", "a\n", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
