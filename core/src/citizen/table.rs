//! The rows of citizens.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::address::Address;
use super::nouns::{Citizen, NewPoint, OptedOut, Point, Verified};
use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Condition, Reach, Row, Rows, SetSql, Store, Tx, row};

/// The columns of [`CitizenRow`]. SQLite knows no alias in RETURNING, so that the table's own name stands everywhere.
pub(super) const COLUMNS: &str = "citizen.id, citizen.position, citizen.kind, citizen.given_name, citizen.family_name, citizen.organisation, \
                                  citizen.language, citizen.needs, citizen.note, citizen.identity_level, citizen.status, \
                                  citizen.merged_into, citizen.version, citizen.created_at, citizen.updated_at";

static POINTS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(
        "SELECT p.citizen_id, p.id, p.kind, p.raw, p.normalised, p.label, p.verified_at, p.verified_how, p.created_at, \
                o.at AS out_at, o.how AS out_how \
         FROM {rows} AS r JOIN contact_point p ON p.citizen_id = r.wanted AND p.removed_at IS NULL \
         LEFT JOIN opt_out o ON o.match_key = p.match_key AND o.cleared_at IS NULL \
           AND o.channel = CASE p.kind WHEN 'phone' THEN 'sms' ELSE 'email' END \
         ORDER BY p.id",
    )
});

/// One row of `citizen`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct CitizenRow {
    id: String,
    position: i64,
    kind: String,
    given_name: Option<String>,
    family_name: Option<String>,
    organisation: Option<String>,
    language: Option<String>,
    needs: Option<String>,
    note: Option<String>,
    identity_level: i64,
    status: String,
    merged_into: Option<String>,
    version: i64,
    created_at: Millis,
    updated_at: Millis,
}

#[derive(Debug, sqlx::FromRow)]
struct PointRow {
    citizen_id: String,
    id: String,
    kind: String,
    raw: String,
    normalised: String,
    label: Option<String>,
    verified_at: Option<Millis>,
    verified_how: Option<String>,
    created_at: Millis,
    out_at: Option<Millis>,
    out_how: Option<String>,
}

/// A name that the database has and this build must know.
fn known<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| CoreError::Store(format!("a citizen's row: {error}")))
}

impl CitizenRow {
    /// The citizen without their points.
    pub(super) fn citizen(self) -> Result<Citizen> {
        Ok(Citizen {
            kind: known(&self.kind)?,
            status: known(&self.status)?,
            identity_level: u8::try_from(self.identity_level).unwrap_or_default(),
            id: self.id,
            position: self.position,
            given_name: self.given_name,
            family_name: self.family_name,
            organisation: self.organisation,
            language: self.language,
            needs: self.needs,
            note: self.note,
            merged_into: self.merged_into,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            points: Vec::new(),
        })
    }
}

impl PointRow {
    fn point(self) -> Result<Point> {
        let verified = |at| Verified {
            at,
            how: self.verified_how.unwrap_or_default(),
        };
        Ok(Point {
            kind: known(&self.kind)?,
            id: self.id,
            raw: self.raw,
            normalised: self.normalised,
            label: self.label,
            verified: self.verified_at.map(verified),
            opted_out: self.out_at.map(|at| OptedOut { at, how: self.out_how }),
            created_at: self.created_at,
        })
    }
}

/// Citizens with their points, in the order of the rows.
pub(super) async fn whole(store: &Store, rows: Vec<CitizenRow>) -> Result<Vec<Citizen>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<Row> = rows.iter().map(|row| row!({"wanted": row.id})).collect();
    let (sql, wanted) = (POINTS.for_store(store), Row::array(&wanted));
    let found: Vec<PointRow> = on!(Store, store, db => sqlx::query_as(sql).bind(wanted).fetch_all(db).await)?;
    let mut points: HashMap<String, Vec<Point>> = HashMap::new();
    for row in found {
        points.entry(row.citizen_id.clone()).or_default().push(row.point()?);
    }
    let whole = |row: CitizenRow| {
        let mut citizen = row.citizen()?;
        citizen.points = points.remove(&citizen.id).unwrap_or_default();
        Ok(citizen)
    };
    rows.into_iter().map(whole).collect()
}

