//! Addresses that mail does not reach: a server said for good that it takes none, and no mail has come from there since.

use std::sync::LazyLock;

use super::address::{Address, PointKind};
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Rows, SetSql, Tx};
use crate::vault::{Place, Vault};

/// A mail came from these addresses, which therefore work.
pub(crate) static REACHED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("match_key", Column::Text)]).statement("DELETE FROM undeliverable WHERE match_key IN (SELECT r.match_key FROM {rows} AS r)")
});

/// That mail to an address came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeliverable {
    /// Since when.
    pub at: Millis,
    /// What the server said that refused it.
    pub reason: String,
}

/// Mail to this address came back. The latest reason counts, and the first time.
///
/// # Errors
/// The store's, the vault's.
pub(crate) async fn enter(tx: &mut Tx, vault: &Vault, address: &str, reason: &str, at: Millis) -> Result<()> {
    let Some(address) = Address::read(PointKind::Email, address) else {
        return Ok(());
    };
    let (key, fresh) = (address.match_key(vault), id::new());
    let sql = "SELECT id FROM undeliverable WHERE match_key = $1";
    let known: Option<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(&key).fetch_optional(db).await)?;
    let id = known.unwrap_or(fresh);
    let sealed = vault.seal(Place::UndeliverableReason, &id, reason)?;
    // Somebody else may have entered it in between; what a reason is bound to is its own row.
    let sql = "INSERT INTO undeliverable (id, match_key, reason, at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (match_key) DO UPDATE SET reason = excluded.reason WHERE undeliverable.id = excluded.id";
    on!(Tx, tx, db => sqlx::query(sql).bind(&id).bind(&key).bind(sealed.as_ref()).bind(at).execute(db).await.map(|_| ()))?;
    Ok(())
}

/// The address of this contact point may be written to again; what was said when mail came back, if it had.
///
/// # Errors
/// The store's, the vault's.
pub(super) async fn forgive(tx: &mut Tx, vault: &Vault, point: &str) -> Result<Option<String>> {
    let sql = "DELETE FROM undeliverable WHERE match_key = (SELECT match_key FROM contact_point WHERE id = $1) RETURNING id, reason";
    let found: Option<(String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(point).fetch_optional(db).await)?;
    found
        .map(|(id, reason)| vault.open(Place::UndeliverableReason, &id, reason))
        .transpose()
}

/// Whether mail to an address came back.
///
/// # Errors
/// The store's, the vault's.
pub(crate) async fn undeliverable(tx: &mut Tx, vault: &Vault, address: &str) -> Result<Option<Undeliverable>> {
    let Some(address) = Address::read(PointKind::Email, address) else {
        return Ok(None);
    };
    let sql = "SELECT id, at, reason FROM undeliverable WHERE match_key = $1";
    let found: Option<(String, Millis, String)> =
        on!(Tx, tx, db => sqlx::query_as(sql).bind(address.match_key(vault)).fetch_optional(db).await)?;
    let opened = found.map(|(id, at, reason)| {
        Ok(Undeliverable {
            at,
            reason: vault.open(Place::UndeliverableReason, &id, reason)?,
        })
    });
    opened.transpose()
}
