//! STOP and START by text, as sets: opt-outs that a batch of the intake writes and ends, and those that it must know of.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use super::address::Address;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, SetSql, Tx, row};
use crate::vault::{Place, Vault};

/// Inserts opt-outs; an address that has one keeps it, however often the STOP comes.
pub(crate) static STOP: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("position", Column::Integer),
        ("match_key", Column::Text),
        ("channel", Column::Text),
        ("address", Column::Text),
        ("at", Column::Integer),
        ("actor", Column::Text),
        ("how", Column::Text),
    ])
    .statement(
        "INSERT INTO opt_out ({columns}) SELECT {values} FROM {rows} AS r WHERE true \
         ON CONFLICT (match_key, channel) WHERE cleared_at IS NULL DO NOTHING",
    )
});
/// Ends opt-outs: whoever was asked for it, the one who has the address asks for another thing now. That and when there was one
/// stays known.
pub(crate) static START: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text), ("now_at", Column::Integer), ("actor", Column::Text)]).statement(
        "UPDATE opt_out SET cleared_at = r.now_at, cleared_by = r.actor FROM {rows} AS r \
         WHERE opt_out.match_key = r.wanted AND opt_out.channel = 'sms' AND opt_out.cleared_at IS NULL",
    )
});
static OPTED_OUT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(
        "SELECT o.match_key FROM {rows} AS r JOIN opt_out o ON o.match_key = r.wanted AND o.channel = 'sms' AND o.cleared_at IS NULL",
    )
});

/// The row of a STOP from this address; `None` for one that no campaign reaches.
///
/// # Errors
/// The vault's.
pub(crate) fn stop_row(vault: &Vault, address: &Address, position: i64, at: Millis, actor: &str) -> Result<Option<Row>> {
    let Some(channel) = address.kind().campaigns() else {
        return Ok(None);
    };
    let id = id::new();
    Ok(Some(row!({
        "id": id, "position": position, "match_key": address.match_key(vault), "channel": channel.as_str(),
        "address": vault.seal(Place::OptOutAddress, &id, address.normalised())?, "at": at, "actor": actor,
        "how": vault.seal_some(Place::OptOutHow, &id, Some("STOP"))?,
    })))
}

/// The row of a START from this address, likewise.
pub(crate) fn start_row(vault: &Vault, address: &Address, at: Millis, actor: &str) -> Option<Row> {
    address.kind().campaigns()?;
    Some(row!({"wanted": address.match_key(vault), "now_at": at, "actor": actor}))
}

/// Those of these match keys that want no texts unasked.
///
/// # Errors
/// The store's.
pub(crate) async fn opted_out(tx: &mut Tx, keys: impl Iterator<Item = &str>) -> Result<HashSet<String>> {
    let keys: BTreeSet<&str> = keys.collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<Row> = keys.into_iter().map(|key| row!({"wanted": key})).collect();
    let (sql, rows) = (OPTED_OUT.for_tx(tx), Row::array(&rows));
    let found: Vec<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
    Ok(found.into_iter().collect())
}
