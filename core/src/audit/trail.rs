//! Verifying the trail where it lies: in the database, read and not written, with no daemon.

use super::chain::Record;
use super::checkpoint::{COLUMNS, Checkpoint};
use super::key::PublicKey;
use super::retention::months_before;
use super::settings::MONTHS;
use super::verify::{Broken, Seen, Sound, Walk};
use crate::base::error::Result;
use crate::base::hex;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// Rows that are read at once.
const PAGE: i64 = 5000;

/// What a trail is held against.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The keys that may have signed.
    pub keys: Vec<PublicKey>,
    /// A checkpoint that was kept apart from the database.
    pub seen: Option<Seen>,
    /// Whether somebody named the keys: then a trail of which none of them has signed anything is not theirs.
    pub named: bool,
}

/// A row, and the checkpoint that was taken of it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Signed {
    #[sqlx(flatten)]
    pub(super) row: Record,
    checkpoint_hash: Option<String>,
    checkpoint_key: Option<String>,
    checkpoint_signature: Option<String>,
    checkpoint_at: Option<Millis>,
}

impl Signed {
    /// The checkpoint at this row.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            seq: self.row.seq,
            hash: self.checkpoint_hash.clone()?,
            key_id: self.checkpoint_key.clone()?,
            signature: self.checkpoint_signature.clone()?,
            at: self.checkpoint_at?,
        })
    }
}

/// What is there, read by one statement so that it belongs together.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Extent {
    /// The first row that there is.
    pub(super) first: Option<i64>,
    /// The last one.
    pub(super) last: Option<i64>,
    /// The last one, as the head says.
    pub(super) head: Option<i64>,
    /// Its hash, as the head says.
    head_hash: Option<String>,
    /// The last one that is signed.
    signed: Option<i64>,
}

/// Verifies all of it. `progress` is told how many rows of how many were read.
///
/// # Errors
/// The store's. What is wrong with the trail is an answer, not an error.
pub async fn verify(
    store: &Store,
    trust: &Trust,
    now: Millis,
    mut progress: impl FnMut(i64, i64) + Send,
) -> Result<std::result::Result<Sound, Broken>> {
    let mut walk = Walk::new(&trust.keys, trust.seen.as_ref()).must_be_signed(trust.named);
    let mut extent = extent(store).await?;
    // What was purged ends with a checkpoint.
    if extent.head.is_none() {
        return Ok(Err(Broken::Head(extent.last.unwrap_or_default())));
    }
    let purged = extent.first.map_or(extent.head.unwrap_or_default(), |first| first - 1);
    if purged > 0 {
        let Some(anchor) = checkpoint_at(store, purged).await? else {
            return Ok(Err(Broken::Deleted(1, purged)));
        };
        if let Err(broken) = walk.begin(&anchor) {
            return Ok(Err(broken));
        }
        if anchor.at > months_before(now, *MONTHS.start()) {
            return Ok(Err(Broken::Early(purged, anchor.at)));
        }
    }
    // The daemon may go on writing: then the end moves on, and we follow.
    loop {
        let end = extent.head.unwrap_or_default();
        while walk.last() < end {
            let page = page(store, walk.last(), end).await?;
            let Some(last) = page.last().map(|signed| signed.row.seq) else {
                return Ok(Err(Broken::Deleted(walk.last() + 1, end)));
            };
            if let Err(broken) = page.into_iter().try_for_each(|signed| step(&mut walk, signed)) {
                return Ok(Err(broken));
            }
            if walk.last() < last {
                // The very last row read does not follow; nothing behind it can tell why.
                let next = page_after(store, last).await?;
                let told = next.map_or(Ok(()), |signed| step(&mut walk, signed));
                return Ok(told.and_then(|()| walk.end()));
            }
            progress(last - purged, end - purged);
        }
        if extent.head_hash.as_deref() != Some(hex::encode(walk.hash()).as_str()) {
            return Ok(walk.end().and(Err(Broken::Head(end))));
        }
        let after = self::extent(store).await?;
        if after.head == extent.head {
            return Ok(closed(&after, end).and_then(|()| walk.end()));
        }
        extent = after;
    }
}

/// Nothing may lie beyond the head.
fn closed(extent: &Extent, head: i64) -> std::result::Result<(), Broken> {
    if extent.last.is_some_and(|last| last > head) {
        return Err(Broken::Inserted(head + 1));
    }
    match extent.signed {
        Some(signed) if signed > head => Err(Broken::Deleted(head + 1, signed)),
        _ => Ok(()),
    }
}

fn step(walk: &mut Walk<'_>, signed: Signed) -> std::result::Result<(), Broken> {
    let checkpoint = signed.checkpoint();
    walk.row(signed.row)?;
    checkpoint.map_or(Ok(()), |checkpoint| walk.signed_behind(&checkpoint))
}

/// What there is.
///
/// # Errors
/// The store's.
pub(super) async fn extent(store: &Store) -> Result<Extent> {
    let sql = "SELECT (SELECT MIN(seq) FROM audit) AS first, (SELECT MAX(seq) FROM audit) AS last, \
               (SELECT seq FROM audit_head WHERE id = 1) AS head, (SELECT hash FROM audit_head WHERE id = 1) AS head_hash, \
               (SELECT MAX(seq) FROM audit_checkpoint) AS signed";
    Ok(on!(Store, store, db => sqlx::query_as(sql).fetch_one(db).await)?)
}

/// The checkpoint at a row.
///
/// # Errors
/// The store's.
pub(super) async fn checkpoint_at(store: &Store, seq: i64) -> Result<Option<Checkpoint>> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit_checkpoint WHERE seq = $1"));
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(seq).fetch_optional(db).await)?)
}

/// Rows after one and up to another, at most a page of them.
///
/// # Errors
/// The store's.
pub(super) async fn page(store: &Store, after: i64, end: i64) -> Result<Vec<Signed>> {
    let sql = "SELECT a.seq, a.at, a.actor, a.action, a.object, a.detail, a.purpose, a.hash, c.hash AS checkpoint_hash, \
               c.key_id AS checkpoint_key, c.signature AS checkpoint_signature, c.at AS checkpoint_at \
               FROM audit a LEFT JOIN audit_checkpoint c ON c.seq = a.seq WHERE a.seq > $1 AND a.seq <= $2 ORDER BY a.seq LIMIT $3";
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(after).bind(end).bind(PAGE).fetch_all(db).await)?)
}

async fn page_after(store: &Store, seq: i64) -> Result<Option<Signed>> {
    Ok(page(store, seq, seq.saturating_add(1)).await?.pop())
}
