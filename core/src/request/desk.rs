//! The door at which agents and their programs read and change requests.

use serde_json::{Map, Value, json};

use super::row::COLUMNS;
use super::transition::{self, Transition};
use super::{HistoryRow, RequestRow, Status, history};
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::time;
use crate::catalogue::Catalogue;
use crate::feed::{self, EventKind, Feed, NewEvent};
use crate::store::on;
use crate::store::{Store, Tx};

/// The longest subject, theme or assignee, in characters.
const MEMBER_CHARS: usize = 500;

/// Which requests a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only those of this channel.
    pub channel: Option<Channel>,
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those committed after this position.
    pub after: i64,
}

/// A page of requests.
#[derive(Debug, Clone)]
pub struct Listed {
    /// In commit order.
    pub items: Vec<RequestRow>,
    /// The position to continue from; `None` at the end.
    pub next: Option<i64>,
}

/// A merge patch (RFC 7396): `None` leaves a member alone, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// The new state.
    pub status: Option<Status>,
    /// What it is about.
    pub subject: Option<Option<String>>,
    /// The theme's code.
    pub theme: Option<Option<String>>,
    /// Who works on it.
    pub assignee: Option<Option<String>>,
}

/// The door.
#[derive(Debug, Clone)]
pub struct Desk {
    store: Store,
    feed: Feed,
    catalogue: Catalogue,
}

impl Desk {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, feed: Feed, catalogue: Catalogue) -> Self {
        Self { store, feed, catalogue }
    }

    /// One request.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], or the store's.
    pub async fn get(&self, _actor: &Actor, id: &str) -> Result<RequestRow> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM request WHERE id = $1"));
        let row: Option<RequestRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        row.ok_or(CoreError::NotFound { what: "request" })
    }

    /// At most `limit` requests in commit order.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, _actor: &Actor, filter: Filter, limit: usize) -> Result<Listed> {
        let mut sql = format!("SELECT {COLUMNS} FROM request WHERE position > $1");
        if filter.channel.is_some() {
            sql.push_str(" AND channel = $3");
        }
        if filter.status.is_some() {
            sql.push_str(if filter.channel.is_some() {
                " AND status = $4"
            } else {
                " AND status = $3"
            });
        }
        sql.push_str(" ORDER BY position LIMIT $2");
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let names = [filter.channel.map(Channel::as_str), filter.status.map(Status::as_str)];
        let mut items: Vec<RequestRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(filter.after).bind(wanted);
            for name in names.into_iter().flatten() {
                query = query.bind(name);
            }
            query.fetch_all(db).await
        })?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|row| row.position) } else { None };
        Ok(Listed { items, next })
    }

    /// What happened to a request, the first entry first.
    ///
    /// # Errors
    /// The store's.
    pub async fn history(&self, _actor: &Actor, id: &str) -> Result<Vec<HistoryRow>> {
        let sql = "SELECT id, at, actor, action, detail FROM history WHERE request_id = $1 ORDER BY id";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_all(db).await)?)
    }

    /// Changes a request that is still at `expected`, and returns it as it is then. A patch that changes nothing
    /// changes nothing, the version included.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`] when somebody was faster; [`CoreError::Conflict`] for a move that
    /// the table of moves does not have; [`CoreError::Invalid`] for a member that is too long; the store's.
    pub async fn patch(&self, actor: &Actor, id: &str, expected: i64, patch: &Patch) -> Result<RequestRow> {
        if let Some(Some(code)) = &patch.theme {
            self.catalogue.fresh().await?.offered("/theme", code)?;
        }
        let mut tx = self.store.begin().await?;
        let before = lock(&mut tx, id).await?;
        if before.version != expected {
            return Err(CoreError::Stale {
                expected,
                current: before.version,
            });
        }
        let (mut after, mut changes) = apply(&before, patch)?;
        if changes.is_empty() {
            return Ok(before);
        }
        after.version += 1;
        after.updated_at = time::now();
        let sql = "UPDATE request SET status = $2, subject = $3, theme = $4, assignee = $5, version = $6, updated_at = $7 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(id).bind(&after.status).bind(&after.subject).bind(&after.theme).bind(&after.assignee)
            .bind(after.version).bind(after.updated_at).execute(db).await.map(|_| ()))?;
        let moved = before.status != after.status;
        if moved {
            let transition = Transition {
                request_id: id,
                version: after.version,
                received_at: before.received_at,
                at: after.updated_at,
                from: &before.status,
                to: &after.status,
            };
            // By the hours of the service that had it until now.
            let calendar = self.catalogue.calendar(before.theme.as_deref());
            let lasted = transition::record(&mut tx, transition, &calendar).await?;
            if let Some(Value::Object(status)) = changes.get_mut("status") {
                status.insert("elapsed_ms".to_owned(), lasted.elapsed.into());
                status.insert("working_ms".to_owned(), lasted.working.into());
            }
        }
        history::record(&mut tx, id, after.updated_at, actor, "patched", &Value::Object(changes)).await?;
        let kind = if moved {
            EventKind::RequestStatusChanged
        } else {
            EventKind::RequestUpdated
        };
        let event = NewEvent::of_request(kind, id)
            .with("channel", after.channel.as_str())
            .with("status", after.status.as_str())
            .with("version", after.version);
        let first = feed::next_positions(&mut tx, 1).await?;
        feed::append(&mut tx, first, after.updated_at, &[event]).await?;
        tx.commit().await?;
        self.feed.committed();
        Ok(after)
    }
}

