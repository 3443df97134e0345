//! What the store knows of the requests that a batch may join: read as sets, a statement for each way to find one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, SetSql, Tx, row};

/// The columns of [`Found`] that come from the request, for every statement below. Of one that is closed, also since when.
macro_rules! of_request {
    () => {
        "q.id, q.ref, q.channel, q.account, q.status, q.from_key, q.last_contact_at, q.last_keyword, q.merged_into, \
         CASE WHEN q.status = 'closed' THEN COALESCE((SELECT MAX(t.at) FROM transition t WHERE t.request_id = q.id), q.updated_at) END \
         AS ended_at"
    };
}

/// What [`crate::request::Status::is_open`] says no to, for the look-ups that must find an open request by an index.
macro_rules! over {
    () => {
        "'closed', 'merged', 'spam', 'abusive', 'archived', 'eliminated', 'transmitted'"
    };
}

/// The latest open request of a sender, and those that wait for an answer of theirs, with the time when they were last asked:
/// by the move to that state, or by a later reply.
static CONVERSATIONS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("owner", Column::Text), ("citizen", Column::Text)]).statement(concat!(
        "SELECT r.citizen AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.id = (SELECT o.id FROM request o WHERE o.account = r.owner AND o.from_key = r.citizen \
          AND o.status NOT IN (",
        over!(),
        ") ORDER BY o.last_contact_at DESC, o.position DESC LIMIT 1) \
         UNION ALL SELECT r.citizen, COALESCE((SELECT MAX(x.at) FROM (SELECT t.at FROM transition t WHERE t.request_id = q.id \
          UNION ALL SELECT p.created_at FROM reply p WHERE p.request_id = q.id AND p.kind = 'reply') AS x), q.received_at), ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.account = r.owner AND q.from_key = r.citizen AND q.status = 'awaiting_citizen'",
    ))
});
static REFERENCES: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT q.ref AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.ref = r.wanted",
    ))
});
static IDS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT q.id AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.id = r.wanted",
    ))
});
static THREADS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT m.message_id AS found_by, m.named, ",
        of_request!(),
        " FROM {rows} AS r JOIN message_id m ON m.message_id = r.wanted JOIN request q ON q.id = m.request_id ORDER BY q.position",
    ))
});
static TWINS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT d.key AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN dedup d ON d.account = '' AND d.key = r.wanted \
          JOIN request_interaction l ON l.interaction_id = d.interaction_id JOIN request q ON q.id = l.request_id ORDER BY q.position",
    ))
});
static KNOWN: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT l.interaction_id AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request_interaction l ON l.interaction_id = r.wanted JOIN request q ON q.id = l.request_id \
          ORDER BY l.position DESC",
    ))
});
/// Open requests that continue one that is over.
static CONTINUED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT l.other_id AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request_link l ON l.other_id = r.wanted AND l.kind = 'continues' \
          JOIN request q ON q.id = l.request_id AND q.status NOT IN (",
        over!(),
        ") ORDER BY q.position",
    ))
});
/// Of senders and requests, those that belong together though another opened the request: who wrote to it before, and whoever's
/// address is its citizen's.
static PARTICIPANTS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("request", Column::Text), ("sender", Column::Text)]).statement(
        "SELECT r.request, r.sender FROM {rows} AS r WHERE \
         EXISTS (SELECT 1 FROM participant p WHERE p.request_id = r.request AND p.match_key = r.sender) \
         OR EXISTS (SELECT 1 FROM request q JOIN contact_point c ON c.citizen_id = q.citizen_id \
                    WHERE q.id = r.request AND c.match_key = r.sender AND c.removed_at IS NULL)",
    )
});

