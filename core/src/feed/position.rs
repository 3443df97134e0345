//! Giving positions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};

use super::NewEvent;

/// The counter of positions.
const FEED: &str = "feed";

/// Of which channel and theme a request is when its event gets its place is read by this statement itself: it runs under the
/// counter's lock, so that what it sees is what was committed at earlier positions and nothing else.
static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("position", Column::Integer),
        ("id", Column::Text),
        ("type", Column::Text),
        ("subject", Column::Text),
        ("at", Column::Integer),
        ("data", Column::Text),
        ("channel", Column::Text),
        ("theme", Column::Text),
        ("theme_from", Column::Text),
    ])
    .statement(
        "INSERT INTO event ({columns}) SELECT r.position, r.id, r.type, r.subject, r.at, r.data, \
         COALESCE(r.channel, (SELECT q.channel FROM request q WHERE q.id = r.subject)), \
         CASE WHEN r.channel IS NULL THEN COALESCE(r.theme, (SELECT q.theme FROM request q WHERE q.id = r.subject)) ELSE r.theme END, \
         r.theme_from FROM {rows} AS r WHERE true",
    )
});

static ADVANCE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("name", Column::Text), ("value", Column::Integer)]).statement(
        "INSERT INTO counter ({columns}) SELECT {values} FROM {rows} AS r WHERE true \
         ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING name, value",
    )
});

/// Takes `count` positions and returns the first. From here to its commit the transaction holds the feed, so nothing
/// slow may follow.
///
/// # Errors
/// The store's.
pub async fn next_positions(tx: &mut Tx, count: usize) -> Result<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE counter SET value = value + $1 WHERE name = 'feed' RETURNING value";
    let last: i64 = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(count).fetch_one(db).await)?;
    Ok(last - count + 1)
}

/// The same, and `wanted` numbers of other counters, whose first ones are returned by their names. The feed's counter
/// is locked before the others, always.
///
/// # Errors
/// The store's.
pub async fn next_numbers(tx: &mut Tx, count: usize, wanted: &BTreeMap<String, usize>) -> Result<(i64, BTreeMap<String, i64>)> {
    let taken = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let others = wanted.iter().map(|(name, count)| (name.as_str(), taken(*count)));
    let takes: Vec<(&str, i64)> = std::iter::once((FEED, taken(count))).chain(others).collect();
    let rows: Vec<Row> = takes.iter().map(|(name, value)| row!({"name": name, "value": value})).collect();
    let (sql, rows) = (ADVANCE.for_tx(tx), Row::array(&rows));
    let last: Vec<(String, i64)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    let last: BTreeMap<String, i64> = last.into_iter().collect();
    let first = |(name, count): (&str, i64)| {
        let last = last
            .get(name)
            .ok_or_else(|| CoreError::Store(format!("the counter {name} did not answer")))?;
        Ok::<_, CoreError>((name.to_owned(), last - count + 1))
    };
    let mut firsts = takes.into_iter().map(first).collect::<Result<BTreeMap<_, _>>>()?;
    let feed = firsts.remove(FEED).unwrap_or_default();
    Ok((feed, firsts))
}

/// Appends events at the positions that begin with `first`.
///
/// # Errors
/// The store's.
pub async fn append(tx: &mut Tx, first: i64, at: Millis, events: &[NewEvent]) -> Result<()> {
    let mut script = Script::default();
    add(&mut script, first, at, events);
    script.run(tx).await
}

/// Adds the same to a script.
pub fn add(script: &mut Script, first: i64, at: Millis, events: &[NewEvent]) {
    let rows: Vec<Row> = (first..)
        .zip(events)
        .map(|(position, event)| {
            row!({
                "position": position,
                "id": id::new(),
                "type": event.kind.as_str(),
                "subject": event.subject,
                "at": at,
                "data": event.data(),
                "channel": event.channel,
                "theme": event.theme,
                "theme_from": event.theme_from,
            })
        })
        .collect();
    script.add(&INSERT, rows);
}
