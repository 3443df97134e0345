//! How long a request was in a state: counted when it leaves it, by the hours of the service that had it.

use voxea_rules::calendar::Calendar;

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Tx;
use crate::store::on;

/// A move from one state to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transition<'a> {
    pub(super) request_id: &'a str,
    /// Of the request, after the move.
    pub(super) version: i64,
    /// When its first contact came; the state before the first move began there.
    pub(super) received_at: Millis,
    pub(super) at: Millis,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// How long the state that is left has lasted, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lasted {
    /// By the clock.
    pub(super) elapsed: Millis,
    /// While the service was open.
    pub(super) working: Millis,
}

/// Counts and writes it, inside the transaction of the move.
pub(super) async fn record(tx: &mut Tx, transition: Transition<'_>, calendar: &Calendar) -> Result<Lasted> {
    let Transition {
        request_id,
        version,
        received_at,
        at,
        from,
        to,
    } = transition;
    let sql = "SELECT MAX(at) FROM transition WHERE request_id = $1";
    let last: Option<Millis> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(request_id).fetch_one(db).await)?;
    let since = last.unwrap_or(received_at);
    // A clock that was set back counts nothing.
    let lasted = Lasted {
        elapsed: (at - since).max(0),
        working: calendar.working_ms(since, at),
    };
    let sql = "INSERT INTO transition (request_id, version, at, from_status, to_status, elapsed_ms, working_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(request_id).bind(version).bind(at).bind(from).bind(to).bind(lasted.elapsed).bind(lasted.working)
        .execute(db).await.map(|_| ()))?;
    Ok(lasted)
}
