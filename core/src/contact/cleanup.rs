//! Dropping what has served.

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// Twice what the rule of redelivery looks back, so that a clock that jumps an hour harms nothing.
const SERVED: Millis = 48 * 3600 * 1000;
/// Rows a statement: the writer of SQLite must not be held for long.
const AT_ONCE: i64 = 5_000;

const DELIVERIES: &str = "DELETE FROM delivery WHERE (account, fingerprint, ordinal) IN \
                          (SELECT account, fingerprint, ordinal FROM delivery WHERE delivered_at < $1 ORDER BY delivered_at LIMIT $2)";
const LINKS: &str = "DELETE FROM link WHERE id IN (SELECT id FROM link WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
/// Parts of a text that is whole: their bytes stand in the interaction's artefact.
const PARTS: &str = "DELETE FROM part WHERE (account, whole, generation, number) IN \
                     (SELECT account, whole, generation, number FROM part \
                      WHERE interaction_id IS NOT NULL AND received_at < $1 ORDER BY received_at LIMIT $2)";

/// Counts of windows that are over, the longest of 24 h.
const BREAKERS: &str = "DELETE FROM breaker WHERE (account, scope) IN \
                        (SELECT account, scope FROM breaker WHERE window_start < $1 ORDER BY account, scope LIMIT $2)";

pub(super) async fn forget(store: &Store, now: Millis) -> Result<u64> {
    let mut gone = 0;
    for sql in [DELIVERIES, LINKS, PARTS, BREAKERS] {
        loop {
            let mut tx = store.begin().await?;
            let rows = on!(Tx, &mut tx, db => sqlx::query(sql)
                .bind(now - SERVED).bind(AT_ONCE).execute(db).await.map(|done| done.rows_affected()))?;
            tx.commit().await?;
            gone += rows;
            if i64::try_from(rows).unwrap_or(0) < AT_ONCE {
                break;
            }
        }
    }
    Ok(gone)
}
