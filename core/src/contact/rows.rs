//! The rows that a batch inserts, a set a table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::contact::Contact;
use super::prepare::{Prepared, PreparedRaw};
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::citizen;
use crate::request::EXTERNAL;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};
use crate::vault::{Place, Vault};

/// A larger artefact goes in by a statement of its own: hexadecimal in JSON would copy it many times over.
const RAW_IN_SET: usize = 4 * 1024;
/// Bytes of larger artefacts in one of these statements.
const RAW_AT_ONCE: u64 = 1024 * 1024;

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
        ("fields", Column::Text),
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
        "authenticity": Text,
    }
    LINK = "request_interaction" { "request_id": Text, "interaction_id": Text, "position": Integer, }
    RAW = "raw" { "interaction_id": Text, "media_type": Text, "sha256": Text, "size": Integer, "body": Hex, }
    ATTACHMENT = "attachment" {
        "id": Text, "interaction_id": Text, "ordinal": Integer, "name": Text, "media_type": Text, "size": Integer, "sha256": Text,
        "inline": Integer, "content_id": Text,
    }
    CALL = "call_detail" { "interaction_id": Text, "dialled": Text, "diverted_from": Text, "signalling": Text, }
    RECORDING = "recording" {
        "id": Text, "interaction_id": Text, "state": Text, "path": Text, "codec": Text, "rate": Integer, "samples": Integer,
        "data_key": Text, "keep_days": Integer,
    }
    REPLY = "reply" {
        "id": Text, "position": Integer, "request_id": Text, "interaction_id": Text, "kind": Text, "channel": Text, "account": Text,
        "recipient": Text, "recipient_key": Text, "subject": Text, "text": Text, "message_id": Text, "in_reply_to": Text, "mail_references": Text,
        "state": Text, "created_at": Integer, "due_at": Integer,
    }
    REQUEST_LINK = "request_link" { "request_id": Text, "other_id": Text, "kind": Text, "at": Integer, }
    HISTORY = "history" { "id": Text, "request_id": Text, "at": Integer, "actor": Text, "action": Text, "detail": Text, }
}

static PARTICIPANT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("request_id", Column::Text), ("match_key", Column::Text)])
        .statement("INSERT INTO participant ({columns}) SELECT {values} FROM {rows} AS r WHERE true ON CONFLICT DO NOTHING")
});

/// The sets of one batch.
#[derive(Debug)]
pub(super) struct Sets<'v> {
    /// Seals what is personal in them.
    pub(super) vault: &'v Vault,
    pub(super) requests: Vec<Row>,
    pub(super) interactions: Vec<Row>,
    pub(super) links: Vec<Row>,
    pub(super) request_links: Vec<Row>,
    pub(super) externals: Vec<Row>,
    pub(super) participants: Vec<Row>,
    pub(super) replies: Vec<Row>,
    /// By the address; of several commands of one batch the last counts, and no row of the table is written twice.
    opt_outs: BTreeMap<String, Row>,
    opt_ins: BTreeMap<String, Row>,
    /// Addresses that a mail came from.
    pub(super) reached: Vec<Row>,
    raws: Vec<Row>,
    large: Vec<(String, PreparedRaw)>,
    attachments: Vec<Row>,
    calls: Vec<Row>,
    recordings: Vec<Row>,
    history: Vec<Row>,
}

/// Artefacts that go in one by one.
#[derive(Debug)]
pub(super) struct Large<'v> {
    vault: &'v Vault,
    raws: Vec<(String, PreparedRaw)>,
}

impl<'v> Sets<'v> {
    /// Empty ones.
    pub(super) const fn new(vault: &'v Vault) -> Self {
        Self {
            vault,
            requests: Vec::new(),
            interactions: Vec::new(),
            links: Vec::new(),
            request_links: Vec::new(),
            externals: Vec::new(),
            participants: Vec::new(),
            replies: Vec::new(),
            opt_outs: BTreeMap::new(),
            opt_ins: BTreeMap::new(),
            reached: Vec::new(),
            raws: Vec::new(),
            large: Vec::new(),
            attachments: Vec::new(),
            calls: Vec::new(),
            recordings: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Adds what belongs to a contact beside its interaction.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn belongings(&mut self, prepared: &Prepared, interaction_id: &str) -> Result<()> {
        let vault = self.vault;
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
            Some(raw) => {
                let body = raw
                    .bytes
                    .as_deref()
                    .map(|bytes| vault.seal_bytes(Place::RawBody, interaction_id, bytes));
                let sha256 = raw.bytes.is_none().then_some(raw.blob.sha256.as_str());
                self.raws.push(row!({
                    "interaction_id": interaction_id, "media_type": raw.media_type,
                    "sha256": vault.seal_some(Place::RawSha256, interaction_id, sha256)?, "size": raw.blob.size,
                    "body": body.transpose()?,
                }));
            }
            None => (),
        }
        for (ordinal, attachment) in attachments.iter().enumerate() {
            let id = id::new();
            self.attachments.push(row!({
                "id": id, "interaction_id": interaction_id, "ordinal": ordinal,
                "name": vault.seal(Place::AttachmentName, &id, &attachment.name)?, "media_type": attachment.media_type,
                "size": attachment.blob.size, "sha256": vault.seal(Place::AttachmentSha256, &id, &attachment.blob.sha256)?,
                "inline": i64::from(attachment.inline),
                "content_id": vault.seal_some(Place::AttachmentContentId, &id, attachment.content_id.as_deref())?,
            }));
        }
        if let Some(call) = call {
            let signalling = call.signalling.as_ref().map(Value::to_string);
            let diverted = Value::from(call.diverted_from.clone()).to_string();
            self.calls.push(row!({
                "interaction_id": interaction_id, "dialled": vault.seal(Place::CallDialled, interaction_id, &call.dialled)?,
                "diverted_from": vault.seal(Place::CallDivertedFrom, interaction_id, &diverted)?,
                "signalling": vault.seal_some(Place::CallSignalling, interaction_id, signalling.as_deref())?,
            }));
        }
        if let Some(recording) = recording {
            let key = recording.key.as_ref().map(|key| vault.seal_data_key(&recording.id, key));
            self.recordings.push(row!({
                "id": recording.id, "interaction_id": interaction_id, "state": "recording", "path": recording.path,
                "codec": recording.codec, "rate": recording.rate, "samples": 0, "data_key": key.transpose()?,
                "keep_days": recording.keep_days,
            }));
        }
        Ok(())
    }

    /// Adds an entry to a request's history.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn note(&mut self, at: Millis, prepared: &Prepared, request_id: &str, interaction_id: &str, action: &str) -> Result<()> {
        let contact = &prepared.contact;
        let detail = json!({"interaction_id": interaction_id, "channel": contact.channel.as_str()}).to_string();
        let id = id::new();
        self.history.push(row!({
            "id": id, "request_id": request_id, "at": at, "actor": prepared.actor, "action": action,
            "detail": self.vault.seal(Place::HistoryDetail, &id, &detail)?,
        }));
        Ok(())
    }

