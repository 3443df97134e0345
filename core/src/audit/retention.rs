//! Rows whose time is over are taken out at the bottom, up to a checkpoint, from which verification then begins.

use serde_json::json;

use super::append::append;
use super::entry::Entry;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// So many calendar months before a moment, UTC.
pub(super) fn months_before(now: Millis, months: u32) -> Millis {
    let zoned = jiff::Timestamp::from_millisecond(now).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC));
    let earlier = zoned.and_then(|at| at.checked_sub(jiff::Span::new().try_months(months)?));
    // Beyond the calendar's end nothing is old.
    earlier.map_or(Millis::MIN, |at| at.timestamp().as_millisecond())
}

/// Takes out what was signed more than `months` ago, and returns how many rows. The latest checkpoint of that time stays
/// as the beginning, and the trail says that it was done.
///
/// # Errors
/// The store's; then nothing was taken out.
pub(super) async fn purge(store: &Store, now: Millis, months: u32) -> Result<u64> {
    let mut tx = store.begin().await?;
    let sql = "SELECT MAX(seq) FROM audit_checkpoint WHERE at < $1";
    let cut: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(months_before(now, months)).fetch_one(db).await)?;
    let Some(cut) = cut else { return Ok(0) };
    let sql = "DELETE FROM audit WHERE seq <= $1";
    let gone = on!(Tx, &mut tx, db => sqlx::query(sql).bind(cut).execute(db).await.map(|done| done.rows_affected()))?;
    if gone == 0 {
        return Ok(0);
    }
    let sql = "DELETE FROM audit_checkpoint WHERE seq < $1";
    on!(Tx, &mut tx, db => sqlx::query(sql).bind(cut).execute(db).await.map(|_| ()))?;
    let entry = Entry::new(&Actor::System, "purged", format!("audit/1..{cut}"));
    append(&mut tx, &[entry.at(now).detail(&json!({"rows": gone, "months": months}))]).await?;
    tx.commit().await?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::parse_rfc3339;

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text: &str| parse_rfc3339(text).unwrap();
        assert_eq!(months_before(at("2026-08-31T10:00:00Z"), 6), at("2026-02-28T10:00:00Z"));
        assert_eq!(months_before(at("2026-11-24T08:00:00Z"), 12), at("2025-11-24T08:00:00Z"));
    }
}