/// Reads a citizen, without points, so that nobody else changes them before the commit.
pub(super) async fn lock(tx: &mut Tx, id: &str) -> Result<Citizen> {
    // An update that changes nothing locks the row on both databases with one text.
    let sql = sqlx::AssertSqlSafe(format!("UPDATE citizen SET version = version WHERE id = $1 RETURNING {COLUMNS}"));
    let row: Option<CitizenRow> = on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    let citizen = row.ok_or(CoreError::NotFound { what: "citizen" })?.citizen()?;
    if !citizen.status.is_current() {
        return Err(CoreError::Conflict(format!("a citizen that is {} is not changed", citizen.status)));
    }
    Ok(citizen)
}

/// Raises the version of a citizen that is locked.
pub(super) async fn touch(tx: &mut Tx, id: &str, at: Millis) -> Result<()> {
    let sql = "UPDATE citizen SET version = version + 1, updated_at = $2 WHERE id = $1";
    on!(Tx, tx, db => sqlx::query(sql).bind(id).bind(at).execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Enters a change of a person or a program in the audit trail. To be called after rows are locked and before the feed's
/// counter is ([`audit::append`]).
pub(super) async fn enter(tx: &mut Tx, object: String, at: Millis, actor: &Actor, action: &str) -> Result<()> {
    match actor {
        Actor::System | Actor::Channel(_) => Ok(()),
        Actor::Client(_) | Actor::Agent(_) => audit::append(tx, &[Entry::new(actor, action, object).at(at)]).await,
    }
}

/// The condition that a citizen is reached: one of their requests is, or they have none at all. `first` is the
/// number of the first free placeholder.
pub(super) fn reached(reach: &Reach, first: usize) -> Condition {
    if reach.is_everything() {
        return reach.condition("q", first);
    }
    let Condition { sql, texts } = reach.condition("q", first);
    Condition {
        sql: format!(
            "(EXISTS (SELECT 1 FROM request q WHERE q.citizen_id = citizen.id AND {sql}) \
             OR NOT EXISTS (SELECT 1 FROM request q WHERE q.citizen_id = citizen.id))"
        ),
        texts,
    }
}

/// Writes who changed what, inside the transaction of the change.
pub(super) async fn record(tx: &mut Tx, citizen: &str, at: Millis, actor: &Actor, action: &str, detail: Map<String, Value>) -> Result<()> {
    let sql = "INSERT INTO citizen_change (id, citizen_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(id::new()).bind(citizen).bind(at).bind(actor.to_string()).bind(action).bind(Value::Object(detail).to_string())
        .execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Adds a point unless the citizen has its address; its id when it was added.
pub(super) async fn insert_point(tx: &mut Tx, citizen: &str, new: &NewPoint, address: &Address, at: Millis) -> Result<Option<String>> {
    let sql = "INSERT INTO contact_point (id, citizen_id, kind, raw, normalised, match_key, label, verified_at, verified_how, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
               ON CONFLICT (match_key, citizen_id) WHERE removed_at IS NULL DO NOTHING RETURNING id";
    let verified_at = new.verified_how.is_some().then_some(at);
    Ok(on!(Tx, tx, db => sqlx::query_scalar(sql)
        .bind(id::new()).bind(citizen).bind(address.kind().as_str()).bind(&new.raw).bind(address.normalised())
        .bind(address.match_key()).bind(&new.label).bind(verified_at).bind(&new.verified_how).bind(at)
        .fetch_optional(db).await)?)
}

/// Whether a request may be said to be this citizen's.
///
/// # Errors
/// The store's.
pub(crate) async fn linkable(tx: &mut Tx, id: &str) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM citizen WHERE id = $1 AND status IN ('active', 'restricted')";
    let found: i64 = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(id).fetch_one(db).await)?;
    Ok(found == 1)
}
