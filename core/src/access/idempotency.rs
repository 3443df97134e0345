//! `Idempotency-Key`: the same call twice is answered twice and done once.

use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::store::Store;
use crate::store::on;
use crate::vault::{Index, Place, Vault};

/// What is known of a key when a call brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// Never seen: do the work, then [`Idempotency::finish`] or [`Idempotency::release`].
    Fresh,
    /// The same body was answered with this status and body.
    Done(u16, String),
    /// The same body is being worked on.
    InFlight,
    /// The key came with another body.
    Mismatch,
}

/// The door to remembered answers.
#[derive(Debug, Clone)]
pub struct Idempotency {
    store: Store,
    vault: Vault,
}

/// A claim that a crash left behind is void after this time; the intake's own dedup key still holds.
const IN_FLIGHT_MS: Millis = 60_000;

impl Idempotency {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// Claims a key of a client for a body, given as its hash.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(&self, client: &str, key: &str, body_hash: &str) -> Result<Slot> {
        let key = &self.vault.index(Index::IdempotencyKey, key);
        let body_hash = &self.vault.index(Index::IdempotencyBody, body_hash);
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let sql = "INSERT INTO idempotency (client, key, body_hash, created_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (client, key) DO UPDATE SET created_at = excluded.created_at \
                   WHERE idempotency.status IS NULL AND idempotency.created_at < $5 AND idempotency.body_hash = excluded.body_hash \
                   RETURNING client";
        let claimed: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(client).bind(key).bind(body_hash).bind(now).bind(now - IN_FLIGHT_MS).fetch_optional(db).await)?;
        let slot = if claimed.is_some() {
            Slot::Fresh
        } else {
            let sql = "SELECT body_hash, status, response FROM idempotency WHERE client = $1 AND key = $2";
            let row: (String, Option<i64>, Option<String>) =
                on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(client).bind(key).fetch_one(db).await)?;
            match row {
                (stored, ..) if stored != *body_hash => Slot::Mismatch,
                (_, Some(status), response) => {
                    let response = self.vault.open_some(Place::IdempotencyResponse, &bound(client, key), response)?;
                    Slot::Done(u16::try_from(status).unwrap_or(500), response.unwrap_or_default())
                }
                _ => Slot::InFlight,
            }
        };
        tx.commit().await?;
        Ok(slot)
    }

    /// Remembers the answer.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(&self, client: &str, key: &str, status: u16, response: &str) -> Result<()> {
        let key = &self.vault.index(Index::IdempotencyKey, key);
        let response = self.vault.seal(Place::IdempotencyResponse, &bound(client, key), response)?;
        let sql = "UPDATE idempotency SET status = $3, response = $4 WHERE client = $1 AND key = $2";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(client).bind(key).bind(i64::from(status)).bind(response.as_ref()).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Gives the key back after a failure, so that the client may try again.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, client: &str, key: &str) -> Result<()> {
        let key = &self.vault.index(Index::IdempotencyKey, key);
        let sql = "DELETE FROM idempotency WHERE client = $1 AND key = $2 AND status IS NULL";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(client).bind(key).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Frees the keys that calls in flight held when an earlier process died. For the start: the intake's own dedup key
    /// keeps their repetition from being done twice.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_abandoned(&self) -> Result<()> {
        let sql = "DELETE FROM idempotency WHERE status IS NULL";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Forgets answers older than `before`, and returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, before: Millis) -> Result<u64> {
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM idempotency WHERE created_at < $1";
        let gone = on!(Tx, &mut tx, db => sqlx::query(sql).bind(before).execute(db).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// What an answer is bound to.
fn bound(client: &str, key: &str) -> String {
    format!("{client}/{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_body_is_answered_alike_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("i.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let door = Idempotency::new(store, Vault::off());
        assert_eq!(door.begin("k", "1", "a").await.unwrap(), Slot::Fresh);
        assert_eq!(door.begin("k", "1", "a").await.unwrap(), Slot::InFlight);
        door.finish("k", "1", 201, "{}").await.unwrap();
        assert_eq!(door.begin("k", "1", "a").await.unwrap(), Slot::Done(201, "{}".to_owned()));
        assert_eq!(door.begin("k", "1", "b").await.unwrap(), Slot::Mismatch);
        assert_eq!(door.begin("other", "1", "b").await.unwrap(), Slot::Fresh);
        door.release("other", "1").await.unwrap();
        assert_eq!(door.begin("other", "1", "c").await.unwrap(), Slot::Fresh);
    }
}
