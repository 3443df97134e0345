//! How long a recording is kept: so many days after the last of its requests was closed, and as long as it is held.

use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Tx;
use crate::store::on;

/// A request has moved to another state: its recordings are kept from now on for the days that were fixed when they were
/// made, if no other request needs them, or without end again.
///
/// # Errors
/// The store's.
pub(crate) async fn request_moved(tx: &mut Tx, request_id: &str, now: Millis) -> Result<()> {
    // What is not at an end needs its recordings, or may; a merged request goes on elsewhere.
    let sql = "UPDATE recording SET keep_until = CASE WHEN EXISTS (\
                 SELECT 1 FROM request_interaction l JOIN request r ON r.id = l.request_id \
                 WHERE l.interaction_id = recording.interaction_id \
                 AND r.status NOT IN ('closed', 'spam', 'abusive', 'archived', 'eliminated')) \
               THEN NULL ELSE COALESCE(keep_until, $2 + keep_days * 86400000) END \
               WHERE state <> 'purged' AND interaction_id IN (SELECT interaction_id FROM request_interaction WHERE request_id = $1)";
    Ok(on!(Tx, tx, db => sqlx::query(sql).bind(request_id).bind(now).execute(db).await.map(|_| ()))?)
}
