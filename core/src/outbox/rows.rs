//! The rows that queued replies leave behind, a set a table.

use std::sync::LazyLock;

use super::file;
use super::planned::Planned;
use crate::base::error::Result;
use crate::store::{Column, Row, Rows, Script, SetSql, row};
use crate::vault::{Index, Place, Vault};

static INTERACTION: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("position", Column::Integer),
        ("channel", Column::Text),
        ("account", Column::Text),
        ("direction", Column::Text),
        ("native_id", Column::Text),
        ("from_address", Column::Text),
        ("to_address", Column::Text),
        ("subject", Column::Text),
        ("text", Column::Text),
        ("occurred_at", Column::Integer),
        ("received_at", Column::Integer),
        ("flags", Column::Text),
        ("deliveries", Column::Integer),
        ("reply_id", Column::Text),
    ])
    .insert("interaction")
});

static LINK: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("request_id", Column::Text),
        ("interaction_id", Column::Text),
        ("position", Column::Integer),
    ])
    .insert("request_interaction")
});

static REPLY: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("position", Column::Integer),
        ("request_id", Column::Text),
        ("interaction_id", Column::Text),
        ("kind", Column::Text),
        ("channel", Column::Text),
        ("account", Column::Text),
        ("recipient", Column::Text),
        ("recipient_key", Column::Text),
        ("subject", Column::Text),
        ("text", Column::Text),
        ("message_id", Column::Text),
        ("in_reply_to", Column::Text),
        ("mail_references", Column::Text),
        ("state", Column::Text),
        ("created_at", Column::Integer),
        ("due_at", Column::Integer),
        ("send_at", Column::Integer),
        ("expires_at", Column::Integer),
        ("priority", Column::Integer),
        ("segments", Column::Integer),
        ("joined", Column::Text),
        ("receipts", Column::Integer),
        ("replaces", Column::Text),
        ("instead_of", Column::Text),
    ])
    .insert("reply")
});

static PART: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("reply_id", Column::Text),
        ("number", Column::Integer),
        ("account", Column::Text),
        ("state", Column::Text),
    ])
    .insert("reply_part")
});

static MESSAGE_ID: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("message_id", Column::Text), ("request_id", Column::Text), ("at", Column::Integer)])
        .statement("INSERT INTO message_id ({columns}) SELECT {values} FROM {rows} AS r WHERE true ON CONFLICT DO NOTHING")
});

/// The sets of one transaction.
#[derive(Debug, Default)]
pub(super) struct Sets {
    interactions: Vec<Row>,
    links: Vec<Row>,
    files: Vec<Row>,
    replies: Vec<Row>,
    parts: Vec<Row>,
    message_ids: Vec<Row>,
}

impl Sets {
    /// Adds a reply, whose interaction shares its position.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn add(&mut self, vault: &Vault, planned: &Planned, position: i64) -> Result<()> {
        let Planned {
            row,
            sender,
            thread,
            files,
            ..
        } = planned;
        file::rows(vault, row, files, &mut self.files)?;
        let id = row.interaction_id.as_str();
        self.interactions.push(row!({
            "id": id, "position": position, "channel": row.channel, "account": row.account, "direction": "out",
            "native_id": vault.seal_some(Place::InteractionNativeId, id, thread.message_id.as_deref())?,
            "from_address": vault.seal(Place::InteractionFromAddress, id, &sender.from)?,
            "to_address": vault.seal(Place::InteractionToAddress, id, &row.recipient)?,
            "subject": vault.seal_some(Place::InteractionSubject, id, row.subject.as_deref())?,
            "text": vault.seal(Place::InteractionText, id, &row.text)?,
            "occurred_at": row.created_at, "received_at": row.created_at, "flags": "[]", "deliveries": 0, "reply_id": row.id,
        }));
        self.links
            .push(row!({"request_id": row.request_id, "interaction_id": id, "position": position}));
        let id = row.id.as_str();
        self.replies.push(row!({
            "id": id, "position": position, "request_id": row.request_id, "interaction_id": row.interaction_id, "kind": row.kind,
            "channel": row.channel, "account": row.account,
            "recipient": vault.seal(Place::ReplyRecipient, id, &row.recipient)?,
            "recipient_key": vault.address(&row.recipient),
            "subject": vault.seal_some(Place::ReplySubject, id, row.subject.as_deref())?,
            "text": vault.seal(Place::ReplyText, id, &row.text)?, "message_id": thread.message_id,
            "in_reply_to": vault.seal_some(Place::ReplyInReplyTo, id, thread.in_reply_to.as_deref())?,
            "mail_references": vault.seal_some(Place::ReplyReferences, id, thread.references.as_deref())?,
            "state": row.state, "created_at": row.created_at, "due_at": row.due_at, "send_at": row.send_at,
            "expires_at": row.expires_at, "priority": row.priority, "segments": row.segments,
            "joined": planned.joined.map(|joined| joined.as_str()), "receipts": planned.receipts,
            "replaces": row.replaces, "instead_of": row.instead_of,
        }));
        if row.segments > 1 {
            let part = |number| row!({"reply_id": id, "number": number, "account": row.account, "state": "queued"});
            self.parts.extend((1..=row.segments).map(part));
        }
        if let Some(message_id) = &thread.message_id {
            let index = vault.index(Index::MessageId, message_id);
            self.message_ids
                .push(row!({"message_id": index, "request_id": row.request_id, "at": row.created_at}));
        }
        Ok(())
    }

    /// Adds them to a script, parents first.
    pub(super) fn write(self, script: &mut Script) {
        script.add(&INTERACTION, self.interactions);
        script.add(&LINK, self.links);
        script.add(file::insert(), self.files);
        script.add(&REPLY, self.replies);
        script.add(&PART, self.parts);
        script.add(&MESSAGE_ID, self.message_ids);
    }
}
