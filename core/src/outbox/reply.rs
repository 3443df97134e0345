//! Queueing an answer.

use serde_json::json;

use super::door::{Outbox, Sender};
use super::part;
use super::replace::Earlier;
use super::row::{ReplyKind, ReplyRow, ReplyState};
use super::texting::{Joined, Sending, Shape};
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, NewEvent};
use crate::request::{Status, record};
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Index, Place, Vault};

/// The longest answer by mail, in bytes.
const MAIL_BYTES: usize = 256 * 1024;
/// How many ancestors a mail names in References; the first and the latest (RFC 5322 §3.6.4 sets no limit, servers do).
const REFERENCES: usize = 20;

/// An answer as an agent writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReply {
    /// The channel to answer on; the request's preferred one when it is left out.
    pub channel: Option<Channel>,
    /// What to say.
    pub text: String,
    /// The subject of a mail, when it shall not be the request's.
    pub subject: Option<String>,
}

/// What a reply must know of its request.
#[derive(sqlx::FromRow)]
struct Demand {
    channel: String,
    account: Option<String>,
    status: String,
    subject: Option<String>,
    from_address: String,
    theme: Option<String>,
}

/// Where a mail stands in its thread.
#[derive(Default)]
struct Thread {
    message_id: Option<String>,
    in_reply_to: Option<String>,
    references: Option<String>,
}

impl Outbox {
    /// Queues an answer to a request that asks for nothing in particular: [`Outbox::reply_with`].
    ///
    /// # Errors
    /// Of [`Outbox::reply_with`].
    pub async fn reply(&self, actor: &Actor, request_id: &str, reply: &NewReply) -> Result<ReplyRow> {
        self.reply_with(actor, request_id, reply, &Sending::default()).await
    }

    /// Queues an answer to a request.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] for the request, also when the actor may not answer it; [`CoreError::TextTooLong`] for a
    /// text message of more segments than it may take;
    /// [`CoreError::Invalid`] for an empty or over-long text, or a citizen who cannot be reached on the channel;
    /// [`CoreError::Conflict`] when no account sends on it, or the request is over; the store's.
    pub async fn reply_with(&self, actor: &Actor, request_id: &str, reply: &NewReply, sending: &Sending) -> Result<ReplyRow> {
        self.queue(actor, request_id, reply, sending, None).await
    }

    /// Queues an answer that takes the place of an earlier one, `replaces`. One that waits here is cancelled. A text of one
    /// segment that its peer has stays `submitted` until the peer has replaced it (SMPP 3.4 §4.10), and is cancelled then.
    ///
    /// # Errors
    /// Those of [`Outbox::reply_with`]; [`CoreError::Conflict`] for an earlier one that cannot be replaced any more;
    /// [`CoreError::Invalid`] for one that is unknown, and for a text that the peer cannot put in its place.
    pub async fn replace(&self, actor: &Actor, request_id: &str, reply: &NewReply, sending: &Sending, replaces: &str) -> Result<ReplyRow> {
        self.queue(actor, request_id, reply, sending, Some(replaces)).await
    }

