//! A webhook as it is stored and shown.

use super::sign::Key;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::feed::Filter;
use crate::store::{Store, Tx, on};
use crate::vault::{Place, Vault};

/// Who is told of events, and how that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// UUIDv7.
    pub id: String,
    /// Where events are sent. It may hold a token, and is in no log.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// Which events.
    pub filter: Filter,
    /// What signs.
    pub key: Key,
    /// What signs beside it, and until when: the receiver has time to learn the new one.
    pub old_key: Option<(Key, Millis)>,
    /// Whether it is sent to; `reason` says why not.
    pub active: bool,
    /// Why it was disabled.
    pub reason: Option<String>,
    /// Every event up to here has a delivery, or is left out by the filter.
    pub position: i64,
    /// Rounds of attempts in a row of which all failed.
    pub failures: i64,
    /// Since when.
    pub failing_at: Option<Millis>,
    /// What went wrong last, in our words.
    pub last_error: Option<String>,
    /// When something was delivered last.
    pub succeeded_at: Option<Millis>,
    /// Nothing is sent before.
    pub resume_at: Millis,
    /// Rises with every change by hand; the ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was changed by hand, or disabled.
    pub updated_at: Millis,
}

#[derive(sqlx::FromRow)]
pub(super) struct Stored {
    id: String,
    url: String,
    description: Option<String>,
    filter: String,
    secret: String,
    secret_old: Option<String>,
    old_until: Millis,
    state: String,
    reason: Option<String>,
    position: i64,
    failures: i64,
    failing_at: Option<Millis>,
    last_error: Option<String>,
    succeeded_at: Option<Millis>,
    resume_at: Millis,
    version: i64,
    created_at: Millis,
    updated_at: Millis,
}

pub(super) const COLUMNS: &str = "id, url, description, filter, secret, secret_old, old_until, state, reason, position, failures, \
                                  failing_at, last_error, succeeded_at, resume_at, version, created_at, updated_at";

impl Stored {
    /// Opens what is sealed of it.
    pub(super) fn open(self, vault: &Vault, now: Millis) -> Result<Webhook> {
        let unreadable = |what: &str| CoreError::Store(format!("the {what} of webhook {} cannot be read", self.id));
        let filter = serde_json::from_str(&self.filter).map_err(|_| unreadable("filter"))?;
        let key = vault.open(Place::WebhookSecret, &self.id, self.secret)?;
        let key = Key::parse(&key).ok_or_else(|| unreadable("key"))?;
        let old = vault.open_some(Place::WebhookSecretOld, &self.id, self.secret_old)?;
        let old = old
            .filter(|_| now < self.old_until)
            .map(|old| Key::parse(&old).ok_or_else(|| unreadable("old key")));
        Ok(Webhook {
            url: vault.open(Place::WebhookUrl, &self.id, self.url)?,
            old_key: old.transpose()?.map(|old| (old, self.old_until)),
            id: self.id,
            description: self.description,
            filter,
            key,
            active: self.state == "active",
            reason: self.reason,
            position: self.position,
            failures: self.failures,
            failing_at: self.failing_at,
            last_error: self.last_error,
            succeeded_at: self.succeeded_at,
            resume_at: self.resume_at,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

pub(super) const fn missing() -> CoreError {
    CoreError::NotFound { what: "webhook" }
}

pub(super) async fn find(store: &Store, id: &str) -> Result<Option<Stored>> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM webhook WHERE id = $1"));
    Ok(on!(Store, store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?)
}

/// The same, locked until the transaction ends. SQLite has one writer, who needs no lock.
pub(super) async fn locked(tx: &mut Tx, id: &str) -> Result<Stored> {
    let lock = if matches!(tx, Tx::Postgres(_)) { " FOR UPDATE" } else { "" };
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM webhook WHERE id = $1{lock}"));
    let row: Option<Stored> = on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    row.ok_or(missing())
}
