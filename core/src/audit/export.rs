//! Writing the trail out, for an authority or an archive: as JSON Lines that can be verified without the database.

use std::io::{self, Write};

use super::lines::Line;
use super::trail::{checkpoint_at, extent, page};
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// Writes the rows from a moment on and before another. So that they can be verified, the file begins behind the last
/// checkpoint before them and ends with the first one after them, where there are such. Returns how many rows.
///
/// # Errors
/// The store's, and the file's.
pub async fn export(store: &Store, from: Option<Millis>, to: Option<Millis>, mut file: impl Write + Send) -> Result<i64> {
    let extent = extent(store).await?;
    let (first, last) = (extent.first.unwrap_or(1), extent.last.unwrap_or_default());
    let begin = match from {
        Some(from) => beginning(store, from, first, last).await?,
        None => first - 1,
    };
    let end = match to {
        Some(to) => ending(store, to, last).await?,
        None => last,
    };
    let mut put = |line: &Line| {
        let text = serde_json::to_string(line).map_err(io::Error::other);
        text.and_then(|text| writeln!(file, "{text}")).map_err(|source| CoreError::File {
            what: "writing the export".to_owned(),
            source,
        })
    };
    if begin > 0
        && let Some(anchor) = checkpoint_at(store, begin).await?
    {
        put(&Line::Checkpoint(anchor))?;
    }
    let (mut after, mut rows) = (begin, 0);
    loop {
        let page = page(store, after, end).await?;
        let Some(last) = page.last().map(|signed| signed.row.seq) else {
            break;
        };
        for signed in page {
            let checkpoint = signed.checkpoint();
            put(&Line::Row(signed.row))?;
            rows += 1;
            if let Some(checkpoint) = checkpoint {
                put(&Line::Checkpoint(checkpoint))?;
            }
        }
        after = last;
    }
    put(&Line::End { seq: after })?;
    Ok(rows)
}

/// The last checkpoint before the first row that is asked for; what stands before the first row of all, when there is none.
async fn beginning(store: &Store, from: Millis, first: i64, last: i64) -> Result<i64> {
    let sql = "SELECT MIN(seq) FROM audit WHERE at >= $1";
    let asked: Option<i64> = on!(Store, store, db => sqlx::query_scalar(sql).bind(from).fetch_one(db).await)?;
    let sql = "SELECT MAX(seq) FROM audit_checkpoint WHERE seq < $1";
    let asked = asked.unwrap_or(last.saturating_add(1));
    let signed: Option<i64> = on!(Store, store, db => sqlx::query_scalar(sql).bind(asked).fetch_one(db).await)?;
    Ok(signed.unwrap_or(0).max(first - 1))
}

/// The first checkpoint from the last row on that is asked for; the last row of all, when there is none.
async fn ending(store: &Store, to: Millis, last: i64) -> Result<i64> {
    let sql = "SELECT MAX(seq) FROM audit WHERE at < $1";
    let asked: Option<i64> = on!(Store, store, db => sqlx::query_scalar(sql).bind(to).fetch_one(db).await)?;
    let Some(asked) = asked else { return Ok(0) };
    let sql = "SELECT MIN(seq) FROM audit_checkpoint WHERE seq >= $1";
    let signed: Option<i64> = on!(Store, store, db => sqlx::query_scalar(sql).bind(asked).fetch_one(db).await)?;
    Ok(signed.unwrap_or(last))
}
