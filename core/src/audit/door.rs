//! The door to the trail. Nothing of it changes a row: reads are entered, pages are read, the chain is signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::chain::Record;
use super::checkpoint;
use super::committer::{self, Waiting};
use super::entry::Entry;
use super::heard::Heard;
use super::key::{PublicKey, SigningKey};
use super::notary::Notary;
use super::retention;
use super::settings::Settings;
use super::signer::Signer;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// Reads that may wait for the committer; further ones wait to get in, and are refused after [`PATIENCE`].
const QUEUE: usize = 1024;
/// Longest that a read waits to get in.
const PATIENCE: Duration = Duration::from_secs(5);
/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this actor, as history names them.
    pub actor: Option<String>,
    /// Only those about this object: `request/ID`.
    pub object: Option<String>,
    /// Only those after this row.
    pub after: i64,
}

/// A page of rows.
#[derive(Debug, Clone)]
pub struct Listed {
    /// In the chain's order.
    pub items: Vec<Record>,
    /// The row to continue from; `None` at the end.
    pub next: Option<i64>,
}

/// How the trail stands, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Rows that were ever written.
    pub rows: i64,
    /// Of these, how many are not signed yet.
    pub unsigned: i64,
    /// When the chain was signed last, milliseconds UTC.
    pub signed_at: Option<Millis>,
    /// Checkpoints that this process has taken.
    pub checkpoints: u64,
    /// Reads that were refused because they could not be entered, and checkpoints that failed, in this process.
    pub failures: u64,
}

/// The door. Clones share one committer, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Audit {
    store: Store,
    queue: mpsc::Sender<Waiting>,
    heard: Heard,
    signer: Arc<Signer>,
    months: u32,
    refused: Arc<AtomicU64>,
}

impl Audit {
    /// Reads or makes the key, and starts the committer on the current runtime.
    ///
    /// # Errors
    /// [`CoreError::File`] for the key.
    pub fn start(store: Store, settings: &Settings) -> Result<Self> {
        let (key, made) = SigningKey::open(&settings.signing_key)?;
        if made {
            let (public, file) = (key.public(), settings.signing_key.display().to_string());
            tracing::warn!(%public, file, "the key of the audit trail was made; keep its public half apart from this machine");
        }
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(committer::run(store.clone(), waiting));
        Ok(Self {
            queue,
            heard: Heard::default(),
            signer: Arc::new(Signer::new(store.clone(), key, &settings.seen)),
            store,
            months: settings.months,
            refused: Arc::default(),
        })
    }

    /// Enters a read, and returns when it is committed. Only then may the answer leave.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when it could not be entered: then the read must be refused.
    pub async fn read(&self, entry: Entry) -> Result<()> {
        let entered = self.enter(entry).await;
        if entered.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// The same for the sound of a recording, which players fetch in pieces. One that goes on from another belongs to its
    /// entry for a minute, for the same actor and purpose.
    ///
    /// # Errors
    /// As [`Audit::read`].
    pub async fn listened(&self, entry: Entry, goes_on: bool) -> Result<()> {
        if goes_on && self.heard.lately(&entry) {
            return Ok(());
        }
        self.read(entry.clone()).await?;
        self.heard.note(&entry);
        Ok(())
    }

    async fn enter(&self, entry: Entry) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let gone = || CoreError::Unavailable("the audit trail takes no entries".to_owned());
        self.queue
            .send_timeout(Waiting { entry, answer }, PATIENCE)
            .await
            .map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// At most `limit` rows in the chain's order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, _actor: &Actor, filter: &Filter, limit: usize) -> Result<Listed> {
        let mut sql = "SELECT seq, at, actor, action, object, detail, purpose, hash FROM audit WHERE seq > $1".to_owned();
        let wanted = [("actor", &filter.actor), ("object", &filter.object)];
        let wanted = wanted.into_iter().filter_map(|(column, text)| Some((column, text.as_ref()?)));
        let wanted: Vec<_> = wanted.collect();
        for (number, (column, _)) in (3..).zip(&wanted) {
            sql.push_str(&format!(" AND {column} = ${number}"));
        }
        sql.push_str(" ORDER BY seq LIMIT $2");
        let more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut items: Vec<Record> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(filter.after).bind(more);
            for (_, text) in wanted {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|row| row.seq) } else { None };
        Ok(Listed { items, next })
    }

    /// Signs the chain when a thousand rows are new, or one is older than a minute. Says whether it did.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when somebody has changed the trail: then it is not signed. The store's.
    pub async fn checkpoint_when_due(&self, now: Millis) -> Result<bool> {
        self.signer.when_due(now).await
    }

    /// Signs the chain when there is anything new, for a stop. Says whether it did.
    ///
    /// # Errors
    /// As [`Audit::checkpoint_when_due`].
    pub async fn checkpoint(&self, now: Millis) -> Result<bool> {
        self.signer.now(now).await
    }

    /// Takes rows out whose time is over, and returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge(&self, now: Millis) -> Result<u64> {
        retention::purge(&self.store, now, self.months).await
    }

    /// How the trail stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self) -> Result<Status> {
        let head = checkpoint::head(&self.store).await?;
        Ok(Status {
            rows: head.seq,
            unsigned: head.seq - head.signed,
            signed_at: head.signed_at,
            checkpoints: self.signer.taken.load(Ordering::Relaxed),
            failures: self.refused.load(Ordering::Relaxed) + self.signer.failed.load(Ordering::Relaxed),
        })
    }

    /// What signs other things than the trail with its key.
    #[must_use]
    pub fn notary(&self) -> Notary {
        Notary(Arc::clone(&self.signer))
    }

    /// The half of the key that verifies.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.signer.key().public()
    }
}
