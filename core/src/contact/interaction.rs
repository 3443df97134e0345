//! Reading contacts as they were taken in.

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::Value;

use super::reached::{INTERACTION, REQUEST, reached};
use crate::artefact::{BlobReader, Blobs, Quality};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::Millis;
use crate::catalogue::Catalogue;
use crate::store::on;
use crate::store::{Reach, Store};
use crate::vault::{Opening, Place, Vault};

/// One row of `interaction`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InteractionRow {
    /// UUIDv7.
    pub id: String,
    /// Its place in the order of commits.
    pub position: i64,
    /// See [`crate::base::account::Channel`].
    pub channel: String,
    /// `kind/name`.
    pub account: Option<String>,
    /// `in` or `out`.
    pub direction: String,
    /// The peer's own id.
    pub native_id: Option<String>,
    /// Who speaks; empty when withheld.
    pub from_address: String,
    /// Their name.
    pub from_name: Option<String>,
    /// Who is spoken to.
    pub to_address: String,
    /// Of a mail or form.
    pub subject: Option<String>,
    /// The full text.
    pub text: Option<String>,
    /// The text without quotes.
    pub text_stripped: Option<String>,
    /// By the peer's word.
    pub occurred_at: Millis,
    /// When it reached us.
    pub received_at: Millis,
    /// JSON array of texts; [`Shown::flags`] has it read.
    pub flags: String,
    /// How often the peer delivered it.
    pub deliveries: i64,
    /// Of the artefact.
    pub raw_sha256: Option<String>,
    /// Of an outgoing one.
    pub reply_id: Option<String>,
    /// What the town's mail server found out about the sender, a JSON object.
    pub authenticity: Option<String>,
}

/// An attachment, as an interaction lists it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AttachmentOf {
    /// UUIDv7.
    pub id: String,
    /// The interaction it came with.
    pub interaction_id: String,
    /// A cleaned file name.
    pub name: String,
    /// `application/pdf`.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Of its content.
    pub sha256: String,
    /// Not 0: it belongs into the text.
    inline: i64,
    /// By which the HTML of its mail names it.
    pub content_id: Option<String>,
}

/// What is particular to a call.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CallOf {
    /// The call.
    pub interaction_id: String,
    /// The dialled user part.
    pub dialled: String,
    /// JSON array of texts, the first diversion first.
    pub diverted_from: String,
    /// What the header fields said, a JSON object.
    pub signalling: Option<String>,
    /// When the caller confirmed our 200.
    pub answered_at: Option<Millis>,
    /// When it was over.
    pub ended_at: Option<Millis>,
    /// What ended it.
    pub ended_by: Option<String>,
    /// Why, in the peer's words (RFC 3326).
    pub ended_reason: Option<String>,
    /// How well it was heard, a JSON object.
    quality: Option<String>,
}

impl InteractionRow {
    fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening
            .some(Place::InteractionNativeId, &mut self.native_id)
            .text(Place::InteractionFromAddress, &mut self.from_address)
            .some(Place::InteractionFromName, &mut self.from_name)
            .text(Place::InteractionToAddress, &mut self.to_address)
            .some(Place::InteractionSubject, &mut self.subject)
            .some(Place::InteractionText, &mut self.text)
            .some(Place::InteractionTextStripped, &mut self.text_stripped)
            .some(Place::InteractionRawSha256, &mut self.raw_sha256)
            .some(Place::InteractionAuthenticity, &mut self.authenticity);
        opening
    }
}

impl AttachmentOf {
    fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening
            .text(Place::AttachmentName, &mut self.name)
            .text(Place::AttachmentSha256, &mut self.sha256)
            .some(Place::AttachmentContentId, &mut self.content_id);
        opening
    }

    /// Whether it belongs into the text, as an image of a mail's HTML does.
    #[must_use]
    pub const fn inline(&self) -> bool {
        self.inline != 0
    }
}