    /// Adds the row of a STOP, if there is one.
    pub(super) fn opts_out(&mut self, match_key: String, row: Option<Row>) {
        self.opt_ins.remove(&match_key);
        if let Some(row) = row {
            self.opt_outs.entry(match_key).or_insert(row);
        }
    }

    /// Adds the row of a START, if there is one.
    pub(super) fn opts_in(&mut self, match_key: String, row: Option<Row>) {
        self.opt_outs.remove(&match_key);
        if let Some(row) = row {
            self.opt_ins.insert(match_key, row);
        }
    }

    /// Adds all of them but the large artefacts, parents first.
    pub(super) fn write(self, script: &mut Script) -> Large<'v> {
        script.add(&REQUEST, self.requests);
        script.add(&INTERACTION, self.interactions);
        script.add(&LINK, self.links);
        script.add(&REQUEST_LINK, self.request_links);
        script.add(&EXTERNAL, self.externals);
        script.add(&PARTICIPANT, self.participants);
        script.add(&RAW, self.raws);
        script.add(&ATTACHMENT, self.attachments);
        script.add(&CALL, self.calls);
        script.add(&RECORDING, self.recordings);
        script.add(&REPLY, self.replies);
        script.add(&HISTORY, self.history);
        script.add(&citizen::STOP, self.opt_outs.into_values().collect());
        script.add(&citizen::START, self.opt_ins.into_values().collect());
        script.add(&citizen::REACHED, self.reached);
        Large {
            vault: self.vault,
            raws: self.large,
        }
    }
}

impl Large<'_> {
    /// Inserts them, after the interactions that they belong to.
    pub(super) async fn insert(self, tx: &mut Tx) -> Result<()> {
        let mut rest = self.raws.as_slice();
        while let Some((first, others)) = rest.split_first() {
            // The way to PostgreSQL costs more than a copy, the way to SQLite less.
            let mut bytes = first.1.blob.size;
            let together = others.iter().take_while(|(_, raw)| {
                bytes += raw.blob.size;
                bytes <= RAW_AT_ONCE && matches!(tx, Tx::Postgres(_))
            });
            let (some, after) = rest.split_at(1 + together.count());
            self.insert_some(tx, some).await?;
            rest = after;
        }
        Ok(())
    }

    async fn insert_some(&self, tx: &mut Tx, raws: &[(String, PreparedRaw)]) -> Result<()> {
        let sealed = raws.iter().map(|(interaction_id, raw)| {
            let bytes = raw.bytes.as_deref().unwrap_or_default();
            self.vault.seal_bytes(Place::RawBody, interaction_id, bytes)
        });
        let bodies = sealed.collect::<Result<Vec<_>>>()?;
        let row = |(interaction_id, raw): &'_ (String, PreparedRaw)| {
            let size = i64::try_from(raw.blob.size).unwrap_or(i64::MAX);
            (interaction_id.clone(), raw.media_type.clone(), size)
        };
        match tx {
            Tx::Sqlite(db) => {
                let sql = "INSERT INTO raw (interaction_id, media_type, size, body) VALUES ($1, $2, $3, $4)";
                for ((id, media_type, size), body) in raws.iter().map(row).zip(&bodies) {
                    let insert = sqlx::query(sql).bind(id).bind(media_type).bind(size).bind(body.as_ref());
                    insert.execute(&mut **db).await?;
                }
            }
            Tx::Postgres(db) => {
                let sql = "INSERT INTO raw (interaction_id, media_type, size, body) \
                           SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])";
                let (mut ids, mut kinds, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
                for (id, media_type, size) in raws.iter().map(row) {
                    ids.push(id);
                    kinds.push(media_type);
                    sizes.push(size);
                }
                let bodies: Vec<&[u8]> = bodies.iter().map(AsRef::as_ref).collect();
                let insert = sqlx::query(sql).bind(ids).bind(kinds).bind(sizes).bind(bodies);
                insert.execute(&mut **db).await?;
            }
        }
        Ok(())
    }
}
