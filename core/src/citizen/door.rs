//! The door to citizens. Their contact points have a file of their own, `points`.

use serde_json::{Map, Value, json};

use super::address::Address;
use super::adoption::{Claimed, Outcome};
use super::check;
use super::nouns::{Citizen, CitizenChange, CitizenStatus, Filter, Listed, NewCitizen, Patch};
use super::opt_outs;
use super::table::{self, COLUMNS, CitizenRow};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::catalogue::Catalogue;
use crate::feed::{self, Feed};
use crate::store::Store;
use crate::store::on;
use crate::vault::{Index, Place, Vault};

/// How often a change is begun again because a request of the same address came in meanwhile; the last time it holds the
/// feed from the beginning, so that none can, at the risk that the database breaks a deadlock and the caller tries again.
pub(super) const TRIES: usize = 5;
/// How many citizens an address may find: a switchboard has many, and nobody reads more.
const FOUND: i64 = 500;

/// The door.
#[derive(Debug, Clone)]
pub struct Citizens {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    catalogue: Catalogue,
}

/// What became of a call that may make something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// As it is now.
    pub citizen: Citizen,
    /// False when it was there already.
    pub made: bool,
}

/// Who has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The oldest first, at most 500.
    pub citizens: Vec<Citizen>,
    /// Whether the address wants no campaigns, whoever has it.
    pub opted_out: bool,
}

impl Citizens {
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

    /// Makes a citizen, and gives them what came from their addresses before and is nobody's. The same `key` again makes no
    /// other one and returns the first.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn create(&self, actor: &Actor, new: &NewCitizen, key: Option<&str>) -> Result<Created> {
        let addresses = check::citizen(new)?;
        for last in (1..=TRIES).map(|number| number == TRIES) {
            let made = self.try_create(actor, new, &addresses, key, last).await?;
            if let Some((id, made)) = made {
                // Whoever makes a citizen knows them.
                let citizen = self.get(&Actor::System, &id).await?;
                return Ok(Created { citizen, made });
            }
        }
        Err(CoreError::Unavailable("requests of this address come in too fast".to_owned()))
    }

    /// The citizen's id and whether it was made; nothing when it is to be tried again.
    async fn try_create(
        &self,
        actor: &Actor,
        new: &NewCitizen,
        addresses: &[Address],
        key: Option<&str>,
        last: bool,
    ) -> Result<Option<(String, bool)>> {
        let (now, fresh) = (time::now(), id::new());
        let key = key.map(|key| self.vault.index(Index::IdempotencyKey, key));
        let sealed = table::Sealed::of_new(&self.vault, &fresh, new)?;
        let mut tx = self.store.begin().await?;
        let object = format!("citizen/{fresh}");
        if last {
            table::enter(&mut tx, object.clone(), now, actor, "created").await?;
            feed::next_positions(&mut tx, 0).await?;
        }
        let claimed = Claimed::of(&mut tx, addresses.iter().map(|address| address.match_key(&self.vault))).await?;
        if !last {
            table::enter(&mut tx, object, now, actor, "created").await?;
        }
        let position = feed::next_positions(&mut tx, 1).await?;
        let sql = "INSERT INTO citizen (id, position, kind, given_name, family_name, organisation, language, needs, note, identity_level, \
                   status, origin_key, version, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'active', $11, 1, $12, $12) ON CONFLICT (origin_key) DO NOTHING RETURNING id";
        let made: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&fresh).bind(position).bind(new.kind.as_str()).bind(sealed.given_name).bind(sealed.family_name).bind(sealed.organisation)
            .bind(&new.language).bind(sealed.needs).bind(sealed.note).bind(i64::from(new.identity_level)).bind(&key).bind(now)
            .fetch_optional(db).await)?;
        if made.is_none() {
            let sql = "SELECT id FROM citizen WHERE origin_key = $1";
            let there: String = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&key).fetch_one(db).await)?;
            return Ok(Some((there, false)));
        }
        let mut added = Vec::new();
        for (point, address) in new.points.iter().zip(addresses) {
            added.extend(table::insert_point(&mut tx, &self.vault, &fresh, point, address, now).await?);
        }
        let detail = Map::from_iter([("contact_points".to_owned(), Value::from(added))]);
        table::record(&mut tx, &self.vault, &fresh, now, actor, "created", detail).await?;
        if claimed.give(&mut tx, &self.vault, &fresh, actor, now).await? == Outcome::Again {
            return Ok(None);
        }
        tx.commit().await?;
        self.feed.committed();
        Ok(Some((fresh, true)))
    }

    /// One citizen.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor does not reach them: when they have requests, but none within reach; the
    /// store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<Citizen> {
        self.reached(actor, Operation::Read, id).await
    }

    /// A citizen to whom the actor may do something.
    pub(super) async fn reached(&self, actor: &Actor, operation: Operation, id: &str) -> Result<Citizen> {
        let reached = table::reached(&self.catalogue, actor, operation, 2);
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM citizen WHERE id = $1 AND {}", reached.sql));
        let row: Option<CitizenRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(id);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_optional(db).await
        })?;
        let found = table::whole(&self.store, &self.vault, row.into_iter().collect()).await?;
        found.into_iter().next().ok_or(CoreError::NotFound { what: "citizen" })
    }

    /// At most `limit` citizens whom the actor reaches, in commit order.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, actor: &Actor, filter: Filter, limit: usize) -> Result<Listed> {
        let reached = table::reached(&self.catalogue, actor, Operation::Read, 4);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM citizen WHERE status = $1 AND position > $2 AND {} ORDER BY position LIMIT $3",
            reached.sql
        ));
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut rows: Vec<CitizenRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(filter.status.as_str()).bind(filter.after).bind(wanted);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let items = table::whole(&self.store, &self.vault, rows).await?;
        let next = if more { items.last().map(|citizen| citizen.position) } else { None };
        Ok(Listed { items, next })
    }

    /// Those whom the actor reaches and who have exactly this address among their contact points in force: several when they
    /// share it, nobody when it is unknown.
    ///
    /// # Errors
    /// The store's.
    pub async fn lookup(&self, actor: &Actor, address: &Address, status: CitizenStatus) -> Result<Found> {
        let reached = table::reached(&self.catalogue, actor, Operation::Read, 4);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM contact_point p JOIN citizen ON citizen.id = p.citizen_id \
             WHERE p.match_key = $1 AND p.removed_at IS NULL AND citizen.status = $2 AND {} ORDER BY citizen.position LIMIT $3",
            reached.sql
        ));
        let rows: Vec<CitizenRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(address.match_key(&self.vault)).bind(status.as_str()).bind(FOUND);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?;
        Ok(Found {
            citizens: table::whole(&self.store, &self.vault, rows).await?,
            opted_out: opt_outs::in_force(&self.store, &self.vault, address).await?,
        })
    }

    /// What was done to a citizen, the first thing first.
    ///
    /// # Errors
    /// As [`Citizens::get`].
    pub async fn history(&self, actor: &Actor, id: &str) -> Result<Vec<CitizenChange>> {
        self.get(actor, id).await?;
        let sql = "SELECT id, at, actor, action, detail FROM citizen_change WHERE citizen_id = $1 ORDER BY id";
        let rows: Vec<(String, Millis, String, String, String)> =
            on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_all(db).await)?;
        let open = |(id, at, actor, action, mut detail): (String, _, _, _, String)| {
            self.vault.opening(&id).text(Place::CitizenChangeDetail, &mut detail).lenient();
            CitizenChange { at, actor, action, detail }
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Changes a citizen who is still at `expected`, and returns them as they are then. A patch that changes nothing
    /// changes nothing, the version included.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`] when somebody was faster; [`CoreError::Conflict`] for one that was
    /// merged or anonymised; [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn patch(&self, actor: &Actor, id: &str, expected: i64, patch: &Patch) -> Result<Citizen> {
        check::members(patch)?;
        self.reached(actor, Operation::Reply, id).await?;
        let mut tx = self.store.begin().await?;
        let before = table::lock(&mut tx, &self.vault, id).await?;
        expect(expected, before.version)?;
        let (after, changes) = apply(&before, patch);
        check::named(after.kind, after.organisation.as_deref())?;
        if !changes.is_empty() {
            let now = time::now();
            let sealed = table::Sealed::of(&self.vault, &after)?;
            let sql = "UPDATE citizen SET kind = $2, given_name = $3, family_name = $4, organisation = $5, language = $6, needs = $7, \
                       note = $8, identity_level = $9, status = $10 WHERE id = $1";
            on!(Tx, &mut tx, db => sqlx::query(sql)
                .bind(id).bind(after.kind.as_str()).bind(sealed.given_name).bind(sealed.family_name).bind(sealed.organisation)
                .bind(&after.language).bind(sealed.needs).bind(sealed.note).bind(i64::from(after.identity_level))
                .bind(after.status.as_str()).execute(db).await.map(|_| ()))?;
            table::touch(&mut tx, id, now).await?;
            table::record(&mut tx, &self.vault, id, now, actor, "changed", changes).await?;
            table::enter(&mut tx, format!("citizen/{id}"), now, actor, "changed").await?;
            tx.commit().await?;
        }
        self.get(&Actor::System, id).await
    }
}

