//! Requests and events by SQL, as if they had come in over years.

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::ceiling;
use crate::postgres::Postgres;
use crate::scratch::Scratch;

/// The theme that one request in a hundred has.
pub const THEME: &str = "voirie";
/// Requests a statement.
const STEP: u64 = 50_000;
/// Events of a request.
pub const EVENTS: u64 = 5;

/// Where it is stored.
#[derive(Debug)]
pub enum Place {
    /// A file in the folder of the installation.
    Sqlite,
    /// A database of this cluster.
    Postgres(Postgres),
}

impl Place {
    /// For people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// The URL of a new database for this size, as `[store] url` takes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn store(&self, requests: u64) -> Result<String> {
        match self {
            Self::Sqlite => Ok("sqlite:voxea.db".to_owned()),
            Self::Postgres(cluster) => cluster.database(&format!("feed{requests}")),
        }
    }

    /// Fills a migrated database that no daemon uses.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill(&self, scratch: &Scratch, requests: u64) -> Result<()> {
        match self {
            Self::Sqlite => {
                let file = scratch.path().join("voxea.db");
                let file = file.to_str().context("the folder has no name")?;
                let mut database = SqliteConnection::connect(&format!("sqlite:{file}")).await?;
                database.execute("PRAGMA synchronous = OFF").await?;
                for statement in statements(requests, "printf('%012x', i)", recursive, "i || ''") {
                    database.execute(sqlx::AssertSqlSafe(statement)).await?;
                }
                database.execute("ANALYZE").await?;
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
                Ok(database.close().await?)
            }
            Self::Postgres(cluster) => {
                let mut database = PgConnection::connect(&cluster.url(&format!("feed{requests}"))).await?;
                database.execute("SET synchronous_commit = off").await?;
                for statement in statements(requests, "lpad(to_hex(i), 12, '0')", series, "i::text") {
                    database.execute(sqlx::AssertSqlSafe(statement)).await?;
                }
                database.execute("VACUUM ANALYZE").await?;
                Ok(database.close().await?)
            }
        }
    }

    /// Rows of events a second that one reader gets bare, 500 at a time; of the database that was filled.
    ///
    /// # Errors
    /// When Python or pgbench is missing.
    pub async fn ceiling(&self, scratch: &Scratch, requests: u64) -> Result<f64> {
        match self {
            Self::Sqlite => ceiling::sqlite(&scratch.path().join("voxea.db"), requests * EVENTS),
            Self::Postgres(cluster) => {
                let script = ceiling::pgbench(requests * EVENTS);
                Ok(cluster.transactions(&format!("feed{requests}"), &script)? * ceiling::RUN)
            }
        }
    }
}

fn recursive(first: u64, last: u64) -> String {
    format!("WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})")
}

fn series(first: u64, last: u64) -> String {
    format!("WITH n (i) AS (SELECT generate_series({first}::bigint, {last}::bigint))")
}

/// What fills the tables, in their order. `hex` writes the number `i` with 12 digits, `text` as text, `numbers` names the numbers
/// of a range.
fn statements(requests: u64, hex: &str, numbers: impl Fn(u64, u64) -> String, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let id = format!("'01900000-0000-7000-8000-' || {hex}");
    let contact = format!("'01900000-0000-7000-9000-' || {hex}");
    let theme = format!("CASE WHEN i % 100 = 7 THEN '{THEME}' END");
    // In SQLite a CTE stands before INSERT, in PostgreSQL too; WHERE true keeps the parser from reading a join into it.
    let mut first = 1;
    while first <= requests {
        let last = (first + STEP - 1).min(requests);
        let with = numbers(first, last);
        all.push(format!(
            "{with} INSERT INTO request (id, position, ref, channel, account, status, subject, from_address, theme, received_at, \
             updated_at, version, last_contact_at) SELECT {id}, i * {EVENTS} + 1, 'B-' || {text}, 'sms', 'smpp/short-number', \
             CASE WHEN i % 10 = 3 THEN 'received' ELSE 'closed' END, 'Un lampadaire est en panne', '+33612345678', {theme}, \
             1700000000000 + i, 1700000000000 + i, 3, 1700000000000 + i FROM n WHERE true"
        ));
        all.push(format!(
            "{with} INSERT INTO interaction (id, position, channel, account, direction, from_address, to_address, text, occurred_at, \
             received_at, flags, deliveries) SELECT {contact}, i * {EVENTS} + 2, 'sms', 'smpp/short-number', 'in', '+33612345678', '36123', \
             'Un lampadaire est en panne', 1700000000000 + i, 1700000000000 + i, '[]', 1 FROM n WHERE true"
        ));
        all.push(format!(
            "{with} INSERT INTO request_interaction (request_id, interaction_id, position) SELECT {id}, {contact}, i * {EVENTS} + 2 \
             FROM n WHERE true"
        ));
        let kinds = [
            "request.created",
            "interaction.received",
            "request.updated",
            "request.status_changed",
            "reply.settled",
        ];
        for (number, kind) in (1..).zip(kinds) {
            all.push(format!(
                "{with} INSERT INTO event (position, id, type, subject, at, data, channel, theme) SELECT i * {EVENTS} + {number}, \
                 '01900000-0000-7000-a00{number}-' || {hex}, '{kind}', {id}, 1700000000000 + i, \
                 '{{\"request_id\":\"' || {id} || '\",\"channel\":\"sms\",\"status\":\"received\",\"version\":3}}', 'sms', {theme} \
                 FROM n WHERE true"
            ));
        }
        first = last + 1;
    }
    all.push(format!(
        "UPDATE counter SET value = {} WHERE name = 'feed'",
        (requests + 1) * EVENTS + EVENTS
    ));
    all
}
