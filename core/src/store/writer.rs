//! SQLite's one writing connection.
//!
//! Not a pool of one: a pool asks a connection whether it is well between any two of its users, which on this thread
//! costs as much as a statement.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time;

use crate::base::error::{CoreError, Result};

/// How many patiences a caller waits at most while others are served.
const PATIENCES: usize = 6;

/// The connection that every writer of this node queues for, first come, first served.
#[derive(Debug, Clone)]
pub struct Writer {
    options: Arc<SqliteConnectOptions>,
    patience: Duration,
    slot: Arc<Mutex<Slot>>,
    /// How many have had their turn.
    turns: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Slot {
    connection: SqliteConnection,
    /// A transaction is open on it, perhaps one that was left behind.
    open: bool,
    /// Its thread has ended.
    dead: bool,
    closed: bool,
}

/// A writing transaction. Dropped without a commit, it changes nothing.
#[derive(Debug)]
pub struct Writing {
    slot: OwnedMutexGuard<Slot>,
    writer: Writer,
}

impl Writer {
    /// Opens it. A caller waits for its turn for as long as no one write takes more than `patience`, and [`PATIENCES`] of them
    /// at most.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn open(options: SqliteConnectOptions, patience: Duration) -> Result<Self> {
        let slot = Slot {
            connection: options.connect().await?,
            open: false,
            dead: false,
            closed: false,
        };
        Ok(Self {
            options: Arc::new(options),
            patience,
            slot: Arc::new(Mutex::new(slot)),
            turns: Arc::default(),
        })
    }

    /// Begins a transaction, with the write lock at once, so that it cannot fail half-way for having read first.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when it is not this caller's turn in time, and the database's.
    pub(super) async fn begin(&self) -> Result<Writing> {
        let mut writing = self.wait().await?;
        writing.slot.open = true;
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *writing).await;
        writing.noted(begun)?;
        // Who waits for another process' lock moves nothing.
        self.turns.fetch_add(1, Ordering::Relaxed);
        Ok(writing)
    }

    /// The connection outside a transaction, for the migrations, which begin and commit on their own.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(super) async fn wait(&self) -> Result<Writing> {
        let slot = self.turn().await?;
        if slot.closed {
            return Err(CoreError::Unavailable("the database is closed".to_owned()));
        }
        let mut writing = Writing {
            slot,
            writer: self.clone(),
        };
        if writing.slot.dead {
            writing.slot.connection = self.options.connect().await?;
            (writing.slot.dead, writing.slot.open) = (false, false);
        }
        writing.slot.roll_back().await;
        Ok(writing)
    }

    /// This caller's turn. Each write waits for the disk: where that is busy with other things, a hundred short ones take longer
    /// than one should, and the hundredth is told of a store that is away although it is only the last in the queue. So what
    /// counts is whether the queue moves.
    async fn turn(&self) -> Result<OwnedMutexGuard<Slot>> {
        let mut lock = pin!(Arc::clone(&self.slot).lock_owned());
        let mut turns = self.turns.load(Ordering::Relaxed);
        for _ in 0..PATIENCES {
            if let Ok(slot) = time::timeout(self.patience, lock.as_mut()).await {
                return Ok(slot);
            }
            let served = self.turns.load(Ordering::Relaxed);
            if std::mem::replace(&mut turns, served) == served {
                return Err(CoreError::Unavailable("another write takes too long".to_owned()));
            }
        }
        Err(CoreError::Unavailable("too many writes wait for the disk".to_owned()))
    }

    /// Nobody writes after this. The log goes into the file, whose readers are gone by now.
    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        slot.roll_back().await;
        slot.closed = true;
        let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut slot.connection).await;
    }
}

impl Slot {
    /// Ends what was left behind. SQLite may have done so itself, which it calls an error.
    async fn roll_back(&mut self) {
        if std::mem::take(&mut self.open) {
            let rolled = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
            self.dead = matches!(rolled, Err(sqlx::Error::WorkerCrashed));
        }
    }
}

impl Writing {
    /// Makes it last.
    ///
    /// # Errors
    /// The database's; the transaction is not kept.
    pub(super) async fn commit(mut self) -> Result<()> {
        let committed = sqlx::query("COMMIT").execute(&mut *self).await;
        self.noted(committed)?;
        self.slot.open = false;
        Ok(())
    }

    fn noted<T>(&mut self, outcome: std::result::Result<T, sqlx::Error>) -> Result<T> {
        self.slot.dead = matches!(outcome, Err(sqlx::Error::WorkerCrashed));
        Ok(outcome?)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // The next in the queue would roll back too, but there may be none, and another process may wait for the lock.
        if let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| self.slot.open) {
            let slot = Arc::clone(&self.writer.slot);
            runtime.spawn(async move { slot.lock().await.roll_back().await });
        }
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.slot.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.slot.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn writer(folder: &std::path::Path) -> Writer {
        let options = SqliteConnectOptions::new().filename(folder.join("a.db")).create_if_missing(true);
        Writer::open(options, Duration::from_secs(1)).await.unwrap()
    }

    #[tokio::test]
    async fn many_short_writes_are_no_long_one() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        let short = || async {
            let writing = writer.begin().await?;
            time::sleep(Duration::from_millis(400)).await;
            writing.commit().await
        };
        let done = tokio::join!(short(), short(), short(), short(), short());
        assert_eq!((done.0.is_ok(), done.4.is_ok()), (true, true), "{done:?}");
    }

    #[tokio::test]
    async fn a_write_without_end_holds_up_nobody_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        let _endless = writer.begin().await.unwrap();
        let begun = time::Instant::now();
        let words = writer.begin().await.unwrap_err().to_string();
        assert!(words.contains("another write takes too long"), "{words}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
