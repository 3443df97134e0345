//! What a batch owes to answers: the Message-IDs by which they find their requests, and what follows when they reopen one.

use super::join::{Back, Placement};
use super::ledger::Entry;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time;
use crate::catalogue::Catalogue;
use crate::request::Reopened;
use crate::store::Tx;
use crate::vault::{ReplyTokens, Vault};

/// The Message-IDs of the acknowledgements that go out by mail, each with the token of its request; `None` for every other
/// entry. The key of the tokens was read before.
///
/// # Errors
/// The store's, the vault's.
pub(super) async fn signed(
    entries: &[Entry<'_>],
    placements: &[Placement],
    allowed: &[bool],
    tokens: &ReplyTokens,
) -> Result<Vec<Option<String>>> {
    let mut signed = Vec::with_capacity(entries.len());
    for ((entry, placement), allowed) in entries.iter().zip(placements).zip(allowed) {
        let new = entry.prepared().contact.acknowledgement.as_ref().filter(|_| *allowed);
        let mut message_id = new.and_then(|new| new.message_id.clone());
        if let Some(message_id) = &mut message_id
            && let Some(domain) = message_id.rfind('@')
            && let Some(token) = tokens.of(&placement.request_id).await?
        {
            message_id.insert_str(domain, &format!(".{token}"));
        }
        signed.push(message_id);
    }
    Ok(signed)
}

/// Notes of requests that entries of this batch reopened what follows from that.
///
/// # Errors
/// The store's, the vault's.
pub(super) async fn brought_back(
    tx: &mut Tx,
    vault: &Vault,
    hours: &Catalogue,
    back: &[Back],
    entries: &[Entry<'_>],
    placements: &[Placement],
) -> Result<()> {
    for back in back {
        let reopens = |placement: &Placement| placement.reopened && placement.request_id == back.request_id;
        for (entry, _) in entries.iter().zip(placements).filter(|(_, placement)| reopens(placement)) {
            let reopened = Reopened {
                request_id: &back.request_id,
                version: back.version,
                received_at: back.received_at,
                theme: back.theme.as_deref(),
                interaction_id: &entry.interaction_id,
                at: time::now(),
            };
            let actor = Actor::Channel(entry.prepared().contact.account.clone());
            reopened.note(tx, vault, hours, &actor).await?;
        }
    }
    Ok(())
}
