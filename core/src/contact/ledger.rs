//! The rows and events that a batch leaves behind.

use serde_json::Value;
use voxea_rules::command::Command;

use super::acknowledging::Queued;
use super::contact::Flag;
use super::join::{Placement, Requests};
use super::prepare::Prepared;
use super::rows::Sets;
use crate::base::account::Channel;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::citizen::{self, Address};
use crate::feed::{self, EventKind, NewEvent};
use crate::request::LinkKind;
use crate::store::{Script, Tx, row};
use crate::vault::{Place, Vault};

/// A contact that is new.
pub(super) struct Entry<'a> {
    pub(super) contact: Source<'a>,
    pub(super) interaction_id: String,
}

/// Where a new contact comes from: it was handed over, or its parts made it.
pub(super) enum Source<'a> {
    Borrowed(&'a Prepared),
    Whole(Box<Prepared>),
}

impl Entry<'_> {
    /// The address that wants no campaigns any more, when this is a STOP and somebody's.
    pub(super) fn opts_out(&self) -> Option<Address> {
        self.sender_of(Command::Stop)
    }

    /// The address that wants them again, when this is a START and somebody's.
    fn opts_in(&self) -> Option<Address> {
        self.sender_of(Command::Start)
    }

    fn sender_of(&self, command: Command) -> Option<Address> {
        sender_of(self.prepared(), command)
    }

    pub(super) fn prepared(&self) -> &Prepared {
        match &self.contact {
            Source::Borrowed(prepared) => prepared,
            Source::Whole(prepared) => prepared,
        }
    }
}

/// Who asks for something by a command, when this is the one.
pub(super) fn sender_of(prepared: &Prepared, command: Command) -> Option<Address> {
    let contact = &prepared.contact;
    (contact.command == Some(command))
        .then(|| Address::of_sender(contact.channel, &contact.from))
        .flatten()
}

/// The rows and events of a batch, in the order of its items.
pub(super) struct Ledger<'v> {
    position: i64,
    /// When all of it is written.
    now: Millis,
    pub(super) sets: Sets<'v>,
    pub(super) events: Vec<NewEvent>,
}

impl<'v> Ledger<'v> {
    /// From this position on.
    pub(super) fn new(position: i64, now: Millis, vault: &'v Vault) -> Self {
        Self {
            position,
            now,
            sets: Sets::new(vault),
            events: Vec::new(),
        }
    }