    async fn queue(
        &self,
        actor: &Actor,
        request_id: &str,
        reply: &NewReply,
        sending: &Sending,
        replaces: Option<&str>,
    ) -> Result<ReplyRow> {
        if reply.text.trim().is_empty() || reply.text.contains('\0') {
            return Err(CoreError::invalid("/text", "must hold what to say to the citizen, and no NUL"));
        }
        let mut tx = self.store.begin().await?;
        let demand = lock(&mut tx, request_id, &self.vault).await?;
        let reach = self.catalogue.reach(actor, Operation::Reply);
        if !reach.covers(&demand.channel, demand.theme.as_deref()) {
            return Err(CoreError::NotFound { what: "request" });
        }
        let now = time::now();
        let earlier = match replaces {
            Some(id) => Some(self.earlier(&mut tx, actor, request_id, id, now).await?),
            None => None,
        };
        let sending = match &earlier {
            Some(earlier) => earlier.sending(sending)?,
            None => *sending,
        };
        let (sender, recipient) = self.address(&demand, reply, earlier.as_ref())?;
        if reply.text.len() > MAIL_BYTES {
            return Err(CoreError::invalid("/text", format!("must have at most {MAIL_BYTES} bytes")));
        }
        let texting = self.texting(&sender.account);
        let shape = sending.shape(sender.channel, &texting, &reply.text, now)?;
        if let Some(earlier) = &earlier {
            earlier.fits(&sender, &texting, &shape)?;
        }
        let thread = match sender.channel {
            Channel::Email => thread(&mut tx, request_id, &sender.from, &self.vault).await?,
            _ => Thread::default(),
        };
        let subject = match sender.channel {
            Channel::Email => reply.subject.clone().or(demand.subject),
            _ => None,
        };
        let joined = shape.joined;
        let receipts = shape.receipts;
        let mut row = new_row(request_id, &sender, recipient, subject, shape, now);
        let mut events = Vec::new();
        if let Some(earlier) = earlier {
            events = self.give_way(&mut tx, actor, &earlier, &row.id, now).await?;
            row.replaces = Some(earlier.id().to_owned());
            row.instead_of = earlier.instead_of;
        }
        write(&mut tx, actor, &row, &sender, &thread, &self.vault).await?;
        shaped(&mut tx, &row, joined, receipts).await?;
        self.finish(tx, now, &events).await?;
        self.feed.committed();
        self.ring();
        Ok(row)
    }

    fn address(&self, demand: &Demand, reply: &NewReply, earlier: Option<&Earlier>) -> Result<(Sender, String)> {
        let status: Status = demand
            .status
            .parse()
            .map_err(|_| CoreError::Store(format!("unknown status {:?}", demand.status)))?;
        if matches!(status, Status::Merged | Status::Archived | Status::Eliminated) {
            return Err(CoreError::Conflict(format!("a request that is {status} takes no reply")));
        }
        let channel = match reply.channel.or(earlier.and_then(Earlier::channel)) {
            Some(channel) => channel,
            None => preferred(demand)?,
        };
        if !reachable(channel, &demand.from_address) {
            let wanted = if channel == Channel::Email {
                "a mail address"
            } else {
                "a phone number"
            };
            return Err(CoreError::invalid(
                "/channel",
                format!("{channel} needs {wanted}, and this citizen left none"),
            ));
        }
        let account = earlier.map(Earlier::account).or(demand.account.as_deref());
        let sender = self
            .sender(channel, account)
            .ok_or_else(|| CoreError::Conflict(format!("no configured account sends on channel {channel}")))?;
        Ok((sender, demand.from_address.clone()))
    }
}

/// Whether an address can be written to on a channel. Short codes, names and withheld numbers get no text.
fn reachable(channel: Channel, address: &str) -> bool {
    match channel {
        Channel::Sms => address.starts_with('+') && address.len() >= 8,
        Channel::Email => address.contains('@'),
        _ => false,
    }
}

/// The channel that suits the citizen when the agent names none: the one they used, else what their address allows.
fn preferred(demand: &Demand) -> Result<Channel> {
    let origin = demand.channel.parse().unwrap_or(Channel::Api);
    [origin, Channel::Email, Channel::Sms]
        .into_iter()
        .find(|channel| reachable(*channel, &demand.from_address))
        .ok_or_else(|| {
            CoreError::invalid(
                "/channel",
                "the citizen left neither a mail address nor a phone number that can be written to",
            )
        })
}

async fn lock(tx: &mut Tx, request_id: &str, vault: &Vault) -> Result<Demand> {
    let sql = "UPDATE request SET version = version WHERE id = $1 RETURNING channel, account, status, subject, from_address, theme";
    let row: Option<Demand> = on!(Tx, tx, db => sqlx::query_as(sql).bind(request_id).fetch_optional(db).await)?;
    let mut row = row.ok_or(CoreError::NotFound { what: "request" })?;
    let mut opening = vault.opening(request_id);
    opening
        .some(Place::RequestSubject, &mut row.subject)
        .text(Place::RequestFromAddress, &mut row.from_address);
    opening.strict()?;
    Ok(row)
}

