//! By what other systems know a request, and what they say of it.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::desk::{Desk, lock};
use super::{RequestRow, history};
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, NewEvent};
use crate::store::{Column, Row, Rows, SetSql, Store, Tx, on, row};
use crate::vault::{Index, Place, Vault};

/// The longest code of a system, in characters.
const SYSTEM: usize = 60;
/// The longest id and status, in characters.
const MEMBER: usize = 200;

/// The id of a request in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId {
    system: String,
    id: String,
}

impl ExternalId {
    /// The id `id` in the system with the code `system`: 1 to 60 lower-case letters, digits and hyphens; the id has 1 to 200
    /// visible characters.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] at `/system` or `/id`.
    pub fn new(system: &str, id: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=SYSTEM).contains(&system.len()) || !system.bytes().all(plain) {
            let detail = format!("must have 1 to {SYSTEM} lower-case letters, digits and hyphens, such as ged-voirie");
            return Err(CoreError::invalid("/system", detail));
        }
        visible("/id", id)?;
        Ok(Self {
            system: system.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The code of the system.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.system
    }

    /// The id there.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key of the contact that this id brings in, the same whoever brings it: of two at once the intake makes one.
    #[must_use]
    pub fn dedup_key(&self) -> String {
        format!("external:{}/{}", self.system, self.id)
    }

    pub(crate) fn index(&self, vault: &Vault) -> String {
        vault.index(Index::External, &self.id)
    }
}

/// An id in another system, and where the request stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExternal {
    /// The id.
    pub name: ExternalId,
    /// The other system's own word.
    pub status: Option<String>,
}

impl NewExternal {
    /// # Errors
    /// [`CoreError::Invalid`] at `/status`, unless it has 1 to 200 visible characters.
    pub fn new(name: ExternalId, status: Option<String>) -> Result<Self> {
        status.as_deref().map_or(Ok(()), |status| visible("/status", status))?;
        Ok(Self { name, status })
    }

    /// Its row for a request.
    ///
    /// # Errors
    /// The vault's.
    pub(crate) fn row(&self, vault: &Vault, request_id: &str, at: Millis) -> Result<Row> {
        let id = id::new();
        Ok(row!({
            "id": id, "request_id": request_id, "system": self.name.system,
            "external_id": vault.seal(Place::ExternalId, &id, &self.name.id)?, "external_key": self.name.index(vault),
            "status": vault.seal_some(Place::ExternalStatus, &id, self.status.as_deref())?, "updated_at": at,
        }))
    }
}

fn visible(pointer: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() || text.chars().count() > MEMBER || text.chars().any(char::is_control) {
        return Err(CoreError::invalid(pointer, format!("must have 1 to {MEMBER} visible characters")));
    }
    Ok(())
}

/// By what another system knows a request.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ExternalReference {
    id: String,
    /// The code of the system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// The other system's own word.
    pub status: Option<String>,
    /// When it was said, milliseconds UTC.
    pub updated_at: Millis,
}

/// Rows of references.
pub(crate) static INSERT: LazyLock<SetSql> = LazyLock::new(|| COLUMNS.insert("external_reference"));
static INSERT_NEW: LazyLock<SetSql> = LazyLock::new(|| COLUMNS.insert_new("external_reference", "id"));
const COLUMNS: Rows = Rows(&[
    ("id", Column::Text),
    ("request_id", Column::Text),
    ("system", Column::Text),
    ("external_id", Column::Text),
    ("external_key", Column::Text),
    ("status", Column::Text),
    ("updated_at", Column::Integer),
]);

static OF_REQUESTS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(
        "SELECT e.request_id, e.id, e.system, e.external_id, e.status, e.updated_at \
         FROM {rows} AS r JOIN external_reference e ON e.request_id = r.wanted ORDER BY e.system",
    )
});

/// What came of telling where a request stands elsewhere.
#[derive(Debug, Clone)]
pub struct Told {
    /// The request as it is now.
    pub request: RequestRow,
    /// Whether the reference is new.
    pub made: bool,
}

/// The references of requests, by their ids, in the order of the systems.
///
/// # Errors
/// The store's.
pub(super) async fn of(store: &Store, vault: &Vault, ids: impl Iterator<Item = &str>) -> Result<HashMap<String, Vec<ExternalReference>>> {
    type Found = (String, String, String, String, Option<String>, i64);
    let wanted: Vec<Row> = ids.map(|id| row!({"wanted": id})).collect();
    let mut all: HashMap<String, Vec<ExternalReference>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(all);
    }
    let (sql, wanted) = (OF_REQUESTS.for_store(store), Row::array(&wanted));
    let found: Vec<Found> = on!(Store, store, db => sqlx::query_as(sql).bind(wanted).fetch_all(db).await)?;
    for (request_id, id, system, external_id, status, updated_at) in found {
        let mut reference = ExternalReference {
            id,
            system,
            external_id,
            status,
            updated_at,
        };
        reference.open(vault);
        all.entry(request_id).or_default().push(reference);
    }
    Ok(all)
}

