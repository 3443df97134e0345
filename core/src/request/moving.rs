//! Moving a contact to the request that it belongs to, or to one of its own: no rule that links contacts is always right.
//!
//! The contact itself does not change. What follows it: the Message-ID by which answers find a request, the time of its
//! recording, the conversation of its number. Our own answers stay with the request that they answered.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::desk::{Desk, lock};
use super::history;
use super::row::{COLUMNS, RequestRow};
use super::status::Status;
use super::transition::{self, Transition};
use crate::artefact;
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::citizen::Address;
use crate::feed::{self, EventKind, NewEvent};
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Index, Place};

/// Which contact goes where.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'a> {
    /// The contact.
    pub interaction_id: &'a str,
    /// The request that it leaves; `None` when it belongs to one alone.
    pub from: Option<&'a str>,
    /// The request that it goes to; `None` for a new one.
    pub to: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The request that the contact belongs to now.
    pub request: RequestRow,
    /// Whether that was opened for it.
    pub opened: bool,
}

#[derive(sqlx::FromRow)]
struct Contact {
    direction: String,
    channel: String,
    account: Option<String>,
    from_address: String,
    from_name: Option<String>,
    subject: Option<String>,
    native_id: Option<String>,
    received_at: Millis,
}

/// What stays with the request that is left: contacts of the citizen, and when the latest of them came.
type Rest = (i64, Option<Millis>);

impl Desk {
    /// The version of the request that a contact would leave.
    ///
    /// # Errors
    /// As [`Desk::move_interaction`].
    pub async fn version_left(&self, actor: &Actor, moving: &Moving<'_>) -> Result<i64> {
        let left = self.left(moving).await?;
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM request WHERE id = $1"));
        let row: Option<RequestRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(left).fetch_optional(db).await)?;
        Ok(self.changeable(actor, row, "interaction")?.version)
    }

    /// Moves a contact out of a request that is still at `expected`. One that no contact of the citizen is left of becomes
    /// `merged`, where the table of moves has that.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] for the contact or the request, also when the actor may not change both;
    /// [`CoreError::Stale`]; [`CoreError::Invalid`] when it is there already, or belongs to several requests and `from` names
    /// none; [`CoreError::Conflict`] for one of our answers, a request that takes and gives nothing any more, and a new request
    /// for the only contact of one; the store's.
    pub async fn move_interaction(&self, actor: &Actor, moving: &Moving<'_>, expected: i64) -> Result<Moved> {
        let from = self.left(moving).await?;
        if moving.to == Some(from.as_str()) {
            return Err(CoreError::invalid("/to", "must be another request: it belongs to this one"));
        }
        let mut tx = self.store.begin().await?;
        let (source, target) = self.both(&mut tx, actor, &from, moving.to).await?;
        if source.version != expected {
            return Err(CoreError::Stale {
                expected,
                current: source.version,
            });
        }
        let contact = contact(&mut tx, moving.interaction_id).await?;
        let rest = rest(&mut tx, &from, moving.interaction_id).await?;
        allowed(&contact, &source, target.as_ref(), rest)?;
        let now = time::now();
        let step = Step {
            desk: self,
            actor,
            interaction_id: moving.interaction_id,
            position: unlink(&mut tx, &from, moving.interaction_id).await?,
            now,
        };
        let opened = target.is_none();
        let to = match target {
            Some(target) => step.merge(&mut tx, &contact, source, target, rest).await?,
            None => step.split(&mut tx, &contact, source, rest).await?,
        };
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM request WHERE id = $1"));
        let mut request: RequestRow = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(&to).fetch_one(db).await)?;
        tx.commit().await?;
        self.feed.committed();
        request.open(&self.vault).lenient();
        self.linked(actor, std::slice::from_mut(&mut request)).await?;
        Ok(Moved { request, opened })
    }

    /// The request that the contact leaves.
    async fn left(&self, moving: &Moving<'_>) -> Result<String> {
        let sql = "SELECT request_id FROM request_interaction WHERE interaction_id = $1 ORDER BY position";
        let mut links: Vec<String> =
            on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(moving.interaction_id).fetch_all(db).await)?;
        if links.is_empty() {
            return Err(CoreError::NotFound { what: "interaction" });
        }
        if let Some(from) = moving.from {
            links.retain(|id| id == from);
        } else if links.len() > 1 {
            return Err(CoreError::invalid(
                "/from",
                "must name the request that it shall leave, since it belongs to several",
            ));
        }
        links
            .pop()
            .ok_or_else(|| CoreError::invalid("/from", "must be a request of this interaction"))
    }

    fn changeable(&self, actor: &Actor, row: Option<RequestRow>, what: &'static str) -> Result<RequestRow> {
        let reach = self.catalogue.reach(actor, Operation::Reply);
        row.filter(|row| reach.covers(&row.channel, row.theme.as_deref()))
            .ok_or(CoreError::NotFound { what })
    }

    /// Both requests, locked in the order of their ids, so that two that exchange contacts never wait for each other.
    async fn both(&self, tx: &mut Tx, actor: &Actor, from: &str, to: Option<&str>) -> Result<(RequestRow, Option<RequestRow>)> {
        let (mut source, mut target) = (None, None);
        for id in BTreeSet::from_iter([Some(from), to].into_iter().flatten()) {
            let row = lock(tx, id).await?;
            *(if id == from { &mut source } else { &mut target }) = row;
        }
        let source = self.changeable(actor, source, "interaction")?;
        let target = match to {
            Some(_) => Some(self.changeable(actor, target, "request")?),
            None => None,
        };
        Ok((source, target))
    }
}

