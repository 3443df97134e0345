//! The rows that a batch inserts, a set a table.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::contact::Contact;
use super::prepare::{Prepared, PreparedRaw};
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};

/// A larger artefact goes in by a statement of its own: hexadecimal in JSON would copy it many times over.
const RAW_IN_SET: usize = 4 * 1024;

macro_rules! tables {
    ($($name:ident = $table:literal { $($column:literal: $kind:ident,)* })*) => {
        $(static $name: LazyLock<SetSql> = LazyLock::new(|| Rows(&[$(($column, Column::$kind),)*]).insert($table));)*
    };
}

/// A request is its sender's when exactly one active citizen has that address now; otherwise it is nobody's yet.
static REQUEST: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("position", Column::Integer),
        ("ref", Column::Text),
        ("channel", Column::Text),
        ("account", Column::Text),
        ("status", Column::Text),
        ("subject", Column::Text),
        ("from_address", Column::Text),
        ("from_name", Column::Text),
        ("theme", Column::Text),
        ("received_at", Column::Integer),
        ("updated_at", Column::Integer),
        ("version", Column::Integer),
        ("last_contact_at", Column::Integer),
        ("last_keyword", Column::Integer),
        ("from_key", Column::Text),
    ])
    .statement(
        "INSERT INTO request ({columns}, citizen_id) SELECT {values}, \
         (SELECT MIN(p.citizen_id) FROM contact_point p JOIN citizen c ON c.id = p.citizen_id \
           WHERE p.match_key = r.from_key AND p.removed_at IS NULL AND c.status = 'active' HAVING COUNT(*) = 1) \
         FROM {rows} AS r WHERE true",
    )
});

tables! {
    INTERACTION = "interaction" {
        "id": Text, "position": Integer, "channel": Text, "account": Text, "direction": Text, "native_id": Text,
        "from_address": Text, "from_name": Text, "to_address": Text, "subject": Text, "text": Text, "text_stripped": Text,
        "occurred_at": Integer, "received_at": Integer, "flags": Text, "deliveries": Integer, "raw_sha256": Text, "reply_id": Text,
    }
    LINK = "request_interaction" { "request_id": Text, "interaction_id": Text, "position": Integer, }
    RAW = "raw" { "interaction_id": Text, "media_type": Text, "sha256": Text, "size": Integer, "body": Hex, }
    ATTACHMENT = "attachment" {
        "id": Text, "interaction_id": Text, "ordinal": Integer, "name": Text, "media_type": Text, "size": Integer, "sha256": Text,
    }
    CALL = "call_detail" { "interaction_id": Text, "dialled": Text, "diverted_from": Text, }
    RECORDING = "recording" {
        "id": Text, "interaction_id": Text, "state": Text, "path": Text, "codec": Text, "rate": Integer, "samples": Integer,
    }
    REPLY = "reply" {
        "id": Text, "position": Integer, "request_id": Text, "interaction_id": Text, "kind": Text, "channel": Text, "account": Text,
        "recipient": Text, "subject": Text, "text": Text, "message_id": Text, "in_reply_to": Text, "mail_references": Text,
        "state": Text, "created_at": Integer, "due_at": Integer,
    }
    HISTORY = "history" { "id": Text, "request_id": Text, "at": Integer, "actor": Text, "action": Text, "detail": Text, }
}

/// The sets of one batch.
#[derive(Debug, Default)]
pub(super) struct Sets {
    pub(super) requests: Vec<Row>,
    pub(super) interactions: Vec<Row>,
    pub(super) links: Vec<Row>,
    pub(super) replies: Vec<Row>,
    raws: Vec<Row>,
    large: Vec<(String, PreparedRaw)>,
    attachments: Vec<Row>,
    calls: Vec<Row>,
    recordings: Vec<Row>,
    history: Vec<Row>,
}

impl Sets {
    /// Adds what belongs to a contact beside its interaction.
    pub(super) fn belongings(&mut self, prepared: &Prepared, interaction_id: &str) {
        let Contact {
            attachments,
            call,
            recording,
            ..
        } = &prepared.contact;
        match &prepared.raw {
            Some(raw) if raw.bytes.as_ref().is_some_and(|bytes| bytes.len() > RAW_IN_SET) => {
                self.large.push((interaction_id.to_owned(), raw.clone()));
            }
            Some(raw) => self.raws.push(row!({
                "interaction_id": interaction_id, "media_type": raw.media_type, "sha256": raw.blob.sha256, "size": raw.blob.size,
                "body": raw.bytes.as_deref().map(hex),
            })),
            None => (),
        }
        self.attachments.extend(attachments.iter().enumerate().map(|(ordinal, attachment)| {
            row!({
                "id": id::new(), "interaction_id": interaction_id, "ordinal": ordinal, "name": attachment.name,
                "media_type": attachment.media_type, "size": attachment.blob.size, "sha256": attachment.blob.sha256,
            })
        }));
        self.calls.extend(call.iter().map(|call| {
            let diverted = Value::from(call.diverted_from.clone()).to_string();
            row!({"interaction_id": interaction_id, "dialled": call.dialled, "diverted_from": diverted})
        }));
        self.recordings.extend(recording.iter().map(|recording| {
            row!({
                "id": recording.id, "interaction_id": interaction_id, "state": "recording", "path": recording.path,
                "codec": recording.codec, "rate": recording.rate, "samples": 0,
            })
        }));
    }

    /// Adds an entry to a request's history.
    pub(super) fn note(&mut self, at: Millis, prepared: &Prepared, request_id: &str, interaction_id: &str, action: &str) {
        let contact = &prepared.contact;
        let detail = json!({"interaction_id": interaction_id, "channel": contact.channel.as_str()}).to_string();
        self.history.push(row!({
            "id": id::new(), "request_id": request_id, "at": at, "actor": prepared.actor, "action": action, "detail": detail,
        }));
    }

    /// Adds all of them but the large artefacts, parents first.
    pub(super) fn write(&self, script: &mut Script) {
        script.add(&REQUEST, &self.requests);
        script.add(&INTERACTION, &self.interactions);
        script.add(&LINK, &self.links);
        script.add(&RAW, &self.raws);
        script.add(&ATTACHMENT, &self.attachments);
        script.add(&CALL, &self.calls);
        script.add(&RECORDING, &self.recordings);
        script.add(&REPLY, &self.replies);
        script.add(&HISTORY, &self.history);
    }

    /// Inserts the large artefacts, after the interactions that they belong to.
    pub(super) async fn insert_large(self, tx: &mut Tx) -> Result<()> {
        for (interaction_id, raw) in self.large {
            let sql = "INSERT INTO raw (interaction_id, media_type, sha256, size, body) VALUES ($1, $2, $3, $4, $5)";
            let size = i64::try_from(raw.blob.size).unwrap_or(i64::MAX);
            on!(Tx, &mut *tx, db => sqlx::query(sql)
                .bind(&interaction_id).bind(&raw.media_type).bind(&raw.blob.sha256).bind(size).bind(raw.bytes.as_deref())
                .execute(db).await.map(|_| ()))?;
        }
        Ok(())
    }
}

/// Hexadecimal, lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(*byte));
    }
    text
}
