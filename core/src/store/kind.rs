//! Which database it is.

use sqlx::{PgPool, SqlitePool};

use super::writer::Writer;

/// The database of this node.
#[derive(Debug, Clone)]
pub enum Store {
    /// The embedded default.
    Sqlite(Sqlite),
    /// For a town that has a server, and for more than one node.
    Postgres(PgPool),
}

/// SQLite lets one writer in at a time, so writers queue for one connection instead of failing on a lock.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// One connection.
    pub write: Writer,
    /// Readers see the last commit and never wait for the writer (WAL).
    pub read: SqlitePool,
}