/// One move, inside its transaction.
struct Step<'a> {
    desk: &'a Desk,
    actor: &'a Actor,
    interaction_id: &'a str,
    /// Of the link, which stays.
    position: i64,
    now: Millis,
}

impl Step<'_> {
    /// To a request that is there. Returns its id.
    async fn merge(&self, tx: &mut Tx, contact: &Contact, source: RequestRow, target: RequestRow, rest: Rest) -> Result<String> {
        let vault = &self.desk.vault;
        let to = target.id.clone();
        self.link(tx, &to).await?;
        self.take_part(tx, contact, &to).await?;
        self.answers_follow(tx, contact, &source.id, &to).await?;
        // Whoever moved it there says that it belongs there: what comes next is the same conversation.
        let sql = "UPDATE request SET version = version + 1, updated_at = $2, \
                   last_keyword = CASE WHEN last_contact_at <= $3 THEN 0 ELSE last_keyword END, \
                   last_contact_at = CASE WHEN last_contact_at < $3 THEN $3 ELSE last_contact_at END WHERE id = $1";
        on!(Tx, &mut *tx, db => sqlx::query(sql).bind(&to).bind(self.now).bind(contact.received_at).execute(db).await.map(|_| ()))?;
        let (source, merged) = self.leave(tx, source, rest, &to).await?;
        artefact::request_moved(tx, &to, self.now).await?;
        let kind = if merged.is_some() {
            EventKind::RequestMerged
        } else {
            EventKind::RequestUpdated
        };
        self.note(tx, &source, merged, &to).await?;
        let detail = json!({"interaction_id": self.interaction_id, "request_id": source.id});
        history::record(tx, vault, &to, self.now, self.actor, "moved_in", &detail).await?;
        let left = self.event(kind, &source).with("into", to.as_str());
        let taken = RequestRow {
            version: target.version + 1,
            ..target
        };
        let taken = self.event(EventKind::RequestUpdated, &taken);
        let first = feed::next_positions(tx, 2).await?;
        feed::append(tx, first, self.now, &[left, taken]).await?;
        Ok(to)
    }

    /// To a request of its own. Returns its id.
    async fn split(&self, tx: &mut Tx, contact: &Contact, source: RequestRow, rest: Rest) -> Result<String> {
        let (vault, to) = (&self.desk.vault, id::new());
        let reach = self.desk.catalogue.reach(self.actor, Operation::Reply);
        if !reach.covers(&contact.channel, source.theme.as_deref()) {
            return Err(CoreError::Conflict(
                "you would not reach the request that this opens; somebody who does must move it".to_owned(),
            ));
        }
        self.answers_follow(tx, contact, &source.id, &to).await?;
        // It is open, so that its recording has no end again.
        let sql = "UPDATE recording SET keep_until = NULL WHERE interaction_id = $1 AND state <> 'purged'";
        on!(Tx, &mut *tx, db => sqlx::query(sql).bind(self.interaction_id).execute(db).await.map(|_| ()))?;
        let (source, merged) = self.leave(tx, source, rest, &to).await?;
        self.note(tx, &source, merged, &to).await?;
        let detail = json!({"interaction_id": self.interaction_id, "channel": contact.channel, "request_id": source.id});
        history::record(tx, vault, &to, self.now, self.actor, "created", &detail).await?;
        let year = time::year(self.now);
        let counter = format!("ref:{year:04}");
        let (first, numbers) = feed::next_numbers(tx, 3, &[(counter.clone(), 1)].into()).await?;
        let number = numbers.get(&counter).copied().unwrap_or_default();
        let (year, number) = (u16::try_from(year).unwrap_or(1000), u64::try_from(number).unwrap_or(0));
        let reference = voxea_rules::reference::format(year, number).unwrap_or_else(|| to.clone());
        self.insert(tx, contact, &source, &to, first, &reference).await?;
        self.link(tx, &to).await?;
        let split = self.event(EventKind::RequestSplit, &source).with("into", to.as_str());
        let created = NewEvent::of_request(EventKind::RequestCreated, &to)
            .with("channel", contact.channel.as_str())
            .with("status", Status::Received.as_str())
            .with("version", 1);
        feed::append(tx, first + 1, self.now, &[split, created]).await?;
        Ok(to)
    }

    /// The request of its own: as if the contact had opened it, with the theme of the one that it leaves.
    async fn insert(&self, tx: &mut Tx, contact: &Contact, source: &RequestRow, to: &str, position: i64, reference: &str) -> Result<()> {
        let vault = &self.desk.vault;
        let open = |place, text: &Option<String>| -> Result<Option<String>> {
            text.clone().map(|text| vault.open(place, self.interaction_id, text)).transpose()
        };
        let from = vault.open(Place::InteractionFromAddress, self.interaction_id, contact.from_address.clone())?;
        let (name, subject) = (
            open(Place::InteractionFromName, &contact.from_name)?,
            open(Place::InteractionSubject, &contact.subject)?,
        );
        let channel: Channel = contact
            .channel
            .parse()
            .map_err(|_| CoreError::Store(format!("unknown channel {:?}", contact.channel)))?;
        let sender = Address::of_sender(channel, &from).map(|address| address.match_key(vault));
        let sql = "INSERT INTO request (id, position, ref, channel, account, status, subject, from_address, from_name, theme, received_at, \
                   updated_at, version, last_contact_at, last_keyword, from_key, citizen_id) \
                   SELECT $1, $2, $3, $4, $5, 'received', $6, $7, $8, $9, $10, $11, 1, $10, 0, $12, \
                   (SELECT MIN(p.citizen_id) FROM contact_point p JOIN citizen c ON c.id = p.citizen_id \
                    WHERE p.match_key = $12 AND p.removed_at IS NULL AND c.status = 'active' HAVING COUNT(*) = 1)";
        let subject = vault.seal_some(Place::RequestSubject, to, subject.as_deref())?;
        let from = vault.seal(Place::RequestFromAddress, to, &from)?;
        let name = vault.seal_some(Place::RequestFromName, to, name.as_deref())?;
        on!(Tx, tx, db => sqlx::query(sql)
            .bind(to).bind(position).bind(reference).bind(&contact.channel).bind(&contact.account).bind(subject.as_deref())
            .bind(from.as_ref()).bind(name.as_deref()).bind(&source.theme).bind(contact.received_at).bind(self.now).bind(&sender)
            .execute(db).await.map(|_| ()))?;
        Ok(())
    }

    async fn link(&self, tx: &mut Tx, to: &str) -> Result<()> {
        let sql = "INSERT INTO request_interaction (request_id, interaction_id, position) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        on!(Tx, tx, db => sqlx::query(sql).bind(to).bind(self.interaction_id).bind(self.position).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Whose contact was moved to a request takes part in it.
    async fn take_part(&self, tx: &mut Tx, contact: &Contact, to: &str) -> Result<()> {
        let vault = &self.desk.vault;
        let from = vault.open(Place::InteractionFromAddress, self.interaction_id, contact.from_address.clone())?;
        let sender = contact.channel.parse().ok().and_then(|channel| Address::of_sender(channel, &from));
        let Some(sender) = sender.map(|address| address.match_key(vault)) else {
            return Ok(());
        };
        let sql = "INSERT INTO participant (request_id, match_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        on!(Tx, tx, db => sqlx::query(sql).bind(to).bind(&sender).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Answers to the mail find the request that it is in now.
    async fn answers_follow(&self, tx: &mut Tx, contact: &Contact, from: &str, to: &str) -> Result<()> {
        let Some(native_id) = contact.native_id.clone().filter(|_| contact.channel == Channel::Email.as_str()) else {
            return Ok(());
        };
        let vault = &self.desk.vault;
        let native_id = vault.open(Place::InteractionNativeId, self.interaction_id, native_id)?;
        let key = vault.index(Index::MessageId, &native_id);
        let sql = "DELETE FROM message_id WHERE message_id = $1 AND request_id = $2";
        on!(Tx, &mut *tx, db => sqlx::query(sql).bind(&key).bind(from).execute(db).await.map(|_| ()))?;
        let sql = "INSERT INTO message_id (message_id, request_id, at) VALUES ($1, $2, $3) ON CONFLICT (message_id, request_id) DO UPDATE SET named = 0";
        on!(Tx, tx, db => sqlx::query(sql).bind(&key).bind(to).bind(self.now).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// The request that is left, as it is then; and the change of its state, when it has become `merged`.
    async fn leave(&self, tx: &mut Tx, mut source: RequestRow, rest: Rest, to: &str) -> Result<(RequestRow, Option<Value>)> {
        let before: Status = source
            .status
            .parse()
            .map_err(|_| CoreError::Store(format!("unknown status {:?}", source.status)))?;
        source.version += 1;
        source.updated_at = self.now;
        let ends = rest.0 == 0 && before != Status::Merged && before.may_become(Status::Merged);
        if ends {
            Status::Merged.as_str().clone_into(&mut source.status);
        }
        // Answers to what was sent from it are followed to where it went.
        let sql = "UPDATE request SET version = $2, updated_at = $3, status = $4, last_contact_at = COALESCE($5, last_contact_at), \
                   merged_into = COALESCE($6, merged_into) WHERE id = $1";
        on!(Tx, &mut *tx, db => sqlx::query(sql)
            .bind(&source.id).bind(source.version).bind(self.now).bind(&source.status).bind(rest.1).bind(ends.then_some(to))
            .execute(db).await.map(|_| ()))?;
        if !ends {
            return Ok((source, None));
        }
        let transition = Transition {
            request_id: &source.id,
            version: source.version,
            received_at: source.received_at,
            at: self.now,
            from: before.as_str(),
            to: &source.status,
        };
        let calendar = self.desk.catalogue.calendar(source.theme.as_deref());
        let lasted = transition::record(tx, transition, &calendar).await?;
        artefact::request_moved(tx, &source.id, self.now).await?;
        let change = json!({"from": before.as_str(), "to": source.status, "elapsed_ms": lasted.elapsed, "working_ms": lasted.working});
        Ok((source, Some(change)))
    }

    /// Enters in the history of the request that is left where the contact went.
    async fn note(&self, tx: &mut Tx, source: &RequestRow, merged: Option<Value>, to: &str) -> Result<()> {
        let mut detail = Map::new();
        detail.insert("interaction_id".to_owned(), self.interaction_id.into());
        detail.insert("request_id".to_owned(), to.into());
        detail.extend(merged.map(|change| ("status".to_owned(), change)));
        let detail = Value::Object(detail);
        history::record(tx, &self.desk.vault, &source.id, self.now, self.actor, "moved_out", &detail).await
    }

    fn event(&self, kind: EventKind, row: &RequestRow) -> NewEvent {
        NewEvent::of_request(kind, &row.id)
            .with("interaction_id", self.interaction_id)
            .with("channel", row.channel.as_str())
            .with("status", row.status.as_str())
            .with("version", row.version)
    }
}

/// What the requests and the contact allow.
fn allowed(contact: &Contact, source: &RequestRow, target: Option<&RequestRow>, rest: Rest) -> Result<()> {
    let refused = |why: String| Err(CoreError::Conflict(why));
    if contact.direction != "in" {
        return refused("an answer stays with the request that it answered".to_owned());
    }
    let over = |row: &RequestRow, statuses: &[Status]| statuses.iter().any(|status| status.as_str() == row.status);
    let kept = [Status::Archived, Status::Eliminated];
    if over(source, &kept) {
        return refused(format!("a request that is {} gives nothing away", source.status));
    }
    match target {
        Some(target) if over(target, &kept) || over(target, &[Status::Merged]) => {
            refused(format!("a request that is {} takes nothing in; reopen it first", target.status))
        }
        None if rest.0 == 0 => refused("it is the only contact of its request, which is its own already".to_owned()),
        _ => Ok(()),
    }
}

async fn contact(tx: &mut Tx, interaction_id: &str) -> Result<Contact> {
    let sql = "SELECT direction, channel, account, from_address, from_name, subject, native_id, received_at FROM interaction WHERE id = $1";
    let found: Option<Contact> = on!(Tx, tx, db => sqlx::query_as(sql).bind(interaction_id).fetch_optional(db).await)?;
    found.ok_or(CoreError::NotFound { what: "interaction" })
}

async fn rest(tx: &mut Tx, request_id: &str, interaction_id: &str) -> Result<Rest> {
    let sql = "SELECT COUNT(*), MAX(i.received_at) FROM request_interaction l JOIN interaction i ON i.id = l.interaction_id \
               WHERE l.request_id = $1 AND i.id <> $2 AND i.direction = 'in'";
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(request_id).bind(interaction_id).fetch_one(db).await)?)
}

/// Takes the link away, and returns its place.
async fn unlink(tx: &mut Tx, request_id: &str, interaction_id: &str) -> Result<i64> {
    let sql = "DELETE FROM request_interaction WHERE request_id = $1 AND interaction_id = $2 RETURNING position";
    let position: Option<i64> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(request_id).bind(interaction_id).fetch_optional(db).await)?;
    position.ok_or_else(|| CoreError::Conflict("somebody else moved it at the same moment; read it again".to_owned()))
}