/// Reads a request so that nobody else changes it before the commit. SQLite has one writer anyway.
async fn lock(tx: &mut Tx, id: &str) -> Result<RequestRow> {
    // An update that changes nothing locks the row on both databases with one text.
    let sql = sqlx::AssertSqlSafe(format!("UPDATE request SET version = version WHERE id = $1 RETURNING {COLUMNS}"));
    let row: Option<RequestRow> = on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    row.ok_or(CoreError::NotFound { what: "request" })
}

fn apply(before: &RequestRow, patch: &Patch) -> Result<(RequestRow, Map<String, Value>)> {
    let mut after = before.clone();
    let mut changes = Map::new();
    if let Some(next) = patch.status {
        let current: Status = before
            .status
            .parse()
            .map_err(|_| CoreError::Store(format!("unknown status {:?}", before.status)))?;
        if !current.may_become(next) {
            let allowed: Vec<&str> = current.moves().iter().map(|status| status.as_str()).collect();
            return Err(CoreError::Conflict(format!(
                "a request that is {current} cannot become {next}; it may become: {}",
                allowed.join(", ")
            )));
        }
        if current != next {
            changes.insert("status".to_owned(), json!({"from": current.as_str(), "to": next.as_str()}));
            next.as_str().clone_into(&mut after.status);
        }
    }
    member(&mut changes, "subject", &mut after.subject, patch.subject.as_ref())?;
    member(&mut changes, "theme", &mut after.theme, patch.theme.as_ref())?;
    member(&mut changes, "assignee", &mut after.assignee, patch.assignee.as_ref())?;
    Ok((after, changes))
}

fn member(changes: &mut Map<String, Value>, name: &str, current: &mut Option<String>, next: Option<&Option<String>>) -> Result<()> {
    let Some(next) = next else { return Ok(()) };
    if next
        .as_ref()
        .is_some_and(|text| text.chars().count() > MEMBER_CHARS || text.contains('\0'))
    {
        return Err(CoreError::invalid(
            format!("/{name}"),
            format!("must have at most {MEMBER_CHARS} characters and no NUL"),
        ));
    }
    if current != next {
        changes.insert(name.to_owned(), json!({"from": current, "to": next}));
        current.clone_from(next);
    }
    Ok(())
}
