//! A reply that takes the place of an earlier one: of one that waits here, which is taken back, or of a text that the peer
//! has, which the peer is asked to replace (replace_sm, SMPP 3.4 §4.10).

use std::collections::HashMap;

use serde_json::json;
use voxea_rules::sms::{self, Coding};

use super::cancel;
use super::door::{Outbox, Sender};
use super::lease::Ask;
use super::row::{COLUMNS, ReplyRow, ReplyState};
use super::states::replaced_by;
use super::texting::{Sending, Shape, Texting};
use crate::base::account::{Account, Channel};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::Millis;
use crate::feed::{EventKind, NewEvent};
use crate::request::record;
use crate::store::{Tx, on};
use crate::vault::Place;

/// The reply whose place is taken.
pub(super) struct Earlier {
    row: ReplyRow,
    /// It waited here, and is cancelled.
    taken_back: bool,
    /// The text that the peer has and is to replace.
    pub(super) instead_of: Option<String>,
}

impl Earlier {
    pub(super) fn id(&self) -> &str {
        &self.row.id
    }

    /// On which channel, and from which account, the new one goes when nobody says.
    pub(super) fn channel(&self) -> Option<Channel> {
        self.row.channel.parse().ok()
    }

    pub(super) fn account(&self) -> &str {
        &self.row.account
    }

    /// How the new one is sent. A text that the peer replaces is of one segment, and has no priority (§4.10.1).
    pub(super) fn sending(&self, asked: &Sending) -> Result<Sending> {
        if self.instead_of.is_some() && asked.priority != 0 {
            let message = "must be left out: the operator has the text that is replaced, and replace_sm has no priority";
            return Err(CoreError::invalid("/priority", message));
        }
        let split = asked.split && self.instead_of.is_none();
        Ok(Sending { split, ..*asked })
    }

    /// Whether the peer can be asked to take the new one.
    ///
    /// # Errors
    /// [`CoreError::Invalid`], [`CoreError::Conflict`].
    pub(super) fn fits(&self, sender: &Sender, texting: &Texting, shape: &Shape) -> Result<()> {
        if self.instead_of.is_none() {
            return Ok(());
        }
        if sender.channel != Channel::Sms {
            let message = "must be sms: the reply that is replaced is a text, and its operator has it";
            return Err(CoreError::invalid("/channel", message));
        }
        if sender.account.key() != self.row.account {
            return Err(CoreError::Conflict(format!("its account {} sends no more", self.row.account)));
        }
        let preview = sms::preview_by(&shape.text, &texting.policy(false));
        if preview.coding == Coding::Gsm7 {
            return Ok(());
        }
        let foreign: Vec<String> = preview.offending.iter().map(|offending| offending.char.to_string()).collect();
        let message = format!(
            "must be of the 7-bit alphabet, since the operator has the text that is replaced and replace_sm tells no other: write it \
             without {}",
            foreign.join(" ")
        );
        Err(CoreError::invalid("/text", message))
    }
}

