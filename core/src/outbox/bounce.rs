//! What follows when an address takes no mail.

use super::row::ReplyState;
use super::states::settled;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::citizen;
use crate::feed::NewEvent;
use crate::store::{Tx, on};
use crate::vault::{Place, Vault};

/// A mail came back, since its address takes none: that is entered, and what else waits for it in its account is refused.
///
/// # Errors
/// The store's, the vault's.
pub(super) async fn back(tx: &mut Tx, vault: &Vault, now: Millis, id: &str, reason: &str, events: &mut Vec<NewEvent>) -> Result<()> {
    let sql = "SELECT recipient, recipient_key, account FROM reply WHERE id = $1 AND channel = 'email'";
    let found: Option<(String, String, String)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    let Some((recipient, key, account)) = found else { return Ok(()) };
    let recipient = vault.open(Place::ReplyRecipient, id, recipient)?;
    citizen::enter_undeliverable(tx, vault, &recipient, reason, now).await?;
    let sql = "SELECT id FROM reply WHERE account = $1 AND recipient_key = $2 AND state = 'queued' AND lease_until = 0";
    let waiting: Vec<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(&account).bind(&key).fetch_all(db).await)?;
    let reason = format!("not sent, since an earlier mail to this address came back: {reason}");
    for id in waiting {
        settled(tx, vault, now, &id, ReplyState::Rejected, Some(&reason), events).await?;
    }
    Ok(())
}
