//! By what a reply is known again that is asked for a second time: a key that its client gave it, which outlives a death between
//! the commit and the answer.

use std::sync::LazyLock;

use crate::base::error::{CoreError, Result};
use crate::base::mutant;
use crate::base::time::Millis;
use crate::store::{Column, Row, Rows, SetSql, Store, Tx, on, row};
use crate::vault::{Index, Vault};

/// The keys of replies stand beside those of contacts, as if they were of an account.
const ACCOUNT: &str = "outbox";

static CLAIM: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("key", Column::Text),
        ("interaction_id", Column::Text),
        ("at", Column::Integer),
    ])
    .insert_new("dedup", "key")
});

/// An origin as it is stored.
pub(super) fn index(vault: &Vault, origin: &str) -> String {
    vault.index(Index::Dedup, origin)
}

/// The id of the reply that was written for an origin.
///
/// # Errors
/// The store's.
pub(super) async fn written(store: &Store, origin: &str) -> Result<Option<String>> {
    if mutant::active("no_reply_origin") {
        return Ok(None);
    }
    // By the interaction, which names its reply: the other way there is no index.
    let sql = "SELECT i.reply_id FROM dedup d JOIN interaction i ON i.id = d.interaction_id \
               WHERE d.account = $1 AND d.key = $2 AND i.reply_id IS NOT NULL";
    Ok(on!(Store, store, db => sqlx::query_scalar(sql).bind(ACCOUNT).bind(origin).fetch_optional(db).await)?)
}

/// Claims origins, each with the interaction of its reply.
///
/// # Errors
/// [`CoreError::Conflict`] when one of them was claimed before, or twice here: nothing may be written then.
pub(super) async fn claim(tx: &mut Tx, origins: Vec<(&str, &str)>, at: Millis) -> Result<()> {
    if origins.is_empty() || mutant::active("no_reply_origin") {
        return Ok(());
    }
    let row = |(key, interaction): &(&str, &str)| row!({"account": ACCOUNT, "key": key, "interaction_id": interaction, "at": at});
    let rows: Vec<Row> = origins.iter().map(row).collect();
    let (sql, rows) = (CLAIM.for_tx(tx), Row::array(&rows));
    let claimed: Vec<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
    if claimed.len() == origins.len() {
        return Ok(());
    }
    Err(CoreError::Conflict("the same reply is being written; try again shortly".to_owned()))
}