/// The mails of a request so far, as an answer must name them (RFC 5322 §3.6.4). Nobody ever got one that was cancelled.
async fn thread(tx: &mut Tx, request_id: &str, from: &str, vault: &Vault) -> Result<Thread> {
    let sql = "SELECT i.id, i.native_id, i.direction FROM interaction i JOIN request_interaction l ON l.interaction_id = i.id \
               WHERE l.request_id = $1 AND i.channel = 'email' AND i.native_id IS NOT NULL \
               AND NOT EXISTS (SELECT 1 FROM reply r WHERE r.id = i.reply_id AND r.state = 'cancelled') ORDER BY i.position";
    let stored: Vec<(String, String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(request_id).fetch_all(db).await)?;
    let open = |(id, native_id, direction): (String, String, String)| {
        let opened = vault.open(Place::InteractionNativeId, &id, native_id);
        // A thread that lacks an ancestor is still the answer's.
        let opened = opened.inspect_err(|error| tracing::error!(%error, "an answer cannot name a mail of its thread"));
        Some((opened.ok()?, direction))
    };
    let mails: Vec<(String, String)> = stored.into_iter().filter_map(open).collect();
    let in_reply_to = mails
        .iter()
        .rev()
        .find(|(_, direction)| direction == "in")
        .or(mails.last())
        .map(|(id, _)| id.clone());
    let skipped = mails.len().saturating_sub(REFERENCES);
    let named = mails
        .iter()
        .enumerate()
        .filter(|(index, _)| *index == 0 || *index > skipped)
        .map(|(_, (id, _))| id.as_str());
    let references = Some(named.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty());
    Ok(Thread {
        message_id: Some(message_id(from)),
        in_reply_to,
        references,
    })
}

/// A fresh Message-ID in the sender's domain. It stays the same on every try (RFC 5322 §3.6.4).
#[must_use]
pub(crate) fn message_id(from: &str) -> String {
    let domain = from
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain.trim_end_matches('>').trim());
    format!("<{}@{domain}>", id::new())
}

fn new_row(request_id: &str, sender: &Sender, recipient: String, subject: Option<String>, shape: Shape, now: Millis) -> ReplyRow {
    ReplyRow {
        id: id::new(),
        request_id: request_id.to_owned(),
        interaction_id: id::new(),
        kind: ReplyKind::Reply.as_str().to_owned(),
        channel: sender.channel.as_str().to_owned(),
        account: sender.account.key(),
        recipient,
        subject,
        text: shape.text,
        state: ReplyState::Queued.as_str().to_owned(),
        reason: None,
        native_id: None,
        created_at: now,
        submitted_at: None,
        settled_at: None,
        due_at: now.max(shape.send_at),
        attempts: 0,
        send_at: shape.send_at,
        expires_at: shape.expires_at,
        priority: shape.priority,
        segments: shape.segments,
        cancel_at: None,
        replaces: None,
        instead_of: None,
    }
}

