//! Which files are in object storage, verified: a row each, written before the local copy goes.
//!
//! They have a table of their own and no column in the rows that name them, since one file may be named by many of those.

use std::collections::HashSet;

use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, Store, Tx, row};

/// What was read back from there.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Kept {
    /// Octets.
    pub(super) size: i64,
    /// Of them, hexadecimal.
    pub(super) sha256: String,
}

/// Notes that a file is there, in the place that operators call so.
///
/// # Errors
/// The store's; the local copy must stay then.
pub(super) async fn note(store: &Store, path: &str, place: &str, kept: &Kept, now: Millis) -> Result<()> {
    let sql = "INSERT INTO object (path, place, size, sha256, verified_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (path) DO UPDATE SET place = $2, size = $3, sha256 = $4, verified_at = $5";
    let mut tx = store.begin().await?;
    on!(Tx, &mut tx, db => sqlx::query(sql)
        .bind(path).bind(place).bind(kept.size).bind(&kept.sha256).bind(now).execute(db).await.map(|_| ()))?;
    tx.commit().await
}

/// What is noted of a file.
///
/// # Errors
/// The store's.
pub(super) async fn noted(store: &Store, path: &str) -> Result<Option<Kept>> {
    let sql = "SELECT size, sha256 FROM object WHERE path = $1";
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(path).fetch_optional(db).await)?)
}

/// Forgets a file that was removed from there.
///
/// # Errors
/// The store's.
pub(crate) async fn forget(tx: &mut Tx, path: &str) -> Result<()> {
    let sql = "DELETE FROM object WHERE path = $1";
    Ok(on!(Tx, tx, db => sqlx::query(sql).bind(path).execute(db).await.map(|_| ()))?)
}

/// Which of these recordings are closed, and may be moved. Calls go on in others, what failed or was erased goes nowhere, and
/// in a database that is sealed neither does one without a key: its file is still plain.
///
/// # Errors
/// The store's.
pub(super) async fn closed(store: &Store, recordings: &[String], sealed: bool) -> Result<HashSet<String>> {
    let rows = Rows(&[("id", Column::Text)]);
    let sql = rows.statement(
        "SELECT c.id FROM {rows} AS r JOIN recording AS c ON c.id = r.id \
         WHERE c.state IN ('sealed', 'partial') AND ($2 = 0 OR c.data_key IS NOT NULL)",
    );
    let mut closed = HashSet::new();
    for some in recordings.chunks(500) {
        let ids: Vec<Row> = some.iter().map(|id| row!({"id": id})).collect();
        let (sql, ids) = (sql.for_store(store), Row::array(&ids));
        let found: Vec<String> = on!(Store, store, db => sqlx::query_scalar(sql).bind(ids).bind(i64::from(sealed)).fetch_all(db).await)?;
        closed.extend(found);
    }
    Ok(closed)
}

/// Whether files of this database are in any object storage.
///
/// # Errors
/// The store's.
pub(super) async fn any(store: &Store) -> Result<bool> {
    Ok(places(store).await?.is_some())
}

/// Refuses to go on where rows name files that the configuration does not lead to.
///
/// # Errors
/// [`CoreError::Invalid`], with what to write; the store's.
pub async fn belongs(store: &Store, bucket: Option<&str>) -> Result<()> {
    let Some(places) = places(store).await? else { return Ok(()) };
    for place in [places.0, places.1] {
        if bucket != Some(place.as_str()) {
            return Err(CoreError::invalid(
                "",
                format!(
                    "recordings and attachments of this database are in {place}, which the configuration must name: [store] blobs = \"{place}\""
                ),
            ));
        }
    }
    Ok(())
}

/// The first and the last place in the order of their names; they are one, unless somebody changed rows by hand.
async fn places(store: &Store) -> Result<Option<(String, String)>> {
    let sql = "SELECT (SELECT MIN(place) FROM object), (SELECT MAX(place) FROM object)";
    let found: (Option<String>, Option<String>) = on!(Store, store, db => sqlx::query_as(sql).fetch_one(db).await)?;
    Ok(found.0.zip(found.1))
}
