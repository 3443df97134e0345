//! The door at which agents and their programs read and change requests.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::row::COLUMNS;
use super::transition::{self, Transition};
use super::{HistoryRow, RequestRow, Status, external, history, link};
use crate::artefact;
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time;
use crate::catalogue::Catalogue;
use crate::citizen;
use crate::feed::{self, EventKind, Feed, NewEvent, ThemeFilter};
use crate::store::on;
use crate::store::{Store, Tx};
use crate::vault::{Place, Vault};

/// The longest subject, theme or assignee, in characters.
const MEMBER_CHARS: usize = 500;

/// Which requests a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this channel.
    pub channel: Option<Channel>,
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those of these themes.
    pub themes: Option<ThemeFilter>,
    /// Only those of the citizen with this id.
    pub citizen: Option<String>,
    /// Only those with a contact that could not be processed.
    pub quarantined: bool,
    /// Only those committed after this position.
    pub after: i64,
    /// Only those committed up to this position: a list that is read more slowly than requests come would have no end.
    pub until: Option<i64>,
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
    /// The id of the citizen whose it is. Whatever a person says here, no rule changes.
    pub citizen: Option<Option<String>>,
}

/// The door.
#[derive(Debug, Clone)]
pub struct Desk {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    pub(super) catalogue: Catalogue,
}