impl CallOf {
    fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.interaction_id);
        opening
            .text(Place::CallDialled, &mut self.dialled)
            .text(Place::CallDivertedFrom, &mut self.diverted_from)
            .some(Place::CallSignalling, &mut self.signalling);
        opening
    }

    /// How well it was heard, once it is over and if anything was.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        serde_json::from_str(self.quality.as_deref()?).ok()
    }

    /// The diversions as a list.
    #[must_use]
    pub fn diversions(&self) -> Vec<String> {
        texts(&self.diverted_from)
    }
}

/// A recording, as an interaction shows it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordingOf {
    /// UUIDv7.
    pub id: String,
    /// The call.
    pub interaction_id: String,
    /// See [`crate::artefact::RecordingState`].
    pub state: String,
    /// Of each channel.
    pub samples: i64,
    /// Samples a second.
    pub rate: i64,
}

impl RecordingOf {
    /// Its length in milliseconds.
    #[must_use]
    pub const fn duration_ms(&self) -> i64 {
        if self.rate > 0 { self.samples * 1000 / self.rate } else { 0 }
    }
}

/// An interaction with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The row itself.
    pub row: InteractionRow,
    /// Its flags.
    pub flags: Vec<String>,
    /// The requests it belongs to, the first it was linked to first.
    pub request_ids: Vec<String>,
    /// In the order in which they came.
    pub attachments: Vec<AttachmentOf>,
    /// Of a call.
    pub call: Option<CallOf>,
    /// Of a recorded call.
    pub recording: Option<RecordingOf>,
}

/// The artefact of an interaction.
#[derive(Debug)]
pub enum RawRow {
    /// All of it.
    Inline {
        /// What it is.
        media_type: String,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// In a file.
    File {
        /// What it is.
        media_type: String,
        /// Its content, piece by piece.
        content: BlobReader,
    },
}

#[derive(sqlx::FromRow)]
struct Link {
    interaction_id: String,
    request_id: String,
}

#[derive(sqlx::FromRow)]
struct StoredRaw {
    media_type: String,
    sha256: Option<String>,
    size: i64,
    body: Option<Vec<u8>>,
}

/// How many interactions of a request are shown.
const SHOWN: i64 = 10_000;

const COLUMNS: &str = "i.id, i.position, i.channel, i.account, i.direction, i.native_id, i.from_address, i.from_name, i.to_address, i.subject, \
                       i.text, i.text_stripped, i.occurred_at, i.received_at, i.flags, i.deliveries, i.raw_sha256, i.reply_id, i.authenticity";

/// The door to contacts as they were taken in.
#[derive(Debug, Clone)]
pub struct Interactions {
    store: Store,
    vault: Vault,
    catalogue: Catalogue,
}

impl Interactions {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, vault: Vault, catalogue: Catalogue) -> Self {
        Self { store, vault, catalogue }
    }

