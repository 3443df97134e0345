//! Making, showing, changing and removing webhooks.

use serde_json::json;

use super::row::{COLUMNS, Stored, Webhook, locked, missing};
use super::sign::{Key, Scheme};
use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::expected::Expected;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::base::wake::{Listener, Wake};
use crate::feed::{Begin, Feed, Filter};
use crate::store::{Store, Tx, on};
use crate::vault::{Place, Vault};

/// Webhooks of a town, at most: each has a task, and connections of its own.
const MOST: i64 = 100;
/// Characters of a description.
const LONGEST: usize = 500;

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where events are sent; whoever calls has found it fit.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// Which events.
    pub filter: Filter,
    /// How they are signed.
    pub scheme: Scheme,
    /// From where on.
    pub from: Begin,
}

/// What a webhook becomes; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Where events are sent.
    pub url: Option<String>,
    /// For people.
    pub description: Option<Option<String>>,
    /// Types, as of [`Filter`].
    pub types: Option<Vec<String>>,
    /// Themes.
    pub themes: Option<Vec<String>>,
    /// Whether it is sent to. One that is switched on goes on where it stood.
    pub active: Option<bool>,
}

/// The door.
#[derive(Debug, Clone)]
pub struct Webhooks {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    wake: Wake,
}

impl Webhooks {
    /// Over a store, its vault and its feed.
    #[must_use]
    pub fn new(store: Store, vault: Vault, feed: Feed) -> Self {
        Self {
            store,
            vault,
            feed,
            wake: Wake::new(),
        }
    }