impl ExternalReference {
    fn open(&mut self, vault: &Vault) {
        let mut opening = vault.opening(&self.id);
        opening
            .text(Place::ExternalId, &mut self.external_id)
            .some(Place::ExternalStatus, &mut self.status);
        opening.lenient();
    }
}

impl Desk {
    /// The request that another system knows by this id.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor does not reach it; the store's.
    pub async fn by_external(&self, actor: &Actor, name: &ExternalId) -> Result<RequestRow> {
        let sql = "SELECT request_id FROM external_reference WHERE system = $1 AND external_key = $2";
        let key = name.index(&self.vault);
        let found: Option<String> =
            on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(&name.system).bind(&key).fetch_optional(db).await)?;
        let id = found.ok_or(CoreError::NotFound { what: "request" })?;
        self.get(actor, &id).await
    }

    /// Notes by what another system knows a request, and where it stands there. What is known already changes nothing, the
    /// version included. `account` is the one by which contacts of other systems are taken in: a contact with this id is known
    /// from now on, and opens no request. `expected` is the version that the caller read, where they say it.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`]; [`CoreError::Conflict`] when the id is another request's, or the request
    /// has another id there; the store's.
    pub async fn tell_external(
        &self,
        actor: &Actor,
        request_id: &str,
        account: &Account,
        told: &NewExternal,
        expected: Option<&[i64]>,
    ) -> Result<Told> {
        self.tell(actor, &[Operation::Reply], request_id, Some(account), told, expected)
            .await
    }

    /// Notes where a request stands in a system that knows it by this id already: what that system says itself, so that who
    /// brings its contacts in may say it too.
    ///
    /// # Errors
    /// As [`Desk::tell_external`].
    pub async fn said_external(&self, actor: &Actor, request_id: &str, told: &NewExternal) -> Result<Told> {
        self.tell(actor, &[Operation::Reply, Operation::Intake], request_id, None, told, None)
            .await
    }

    fn within_any(&self, actor: &Actor, operations: &[Operation], row: Option<RequestRow>) -> Result<RequestRow> {
        let mut found = Err(CoreError::NotFound { what: "request" });
        for operation in operations {
            found = self.within(actor, *operation, row.clone());
            if found.is_ok() {
                break;
            }
        }
        found
    }

    async fn tell(
        &self,
        actor: &Actor,
        operations: &[Operation],
        request_id: &str,
        account: Option<&Account>,
        told: &NewExternal,
        expected: Option<&[i64]>,
    ) -> Result<Told> {
        // Who may not change it claims nothing by trying.
        let known = self.get(&Actor::System, request_id).await?;
        self.within_any(actor, operations, Some(known))?;
        let mut tx = self.store.begin().await?;
        let now = time::now();
        // Before the request is locked, as the intake does: claims first.
        let claimed = match account {
            Some(account) => claim(&mut tx, &self.vault, account, request_id, &told.name, now).await?,
            None => false,
        };
        let row = lock(&mut tx, request_id).await?;
        let mut request = self.within_any(actor, operations, row)?;
        if expected.is_some_and(|expected| !expected.contains(&request.version)) {
            return Err(CoreError::Stale {
                expected: expected.and_then(|expected| expected.first().copied()).unwrap_or_default(),
                current: request.version,
            });
        }
        let Some(change) = self.write_external(&mut tx, request_id, told, claimed, now).await? else {
            drop(tx);
            let request = self.get(&Actor::System, request_id).await?;
            return Ok(Told { request, made: false });
        };
        request.version += 1;
        let sql = "UPDATE request SET version = $2, updated_at = $3 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(request_id).bind(request.version).bind(now).execute(db).await.map(|_| ()))?;
        let detail = json!({
            "system": told.name.system, "external_id": told.name.id,
            "external_status": {"from": change.before, "to": told.status},
        });
        history::record(&mut tx, &self.vault, request_id, now, actor, "external_told", &detail).await?;
        let event = NewEvent::of_request(EventKind::RequestUpdated, request_id)
            .with("channel", request.channel.as_str())
            .with("status", request.status.as_str())
            .with("version", request.version);
        let first = feed::next_positions(&mut tx, 1).await?;
        feed::append(&mut tx, first, now, &[event]).await?;
        tx.commit().await?;
        self.feed.committed();
        let request = self.get(&Actor::System, request_id).await?;
        Ok(Told {
            request,
            made: change.made,
        })
    }

    /// Writes the reference; `None` when it says the same already.
    async fn write_external(
        &self,
        tx: &mut Tx,
        request_id: &str,
        told: &NewExternal,
        claimed: bool,
        now: Millis,
    ) -> Result<Option<Change>> {
        let key = told.name.index(&self.vault);
        let sql = "SELECT request_id, id, system, external_id, status, updated_at, external_key FROM external_reference \
                   WHERE (system = $1 AND external_key = $2) OR (system = $1 AND request_id = $3)";
        type Found = (String, String, String, String, Option<String>, i64, String);
        let found: Vec<Found> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
            .bind(&told.name.system).bind(&key).bind(request_id).fetch_all(db).await)?;
        if let Some((of, id, system, external_id, status, updated_at, _)) = found.iter().find(|found| found.6 == key).cloned() {
            if of != request_id {
                return Err(CoreError::Conflict(format!(
                    "this id in {} is another request's; GET /v1/requests/by-external/{}/… shows which, to who reaches it",
                    told.name.system, told.name.system
                )));
            }
            let mut reference = ExternalReference {
                id,
                system,
                external_id,
                status,
                updated_at,
            };
            reference.open(&self.vault);
            if reference.status == told.status {
                return Ok(None);
            }
            let sql = "UPDATE external_reference SET status = $2, updated_at = $3 WHERE id = $1";
            let sealed = self.vault.seal_some(Place::ExternalStatus, &reference.id, told.status.as_deref())?;
            on!(Tx, &mut *tx, db => sqlx::query(sql)
                .bind(&reference.id).bind(sealed.as_deref()).bind(now).execute(db).await.map(|_| ()))?;
            return Ok(Some(Change {
                made: false,
                before: reference.status.into(),
            }));
        }
        if !found.is_empty() {
            return Err(CoreError::Conflict(format!(
                "the request has another id in {}, and an id stays: send the status under that one",
                told.name.system
            )));
        }
        let taken = || CoreError::Conflict("a contact with this id was taken in at the same moment; try again".to_owned());
        if !claimed {
            return Err(taken());
        }
        let rows = [told.row(&self.vault, request_id, now)?];
        let (sql, rows) = (INSERT_NEW.for_tx(tx), Row::array(&rows));
        let made: Vec<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
        if made.is_empty() {
            return Err(taken());
        }
        Ok(Some(Change {
            made: true,
            before: Value::Null,
        }))
    }
}

