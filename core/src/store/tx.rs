//! A writing transaction.

use sqlx::{Postgres, Transaction};

use super::kind::Store;
use super::writer::Writing;
use crate::base::error::Result;

/// A transaction that may write. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite; it holds the only writing connection.
    Sqlite(Writing),
    /// On PostgreSQL, READ COMMITTED.
    Postgres(Transaction<'static, Postgres>),
}

impl Store {
    /// Begins a writing transaction. On SQLite it takes the write lock at once, so that it cannot fail half-way for
    /// having read first.
    ///
    /// # Errors
    /// [`crate::base::error::CoreError::Unavailable`] when the database cannot be reached.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.write.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

impl Tx {
    /// Makes it last. Only when this has returned may a peer be told that we have what it wrote.
    ///
    /// # Errors
    /// The transaction may or may not have been kept; the caller must treat it as not kept, and the dedup key makes a
    /// repetition harmless.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(inner) => inner.commit().await?,
            Self::Postgres(inner) => inner.commit().await?,
        }
        Ok(())
    }
}