    /// Hears every change by hand of this node from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.wake.listen()
    }

    /// Makes one. Only here is a shared secret in the answer of who asks.
    ///
    /// # Errors
    /// [`CoreError::Invalid`], [`CoreError::Conflict`] when there are too many; what [`Begin`] is refused with; the store's.
    pub async fn create(&self, actor: &Actor, new: &NewWebhook) -> Result<Webhook> {
        check(new.description.as_deref())?;
        new.filter.check()?;
        let position = new.from.position(&self.feed).await?;
        let (id, now, key) = (id::new(), time::now(), Key::new(new.scheme)?);
        let terms = serde_json::to_string(&new.filter).map_err(|error| CoreError::Store(error.to_string()))?;
        let url = self.vault.seal(Place::WebhookUrl, &id, &new.url)?;
        let secret = self.vault.seal(Place::WebhookSecret, &id, key.stored())?;
        let sql = sqlx::AssertSqlSafe(format!(
            "INSERT INTO webhook (id, url, description, filter, secret, state, position, version, created_at, updated_at) \
             SELECT $1, $2, $3, $4, $5, 'active', $6, 1, $7, $7 WHERE (SELECT COUNT(*) FROM webhook) < $8 RETURNING {COLUMNS}"
        ));
        let mut tx = self.store.begin().await?;
        let made: Option<Stored> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(&id).bind(url.as_ref()).bind(new.description.as_deref()).bind(&terms).bind(secret.as_ref()).bind(position).bind(now)
            .bind(MOST).fetch_optional(db).await)?;
        let made = made.ok_or_else(|| CoreError::Conflict(format!("there are {MOST} webhooks already; remove those that nobody needs")))?;
        let detail = json!({"filter": new.filter, "scheme": new.scheme.as_str()});
        enter(&mut tx, actor, "created", &id, &detail).await?;
        tx.commit().await?;
        self.wake.ring();
        made.open(&self.vault, now)
    }

    /// Every one, in the order of their making.
    ///
    /// # Errors
    /// The store's, and [`CoreError::Sealed`].
    pub async fn list(&self) -> Result<Vec<Webhook>> {
        let now = time::now();
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM webhook ORDER BY id"));
        let rows: Vec<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter().map(|row| row.open(&self.vault, now)).collect()
    }

    /// One.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's, and [`CoreError::Sealed`].
    pub async fn get(&self, id: &str) -> Result<Webhook> {
        let row = super::row::find(&self.store, id).await?.ok_or(missing())?;
        row.open(&self.vault, time::now())
    }

    /// Changes the version that was read. Another filter counts from its position on; another address, or switching it on,
    /// ends the pause after failures.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], [`CoreError::Stale`], [`CoreError::Invalid`]; the store's.
    pub async fn patch(&self, actor: &Actor, id: &str, expected: &Expected, patch: &Patch) -> Result<Webhook> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let found = locked(&mut tx, id).await?.open(&self.vault, now)?;
        expected.check(Some(found.version), "webhook", "id")?;
        let filter = Filter {
            types: patch.types.clone().unwrap_or_else(|| found.filter.types.clone()),
            themes: patch.themes.clone().unwrap_or_else(|| found.filter.themes.clone()),
        };
        filter.check()?;
        let description = patch.description.clone().unwrap_or_else(|| found.description.clone());
        check(description.as_deref())?;
        let url = patch.url.as_deref().unwrap_or(&found.url);
        let active = patch.active.unwrap_or(found.active);
        let reason = match (active, found.active) {
            (true, _) => None,
            (false, true) => Some("by hand".to_owned()),
            (false, false) => found.reason.clone(),
        };
        // What it knows of failures is of the address that it had.
        let anew = url != found.url || (active && !found.active);
        let terms = serde_json::to_string(&filter).map_err(|error| CoreError::Store(error.to_string()))?;
        let sealed = self.vault.seal(Place::WebhookUrl, id, url)?;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE webhook SET url = $2, description = $3, filter = $4, state = $5, reason = $6, version = version + 1, updated_at = $7, \
             failures = CASE WHEN $8 = 1 THEN 0 ELSE failures END, failing_at = CASE WHEN $8 = 1 THEN NULL ELSE failing_at END, \
             resume_at = CASE WHEN $8 = 1 THEN 0 ELSE resume_at END WHERE id = $1 RETURNING {COLUMNS}"
        ));
        let row: Stored = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(id).bind(sealed.as_ref()).bind(description.as_deref()).bind(&terms).bind(state(active)).bind(reason.as_deref())
            .bind(now).bind(i64::from(anew)).fetch_one(db).await)?;
        if anew {
            let sql = "UPDATE webhook_delivery SET next_at = $2 WHERE webhook_id = $1 AND state = 'pending' AND next_at > $2";
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).bind(now).execute(db).await.map(|_| ()))?;
        }
        let detail = json!({"filter": filter, "url_changed": url != found.url, "state": state(active)});
        enter(&mut tx, actor, "changed", id, &detail).await?;
        tx.commit().await?;
        self.wake.ring();
        row.open(&self.vault, now)
    }

    /// Gives it another key; the present one signs beside it for `overlap` milliseconds more, so that whoever receives has time
    /// to take the new one over.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn rotate(&self, actor: &Actor, id: &str, scheme: Option<Scheme>, overlap: Millis) -> Result<Webhook> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let found = locked(&mut tx, id).await?.open(&self.vault, now)?;
        let key = Key::new(scheme.unwrap_or(found.key.scheme()))?;
        let secret = self.vault.seal(Place::WebhookSecret, id, key.stored())?;
        let old = if overlap > 0 {
            Some(self.vault.seal(Place::WebhookSecretOld, id, found.key.stored())?)
        } else {
            None
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE webhook SET secret = $2, secret_old = $3, old_until = $4, version = version + 1, updated_at = $5 WHERE id = $1 \
             RETURNING {COLUMNS}"
        ));
        let row: Stored = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(id).bind(secret.as_ref()).bind(old.as_deref()).bind(now + overlap).bind(now).fetch_one(db).await)?;
        enter(
            &mut tx,
            actor,
            "key_changed",
            id,
            &json!({"scheme": key.scheme().as_str(), "overlap_ms": overlap}),
        )
        .await?;
        tx.commit().await?;
        self.wake.ring();
        row.open(&self.vault, now)
    }

    /// Stands it elsewhere in the feed: what lies behind is sent, again where it was sent before, under the same ids.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], what [`Begin`] is refused with; the store's.
    pub async fn replay(&self, actor: &Actor, id: &str, from: Begin) -> Result<Webhook> {
        let (now, position) = (time::now(), from.position(&self.feed).await?);
        let sql = sqlx::AssertSqlSafe(format!("UPDATE webhook SET position = $2 WHERE id = $1 RETURNING {COLUMNS}"));
        let mut tx = self.store.begin().await?;
        let row: Option<Stored> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(id).bind(position).fetch_optional(db).await)?;
        let row = row.ok_or(missing())?;
        enter(&mut tx, actor, "replayed", id, &json!({"position": position})).await?;
        tx.commit().await?;
        self.wake.ring();
        row.open(&self.vault, now)
    }

    /// Removes it and its deliveries.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn remove(&self, actor: &Actor, id: &str) -> Result<()> {
        let mut tx = self.store.begin().await?;
        locked(&mut tx, id).await?;
        for sql in [
            "DELETE FROM webhook_delivery WHERE webhook_id = $1",
            "DELETE FROM webhook WHERE id = $1",
        ] {
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).execute(db).await.map(|_| ()))?;
        }
        enter(&mut tx, actor, "removed", id, &json!({})).await?;
        tx.commit().await?;
        self.wake.ring();
        Ok(())
    }

    /// Something was made due by hand.
    pub(super) fn changed(&self) {
        self.wake.ring();
    }
}

const fn state(active: bool) -> &'static str {
    if active { "active" } else { "disabled" }
}

fn check(description: Option<&str>) -> Result<()> {
    match description {
        Some(text) if text.chars().count() > LONGEST || text.chars().any(char::is_control) => Err(CoreError::invalid(
            "/description",
            format!("may have {LONGEST} visible characters on one line"),
        )),
        _ => Ok(()),
    }
}

/// Neither address nor key is in the trail.
pub(super) async fn enter(tx: &mut Tx, actor: &Actor, action: &str, id: &str, detail: &serde_json::Value) -> Result<()> {
    audit::append(tx, &[Entry::new(actor, action, format!("webhook/{id}")).detail(detail)]).await
}
