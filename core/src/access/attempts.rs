//! Growing delays: what is guessed is guessed slowly, whether it exists or not.

use super::token;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::{Store, Tx, on};

/// After this time without a try, failures are forgotten.
pub(super) const FORGOTTEN_MS: Millis = 24 * 3600 * 1000;

/// The door to tries. A try counts as failed from its beginning, so that many at once are not each the first; success
/// takes the count away.
#[derive(Debug, Clone)]
pub(super) struct Attempts {
    store: Store,
}

/// The third failure is followed by 1 s, each further one by twice as much, up to 15 minutes; one statement, so that of
/// many tries at once only those pass that were there in time.
const BEGIN: &str = "INSERT INTO login_attempt (key, failed, retry_at) VALUES ($1, 1, $2) \
    ON CONFLICT (key) DO UPDATE SET \
    failed = CASE WHEN login_attempt.retry_at < $3 THEN 1 ELSE login_attempt.failed + 1 END, \
    retry_at = $2 + CASE WHEN login_attempt.retry_at < $3 OR login_attempt.failed < 2 THEN 0 \
        WHEN login_attempt.failed > 11 THEN 900000 ELSE 1000 << CAST(login_attempt.failed - 2 AS INTEGER) END \
    WHERE login_attempt.retry_at <= $2 RETURNING failed";

impl Attempts {
    /// Over a store.
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Begins a try of `what`; `Some` is when the next one counts, if this one does not.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn begin(&self, what: &str, now: Millis) -> Result<Option<Millis>> {
        let key = token::hash(what);
        let mut tx = self.store.begin().await?;
        let begun: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(BEGIN)
            .bind(&key).bind(now).bind(now - FORGOTTEN_MS).fetch_optional(db).await)?;
        let wait = if begun.is_some() {
            None
        } else {
            let sql = "SELECT retry_at FROM login_attempt WHERE key = $1";
            on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&key).fetch_optional(db).await)?
        };
        tx.commit().await?;
        Ok(wait)
    }

    /// The try succeeded, if the transaction does.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn succeeded(&self, tx: &mut Tx, what: &str) -> Result<()> {
        let sql = "DELETE FROM login_attempt WHERE key = $1";
        let key = token::hash(what);
        on!(Tx, tx, db => sqlx::query(sql).bind(key).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}