/// A request, and by what it was found.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Found {
    pub(super) found_by: String,
    /// 1 for an id that was only named; of a question, when it was asked; else 0.
    pub(super) named: i64,
    pub(super) id: String,
    #[sqlx(rename = "ref")]
    pub(super) reference: String,
    pub(super) channel: String,
    pub(super) account: Option<String>,
    pub(super) status: String,
    pub(super) from_key: Option<String>,
    pub(super) last_contact_at: Millis,
    pub(super) last_keyword: i64,
    pub(super) merged_into: Option<String>,
    /// Of one that is closed: since when.
    pub(super) ended_at: Option<Millis>,
}

/// By account and the sender's match key.
pub(super) async fn conversations(tx: &mut Tx, senders: BTreeSet<(&str, &str)>) -> Result<Vec<Found>> {
    let rows = senders
        .into_iter()
        .map(|(owner, citizen)| row!({"owner": owner, "citizen": citizen}));
    look(tx, &CONVERSATIONS, rows.collect()).await
}

/// By the references of people.
pub(super) async fn references(tx: &mut Tx, references: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &REFERENCES, wanted(references)).await
}

/// By ids.
pub(super) async fn requests(tx: &mut Tx, ids: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &IDS, wanted(ids)).await
}

/// By Message-IDs.
pub(super) async fn threads(tx: &mut Tx, message_ids: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &THREADS, wanted(message_ids)).await
}

/// By what is equal for the same mail in two mailboxes.
pub(super) async fn twins(tx: &mut Tx, twins: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &TWINS, wanted(twins)).await
}

/// By interactions, the first link last.
pub(super) async fn known(tx: &mut Tx, interactions: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &KNOWN, wanted(interactions)).await
}

/// By the requests that they continue, the latest last.
pub(super) async fn continuations(tx: &mut Tx, ids: BTreeSet<&str>) -> Result<Vec<Found>> {
    look(tx, &CONTINUED, wanted(ids)).await
}

/// Which of these senders, each with a request, take part in it.
pub(super) async fn participants(tx: &mut Tx, pairs: &HashSet<(String, String)>) -> Result<HashSet<(String, String)>> {
    if pairs.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<Row> = pairs
        .iter()
        .map(|(request, sender)| row!({"request": request, "sender": sender}))
        .collect();
    let (sql, rows) = (PARTICIPANTS.for_tx(tx), Row::array(&rows));
    let found: Vec<(String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    Ok(found.into_iter().collect())
}

/// How often a merged request that was merged into a merged one is followed.
const MERGES: usize = 8;

/// The requests into which others were merged, and so on. By their ids, those that are known already left out.
pub(super) async fn merges(tx: &mut Tx, found: &HashMap<String, Option<String>>) -> Result<Vec<Found>> {
    let (mut all, mut known): (Vec<Found>, HashSet<String>) = (Vec::new(), found.keys().cloned().collect());
    let mut next: BTreeSet<String> = found.values().flatten().filter(|id| !known.contains(*id)).cloned().collect();
    for _ in 0..MERGES {
        if next.is_empty() {
            break;
        }
        let more = requests(tx, next.iter().map(String::as_str).collect()).await?;
        known.extend(next);
        let into = more
            .iter()
            .filter(|one| one.status == "merged")
            .filter_map(|one| one.merged_into.clone());
        next = into.filter(|id| !known.contains(id)).collect();
        all.extend(more);
    }
    Ok(all)
}

fn wanted(keys: BTreeSet<&str>) -> Vec<Row> {
    keys.into_iter().map(|key| row!({"wanted": key})).collect()
}

async fn look(tx: &mut Tx, statement: &SetSql, rows: Vec<Row>) -> Result<Vec<Found>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, rows) = (statement.for_tx(tx), Row::array(&rows));
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?)
}

#[cfg(test)]
mod tests {
    use crate::request::Status;

    #[test]
    fn open_is_spelt_the_same_in_rust_and_in_sql() {
        for status in Status::ALL {
            assert_eq!(!status.is_open(), over!().contains(&format!("'{status}'")), "{status}");
        }
    }
}