impl Outbox {
    /// Finds and locks the reply whose place a new one takes. One that waits here and that no channel holds is cancelled
    /// at once; the caller's transaction makes that good, or not.
    pub(super) async fn earlier(&self, tx: &mut Tx, actor: &Actor, request_id: &str, id: &str, now: Millis) -> Result<Earlier> {
        let unknown = || CoreError::invalid("/replaces", "must be the id of an earlier reply to this request");
        let mut row = self.locked(tx, id).await?.ok_or_else(unknown)?;
        if row.request_id != request_id {
            let sql = "SELECT channel, theme FROM request WHERE id = $1";
            let (channel, theme): (String, Option<String>) =
                on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(&row.request_id).fetch_one(db).await)?;
            let reached = self.catalogue.reach(actor, Operation::Reply).covers(&channel, theme.as_deref());
            return Err(match reached {
                true => CoreError::Conflict("what is to be replaced answers another request".to_owned()),
                false => unknown(),
            });
        }
        let taken_back = cancel::take_back(tx, id, now).await?;
        let instead_of = match (taken_back, row.instead_of.take()) {
            (true, None) => None,
            (true, Some(first)) => {
                let first = self.locked(tx, &first).await?.ok_or_else(unknown)?;
                self.at_peer(tx, &first).await?;
                Some(first.id)
            }
            (false, _) => {
                self.at_peer(tx, &row).await?;
                Some(row.id.clone())
            }
        };
        Ok(Earlier {
            row,
            taken_back,
            instead_of,
        })
    }

    async fn locked(&self, tx: &mut Tx, id: &str) -> Result<Option<ReplyRow>> {
        let sql = sqlx::AssertSqlSafe(format!("UPDATE reply SET attempts = attempts WHERE id = $1 RETURNING {COLUMNS}"));
        let row: Option<ReplyRow> = on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        match row {
            Some(mut row) => {
                row.open(&self.vault).strict()?;
                Ok(Some(row))
            }
            None => Ok(None),
        }
    }

    /// Passes a text that its peer has and can be asked to replace.
    async fn at_peer(&self, tx: &mut Tx, row: &ReplyRow) -> Result<()> {
        let texting = Account::parse(&row.account)
            .map(|account| self.texting(&account))
            .unwrap_or_default();
        if let Some(why) = unreplaceable(row, &texting) {
            return Err(CoreError::Conflict(why));
        }
        let sql = "SELECT id, state FROM reply WHERE instead_of = $1 AND state IN ('queued', 'unknown')";
        let other: Option<(String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(&row.id).fetch_optional(db).await)?;
        if let Some((other, state)) = other {
            return Err(CoreError::Conflict(match state.as_str() {
                "queued" => format!("reply {other} is to take its place already: replace that one"),
                _ => format!("reply {other} may have taken its place: the operator did not answer"),
            }));
        }
        if sms::encode_for_submit(&row.text).coding != Coding::Gsm7 {
            let message = "must be a text of the 7-bit alphabet once its operator has it, since replace_sm tells no other: this one is \
                           of UCS-2; send another reply, without replaces";
            return Err(CoreError::invalid("/replaces", message));
        }
        Ok(())
    }

    /// Writes what became of the one that waited here; before the new one is written.
    pub(super) async fn give_way(&self, tx: &mut Tx, actor: &Actor, earlier: &Earlier, by: &str, now: Millis) -> Result<Vec<NewEvent>> {
        if !earlier.taken_back {
            return Ok(Vec::new());
        }
        let (row, reason) = (&earlier.row, replaced_by(by));
        let sql = "UPDATE reply SET reason = $2 WHERE id = $1";
        let sealed = self.vault.seal(Place::ReplyReason, &row.id, &reason)?;
        on!(Tx, &mut *tx, db => sqlx::query(sql).bind(&row.id).bind(sealed.as_ref()).execute(db).await.map(|_| ()))?;
        let state = ReplyState::Cancelled.as_str();
        let detail = json!({"reply_id": row.id, "state": state, "reason": reason});
        record(tx, &self.vault, &row.request_id, now, actor, "settled", &detail).await?;
        let event = NewEvent::of_request(EventKind::ReplySettled, &row.request_id)
            .with("reply_id", row.id.as_str())
            .with("interaction_id", row.interaction_id.as_str())
            .with("channel", row.channel.as_str())
            .with("state", state);
        Ok(vec![event])
    }

    /// What leased replies that take the place of a text at the peer are to ask it, by their ids; `Err` says why nobody
    /// needs to ask any more.
    pub(super) async fn replacements(
        &self,
        tx: &mut Tx,
        leased: impl Iterator<Item = (&str, &str)>,
    ) -> Result<HashMap<String, std::result::Result<Ask, String>>> {
        let mut found = HashMap::new();
        for (id, instead_of) in leased {
            let sql = "SELECT state, native_id, text FROM reply WHERE id = $1";
            let row: Option<(String, Option<String>, String)> =
                on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(instead_of).fetch_optional(db).await)?;
            let ask = match row {
                Some((state, Some(native_id), mut text)) if state == ReplyState::Submitted.as_str() => {
                    match self.vault.opening(instead_of).text(Place::ReplyText, &mut text).strict() {
                        Ok(()) => Ok(Ask::Replace { native_id, text }),
                        Err(error) => {
                            tracing::error!(%error, "a reply cannot be read and is not replaced");
                            Err("what it was to replace cannot be decrypted; the daemon's log says more".to_owned())
                        }
                    }
                }
                Some((state, ..)) => Err(format!("what it was to replace is {state} by now")),
                None => Err("what it was to replace is no more".to_owned()),
            };
            found.insert(id.to_owned(), ask);
        }
        Ok(found)
    }
}

/// Why a reply cannot be replaced, in words for an agent; `None` when its peer can be asked.
fn unreplaceable(row: &ReplyRow, texting: &Texting) -> Option<String> {
    let sent = row.state == ReplyState::Submitted.as_str();
    Some(match row.state.as_str() {
        "queued" => "it is being sent".to_owned(),
        state if !sent => format!("it is {state}, and only what waits is replaced"),
        _ if row.channel != Channel::Sms.as_str() => "it is a mail that was sent, and no mail comes back".to_owned(),
        _ if !texting.replace => format!("its operator has it, and the account {} does not say replace = true", row.account),
        _ if row.segments > 1 => format!("its operator has it in {} segments, and only one is replaced", row.segments),
        _ if row.native_id.is_none() => "its operator has it and gave it no id, by which it could be replaced".to_owned(),
        _ if row.cancel_at.is_some() => "its operator is being asked to forget it".to_owned(),
        _ => return None,
    })
}
