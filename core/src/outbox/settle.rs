//! What became of a reply.

use std::collections::HashMap;

use super::bounce;
use super::door::Outbox;
use super::parking::ReceiptState;
use super::part::{self, PartEnd};
use super::rival;
use super::row::ReplyState;
use super::states::{Taken, settled, submitted};
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::feed::{self, NewEvent};
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Place, Vault};

/// What a channel says of a reply that it leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The peer took it.
    Submitted {
        /// The peer's id of it, by which a receipt will name it.
        native_id: Option<String>,
        /// Whether nothing more will be heard of it, as of a mail after its 250.
        last_word: bool,
    },
    /// It reached the citizen.
    Delivered {
        /// When, by the peer's clock, milliseconds UTC.
        at: Millis,
    },
    /// It will not arrive.
    Rejected {
        /// The peer's reason.
        reason: String,
    },
    /// It will not arrive, and neither will anything else of ours: its address takes no mail. What else waits for it is refused
    /// too, and nothing more is taken for it until a mail comes from there.
    Undeliverable {
        /// The peer's reason.
        reason: String,
    },
    /// Nobody can say whether it arrived.
    Unknown {
        /// What happened.
        reason: String,
    },
    /// One of several segments has an end; the others go on.
    Part {
        /// Which, from 1.
        number: u8,
        /// What became of it.
        end: PartEnd,
    },
    /// The peer has forgotten it, as it was asked to.
    Cancelled,
    /// The peer will not forget it; it stays submitted.
    NotCancelled {
        /// The peer's reason.
        reason: String,
    },
    /// The peer was asked what became of what it calls so, and said what a receipt would say.
    Heard {
        /// The peer's id of it.
        native_id: String,
        /// What it said.
        state: ReceiptState,
        /// The peer's words for a rejection.
        reason: Option<String>,
    },
    /// The peer was asked what became of it, and did not say; nobody asks again.
    Unsaid,
    /// No receipt came in all its life and a while longer. A later one still counts.
    Unheard,
    /// It was not sent, and shall be tried again; of several segments, those that have no end.
    Retry {
        /// When, milliseconds UTC.
        at: Millis,
        /// What the peer said.
        reason: String,
    },
    /// It was not tried, and shall be later.
    Postpone {
        /// When, milliseconds UTC.
        at: Millis,
    },
    /// It was not sent; the lease is handed back as if it had not been taken.
    Return,
}

impl Settlement {
    /// Whether a text may be of unknown fate by this. Of one whose id is known, as after `Unheard`, no receipt waits.
    const fn may_end_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::Part {
                    end: PartEnd::Unknown { .. } | PartEnd::Submitted { .. },
                    ..
                }
        )
    }

    /// Of what waited longer than it lives.
    pub(super) fn overdue() -> Self {
        Self::Rejected {
            reason: "its validity ended before it could be sent".to_owned(),
        }
    }

    /// Whether the peer, for all that is known, was not told of it or refused it.
    const fn leaves_unsent(&self) -> bool {
        matches!(
            self,
            Self::Retry { .. }
                | Self::Postpone { .. }
                | Self::Return
                | Self::Rejected { .. }
                | Self::Undeliverable { .. }
                | Self::Unknown { .. }
        )
    }
}

impl Outbox {
    /// Settles replies, all in one transaction. A reply that is settled already moves only forward: a receipt's word is
    /// not overwritten by a late response.
    ///
    /// # Errors
    /// The store's; nothing is settled then, and the caller tries again.
    pub async fn settle(&self, settlements: Vec<(String, Settlement)>) -> Result<()> {
        if settlements.is_empty() {
            return Ok(());
        }
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let (mut events, mut queued) = (Vec::new(), false);
        let (taken, rest) = taken(&settlements);
        submitted(&mut tx, &self.vault, now, &taken, &mut events).await?;
        for (id, settlement) in rest {
            queued |= matches!(
                settlement,
                Settlement::Retry { .. } | Settlement::Postpone { .. } | Settlement::Return
            );
            one(&mut tx, &self.vault, now, id, settlement, &mut events).await?;
            if settlement.leaves_unsent() {
                rival::over(&mut tx, &self.vault, id, &mut events).await?;
            }
        }
        for (id, _) in settlements.iter().filter(|(_, settlement)| settlement.may_end_unknown()) {
            self.heard_before(&mut tx, id, now, &mut events).await?;
        }
        self.finish(tx, now, &events).await?;
        if queued {
            self.ring();
        }
        Ok(())
    }

    /// Appends the events and commits.
    pub(super) async fn finish(&self, mut tx: Tx, now: Millis, events: &[NewEvent]) -> Result<()> {
        if events.is_empty() {
            return tx.commit().await;
        }
        let first = feed::next_positions(&mut tx, events.len()).await?;
        feed::append(&mut tx, first, now, events).await?;
        tx.commit().await?;
        self.feed.committed();
        Ok(())
    }
}

