//! Opening the database that the configuration names, and bringing it up to date.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::kind::{Sqlite, Store};
use super::on::on;
use super::writer::Writer;
use crate::base::error::{CoreError, Result};

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

/// How long a caller waits for a connection before it is told that the store is unavailable.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL; intake needs one, readers the rest.
const POSTGRES_CONNECTIONS: u32 = 12;
/// Every statement of ours looks rows up by their keys. The planner knows neither how small a set is nor, on young
/// tables, how large they are, and would read and hash whole tables, the more the longer it runs. A table of one row is read whole
/// all the same, at a price that seems so high to it that it would compile the statement first: 50 ms for a microsecond.
const LOOK_UPS: [(&str, &str); 4] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];
/// Readers of SQLite.
const SQLITE_READERS: u32 = 4;
/// Rows that a reader of SQLite finds before it waits for who asked: a page of a list, so that the two threads change places once.
const SQLITE_ROWS: usize = 512;
/// Pages that a connection keeps, in KiB by SQLite's convention of a negative number; taken as they are needed.
const CACHE_KIB: &str = "-16384";
/// Pages between checkpoints of the write-ahead log (4 KiB each): a checkpoint costs two fsyncs and writes each page that
/// changed once, so that fewer of them write less.
const CHECKPOINT_PAGES: &str = "16000";

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`. SQLite's file is created when it is missing.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] for another kind of URL, [`CoreError::Unavailable`] when the database does not answer.
    pub async fn open(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else {
            Err(CoreError::invalid("/store/url", "must begin with sqlite: or postgres://"))
        }
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With NORMAL, a power cut takes acknowledged rows with it.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(ACQUIRE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", CACHE_KIB)
            .pragma("temp_store", "memory");
        let read = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE)
            // There is no peer that could have gone away.
            .test_before_acquire(false);
        let write = Writer::open(options.clone(), ACQUIRE).await?;
        let read = read
            .connect_with(options.row_buffer_size(SQLITE_ROWS).pragma("query_only", "on"))
            .await?;
        Ok(Self::Sqlite(Sqlite { write, read }))
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name("voxea").options(LOOK_UPS);
        let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE);
        Ok(Self::Postgres(pool.connect_with(options).await?))
    }

    /// Opens a database that is there, for reading only: nothing that is done with it can change it, and no daemon need run.
    ///
    /// # Errors
    /// As [`Store::open`], and when SQLite's file is missing.
    pub async fn open_read_only(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            // The two files beside it are SQLite's own: what was committed lately is in the one, who reads in the other.
            let options = SqliteConnectOptions::from_str(url)?.read_only(true).busy_timeout(ACQUIRE);
            let write = Writer::open(options.clone(), ACQUIRE).await?;
            let read = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(ACQUIRE)
                .connect_with(options)
                .await?;
            return Ok(Self::Sqlite(Sqlite { write, read }));
        }
        let options = PgConnectOptions::from_str(url)?
            .application_name("voxea")
            .options([("default_transaction_read_only", "on")]);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
        Ok(Self::Postgres(pool.connect_with(options).await?))
    }

    /// Applies the migrations that are missing. Harmless when there are none.
    ///
    /// # Errors
    /// [`CoreError::Store`] when the database was brought further by a newer Voxea, or a migration fails.
    pub async fn migrate(&self) -> Result<()> {
        let done = match self {
            Self::Sqlite(pools) => SQLITE.run(&mut *pools.write.wait().await?).await,
            Self::Postgres(pool) => POSTGRES.run(pool).await,
        };
        done.map_err(|error| CoreError::Store(format!("migration: {error}")))
    }

    /// Writes the database anew, so that nothing of what was deleted or overwritten is left in its files. Nobody else may use
    /// it meanwhile, and it needs as much room again.
    ///
    /// # Errors
    /// The database's.
    pub async fn scrub(&self) -> Result<()> {
        match self {
            Self::Sqlite(pools) => {
                let mut connection = pools.write.wait().await?;
                sqlx::query("VACUUM").execute(&mut *connection).await?;
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await?;
            }
            Self::Postgres(pool) => {
                sqlx::query("VACUUM (FULL)").execute(pool).await?;
            }
        }
        Ok(())
    }

    /// Whether the database takes writes now.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when it does not.
    pub async fn probe(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query("UPDATE counter SET value = value WHERE name = 'probe'").execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Closes the connections, waiting for those in use.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.read.close().await;
                pools.write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
