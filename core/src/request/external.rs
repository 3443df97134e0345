//! By what other systems know a request, and what they say of it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Column, Row, Rows, SetSql, Store, on, row};
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
    pub(super) id: String,
    /// The code of the system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// The other system's own word.
    pub status: Option<String>,
    /// When it was said, milliseconds UTC.
    pub updated_at: Millis,
}

/// Rows of references that may be there.
pub(super) static INSERT_NEW: LazyLock<SetSql> = LazyLock::new(|| COLUMNS.insert_new("external_reference", "id"));
/// Rows of references.
pub(crate) static INSERT: LazyLock<SetSql> = LazyLock::new(|| COLUMNS.insert("external_reference"));
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
    /// Opens what is sealed of it.
    pub(super) fn open(&mut self, vault: &Vault) {
        let mut opening = vault.opening(&self.id);
        opening
            .text(Place::ExternalId, &mut self.external_id)
            .some(Place::ExternalStatus, &mut self.status);
        opening.lenient();
    }
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