impl Desk {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, vault: Vault, feed: Feed, catalogue: Catalogue) -> Self {
        Self {
            store,
            vault,
            feed,
            catalogue,
        }
    }

    /// One request.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor does not reach it, or the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<RequestRow> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM request WHERE id = $1"));
        let row: Option<RequestRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let mut row = self.within(actor, Operation::Read, row)?;
        row.open(&self.vault).strict()?;
        self.linked(actor, std::slice::from_mut(&mut row)).await?;
        Ok(row)
    }

    /// Fills in what requests are linked to, as far as the actor reaches that, and by what other systems know them.
    pub(super) async fn linked(&self, actor: &Actor, rows: &mut [RequestRow]) -> Result<()> {
        let reach = self.catalogue.reach(actor, Operation::Read);
        let mut links = link::of(&self.store, &reach, rows.iter().map(|row| row.id.as_str())).await?;
        let mut references = external::of(&self.store, &self.vault, rows.iter().map(|row| row.id.as_str())).await?;
        for row in rows {
            row.external = references.remove(&row.id).unwrap_or_default();
            row.links = links.remove(&row.id).unwrap_or_default();
        }
        Ok(())
    }

    /// What the actor does not reach is not there.
    pub(super) fn within(&self, actor: &Actor, operation: Operation, row: Option<RequestRow>) -> Result<RequestRow> {
        let reach = self.catalogue.reach(actor, operation);
        row.filter(|row| reach.covers(&row.channel, row.theme.as_deref()))
            .ok_or(CoreError::NotFound { what: "request" })
    }

    /// At most `limit` requests that the actor reaches, in commit order.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, actor: &Actor, filter: Filter, limit: usize) -> Result<Listed> {
        let mut sql = format!("SELECT {COLUMNS} FROM request r WHERE position > $1 AND position <= $3");
        let mut texts = Vec::new();
        let columns = [
            ("channel", filter.channel.map(Channel::as_str)),
            ("status", filter.status.map(Status::as_str)),
            ("citizen_id", filter.citizen.as_deref()),
        ];
        for (column, wanted) in columns {
            if let Some(wanted) = wanted {
                texts.push(wanted.to_owned());
                let _ = write!(sql, " AND {column} = ${}", texts.len() + 3);
            }
        }
        if let Some(ThemeFilter { codes, unthemed }) = filter.themes {
            sql.push_str(if unthemed { " AND (r.theme IS NULL" } else { " AND (false" });
            for code in codes {
                texts.push(code);
                let _ = write!(sql, " OR r.theme = ${}", texts.len() + 3);
            }
            sql.push(')');
        }
        if filter.quarantined {
            // In the words of the index.
            sql.push_str(
                " AND id IN (SELECT request_id FROM request_interaction JOIN interaction AS i ON i.id = interaction_id \
                 WHERE i.flags LIKE '%\"quarantined\"%')",
            );
        }
        let reached = self.catalogue.reach(actor, Operation::Read).condition("r", texts.len() + 4);
        let _ = write!(sql, " AND {} ORDER BY position LIMIT $2", reached.sql);
        texts.extend(reached.texts);
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let until = filter.until.unwrap_or(i64::MAX);
        let mut items: Vec<RequestRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(filter.after).bind(wanted).bind(until);
            for text in texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?;
        let more = items.len() > limit;
        items.truncate(limit);
        for row in &mut items {
            row.open(&self.vault).lenient();
        }
        self.linked(actor, &mut items).await?;
        let next = if more { items.last().map(|row| row.position) } else { None };
        Ok(Listed { items, next })
    }

    /// What happened to a request, the first entry first.
    ///
    /// # Errors
    /// As [`Desk::get`].
    pub async fn history(&self, actor: &Actor, id: &str) -> Result<Vec<HistoryRow>> {
        self.get(actor, id).await?;
        let sql = "SELECT id, at, actor, action, detail FROM history WHERE request_id = $1 ORDER BY id";
        let mut entries: Vec<HistoryRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_all(db).await)?;
        for entry in &mut entries {
            entry.open(&self.vault).lenient();
        }
        Ok(entries)
    }

    /// Changes a request that is still at `expected`, and returns it as it is then. A patch that changes nothing
    /// changes nothing, the version included.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`] when somebody was faster; [`CoreError::Conflict`] for a move that
    /// the table of moves does not have; [`CoreError::Invalid`] for a member that is too long, and a theme or citizen that
    /// may not be named; the store's.
    pub async fn patch(&self, actor: &Actor, id: &str, expected: i64, patch: &Patch) -> Result<RequestRow> {
        if let Some(Some(code)) = &patch.theme {
            self.catalogue.fresh().await?.offered("/theme", code)?;
        }
        let mut tx = self.store.begin().await?;
        let mut before = self.within(actor, Operation::Reply, lock(&mut tx, id).await?)?;
        before.open(&self.vault).strict()?;
        if before.version != expected {
            return Err(CoreError::Stale {
                expected,
                current: before.version,
            });
        }
        let (mut after, mut changes) = apply(&before, patch)?;
        if changes.is_empty() {
            drop(tx);
            self.linked(actor, std::slice::from_mut(&mut before)).await?;
            return Ok(before);
        }
        if let Some(citizen_id) = after.citizen_id.as_deref().filter(|_| changes.contains_key("citizen"))
            && !citizen::linkable(&mut tx, &self.catalogue, actor, citizen_id).await?
        {
            return Err(CoreError::invalid(
                "/citizen",
                "must be the id of a citizen that is neither merged nor anonymised",
            ));
        }
        after.version += 1;
        after.updated_at = time::now();
        let sql = "UPDATE request SET status = $2, subject = $3, theme = $4, assignee = $5, version = $6, updated_at = $7, citizen_id = $8, \
                   citizen_by_hand = CASE WHEN citizen_id IS DISTINCT FROM $8 THEN 1 ELSE citizen_by_hand END WHERE id = $1";
        let subject = self.vault.seal_some(Place::RequestSubject, id, after.subject.as_deref())?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(id).bind(&after.status).bind(subject.as_deref()).bind(&after.theme).bind(&after.assignee)
            .bind(after.version).bind(after.updated_at).bind(&after.citizen_id).execute(db).await.map(|_| ()))?;
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
            artefact::request_moved(&mut tx, id, after.updated_at).await?;
            if let Some(Value::Object(status)) = changes.get_mut("status") {
                status.insert("elapsed_ms".to_owned(), lasted.elapsed.into());
                status.insert("working_ms".to_owned(), lasted.working.into());
            }
        }
        let changes = Value::Object(changes);
        history::record(&mut tx, &self.vault, id, after.updated_at, actor, "patched", &changes).await?;
        let eliminated = moved && after.status == Status::Eliminated.as_str();
        let kind = if eliminated {
            EventKind::RequestDeleted
        } else if moved {
            EventKind::RequestStatusChanged
        } else {
            EventKind::RequestUpdated
        };
        let mut event = NewEvent::of_request(kind, id)
            .with("channel", after.channel.as_str())
            .with("status", after.status.as_str())
            .with("version", after.version);
        if eliminated {
            event = event.with("reason", "eliminated");
        }
        if before.theme != after.theme {
            event = event.theme_was(before.theme.as_deref());
        }
        let first = feed::next_positions(&mut tx, 1).await?;
        feed::append(&mut tx, first, after.updated_at, &[event]).await?;
        tx.commit().await?;
        self.feed.committed();
        self.linked(actor, std::slice::from_mut(&mut after)).await?;
        Ok(after)
    }
}

/// Reads a request so that nobody else changes it before the commit. SQLite has one writer anyway.
pub(super) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<RequestRow>> {
    // An update that changes nothing locks the row on both databases with one text.
    let sql = sqlx::AssertSqlSafe(format!("UPDATE request SET version = version WHERE id = $1 RETURNING {COLUMNS}"));
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?)
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
    member(&mut changes, "citizen", &mut after.citizen_id, patch.citizen.as_ref())?;
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
