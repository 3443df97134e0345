//! The rows of citizens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::address::Address;
use super::nouns::{Citizen, NewCitizen, NewPoint, OptedOut, Point, Verified};
use super::undeliverable::Undeliverable;
use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::Millis;
use crate::catalogue::Catalogue;
use crate::store::on;
use crate::store::{Column, Condition, Row, Rows, SetSql, Store, Tx, row};
use crate::vault::{Place, Vault};

/// The columns of [`CitizenRow`]. SQLite knows no alias in RETURNING, so that the table's own name stands everywhere.
pub(super) const COLUMNS: &str = "citizen.id, citizen.position, citizen.kind, citizen.given_name, citizen.family_name, citizen.organisation, \
                                  citizen.language, citizen.needs, citizen.note, citizen.identity_level, citizen.status, \
                                  citizen.merged_into, citizen.version, citizen.created_at, citizen.updated_at";

static POINTS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(
        "SELECT p.citizen_id, p.id, p.kind, p.raw, p.normalised, p.label, p.verified_at, p.verified_how, p.created_at, \
                o.id AS out_id, o.at AS out_at, o.how AS out_how, u.id AS back_id, u.at AS back_at, u.reason AS back_reason \
         FROM {rows} AS r JOIN contact_point p ON p.citizen_id = r.wanted AND p.removed_at IS NULL \
         LEFT JOIN opt_out o ON o.match_key = p.match_key AND o.cleared_at IS NULL \
           AND o.channel = CASE p.kind WHEN 'phone' THEN 'sms' ELSE 'email' END \
         LEFT JOIN undeliverable u ON u.match_key = p.match_key \
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
    out_id: Option<String>,
    out_at: Option<Millis>,
    out_how: Option<String>,
    back_id: Option<String>,
    back_at: Option<Millis>,
    back_reason: Option<String>,
}

/// A name that the database has and this build must know.
fn known<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| CoreError::Store(format!("a citizen's row: {error}")))
}

impl CitizenRow {
    /// The citizen without their points. What does not open reads U+FFFD.
    fn citizen(mut self, vault: &Vault) -> Result<Citizen> {
        vault
            .opening(&self.id)
            .some(Place::CitizenGivenName, &mut self.given_name)
            .some(Place::CitizenFamilyName, &mut self.family_name)
            .some(Place::CitizenOrganisation, &mut self.organisation)
            .some(Place::CitizenNeeds, &mut self.needs)
            .some(Place::CitizenNote, &mut self.note)
            .lenient();
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
    fn point(mut self, vault: &Vault) -> Result<Point> {
        vault
            .opening(&self.id)
            .text(Place::PointRaw, &mut self.raw)
            .text(Place::PointNormalised, &mut self.normalised)
            .some(Place::PointLabel, &mut self.label)
            .some(Place::PointVerifiedHow, &mut self.verified_how)
            .lenient();
        if let Some(id) = &self.out_id {
            vault.opening(id).some(Place::OptOutHow, &mut self.out_how).lenient();
        }
        if let Some(id) = &self.back_id {
            vault.opening(id).some(Place::UndeliverableReason, &mut self.back_reason).lenient();
        }
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
            undeliverable: self.back_at.map(|at| Undeliverable {
                at,
                reason: self.back_reason.unwrap_or_default(),
            }),
            created_at: self.created_at,
        })
    }
}

/// Citizens with their points, in the order of the rows.
pub(super) async fn whole(store: &Store, vault: &Vault, rows: Vec<CitizenRow>) -> Result<Vec<Citizen>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<Row> = rows.iter().map(|row| row!({"wanted": row.id})).collect();
    let (sql, wanted) = (POINTS.for_store(store), Row::array(&wanted));
    let found: Vec<PointRow> = on!(Store, store, db => sqlx::query_as(sql).bind(wanted).fetch_all(db).await)?;
    let mut points: HashMap<String, Vec<Point>> = HashMap::new();
    for row in found {
        points.entry(row.citizen_id.clone()).or_default().push(row.point(vault)?);
    }
    let whole = |row: CitizenRow| {
        let mut citizen = row.citizen(vault)?;
        citizen.points = points.remove(&citizen.id).unwrap_or_default();
        Ok(citizen)
    };
    rows.into_iter().map(whole).collect()
}

/// What a citizen's row has sealed.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) needs: Option<String>,
    pub(super) note: Option<String>,
}

impl Sealed {
    /// Of one that is there.
    pub(super) fn of(vault: &Vault, citizen: &Citizen) -> Result<Self> {
        let Citizen {
            given_name,
            family_name,
            organisation,
            needs,
            note,
            ..
        } = citizen;
        Self::new(vault, &citizen.id, [given_name, family_name, organisation, needs, note])
    }

    /// Of one that is being made.
    pub(super) fn of_new(vault: &Vault, id: &str, new: &NewCitizen) -> Result<Self> {
        let NewCitizen {
            given_name,
            family_name,
            organisation,
            needs,
            note,
            ..
        } = new;
        Self::new(vault, id, [given_name, family_name, organisation, needs, note])
    }

