//! Giving a citizen the requests that came from their address before it was known to be theirs.
//!
//! Only requests of exactly that address, that are nobody's and that no person has decided about, and only while no other
//! active citizen has the address too. It happens in the transaction that adds the address, so that who was told that the
//! address is there finds the requests with it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::json;

use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::feed::{self, EventKind, NewEvent};
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};
use crate::vault::{Place, Vault};

/// How many requests are given at once, the latest ones; a person links older ones by hand.
const MOST: usize = 500;

/// [`MOST`] in SQL, which a constant's text must be whole for.
macro_rules! most {
    () => {
        "500"
    };
}

/// What is nobody's and may become somebody's.
macro_rules! nobodys {
    () => {
        "from_key IN (SELECT r.wanted FROM {rows} AS r) AND citizen_id IS NULL AND citizen_by_hand = 0"
    };
}

static CLAIM: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "UPDATE request SET version = version WHERE id IN (SELECT id FROM request WHERE ",
        nobodys!(),
        " ORDER BY position DESC LIMIT ",
        most!(),
        ") RETURNING id",
    ))
});
static COUNT: LazyLock<SetSql> =
    LazyLock::new(|| Rows(&[("wanted", Column::Text)]).statement(concat!("SELECT COUNT(*) FROM request WHERE ", nobodys!())));
static GIVE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("claimed", Column::Text), ("citizen", Column::Text), ("now_at", Column::Integer)]).statement(
        "UPDATE request SET citizen_id = r.citizen, version = version + 1, updated_at = r.now_at FROM {rows} AS r \
         WHERE id = r.claimed AND citizen_id IS NULL AND citizen_by_hand = 0 AND (SELECT COUNT(*) FROM contact_point p JOIN citizen c ON c.id = p.citizen_id \
           WHERE p.match_key = request.from_key AND p.removed_at IS NULL AND c.status = 'active') = 1 \
         RETURNING id, channel, status, version",
    )
});
static HISTORY: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("request_id", Column::Text),
        ("at", Column::Integer),
        ("actor", Column::Text),
        ("action", Column::Text),
        ("detail", Column::Text),
    ])
    .insert("history")
});

/// Requests that are locked and may be given.
#[derive(Debug)]
pub(super) struct Claimed {
    keys: Vec<Row>,
    ids: BTreeSet<String>,
}

/// What became of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many requests were given.
    Given(usize),
    /// A request came in meanwhile: the transaction is to be begun again.
    Again,
}

impl Claimed {
    /// Locks what may be given of these keys. Rows before the feed's counter, as everywhere: others hold a row and wait for
    /// the counter.
    pub(super) async fn of(tx: &mut Tx, keys: impl IntoIterator<Item = String>) -> Result<Self> {
        let keys: Vec<Row> = keys.into_iter().map(|key| row!({"wanted": key})).collect();
        let mut claimed = Self {
            keys,
            ids: BTreeSet::new(),
        };
        if !claimed.keys.is_empty() {
            let (sql, rows) = (CLAIM.for_tx(tx), Row::array(&claimed.keys));
            let ids: Vec<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
            claimed.ids.extend(ids);
        }
        Ok(claimed)
    }

    /// Gives them. The transaction holds the feed's counter: whatever was taken in before is seen here, and whatever is
    /// taken in later sees the new address.
    pub(super) async fn give(self, tx: &mut Tx, vault: &Vault, citizen: &str, actor: &Actor, at: Millis) -> Result<Outcome> {
        if self.keys.is_empty() {
            return Ok(Outcome::Given(0));
        }
        let (sql, rows) = (COUNT.for_tx(tx), Row::array(&self.keys));
        let there: i64 = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(rows).fetch_one(db).await)?;
        if self.ids.len() < MOST && usize::try_from(there).unwrap_or_default() > self.ids.len() {
            return Ok(Outcome::Again);
        }
        if self.ids.is_empty() {
            return Ok(Outcome::Given(0));
        }
        let rows = self.ids.iter().map(|id| row!({"claimed": id, "citizen": citizen, "now_at": at}));
        let (sql, rows) = (GIVE.for_tx(tx), Row::array(&rows.collect::<Vec<_>>()));
        let mut given: Vec<(String, String, String, i64)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        if given.is_empty() {
            return Ok(Outcome::Given(0));
        }
        given.sort();
        let detail = json!({"citizen": citizen}).to_string();
        let history = given.iter().map(|(request_id, ..)| {
            let id = id::new();
            let detail = vault.seal(Place::HistoryDetail, &id, &detail)?;
            Ok(row!({
                "id": id, "request_id": request_id, "at": at, "actor": actor.to_string(), "action": "linked", "detail": detail,
            }))
        });
        let history: Vec<Row> = history.collect::<Result<_>>()?;
        let events = given.iter().map(|(request_id, channel, status, version)| {
            let event = NewEvent::of_request(EventKind::RequestUpdated, request_id);
            event.with("channel", channel).with("status", status).with("version", version)
        });
        let events: Vec<NewEvent> = events.collect();
        let first = feed::next_positions(tx, events.len()).await?;
        let mut script = Script::default();
        script.add(&HISTORY, history);
        feed::add(&mut script, first, at, &events);
        script.run(tx).await?;
        Ok(Outcome::Given(given.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_the_same_in_rust_and_in_sql() {
        assert_eq!(most!().parse(), Ok(MOST));
    }
}
