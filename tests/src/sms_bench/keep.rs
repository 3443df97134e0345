//! What Kannel's user puts behind its HTTP call, as good as it can be: whatever waits is committed together, and answered
//! after that.

use std::sync::Arc;

use anyhow::Result;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::kannel::{Sink, Taken};

/// Texts that may wait for their commit.
const WAITING: usize = 4096;

/// The sink and its database.
pub struct Kept {
    /// Where Kannel calls.
    pub sink: Sink,
    pool: SqlitePool,
    _folder: TempDir,
}

impl Kept {
    /// How many texts are committed.
    ///
    /// # Errors
    /// The database's.
    pub async fn rows(&self) -> Result<usize> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM text").fetch_one(&self.pool).await?;
        Ok(usize::try_from(count)?)
    }
}

/// A sink that answers after the commit; SQLite in WAL with `synchronous=FULL`, as Voxea's is.
///
/// # Errors
/// The database's, or the socket's.
pub async fn committing() -> Result<Kept> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("texts.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
    sqlx::query("CREATE TABLE text (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, recipient TEXT NOT NULL, said TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::query("CREATE INDEX text_sender ON text (sender)").execute(&pool).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(commit(pool.clone(), receiver));
    let sink = Sink::keeping(Arc::new(move |taken| {
        let sender = sender.clone();
        Box::pin(async move {
            let (done, committed) = oneshot::channel();
            if sender.send((taken, done)).await.is_ok() {
                let _ = committed.await;
            }
        })
    }));
    Ok(Kept {
        sink: sink.await?,
        pool,
        _folder: folder,
    })
}

async fn commit(pool: SqlitePool, mut waiting: mpsc::Receiver<(Taken, oneshot::Sender<()>)>) -> Result<()> {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, WAITING).await > 0 {
        let mut transaction = pool.begin().await?;
        for (taken, _) in &batch {
            sqlx::query("INSERT INTO text (sender, recipient, said) VALUES ($1, $2, $3)")
                .bind(&taken.from)
                .bind(&taken.to)
                .bind(&taken.text)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        for (_, done) in batch.drain(..) {
            let _ = done.send(());
        }
    }
    Ok(())
}
