//! Queueing an answer.

use super::door::{Outbox, Sender};
use super::file;
use super::origin;
use super::planned::{Demand, Planned, Thread};
use super::replace::Earlier;
use super::row::{ReplyKind, ReplyRow, ReplyState};
use super::texting::{Sending, Shape};
use super::turns::{Beside, NewReply, Wanted};
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::citizen;

use crate::request::Status;
use crate::store::{Tx, on};
use crate::vault::{Place, Vault};

/// The longest answer by mail, in bytes.
const MAIL_BYTES: usize = 256 * 1024;
/// How many ancestors a mail names in References; the first and the latest (RFC 5322 §3.6.4 sets no limit, servers do).
const REFERENCES: usize = 20;

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
        self.reply_beside(actor, request_id, reply, sending, Beside::default()).await
    }

    /// Queues an answer that takes the place of an earlier one, `replaces`. One that waits here is cancelled. A text of one
    /// segment that its peer has stays `submitted` until the peer has replaced it (SMPP 3.4 §4.10), and is cancelled then.
    ///
    /// # Errors
    /// Those of [`Outbox::reply_with`]; [`CoreError::Conflict`] for an earlier one that cannot be replaced any more;
    /// [`CoreError::Invalid`] for one that is unknown, and for a text that the peer cannot put in its place.
    pub async fn replace(&self, actor: &Actor, request_id: &str, reply: &NewReply, sending: &Sending, replaces: &str) -> Result<ReplyRow> {
        let beside = Beside {
            replaces: Some(replaces),
            ..Beside::default()
        };
        self.reply_beside(actor, request_id, reply, sending, beside).await
    }

    /// Queues an answer, one by mail also with files, in the place of an earlier one where that is named. One that is known again
    /// by its origin is the reply that there is.
    ///
    /// # Errors
    /// Those of [`Outbox::reply_with`] or [`Outbox::replace`]; [`CoreError::Invalid`] for files that are too many or too large,
    /// or go by another channel; [`CoreError::Conflict`] when another of the same origin is being written.
    pub async fn reply_beside(
        &self,
        actor: &Actor,
        request_id: &str,
        reply: &NewReply,
        sending: &Sending,
        beside: Beside<'_>,
    ) -> Result<ReplyRow> {
        if reply.text.trim().is_empty() || reply.text.contains('\0') {
            return Err(CoreError::invalid("/text", "must hold what to say to the citizen, and no NUL"));
        }
        if reply.text.len() > MAIL_BYTES {
            return Err(CoreError::invalid("/text", format!("must have at most {MAIL_BYTES} bytes")));
        }
        let origin = beside.origin.map(|origin| origin::index(&self.vault, origin));
        if let Some(origin) = &origin
            && let Some(written) = origin::written(&self.store, origin).await?
        {
            return self.get(&Actor::System, &written).await;
        }
        let wanted = Wanted {
            actor: actor.clone(),
            request_id: request_id.to_owned(),
            reply: reply.clone(),
            sending: *sending,
            replaces: beside.replaces.map(str::to_owned),
            files: beside.files,
            origin,
        };
        self.queue(wanted).await
    }

    /// What a reply becomes, or why it cannot be.
    pub(super) async fn plan(&self, tx: &mut Tx, wanted: &Wanted, demand: Option<&Demand>, now: Millis) -> Result<Planned> {
        let Wanted {
            actor,
            request_id,
            reply,
            sending,
            replaces,
            files,
            ..
        } = wanted;
        let reach = self.catalogue.reach(actor, Operation::Reply);
        let mut demand = demand
            .filter(|demand| reach.covers(&demand.channel, demand.theme.as_deref()))
            .cloned()
            .ok_or(CoreError::NotFound { what: "request" })?;
        demand.open(&self.vault)?;
        let earlier = match replaces {
            Some(id) => Some(self.earlier(tx, actor, request_id, id, now).await?),
            None => None,
        };
        let sending = match &earlier {
            Some(earlier) => earlier.sending(sending)?,
            None => *sending,
        };
        let (sender, recipient) = self.address(&demand, reply, earlier.as_ref())?;
        let texting = self.texting(&sender.account);
        let shape = sending.shape(sender.channel, &texting, &reply.text, now)?;
        if let Some(earlier) = &earlier {
            earlier.fits(&sender, &texting, &shape)?;
        }
        file::check(files, sender.channel)?;
        let (thread, subject) = match sender.channel {
            Channel::Email => {
                self.reached_by_mail(tx, &recipient).await?;
                let message_id = message_id(&sender.from, self.tokens.of(request_id).await?.as_deref());
                (
                    thread(tx, request_id, message_id, &self.vault).await?,
                    reply.subject.clone().or(demand.subject),
                )
            }
            _ => (Thread::default(), None),
        };
        let (joined, receipts) = (shape.joined, shape.receipts);
        let mut row = new_row(request_id, &sender, recipient, subject, shape, now);
        let mut events = Vec::new();
        if let Some(earlier) = earlier {
            events = self.give_way(tx, actor, &earlier, &row.id, now).await?;
            row.replaces = Some(earlier.id().to_owned());
            row.instead_of = earlier.instead_of;
        }
        Ok(Planned {
            row,
            sender,
            thread,
            files: files.clone(),
            joined,
            receipts,
            events,
        })
    }

    /// # Errors
    /// [`CoreError::Conflict`] for an address from which mail came back.
    async fn reached_by_mail(&self, tx: &mut Tx, recipient: &str) -> Result<()> {
        match citizen::undeliverable(tx, &self.vault, recipient).await? {
            None => Ok(()),
            Some(back) => Err(CoreError::Conflict(format!(
                "mail to this address came back on {} ({}); it is written to again when a mail comes from it, or its contact point is patched with undeliverable null; until then answer by another channel",
                time::rfc3339(back.at),
                back.reason
            ))),
        }
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

/// The mails of a request so far, as an answer must name them (RFC 5322 §3.6.4). Nobody ever got one that was cancelled.
async fn thread(tx: &mut Tx, request_id: &str, message_id: String, vault: &Vault) -> Result<Thread> {
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
        message_id: Some(message_id),
        in_reply_to,
        references,
    })
}

/// A fresh Message-ID in the sender's domain, with the token of the request, which an answer to it brings back. It stays the same
/// on every try (RFC 5322 §3.6.4).
fn message_id(from: &str, token: Option<&str>) -> String {
    let domain = from
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain.trim_end_matches('>').trim());
    match token {
        Some(token) => format!("<{}.{token}@{domain}>", id::new()),
        None => format!("<{}@{domain}>", id::new()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_lives_in_the_senders_domain() {
        let id = message_id("Mairie de Saint-Exemple <mairie@example.fr>", None);
        assert!(id.starts_with('<') && id.ends_with("@example.fr>"), "{id}");
        let id = message_id("mairie@example.fr", Some("token"));
        assert!(id.ends_with(".token@example.fr>"), "{id}");
    }

    #[test]
    fn only_real_numbers_get_a_text() {
        assert!(reachable(Channel::Sms, "+33612345678"));
        assert!(!reachable(Channel::Sms, "36123"));
        assert!(!reachable(Channel::Sms, "anonymous"));
        assert!(!reachable(Channel::Voicemail, "+33612345678"));
    }
}
