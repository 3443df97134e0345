//! Two texts under one id of the peer's.
//!
//! Who replaces a text that the peer has keeps its id (replace_sm, SMPP 3.4 §4.10). While the peer is asked, a receipt of
//! that id may be either text's, so it waits for the answer. Where none comes, nobody will ever know which of the two
//! the citizen reads: a receipt that says "delivered" then makes both unknown, with a reason that says so, and one that
//! says "rejected" is true of both.

use super::parking::{self, ReceiptState};
use super::part;
use super::row::ReplyState;
use super::states::settled;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::feed::NewEvent;
use crate::store::{Tx, on};
use crate::vault::{Place, Vault};

/// A text that may stand in another's place.
pub(super) struct Rival {
    pub(super) id: String,
    /// The peer is being asked; else it did not answer.
    pub(super) in_flight: bool,
}

impl Rival {
    /// Of the columns id and state of an outer join.
    pub(super) fn of(id: Option<String>, state: Option<&str>) -> Option<Self> {
        let in_flight = state != Some(ReplyState::Unknown.as_str());
        Some(Self { id: id?, in_flight })
    }
}

/// When a row `n` is the rival of a row `r`.
pub(super) const RIVALS: &str = "n.instead_of = r.id AND (n.state = 'unknown' OR n.state = 'queued' AND n.lease_until > 0)";

/// What a receipt says of a text of one segment, which may stand in the phone under the words of `rival`.
#[expect(clippy::too_many_arguments, reason = "what a receipt says, and whose it may be")]
pub(super) async fn heard(
    tx: &mut Tx,
    vault: &Vault,
    at: Millis,
    id: &str,
    rival: Option<&str>,
    state: ReceiptState,
    reason: Option<&str>,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    let Some(rival) = rival else {
        return settled(tx, vault, at, id, state.into(), reason, events).await;
    };
    if state == ReceiptState::Rejected {
        settled(tx, vault, at, id, ReplyState::Rejected, reason, events).await?;
        return settled(tx, vault, at, rival, ReplyState::Rejected, reason, events).await;
    }
    let doubt = |other: &str| format!("delivered, with this text or with that of reply {other}: the SMSC did not say which");
    settled(tx, vault, at, id, ReplyState::Unknown, Some(&doubt(rival)), events).await?;
    let sql = "UPDATE reply SET reason = $2 WHERE id = $1 AND state = 'unknown'";
    let doubted = doubt(id);
    let sealed = vault.seal(Place::ReplyReason, rival, &doubted)?;
    on!(Tx, tx, db => sqlx::query(sql).bind(rival).bind(sealed.as_ref()).execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Nobody asks the peer any more to put this text in another's place: a receipt that waited for that counts now.
pub(super) async fn over(tx: &mut Tx, vault: &Vault, id: &str, events: &mut Vec<NewEvent>) -> Result<()> {
    let sql = "SELECT r.id, r.account, r.native_key, n.state FROM reply n JOIN reply r ON r.id = n.instead_of WHERE n.id = $1";
    let earlier: Option<(String, String, Option<String>, String)> =
        on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    let Some((earlier, account, Some(key), state)) = earlier else {
        return Ok(());
    };
    let Some((said, reason, at)) = parking::unpark(tx, vault, &account, &key).await? else {
        return Ok(());
    };
    let rival = (state == ReplyState::Unknown.as_str()).then_some(id);
    heard(tx, vault, at, &earlier, rival, said, reason.as_deref(), events).await
}

/// What the peer answered when it was asked about one of its ids of a text.
#[expect(clippy::too_many_arguments, reason = "what it said, and of what")]
pub(super) async fn told(
    tx: &mut Tx,
    vault: &Vault,
    at: Millis,
    id: &str,
    native_id: &str,
    state: ReceiptState,
    reason: Option<&str>,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    unsaid(tx, id).await?;
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT n.id, n.state FROM reply r LEFT JOIN reply n ON {RIVALS} WHERE r.id = $1 AND r.native_id = $2"
    ));
    let whole: Option<(Option<String>, Option<String>)> =
        on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(id).bind(native_id).fetch_optional(db).await)?;
    if let Some((rival, rivals_state)) = whole {
        return match Rival::of(rival, rivals_state.as_deref()) {
            // Whose word this is will be known when that is over; a receipt may still come.
            Some(Rival { in_flight: true, .. }) => Ok(()),
            rival => {
                heard(
                    tx,
                    vault,
                    at,
                    id,
                    rival.as_ref().map(|rival| rival.id.as_str()),
                    state,
                    reason,
                    events,
                )
                .await
            }
        };
    }
    let sql = "SELECT number FROM reply_part WHERE reply_id = $1 AND native_id = $2";
    let number: Option<i64> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(id).bind(native_id).fetch_optional(db).await)?;
    match number {
        Some(number) => part::heard(tx, vault, at, id, number, state, reason, events).await,
        None => Ok(()),
    }
}

/// The peer was asked what became of a text, and is not asked again.
pub(super) async fn unsaid(tx: &mut Tx, id: &str) -> Result<()> {
    let sql = "UPDATE reply SET query_at = 0 WHERE id = $1 AND query_at > 0";
    on!(Tx, tx, db => sqlx::query(sql).bind(id).execute(db).await.map(|_| ()))?;
    Ok(())
}
