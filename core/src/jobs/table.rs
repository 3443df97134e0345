//! The job table: what is due, who does it, what came of it.

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// A job as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRow {
    /// The name of its [`super::Step`].
    pub kind: String,
    /// What it is about; empty for those that care for everything.
    pub key: String,
    /// When it runs next, milliseconds UTC.
    pub due_at: Millis,
    /// Until when somebody is at it; 0 when nobody is.
    pub lease_until: Millis,
    /// Rises with every lease, so that a late finisher is known.
    pub epoch: i64,
    /// Failures in a row.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Which jobs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of a kind.
    Only(&'static str),
    /// Those of every other kind.
    But(&'static str),
}

/// How long a step may take before another node takes it up.
const LEASE_MS: Millis = 120_000;
/// The longest pause after failures.
const BACKOFF_MS: Millis = 15 * 60_000;

/// The door to the table.
#[derive(Debug, Clone)]
pub struct Jobs {
    store: Store,
}

const COLUMNS: &str = "kind, key, due_at, lease_until, epoch, attempts, last_error";

impl Jobs {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Enters a job that is not there yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn ensure(&self, kind: &str, key: &str, due_at: Millis) -> Result<()> {
        let sql = "INSERT INTO job (kind, key, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(kind).bind(key).bind(due_at).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Takes a job out, whoever is at it.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, kind: &str, key: &str) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM job WHERE kind = $1 AND key = $2";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(kind).bind(key).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Takes the job that has been due longest: of one kind alone, or of all others.
    ///
    /// # Errors
    /// The store's.
    pub async fn lease(&self, now: Millis, which: Which) -> Result<Option<JobRow>> {
        let (is, kind) = match which {
            Which::Only(kind) => ("=", kind),
            Which::But(kind) => ("<>", kind),
        };
        let skip = match &self.store {
            Store::Sqlite(_) => "",
            Store::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let sql = format!(
            "UPDATE job SET lease_until = $2, epoch = epoch + 1 WHERE (kind, key) IN \
             (SELECT kind, key FROM job WHERE due_at <= $1 AND lease_until <= $1 AND kind {is} $3 ORDER BY due_at LIMIT 1{skip}) RETURNING {COLUMNS}"
        );
        let mut tx = self.store.begin().await?;
        let row = on!(Tx, &mut tx, db => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now).bind(now + LEASE_MS).bind(kind).fetch_optional(db).await)?;
        tx.commit().await?;
        Ok(row)
    }

    /// Hands a leased job back: done and due again at `next`, or failed and due after a pause that grows.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(&self, job: &JobRow, now: Millis, outcome: std::result::Result<Millis, String>) -> Result<()> {
        let (due_at, attempts, error) = match outcome {
            Ok(next) => (next, 0, None),
            Err(error) => {
                let pause = (1000_i64 << job.attempts.clamp(0, 20)).min(BACKOFF_MS);
                (now + pause, job.attempts + 1, Some(error))
            }
        };
        let sql = "UPDATE job SET lease_until = 0, due_at = $4, attempts = $5, last_error = $6 WHERE kind = $1 AND key = $2 AND epoch = $3";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&job.kind).bind(&job.key).bind(job.epoch).bind(due_at).bind(attempts).bind(error).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Every job, the one that is due next first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<JobRow>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM job ORDER BY due_at, kind, key LIMIT 1000"));
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Which = Which::But("slow");

    #[tokio::test]
    async fn a_kind_of_its_own_waits_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("j.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let jobs = Jobs::new(store);
        jobs.ensure("slow", "", 1).await.unwrap();
        jobs.ensure("a", "", 2).await.unwrap();
        assert_eq!(jobs.lease(9, ANY).await.unwrap().unwrap().kind, "a");
        assert_eq!(jobs.lease(9, ANY).await.unwrap(), None);
        assert_eq!(jobs.lease(9, Which::Only("slow")).await.unwrap().unwrap().kind, "slow");
        jobs.remove("slow", "").await.unwrap();
        jobs.remove("slow", "").await.unwrap();
        assert_eq!(jobs.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_job_is_done_by_one_and_a_failure_waits() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("j.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let jobs = Jobs::new(store);
        jobs.ensure("a", "", 10).await.unwrap();
        jobs.ensure("a", "", 99).await.unwrap();
        assert_eq!(jobs.lease(9, ANY).await.unwrap(), None);
        let job = jobs.lease(10, ANY).await.unwrap().unwrap();
        assert_eq!(jobs.lease(10, ANY).await.unwrap(), None);
        jobs.finish(&job, 10, Err("no".to_owned())).await.unwrap();
        let row = jobs.list().await.unwrap().remove(0);
        assert_eq!((row.due_at, row.attempts, row.last_error.as_deref()), (1010, 1, Some("no")));
        let job = jobs.lease(1010, ANY).await.unwrap().unwrap();
        jobs.finish(&job, 1010, Ok(5000)).await.unwrap();
        let row = jobs.list().await.unwrap().remove(0);
        assert_eq!((row.due_at, row.attempts, row.last_error), (5000, 0, None));
    }

    #[tokio::test]
    async fn one_whose_worker_died_is_taken_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("j.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let jobs = Jobs::new(store);
        jobs.ensure("a", "", 0).await.unwrap();
        let dead = jobs.lease(1, ANY).await.unwrap().unwrap();
        let heir = jobs.lease(1 + LEASE_MS, ANY).await.unwrap().unwrap();
        jobs.finish(&dead, 2 + LEASE_MS, Ok(7)).await.unwrap();
        assert_ne!(jobs.list().await.unwrap()[0].due_at, 7, "a late finisher changes nothing");
        jobs.finish(&heir, 2 + LEASE_MS, Ok(8)).await.unwrap();
        assert_eq!(jobs.list().await.unwrap()[0].due_at, 8);
    }
}