    /// Inserts the rows, then the events at the positions behind theirs.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<()> {
        let mut script = Script::default();
        let large = self.sets.write(&mut script);
        feed::add(&mut script, self.position, self.now, &self.events);
        script.run(tx).await?;
        large.insert(tx).await
    }

    fn take(&mut self) -> i64 {
        self.position += 1;
        self.position - 1
    }

    /// A STOP that seems to come again: its sender may have written START in between, and of a STOP too many nobody is hurt.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn stop_again(&mut self, prepared: &Prepared) -> Result<()> {
        let vault = self.sets.vault;
        if let Some(address) = sender_of(prepared, Command::Stop) {
            let position = self.take();
            let row = citizen::stop_row(vault, &address, position, prepared.contact.received_at, &prepared.actor)?;
            self.sets.opts_out(address.match_key(vault), row);
        }
        Ok(())
    }

    /// Adds a new contact, the request that it opens, and its acknowledgement; with that, the Message-ID of one by mail.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn enter(
        &mut self,
        entry: &Entry<'_>,
        placement: &Placement,
        requests: &Requests,
        deliveries: i64,
        acknowledged: Option<Option<&str>>,
    ) -> Result<()> {
        let vault = self.sets.vault;
        let prepared = entry.prepared();
        let (contact, interaction_id, request_id) = (&prepared.contact, &entry.interaction_id, &placement.request_id);
        let Some(request) = requests.all.get(request_id) else {
            return Ok(());
        };
        if placement.opened {
            let position = self.take();
            self.sets.requests.push(row!({
                "id": request_id, "position": position, "ref": request.reference, "channel": contact.channel.as_str(),
                "account": prepared.account, "status": request.status,
                "subject": vault.seal_some(Place::RequestSubject, request_id, contact.subject.as_deref())?,
                "from_address": vault.seal(Place::RequestFromAddress, request_id, &contact.from)?,
                "from_name": vault.seal_some(Place::RequestFromName, request_id, contact.from_name.as_deref())?,
                "fields": vault.seal_some(Place::RequestFields, request_id, contact.fields.as_deref())?,
                "theme": contact.theme, "received_at": contact.received_at,
                "updated_at": self.now, "version": request.version + request.joins,
                "last_contact_at": request.last_contact_at, "last_keyword": i64::from(request.last_keyword),
                "from_key": prepared.sender,
            }));
            if let Some(external) = &contact.external {
                self.sets.externals.push(external.row(vault, request_id, self.now)?);
            }
        }
        let position = self.take();
        let mut flags: Vec<&str> = Vec::new();
        let redelivered = (deliveries > 1).then_some(Flag::Redelivered);
        let mention = matches!(placement.linked, Some((LinkKind::Mentions, _))).then_some(Flag::Mention);
        for flag in contact.flags.iter().copied().chain(redelivered).chain(mention).map(Flag::as_str) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        let raw_sha256 = prepared.raw.as_ref().map(|raw| raw.blob.sha256.as_str());
        self.sets.interactions.push(row!({
            "id": interaction_id, "position": position, "channel": contact.channel.as_str(), "account": prepared.account,
            "direction": "in",
            "native_id": vault.seal_some(Place::InteractionNativeId, interaction_id, contact.native_id.as_deref())?,
            "from_address": vault.seal(Place::InteractionFromAddress, interaction_id, &contact.from)?,
            "from_name": vault.seal_some(Place::InteractionFromName, interaction_id, contact.from_name.as_deref())?,
            "to_address": vault.seal(Place::InteractionToAddress, interaction_id, &contact.to)?,
            "subject": vault.seal_some(Place::InteractionSubject, interaction_id, contact.subject.as_deref())?,
            "text": vault.seal_some(Place::InteractionText, interaction_id, contact.text.as_deref())?,
            "text_stripped": vault.seal_some(Place::InteractionTextStripped, interaction_id, contact.text_stripped.as_deref())?,
            "occurred_at": contact.occurred_at, "received_at": contact.received_at, "flags": Value::from(flags).to_string(),
            "deliveries": deliveries, "raw_sha256": vault.seal_some(Place::InteractionRawSha256, interaction_id, raw_sha256)?,
            "authenticity": vault.seal_some(Place::InteractionAuthenticity, interaction_id, contact.authenticity.as_deref())?,
        }));
        self.sets
            .links
            .push(row!({"request_id": request_id, "interaction_id": interaction_id, "position": position}));
        self.sets.belongings(prepared, interaction_id)?;
        if let Some((kind, earlier)) = &placement.linked {
            self.sets
                .request_links
                .push(row!({"request_id": request_id, "other_id": earlier, "kind": kind.as_str(), "at": self.now}));
        }
        let automatic = contact.flags.contains(&Flag::Automatic);
        if let Some(sender) = prepared.sender.as_ref().filter(|_| contact.channel == Channel::Email && !automatic) {
            self.sets.reached.push(row!({"match_key": sender}));
        }
        if let Some(sender) = prepared.sender.as_ref().filter(|_| !placement.opened && !automatic)
            && request.from_key.as_ref() != Some(sender)
        {
            self.sets.participants.push(row!({"request_id": request_id, "match_key": sender}));
        }
        if let Some(address) = entry.opts_out() {
            let position = self.take();
            let row = citizen::stop_row(vault, &address, position, contact.received_at, &prepared.actor)?;
            self.sets.opts_out(address.match_key(vault), row);
        }
        if let Some(address) = entry.opts_in() {
            let row = citizen::start_row(vault, &address, contact.received_at, &prepared.actor);
            self.sets.opts_in(address.match_key(vault), row);
        }
        self.sets.note(
            self.now,
            prepared,
            request_id,
            interaction_id,
            if placement.opened { "created" } else { "joined" },
        )?;
        let event = |kind| request.scope(NewEvent::of_request(kind, request_id));
        let version = request.version + placement.join;
        if placement.opened {
            let created = event(EventKind::RequestCreated).channel(contact.channel);
            self.events
                .push(created.with("status", request.status.as_str()).with("version", version));
        }
        let received = event(EventKind::InteractionReceived).channel(contact.channel);
        self.events
            .push(received.with("interaction_id", interaction_id.as_str()).with("direction", "in"));
        if !placement.opened {
            let kind = if placement.reopened {
                EventKind::RequestStatusChanged
            } else {
                EventKind::RequestUpdated
            };
            let updated = event(kind).with("channel", request.channel.as_str());
            self.events
                .push(updated.with("status", request.status.as_str()).with("version", version));
        }
        if let Some((acknowledgement, message_id)) = contact.acknowledgement.as_ref().zip(acknowledged) {
            let queued = Queued {
                message_id,
                acknowledgement,
                request_id,
                reference: &request.reference,
                at: self.now,
                position: self.take(),
            };
            let event = queued.add_to(&mut self.sets)?;
            self.events.push(request.scope(event));
        }
        Ok(())
    }
}