/// The version that a change was made from must be the current one.
pub(super) fn expect(expected: i64, current: i64) -> Result<()> {
    if expected == current {
        Ok(())
    } else {
        Err(CoreError::Stale { expected, current })
    }
}

fn apply(before: &Citizen, patch: &Patch) -> (Citizen, Map<String, Value>) {
    let (mut after, mut changes) = (before.clone(), Map::new());
    let mut note = |name: &str, from: Value, to: Value| {
        if from != to {
            changes.insert(name.to_owned(), json!({"from": from, "to": to}));
        }
    };
    if let Some(kind) = patch.kind {
        note("kind", before.kind.as_str().into(), kind.as_str().into());
        after.kind = kind;
    }
    if let Some(level) = patch.identity_level {
        note("identity_level", before.identity_level.into(), level.into());
        after.identity_level = level;
    }
    if let Some(status) = patch.status {
        note("status", before.status.as_str().into(), status.as_str().into());
        after.status = status;
    }
    for (name, current, next) in [
        ("given_name", &mut after.given_name, &patch.given_name),
        ("family_name", &mut after.family_name, &patch.family_name),
        ("organisation", &mut after.organisation, &patch.organisation),
        ("language", &mut after.language, &patch.language),
        ("needs", &mut after.needs, &patch.needs),
        ("note", &mut after.note, &patch.note),
    ] {
        if let Some(next) = next {
            note(name, current.clone().into(), next.clone().into());
            current.clone_from(next);
        }
    }
    (after, changes)
}