struct Change {
    made: bool,
    before: Value,
}

/// Makes a contact with this id known, by any contact of the request. Whether it was not before.
async fn claim(tx: &mut Tx, vault: &Vault, account: &Account, request_id: &str, name: &ExternalId, now: Millis) -> Result<bool> {
    let sql = "INSERT INTO dedup (account, key, interaction_id, at) \
               SELECT $1, $2, MIN(interaction_id), $3 FROM request_interaction WHERE request_id = $4 HAVING COUNT(*) > 0 \
               ON CONFLICT DO NOTHING RETURNING key";
    let key = vault.index(Index::Dedup, &name.dedup_key());
    let claimed: Option<String> = on!(Tx, tx, db => sqlx::query_scalar(sql)
        .bind(account.key()).bind(&key).bind(now).bind(request_id).fetch_optional(db).await)?;
    Ok(claimed.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_has_a_code_and_an_id_is_visible() {
        let id = ExternalId::new("ged-voirie2", "Dossier n° 2026/42").unwrap();
        assert_eq!(id.dedup_key(), "external:ged-voirie2/Dossier n° 2026/42");
        let pointer = |system: &str, id: &str| match ExternalId::new(system, id) {
            Err(CoreError::Invalid { pointer, .. }) => pointer,
            other => panic!("{other:?}"),
        };
        for system in ["", "GED", "g d", "é", "a/b", &"x".repeat(61)] {
            assert_eq!(pointer(system, "1"), "/system", "{system}");
        }
        for id in ["", " ", "a\nb", "a\0", &"é".repeat(201)] {
            assert_eq!(pointer("ged", id), "/id", "{id}");
        }
        let name = ExternalId::new("ged", "1").unwrap();
        assert!(NewExternal::new(name.clone(), Some("En cours".to_owned())).is_ok());
        assert!(NewExternal::new(name, Some(String::new())).is_err());
    }
}
