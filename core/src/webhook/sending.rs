//! What the sender asks of the core: what to send now, and what came of it.

use std::sync::LazyLock;

use serde_json::json;

use super::door::{Webhooks, enter};
use super::pace;
use super::payload::{Told, body};
use super::row::{Webhook, find};
use super::sign::Key;
use crate::base::actor::Actor;
use crate::base::backoff::random;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::mutant;
use crate::base::secret::Secret;
use crate::base::time::Millis;
use crate::feed::Event;
use crate::store::{Column, Reach, Row, Rows, Script, SetSql, Store, on, row};

/// Deliveries that are open at once; while there are as many, the webhook stands still in the feed.
const WINDOW: i64 = 1000;
/// Events that become deliveries in one transaction.
const AT_ONCE: i64 = 200;
/// Where nothing is for a webhook, its position follows the feed by steps: a write for every event of others would be dear.
const UNNOTED: i64 = 500;
/// Longer than an attempt may take.
const LEASE: Millis = 40_000;
/// How long a sender sleeps at most before it looks again.
const LOOK: Millis = 30_000;
/// So many failures in a row mean that the endpoint is away, rather than one event that it cannot take.
const AWAY: i64 = 3;
/// What is over is shown for so long.
const KEPT: Millis = 7 * 24 * 3_600_000;
/// And so many of it.
const KEPT_ROWS: i64 = 10_000;
/// Rows that are removed in one transaction.
const TRIM: i64 = 2000;

static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("webhook_id", Column::Text),
        ("event_id", Column::Text),
        ("type", Column::Text),
        ("subject", Column::Text),
        ("position", Column::Integer),
        ("at", Column::Integer),
        ("data", Column::Text),
        ("state", Column::Text),
        ("next_at", Column::Integer),
        ("give_up_at", Column::Integer),
        ("created_at", Column::Integer),
    ])
    .insert("webhook_delivery")
});

/// Where to send, and what signs.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address, which is in no log.
    pub url: Secret,
    /// One key, or two while one follows the other.
    pub keys: Vec<Key>,
}

/// A delivery that is to be attempted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its id.
    pub id: String,
    /// `webhook-id`.
    pub event_id: String,
    /// What is sent.
    pub body: String,
    /// What settles it.
    lease: String,
    /// Of the webhook: what comes of an address that was changed meanwhile says nothing of the present one.
    version: i64,
    attempts: i64,
    give_up_at: Millis,
}

/// What a sender has to do.
#[derive(Debug)]
pub enum Turn {
    /// Attempt these, and settle them together.
    Send(Endpoint, Vec<Due>),
    /// Nothing before so many milliseconds have passed, unless something happens.
    Wait(Millis),
    /// The webhook is disabled or removed.
    Gone,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was answered, if anything.
    pub status: Option<u16>,
    /// What went wrong, in our words; nothing of the answer's.
    pub error: Option<String>,
    /// How long the receiver asks to be left alone, milliseconds.
    pub retry_after: Option<Millis>,
}

impl Outcome {
    /// Whether it was taken.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// Whether the receiver wants no more: 410.
    const fn is_gone(&self) -> bool {
        matches!(self.status, Some(410))
    }
}

#[derive(sqlx::FromRow)]
struct Leased {
    id: String,
    event_id: String,
    #[sqlx(rename = "type")]
    kind: String,
    subject: String,
    position: i64,
    at: Millis,
    data: String,
    attempts: i64,
    give_up_at: Millis,
}

impl Webhooks {
    /// The ids of those that are sent to.
    ///
    /// # Errors
    /// The store's.
    pub async fn active(&self) -> Result<Vec<String>> {
        let sql = "SELECT id FROM webhook WHERE state = 'active' ORDER BY id";
        Ok(on!(Store, &self.store, db => sqlx::query_scalar(sql).fetch_all(db).await)?)
    }

