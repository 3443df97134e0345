//! What was sent, or is to be.

use serde_json::json;

use super::door::{Webhooks, enter};
use super::pace;
use super::row::{locked, missing};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::store::on;

/// Tests that wait at once, at most, beside what the feed brings.
const TESTS: i64 = 10;
/// The type of a test, without its prefix.
const TEST: &str = "webhook.test";

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is attempted at `next_at`.
    Pending,
    /// It was answered with 2xx.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// The name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// UUIDv7.
    pub id: String,
    /// The event's, which is `webhook-id`.
    pub event_id: String,
    /// The event's type without its prefix.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// The event's subject.
    pub subject: String,
    /// `pending`, `delivered`, `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it is pending.
    pub next_at: Millis,
    /// What was answered last.
    pub status: Option<i64>,
    /// What went wrong last, in our words.
    pub error: Option<String>,
    /// When it was delivered or given up.
    pub settled_at: Option<Millis>,
    /// When it was entered.
    pub created_at: Millis,
}

/// A page of deliveries.
#[derive(Debug, Clone)]
pub struct Deliveries {
    /// The newest first.
    pub items: Vec<Delivery>,
    /// The id behind which the next page begins; `None` at the end.
    pub next: Option<String>,
}

const COLUMNS: &str = "id, event_id, type, subject, state, attempts, next_at, status, error, settled_at, created_at";

impl Webhooks {
    /// At most `limit` deliveries of a webhook, the newest first, before the one of the id `after`.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; the store's.
    pub async fn deliveries(&self, webhook: &str, state: Option<DeliveryState>, after: Option<&str>, limit: usize) -> Result<Deliveries> {
        super::row::find(&self.store, webhook).await?.ok_or(missing())?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM webhook_delivery WHERE webhook_id = $1 AND id < $2 AND (state = $3 OR $3 = '') ORDER BY id DESC LIMIT $4"
        ));
        // Every id begins with a hexadecimal digit.
        let (before, state) = (after.unwrap_or("~"), state.map_or("", DeliveryState::as_str));
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut items: Vec<Delivery> = on!(Store, &self.store, db => sqlx::query_as(sql)
            .bind(webhook).bind(before).bind(state).bind(wanted).fetch_all(db).await)?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Deliveries { items, next })
    }

    /// Makes a delivery due at once, also one that was delivered or given up, and the webhook's pause is over.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Conflict`] when the webhook is disabled; the store's.
    pub async fn retry(&self, actor: &Actor, webhook: &str, delivery: &str) -> Result<Delivery> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        if !locked(&mut tx, webhook).await?.open(&self.vault, now)?.active {
            return Err(disabled());
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_at = $3, give_up_at = $4, settled_at = NULL \
             WHERE id = $2 AND webhook_id = $1 RETURNING {COLUMNS}"
        ));
        let row: Option<Delivery> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(webhook).bind(delivery).bind(now).bind(now + pace::LIFE).fetch_optional(db).await)?;
        let row = row.ok_or(CoreError::NotFound { what: "delivery" })?;
        let sql = "UPDATE webhook SET resume_at = 0 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(webhook).execute(db).await.map(|_| ()))?;
        enter(&mut tx, actor, "retried", webhook, &json!({"delivery": delivery})).await?;
        tx.commit().await?;
        self.changed();
        Ok(row)
    }

    /// Enters an event that is not in the feed, `fr.voxea.webhook.test`, which is attempted at once.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Conflict`] when the webhook is disabled or many tests wait; the store's.
    pub async fn test(&self, actor: &Actor, webhook: &str) -> Result<Delivery> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        if !locked(&mut tx, webhook).await?.open(&self.vault, now)?.active {
            return Err(disabled());
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "INSERT INTO webhook_delivery (id, webhook_id, event_id, type, subject, position, at, data, state, next_at, give_up_at, created_at) \
             SELECT $1, $2, $3, '{TEST}', $2, 0, $4, $5, 'pending', $4, $6, $4 WHERE (SELECT COUNT(*) FROM webhook_delivery \
             WHERE webhook_id = $2 AND state = 'pending' AND type = '{TEST}') < $7 RETURNING {COLUMNS}"
        ));
        let data = json!({"webhook_id": webhook}).to_string();
        let row: Option<Delivery> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(id::new()).bind(webhook).bind(id::new()).bind(now).bind(&data).bind(now + pace::LIFE).bind(TESTS)
            .fetch_optional(db).await)?;
        let row = row.ok_or_else(|| CoreError::Conflict(format!("{TESTS} tests of this webhook wait already")))?;
        let sql = "UPDATE webhook SET resume_at = 0 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(webhook).execute(db).await.map(|_| ()))?;
        enter(&mut tx, actor, "tested", webhook, &json!({"delivery": row.id})).await?;
        tx.commit().await?;
        self.changed();
        Ok(row)
    }
}

fn disabled() -> CoreError {
    CoreError::Conflict("the webhook is disabled; switch it on first: PATCH with {\"state\":\"active\"}".to_owned())
}
