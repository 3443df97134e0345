//! Two databases behind one SQL text.
//!
//! `$1` placeholders, `ON CONFLICT` and `RETURNING` mean the same on both. A statement stands once, inside [`on!`],
//! which compiles it for each. Where they differ (sets of rows, below) a [`Rows`] writes the difference.

mod open;
mod rows;
mod tx;

pub use rows::{Column, Rows, SetSql};
pub use tx::Tx;

use sqlx::{PgPool, SqlitePool};

/// The database of this node.
#[derive(Debug, Clone)]
pub enum Store {
    /// The embedded default.
    Sqlite(Sqlite),
    /// For a town that has a server, and for more than one node.
    Postgres(PgPool),
}

/// SQLite lets one writer in at a time, so writers queue in a pool of one instead of failing on a lock.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// One connection.
    pub write: SqlitePool,
    /// Readers see the last commit and never wait for the writer (WAL).
    pub read: SqlitePool,
}

/// Runs one expression on whichever database it is: `on!(Store, &store, db => …)` reads outside a transaction,
/// `on!(Tx, &mut tx, db => …)` works inside one.
#[macro_export]
macro_rules! on {
    (Store, $store:expr, $db:ident => $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(pools) => {
                let $db = &pools.read;
                $body
            }
            $crate::store::Store::Postgres(pool) => {
                let $db = pool;
                $body
            }
        }
    };
    (Tx, $tx:expr, $db:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(inner) => {
                let $db = &mut **inner;
                $body
            }
            $crate::store::Tx::Postgres(inner) => {
                let $db = &mut **inner;
                $body
            }
        }
    };
}