    /// What is to be sent to a webhook now, at most `room` deliveries. New events of the feed become deliveries first.
    ///
    /// # Errors
    /// The store's, and [`crate::base::error::CoreError::Sealed`].
    pub async fn turn(&self, id: &str, room: usize, now: Millis) -> Result<Turn> {
        let Some(found) = find(&self.store, id).await? else {
            return Ok(Turn::Gone);
        };
        let webhook = found.open(&self.vault, now)?;
        if !webhook.active {
            return Ok(Turn::Gone);
        }
        let more = self.follow(&webhook, now).await?;
        if webhook.failures > 0 {
            self.give_up(id, now).await?;
        }
        if webhook.resume_at > now {
            return Ok(Turn::Wait((webhook.resume_at - now).min(LOOK)));
        }
        // One that fails is asked with one event whether it is back.
        let room = if webhook.failures > 0 { 1 } else { room };
        let due = self.lease(&webhook, room, now).await?;
        if due.is_empty() {
            let sql = "SELECT MIN(CASE WHEN lease_until > next_at THEN lease_until ELSE next_at END) FROM webhook_delivery \
                       WHERE webhook_id = $1 AND state = 'pending'";
            let next: Option<Millis> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(id).fetch_one(db).await)?;
            let wait = if more {
                0
            } else {
                next.map_or(LOOK, |next| (next - now).clamp(0, LOOK))
            };
            return Ok(Turn::Wait(wait));
        }
        let old = webhook.old_key.map(|(key, _)| key);
        let endpoint = Endpoint {
            url: Secret::new(webhook.url),
            keys: [Some(webhook.key), old].into_iter().flatten().collect(),
        };
        Ok(Turn::Send(endpoint, due))
    }

    /// Makes deliveries of the next events, in the transaction that moves the position. True when there are more at once.
    async fn follow(&self, webhook: &Webhook, now: Millis) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM webhook_delivery WHERE webhook_id = $1 AND state = 'pending'";
        let open: i64 = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(&webhook.id).fetch_one(db).await)?;
        let Ok(room @ 1..) = usize::try_from((WINDOW - open).min(AT_ONCE)) else {
            return Ok(false);
        };
        let read = self
            .feed
            .filtered(&Reach::everything(), &webhook.filter, webhook.position, room)
            .await;
        let page = match read {
            Err(CoreError::FeedGone { floor, .. }) => return self.skip(webhook, floor).await,
            other => other?,
        };
        if page.items.is_empty() && !page.has_more && page.next - webhook.position < UNNOTED {
            return Ok(false);
        }
        let rows: Vec<Row> = page.items.iter().map(|event| delivery(&webhook.id, event, now)).collect();
        let mut tx = self.store.begin().await?;
        // Another node may have been faster, and a replay or another filter counts from now on.
        let sql = "UPDATE webhook SET position = $3 WHERE id = $1 AND position = $2 AND version = $4 AND state = 'active' RETURNING id";
        let moved: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&webhook.id).bind(webhook.position).bind(page.next).bind(webhook.version).fetch_optional(db).await)?;
        if moved.is_none() {
            return Ok(true);
        }
        if mutant::active("webhook_moves_first") {
            // As it would be with two transactions: a death between them loses what was passed.
            tx.commit().await?;
            crate::base::failpoint::hit("webhook_planned");
            tx = self.store.begin().await?;
        }
        let mut script = Script::default();
        script.add(&INSERT, rows);
        script.run(&mut tx).await?;
        tx.commit().await?;
        crate::base::failpoint::hit("webhook_planned");
        Ok(page.has_more)
    }

    /// Goes on behind events that were removed from the feed before this webhook came to them, and says so.
    async fn skip(&self, webhook: &Webhook, floor: i64) -> Result<bool> {
        let sql = "UPDATE webhook SET position = $3, last_error = 'events were removed from the feed before they could be sent' \
                   WHERE id = $1 AND position = $2";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&webhook.id).bind(webhook.position).bind(floor).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives up what is past its time at an endpoint that is away: it is asked with one event at a time, so that not each had its
    /// last attempt.
    async fn give_up(&self, id: &str, now: Millis) -> Result<()> {
        let due =
            "SELECT COUNT(*) FROM webhook_delivery WHERE webhook_id = $1 AND state = 'pending' AND give_up_at <= $2 AND lease_until <= $2";
        let count: i64 = on!(Store, &self.store, db => sqlx::query_scalar(due).bind(id).bind(now).fetch_one(db).await)?;
        if count == 0 {
            return Ok(());
        }
        let sql = "UPDATE webhook_delivery SET state = 'failed', settled_at = $2, \
                   error = COALESCE(error, 'the endpoint did not answer as it should for 24 hours') \
                   WHERE webhook_id = $1 AND state = 'pending' AND give_up_at <= $2 AND lease_until <= $2";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).bind(now).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    async fn lease(&self, webhook: &Webhook, room: usize, now: Millis) -> Result<Vec<Due>> {
        let id = webhook.id.as_str();
        let due = "webhook_id = $1 AND state = 'pending' AND next_at <= $2 AND lease_until <= $2";
        // Reading is cheap, and a writer's turn is not.
        let any = sqlx::AssertSqlSafe(format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM webhook_delivery WHERE {due} LIMIT 1) AS one"
        ));
        let any: i64 = on!(Store, &self.store, db => sqlx::query_scalar(any).bind(id).bind(now).fetch_one(db).await)?;
        if any == 0 {
            return Ok(Vec::new());
        }
        let skip = match &self.store {
            Store::Sqlite(_) => "",
            Store::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE webhook_delivery SET lease = $3, lease_until = $4, attempts = attempts + 1 WHERE id IN (SELECT id FROM webhook_delivery \
             WHERE {due} ORDER BY next_at, position LIMIT $5{skip}) \
             RETURNING id, event_id, type, subject, position, at, data, attempts, give_up_at"
        ));
        let (lease, room) = (id::new(), i64::try_from(room).unwrap_or(1));
        let mut tx = self.store.begin().await?;
        let mut rows: Vec<Leased> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(id).bind(now).bind(&lease).bind(now + LEASE).bind(room).fetch_all(db).await)?;
        tx.commit().await?;
        rows.sort_by_key(|row| row.position);
        let due = rows.into_iter().map(|row| {
            let told = Told {
                id: &row.event_id,
                kind: &row.kind,
                subject: &row.subject,
                at: row.at,
                position: row.position,
                data: &row.data,
            };
            Due {
                body: body(&told),
                id: row.id,
                event_id: row.event_id,
                lease: lease.clone(),
                version: webhook.version,
                attempts: row.attempts,
                give_up_at: row.give_up_at,
            }
        });
        Ok(due.collect())
    }

    /// Notes what came of attempts that were made together, of one webhook. Whoever settles too late, when
    /// others have taken the delivery up, changes nothing of it; and what came of an address that is another by now says nothing
    /// of the webhook. Says whether it is disabled now, or removed.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle(&self, webhook: &str, outcomes: &[(Due, Outcome)], now: Millis) -> Result<bool> {
        let Some((first, _)) = outcomes.first() else {
            return Ok(false);
        };
        let version = first.version;
        let success = outcomes.iter().any(|(_, outcome)| outcome.is_success());
        let gone = outcomes.iter().any(|(_, outcome)| outcome.is_gone());
        let failed: Vec<&Outcome> = outcomes
            .iter()
            .map(|(_, outcome)| outcome)
            .filter(|outcome| !outcome.is_success())
            .collect();
        let error = failed.last().and_then(|outcome| outcome.error.clone());
        let retry_after = failed.iter().filter_map(|outcome| outcome.retry_after).max();
        let mut tx = self.store.begin().await?;
        // The webhook's row comes first, as with whoever removes it.
        let sql = "UPDATE webhook SET failures = CASE WHEN $2 = 1 THEN 0 ELSE failures + $3 END, \
                   failing_at = CASE WHEN $2 = 1 THEN NULL WHEN $3 > 0 THEN COALESCE(failing_at, $4) ELSE failing_at END, \
                   succeeded_at = CASE WHEN $2 = 1 THEN $4 ELSE succeeded_at END, last_error = COALESCE($5, last_error) \
                   WHERE id = $1 AND version = $6 RETURNING failures";
        let before = "SELECT failures FROM webhook WHERE id = $1";
        let was: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(before).bind(webhook).fetch_optional(db).await)?;
        let failures: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(webhook).bind(i64::from(success)).bind(i64::from(!failed.is_empty())).bind(now).bind(error.as_deref())
            .bind(version).fetch_optional(db).await)?;
        // It was removed meanwhile, and its deliveries with it.
        let Some(was) = was else {
            return Ok(true);
        };
        if let Some(failures) = failures {
            let resume_at = match (success, retry_after) {
                (true, None) => 0,
                (true, Some(wait)) => now.saturating_add(wait.clamp(0, pace::LIFE)),
                (false, wait) => pace::pause(failures, now, wait, random()),
            };
            let sql = "UPDATE webhook SET resume_at = $2 WHERE id = $1";
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(webhook).bind(resume_at).execute(db).await.map(|_| ()))?;
        }
        for (due, outcome) in outcomes {
            let again = if outcome.is_success() || outcome.is_gone() {
                None
            } else {
                pace::next(due.attempts, now, due.give_up_at, outcome.retry_after, random())
            };
            let state = match (outcome.is_success(), again) {
                (true, _) => "delivered",
                (false, Some(_)) => "pending",
                (false, None) => "failed",
            };
            let settled = again.is_none().then_some(now);
            let sql = "UPDATE webhook_delivery SET state = $3, next_at = $4, status = $5, error = $6, settled_at = $7, lease = NULL, \
                       lease_until = 0 WHERE id = $1 AND lease = $2";
            on!(Tx, &mut tx, db => sqlx::query(sql)
                .bind(&due.id).bind(&due.lease).bind(state).bind(again.unwrap_or(now)).bind(outcome.status.map(i64::from))
                .bind(outcome.error.as_deref()).bind(settled).execute(db).await.map(|_| ()))?;
        }
        if success && was >= AWAY {
            // It is back: what waits for hours need not.
            let sql =
                "UPDATE webhook_delivery SET next_at = $2 WHERE webhook_id = $1 AND state = 'pending' AND next_at > $2 AND lease_until = 0";
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(webhook).bind(now).execute(db).await.map(|_| ()))?;
        }
        let mut disabled = None::<String>;
        if gone {
            let sql = "UPDATE webhook SET state = 'disabled', reason = 'the endpoint answered 410 Gone', version = version + 1, updated_at = $2 \
                       WHERE id = $1 AND state = 'active' AND version = $3 RETURNING id";
            disabled = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(webhook).bind(now).bind(version).fetch_optional(db).await)?;
        }
        if disabled.is_some() {
            enter(&mut tx, &Actor::System, "disabled", webhook, &json!({"status": 410})).await?;
        }
        tx.commit().await?;
        Ok(disabled.is_some())
    }

    /// Removes deliveries that are over and old, or too many. Says whether there may be more at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn trim(&self, now: Millis) -> Result<bool> {
        let ids: Vec<String> = on!(Store, &self.store, db => sqlx::query_scalar("SELECT id FROM webhook ORDER BY id").fetch_all(db).await)?;
        let old = "FROM webhook_delivery WHERE webhook_id = $1 AND state <> 'pending' AND (settled_at < $2 OR id < COALESCE(\
                   (SELECT id FROM webhook_delivery WHERE webhook_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $3), ''))";
        let mut more = false;
        for id in ids {
            let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM (SELECT 1 {old} LIMIT $4) AS over"));
            let count: i64 = on!(Store, &self.store, db => sqlx::query_scalar(count)
                .bind(&id).bind(now - KEPT).bind(KEPT_ROWS).bind(TRIM).fetch_one(db).await)?;
            if count == 0 {
                continue;
            }
            let sql = sqlx::AssertSqlSafe(format!(
                "DELETE FROM webhook_delivery WHERE id IN (SELECT id {old} ORDER BY id LIMIT $4)"
            ));
            let mut tx = self.store.begin().await?;
            on!(Tx, &mut tx, db => sqlx::query(sql)
                .bind(&id).bind(now - KEPT).bind(KEPT_ROWS).bind(TRIM).execute(db).await.map(|_| ()))?;
            tx.commit().await?;
            more |= count == TRIM;
        }
        Ok(more)
    }

    /// How many deliveries of each webhook are open, by id; those without any are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(&self) -> Result<Vec<(String, i64)>> {
        let sql = "SELECT webhook_id, COUNT(*) FROM webhook_delivery WHERE state = 'pending' GROUP BY webhook_id";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?)
    }
}

fn delivery(webhook: &str, event: &Event, now: Millis) -> Row {
    row!({
        "id": id::new(),
        "webhook_id": webhook,
        "event_id": event.id,
        "type": event.kind,
        "subject": event.subject,
        "position": event.position,
        "at": event.at,
        "data": event.data,
        "state": "pending",
        "next_at": now,
        "give_up_at": now + pace::LIFE,
        "created_at": now,
    })
}
