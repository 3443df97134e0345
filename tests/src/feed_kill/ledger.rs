//! What was committed, from the database itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::place::Place;
use crate::scratch::Scratch;

/// One event.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Event {
    /// Its id.
    pub(super) id: String,
    /// Its type, without the prefix.
    #[sqlx(rename = "type")]
    pub(super) kind: String,
    /// Its request.
    pub(super) subject: String,
}

const SQL: &str = "SELECT id, type, subject FROM event ORDER BY position";

/// All events, in their order.
///
/// # Errors
/// The database's.
pub(super) async fn events(scratch: &Scratch, place: &Place<'_>) -> Result<Vec<Event>> {
    match place {
        Place::Sqlite => {
            let file = scratch.path().join("voxea.db");
            let file = file.to_str().context("the folder has no name")?;
            let mut database = SqliteConnection::connect(&format!("sqlite:{file}?mode=ro")).await?;
            let all = sqlx::query_as(SQL).fetch_all(&mut database).await?;
            database.close().await?;
            Ok(all)
        }
        Place::Postgres(cluster, name) => {
            let mut database = PgConnection::connect(&cluster.url(name)).await?;
            let all = sqlx::query_as(SQL).fetch_all(&mut database).await?;
            database.close().await?;
            Ok(all)
        }
    }
}

/// How many of these requests have not exactly one `request.created`.
pub(super) fn not_once(committed: &[Event], requests: &[String]) -> usize {
    let mut created: BTreeMap<&str, usize> = BTreeMap::new();
    for event in committed.iter().filter(|event| event.kind == "request.created") {
        *created.entry(event.subject.as_str()).or_default() += 1;
    }
    requests.iter().filter(|id| created.get(id.as_str()) != Some(&1)).count()
}

/// How many of the wanted are missing, and how many are there beside them or twice.
pub(super) fn differ(wanted: &[&str], had: &[&str]) -> (usize, usize) {
    let (of, there): (BTreeSet<&str>, BTreeSet<&str>) = (wanted.iter().copied().collect(), had.iter().copied().collect());
    let missing = of.difference(&there).count();
    (missing, had.len() + missing - of.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much() {
        assert_eq!(differ(&["a", "b", "c"], &["c", "a", "b"]), (0, 0));
        assert_eq!(differ(&["a", "b", "c"], &["a", "c"]), (1, 0));
        assert_eq!(differ(&["a", "b"], &["a", "b", "b", "x"]), (0, 2));
        assert_eq!(differ(&["a", "b"], &["a", "a"]), (1, 1));
    }

    #[test]
    fn a_contact_has_one_request() {
        let event = |kind: &str, subject: &str| Event {
            id: String::new(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
        };
        let committed = [
            event("request.created", "a"),
            event("interaction.received", "b"),
            event("request.created", "c"),
            event("request.created", "c"),
        ];
        assert_eq!(not_once(&committed, &["a".to_owned(), "b".to_owned(), "c".to_owned()]), 2);
    }
}