    /// The interactions of a request in order.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when there is no such request, or the actor does not reach it; the store's.
    pub async fn of_request(&self, actor: &Actor, request_id: &str) -> Result<Vec<Shown>> {
        let reach = self.catalogue.reach(actor, Operation::Read);
        reached(&self.store, &reach, REQUEST, request_id)
            .await?
            .ok_or(CoreError::NotFound { what: "request" })?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM interaction i JOIN request_interaction l ON l.interaction_id = i.id \
             WHERE l.request_id = $1 ORDER BY i.position LIMIT {SHOWN}"
        ));
        let mut rows: Vec<InteractionRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(request_id).fetch_all(db).await)?;
        for row in &mut rows {
            row.open(&self.vault).lenient();
        }
        self.with_all(rows, &reach).await
    }

    /// One interaction.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor reaches no request of it; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<Shown> {
        let reach = self.catalogue.reach(actor, Operation::Read);
        let missing = CoreError::NotFound { what: "interaction" };
        if reached(&self.store, &reach, INTERACTION, id).await?.is_none() {
            return Err(missing);
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM interaction i WHERE i.id = $1"));
        let row: Option<InteractionRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let Some(mut row) = row else { return Err(missing) };
        row.open(&self.vault).strict()?;
        let shown = self.with_all(vec![row], &reach).await?;
        shown.into_iter().next().ok_or(missing)
    }

    /// The artefact as it came.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when the interaction has none, or the actor reaches no request of it; the store's.
    pub async fn raw(&self, actor: &Actor, id: &str, blobs: &Blobs) -> Result<RawRow> {
        let missing = CoreError::NotFound { what: "raw artefact" };
        let reach = self.catalogue.reach(actor, Operation::Read);
        if reached(&self.store, &reach, INTERACTION, id).await?.is_none() {
            return Err(missing);
        }
        let sql = "SELECT media_type, sha256, size, body FROM raw WHERE interaction_id = $1";
        let row: Option<StoredRaw> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let row = row.ok_or(missing)?;
        Ok(match row.body {
            Some(body) => RawRow::Inline {
                media_type: row.media_type,
                bytes: self.vault.open_bytes(Place::RawBody, id, body)?,
            },
            None => {
                let sha256 = self.vault.open_some(Place::RawSha256, id, row.sha256)?.unwrap_or_default();
                RawRow::File {
                    media_type: row.media_type,
                    content: blobs.read(&sha256, u64::try_from(row.size).unwrap_or(0)).await?,
                }
            }
        })
    }

    /// What belongs to interactions that are opened already. One query a table, however many there are.
    async fn with_all(&self, rows: Vec<InteractionRow>, reach: &Reach) -> Result<Vec<Shown>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Value::from(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>()).to_string();
        let links = self.links(&ids, reach).await?;
        let mut attachments: Vec<AttachmentOf> = self
            .of(
                &ids,
                "SELECT id, interaction_id, name, media_type, size, sha256, inline, content_id FROM attachment",
                "ordinal",
            )
            .await?;
        // Before the calls: one commit ends both, and whoever is shown a sealed recording is shown how the call ended.
        let recordings: Vec<RecordingOf> = self
            .of(&ids, "SELECT id, interaction_id, state, samples, rate FROM recording", "id")
            .await?;
        let mut calls: Vec<CallOf> = self
            .of(
                &ids,
                "SELECT interaction_id, dialled, diverted_from, signalling, answered_at, ended_at, ended_by, ended_reason, quality FROM call_detail",
                "interaction_id",
            )
            .await?;
        for attachment in &mut attachments {
            attachment.open(&self.vault).lenient();
        }
        for call in &mut calls {
            call.open(&self.vault).lenient();
        }
        let mut links = grouped(links, |link| link.interaction_id.clone());
        let mut attachments = grouped(attachments, |attachment| attachment.interaction_id.clone());
        let mut calls = grouped(calls, |call| call.interaction_id.clone());
        let mut recordings = grouped(recordings, |recording| recording.interaction_id.clone());
        let shown = rows.into_iter().map(|row| Shown {
            flags: texts(&row.flags),
            request_ids: links
                .remove(&row.id)
                .unwrap_or_default()
                .into_iter()
                .map(|link| link.request_id)
                .collect(),
            attachments: attachments.remove(&row.id).unwrap_or_default(),
            call: calls.remove(&row.id).and_then(|found| found.into_iter().next()),
            recording: recordings.remove(&row.id).and_then(|found| found.into_iter().next()),
            row,
        });
        Ok(shown.collect())
    }

    /// The requests that they belong to, as far as they are reached.
    async fn links(&self, ids: &str, reach: &Reach) -> Result<Vec<Link>> {
        let reached = reach.condition("r", 2);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT l.interaction_id, l.request_id FROM request_interaction l JOIN request r ON r.id = l.request_id \
             WHERE l.interaction_id IN ({}) AND {} ORDER BY l.position, l.request_id",
            self.set(),
            reached.sql
        ));
        Ok(on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(ids);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?)
    }

    /// The texts of a JSON array as rows.
    const fn set(&self) -> &'static str {
        match &self.store {
            Store::Sqlite(_) => "SELECT value FROM json_each($1)",
            Store::Postgres(_) => "SELECT jsonb_array_elements_text($1::jsonb)",
        }
    }

    async fn of<T>(&self, ids: &str, select: &str, order: &str) -> Result<Vec<T>>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let set = self.set();
        let sql = sqlx::AssertSqlSafe(format!("{select} WHERE interaction_id IN ({set}) ORDER BY {order}"));
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(ids).fetch_all(db).await)?)
    }
}

fn grouped<T, K: Eq + Hash>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

fn texts(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}