    fn new(vault: &Vault, id: &str, [given_name, family_name, organisation, needs, note]: [&Option<String>; 5]) -> Result<Self> {
        let seal = |place, text: &Option<String>| -> Result<Option<String>> {
            Ok(vault.seal_some(place, id, text.as_deref())?.map(Cow::into_owned))
        };
        Ok(Self {
            given_name: seal(Place::CitizenGivenName, given_name)?,
            family_name: seal(Place::CitizenFamilyName, family_name)?,
            organisation: seal(Place::CitizenOrganisation, organisation)?,
            needs: seal(Place::CitizenNeeds, needs)?,
            note: seal(Place::CitizenNote, note)?,
        })
    }
}

/// Reads a citizen, without points, so that nobody else changes them before the commit.
pub(super) async fn lock(tx: &mut Tx, vault: &Vault, id: &str) -> Result<Citizen> {
    // An update that changes nothing locks the row on both databases with one text.
    let sql = sqlx::AssertSqlSafe(format!("UPDATE citizen SET version = version WHERE id = $1 RETURNING {COLUMNS}"));
    let row: Option<CitizenRow> = on!(Tx, tx, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
    let citizen = row.ok_or(CoreError::NotFound { what: "citizen" })?.citizen(vault)?;
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

/// The condition that a citizen is reached: one of their requests is; or they have none at all, and neither themes nor
/// channels restrict who asks. `first` is the number of the first free placeholder.
pub(super) fn reached(catalogue: &Catalogue, actor: &Actor, operation: Operation, first: usize) -> Condition {
    let reach = catalogue.reach(actor, operation);
    if reach.is_everything() {
        return reach.condition("q", first);
    }
    let Condition { sql, texts } = reach.condition("q", first);
    let theirs = "EXISTS (SELECT 1 FROM request q WHERE q.citizen_id = citizen.id";
    let none = if actor.may_in_town(operation) {
        format!(" OR NOT {theirs})")
    } else {
        String::new()
    };
    Condition {
        sql: format!("({theirs} AND {sql}){none})"),
        texts,
    }
}

/// Writes who changed what, inside the transaction of the change.
pub(super) async fn record(
    tx: &mut Tx,
    vault: &Vault,
    citizen: &str,
    at: Millis,
    actor: &Actor,
    action: &str,
    detail: Map<String, Value>,
) -> Result<()> {
    let (id, text) = (id::new(), Value::Object(detail).to_string());
    let sealed = vault.seal(Place::CitizenChangeDetail, &id, &text)?;
    let sql = "INSERT INTO citizen_change (id, citizen_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(&id).bind(citizen).bind(at).bind(actor.to_string()).bind(action).bind(sealed.as_ref())
        .execute(db).await.map(|_| ()))?;
    Ok(())
}

/// Adds a point unless the citizen has its address; its id when it was added.
pub(super) async fn insert_point(
    tx: &mut Tx,
    vault: &Vault,
    citizen: &str,
    new: &NewPoint,
    address: &Address,
    at: Millis,
) -> Result<Option<String>> {
    let id = id::new();
    let (raw, normalised) = (
        vault.seal(Place::PointRaw, &id, &new.raw)?,
        vault.seal(Place::PointNormalised, &id, address.normalised())?,
    );
    let label = vault.seal_some(Place::PointLabel, &id, new.label.as_deref())?;
    let verified_how = vault.seal_some(Place::PointVerifiedHow, &id, new.verified_how.as_deref())?;
    let sql = "INSERT INTO contact_point (id, citizen_id, kind, raw, normalised, match_key, label, verified_at, verified_how, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
               ON CONFLICT (match_key, citizen_id) WHERE removed_at IS NULL DO NOTHING RETURNING id";
    let verified_at = new.verified_how.is_some().then_some(at);
    Ok(on!(Tx, tx, db => sqlx::query_scalar(sql)
        .bind(&id).bind(citizen).bind(address.kind().as_str()).bind(raw.as_ref()).bind(normalised.as_ref())
        .bind(address.match_key(vault)).bind(label.as_deref()).bind(verified_at).bind(verified_how.as_deref()).bind(at)
        .fetch_optional(db).await)?)
}

/// Whether a request may be said to be this citizen's, by an actor who may change requests.
///
/// # Errors
/// The store's.
pub(crate) async fn linkable(tx: &mut Tx, catalogue: &Catalogue, actor: &Actor, id: &str) -> Result<bool> {
    let reached = reached(catalogue, actor, Operation::Reply, 2);
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) FROM citizen WHERE id = $1 AND status IN ('active', 'restricted') AND {}",
        reached.sql
    ));
    let found: i64 = on!(Tx, tx, db => {
        let mut query = sqlx::query_scalar(sql).bind(id);
        for text in reached.texts {
            query = query.bind(text);
        }
        query.fetch_one(db).await
    })?;
    Ok(found == 1)
}