async fn write(tx: &mut Tx, actor: &Actor, row: &ReplyRow, sender: &Sender, thread: &Thread, vault: &Vault) -> Result<()> {
    let mut detail = json!({"reply_id": row.id, "channel": row.channel});
    if let Some(replaces) = &row.replaces {
        detail["replaces"] = json!(replaces);
    }
    record(tx, vault, &row.request_id, row.created_at, actor, "replied", &detail).await?;
    if let Some(message_id) = &thread.message_id {
        remember(tx, &vault.index(Index::MessageId, message_id), &row.request_id, row.created_at).await?;
    }
    // The interaction and the reply share one position; the event takes the next.
    let position = feed::next_positions(tx, 2).await?;
    let sql = "INSERT INTO interaction (id, position, channel, account, direction, native_id, from_address, to_address, subject, text, \
               occurred_at, received_at, flags, deliveries, reply_id) \
               VALUES ($1, $2, $3, $4, 'out', $5, $6, $7, $8, $9, $10, $10, '[]', 0, $11)";
    let id = row.interaction_id.as_str();
    let native_id = vault.seal_some(Place::InteractionNativeId, id, thread.message_id.as_deref())?;
    let from = vault.seal(Place::InteractionFromAddress, id, &sender.from)?;
    let to = vault.seal(Place::InteractionToAddress, id, &row.recipient)?;
    let subject = vault.seal_some(Place::InteractionSubject, id, row.subject.as_deref())?;
    let text = vault.seal(Place::InteractionText, id, &row.text)?;
    on!(Tx, &mut *tx, db => sqlx::query(sql)
        .bind(id).bind(position).bind(&row.channel).bind(&row.account).bind(native_id.as_deref())
        .bind(from.as_ref()).bind(to.as_ref()).bind(subject.as_deref()).bind(text.as_ref()).bind(row.created_at).bind(&row.id)
        .execute(db).await.map(|_| ()))?;
    let sql = "INSERT INTO request_interaction (request_id, interaction_id, position) VALUES ($1, $2, $3)";
    on!(Tx, &mut *tx, db => sqlx::query(sql)
        .bind(&row.request_id).bind(&row.interaction_id).bind(position).execute(db).await.map(|_| ()))?;
    let sql = "INSERT INTO reply (id, position, request_id, interaction_id, kind, channel, account, recipient, recipient_key, subject, text, \
               message_id, in_reply_to, mail_references, state, created_at, due_at, send_at, expires_at, priority, segments, replaces, instead_of) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";
    let recipient = vault.seal(Place::ReplyRecipient, &row.id, &row.recipient)?;
    let subject = vault.seal_some(Place::ReplySubject, &row.id, row.subject.as_deref())?;
    let text = vault.seal(Place::ReplyText, &row.id, &row.text)?;
    let in_reply_to = vault.seal_some(Place::ReplyInReplyTo, &row.id, thread.in_reply_to.as_deref())?;
    let references = vault.seal_some(Place::ReplyReferences, &row.id, thread.references.as_deref())?;
    on!(Tx, &mut *tx, db => sqlx::query(sql)
        .bind(&row.id).bind(position).bind(&row.request_id).bind(&row.interaction_id).bind(&row.kind).bind(&row.channel)
        .bind(&row.account).bind(recipient.as_ref()).bind(vault.address(&row.recipient)).bind(subject.as_deref()).bind(text.as_ref())
        .bind(&thread.message_id).bind(in_reply_to.as_deref()).bind(references.as_deref()).bind(&row.state).bind(row.created_at)
        .bind(row.due_at).bind(row.send_at).bind(row.expires_at).bind(row.priority).bind(row.segments).bind(&row.replaces).bind(&row.instead_of)
        .execute(db).await.map(|_| ()))?;
    let event = NewEvent::of_request(EventKind::ReplyQueued, &row.request_id)
        .with("reply_id", row.id.as_str())
        .with("interaction_id", row.interaction_id.as_str())
        .with("channel", row.channel.as_str())
        .with("state", row.state.as_str());
    feed::append(tx, position + 1, row.created_at, &[event]).await
}

/// What only a text of several segments has.
async fn shaped(tx: &mut Tx, row: &ReplyRow, joined: Option<Joined>, receipts: i64) -> Result<()> {
    let Some(joined) = joined else { return Ok(()) };
    let sql = "UPDATE reply SET joined = $2, receipts = $3 WHERE id = $1";
    on!(Tx, &mut *tx, db => sqlx::query(sql).bind(&row.id).bind(joined.as_str()).bind(receipts).execute(db).await.map(|_| ()))?;
    part::queue(tx, &row.id, &row.account, row.segments).await
}

async fn remember(tx: &mut Tx, message_id: &str, request_id: &str, at: Millis) -> Result<()> {
    let sql = "INSERT INTO message_id (message_id, request_id, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    on!(Tx, tx, db => sqlx::query(sql).bind(message_id).bind(request_id).bind(at).execute(db).await.map(|_| ()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_lives_in_the_senders_domain() {
        let id = message_id("Mairie de Saint-Exemple <mairie@example.fr>");
        assert!(id.starts_with('<') && id.ends_with("@example.fr>"), "{id}");
    }

    #[test]
    fn only_real_numbers_get_a_text() {
        assert!(reachable(Channel::Sms, "+33612345678"));
        assert!(!reachable(Channel::Sms, "36123"));
        assert!(!reachable(Channel::Sms, "anonymous"));
        assert!(!reachable(Channel::Voicemail, "+33612345678"));
    }
}