/// What the peer took, which is written as a set, and the rest. Of a reply that is settled more than once, each in its turn.
fn taken(settlements: &[(String, Settlement)]) -> (Vec<Taken<'_>>, Vec<&(String, Settlement)>) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (id, _) in settlements {
        *times.entry(id).or_default() += 1;
    }
    let (mut all, mut rest) = (Vec::new(), Vec::new());
    for settlement in settlements {
        match Taken::of(&settlement.0, &settlement.1).filter(|one| times.get(one.id) == Some(&1)) {
            Some(one) => all.push(one),
            None => rest.push(settlement),
        }
    }
    (all, rest)
}

impl<'a> Taken<'a> {
    fn of(id: &'a str, settlement: &'a Settlement) -> Option<Self> {
        match settlement {
            Settlement::Submitted { native_id, last_word } => Some(Self {
                id,
                native_id: native_id.as_deref(),
                last_word: *last_word,
            }),
            _ => None,
        }
    }
}

async fn one(tx: &mut Tx, vault: &Vault, now: Millis, id: &str, settlement: &Settlement, events: &mut Vec<NewEvent>) -> Result<()> {
    match settlement {
        Settlement::Retry { at, reason } => {
            let sql = "UPDATE reply SET lease_until = 0, due_at = $2, reason = $3 WHERE id = $1 AND state = 'queued'";
            on!(Tx, tx, db => sqlx::query(sql).bind(id).bind(at).bind(vault.seal(Place::ReplyReason, id, reason)?.as_ref()).execute(db).await.map(|_| ()))?;
        }
        Settlement::Postpone { at } => {
            let sql = "UPDATE reply SET lease_until = 0, attempts = attempts - 1, due_at = $2 WHERE id = $1 AND state = 'queued' AND lease_until > 0";
            on!(Tx, tx, db => sqlx::query(sql).bind(id).bind(at).execute(db).await.map(|_| ()))?;
        }
        Settlement::Return => {
            let sql = "UPDATE reply SET lease_until = 0, attempts = attempts - 1 WHERE id = $1 AND state = 'queued' AND lease_until > 0";
            on!(Tx, tx, db => sqlx::query(sql).bind(id).execute(db).await.map(|_| ()))?;
        }
        Settlement::Submitted { .. } => {
            let taken: Vec<Taken<'_>> = Taken::of(id, settlement).into_iter().collect();
            submitted(tx, vault, now, &taken, events).await?;
        }
        Settlement::Delivered { at } => settled(tx, vault, *at, id, ReplyState::Delivered, None, events).await?,
        Settlement::Rejected { reason } => {
            part::end_all(tx, id, ReplyState::Queued, ReplyState::Rejected).await?;
            settled(tx, vault, now, id, ReplyState::Rejected, Some(reason), events).await?;
        }
        Settlement::Undeliverable { reason } => {
            settled(tx, vault, now, id, ReplyState::Rejected, Some(reason), events).await?;
            bounce::back(tx, vault, now, id, reason, events).await?;
        }
        Settlement::Unknown { reason } => {
            part::end_all(tx, id, ReplyState::Queued, ReplyState::Unknown).await?;
            settled(tx, vault, now, id, ReplyState::Unknown, Some(reason), events).await?;
        }
        Settlement::Unheard => {
            part::end_all(tx, id, ReplyState::Submitted, ReplyState::Unknown).await?;
            settled(tx, vault, now, id, ReplyState::Unknown, Some("no receipt came"), events).await?;
        }
        Settlement::Cancelled => {
            settled(tx, vault, now, id, ReplyState::Cancelled, None, events).await?;
            kept(tx, vault, id, None).await?;
        }
        Settlement::NotCancelled { reason } => kept(tx, vault, id, Some(reason)).await?,
        Settlement::Heard { native_id, state, reason } => {
            rival::told(tx, vault, now, id, native_id, *state, reason.as_deref(), events).await?;
        }
        Settlement::Unsaid => rival::unsaid(tx, id).await?,
        Settlement::Part { number, end } => part::settle(tx, vault, now, id, *number, end, events).await?,
    }
    Ok(())
}

/// Nobody asks the peer any more to forget it.
async fn kept(tx: &mut Tx, vault: &Vault, id: &str, reason: Option<&str>) -> Result<()> {
    let sql = "UPDATE reply SET cancel_at = NULL, reason = $2 WHERE id = $1 AND cancel_at IS NOT NULL";
    let sealed = vault.seal_some(Place::ReplyReason, id, reason)?;
    on!(Tx, tx, db => sqlx::query(sql).bind(id).bind(sealed.as_deref()).execute(db).await.map(|_| ()))?;
    Ok(())
}
