//! Roles: named lists of grants.

use std::collections::BTreeMap;

use serde_json::json;
use voxea_rules::visible::is_hidden;

use super::changes::{Change, record};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::expected::Expected;
use crate::base::grant::{Grant, Operation};
use crate::base::time;
use crate::store::{Store, Tx, on};

/// The role that a town cannot lose.
const ADMINISTRATOR: &str = "administrator";
/// Characters of a code.
const CODE: usize = 60;
/// Characters of a label.
const LABEL: usize = 200;
/// Grants of one role.
const GRANTS: usize = 50;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What an agent's `roles` name.
    pub code: String,
    /// For people.
    pub label: String,
    /// What it allows: whatever any of these does.
    pub grants: Vec<Grant>,
    /// Rises with every change.
    pub version: i64,
}

/// The door to roles.
#[derive(Debug, Clone)]
pub struct Roles {
    store: Store,
}

type Stored = (String, String, String, i64);

impl Roles {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Every role, by code.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<Role>> {
        let sql = "SELECT code, label, grants, version FROM role ORDER BY code";
        let rows: Vec<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter().map(read).collect()
    }

    /// One role.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] and the store's.
    pub async fn get(&self, code: &str) -> Result<Role> {
        let sql = "SELECT code, label, grants, version FROM role WHERE code = $1";
        let row: Option<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(code).fetch_optional(db).await)?;
        read(row.ok_or(CoreError::NotFound { what: "role" })?)
    }

    /// Makes a role, or replaces it; its version is the door's to say. Whoever has it may do so from their next call on.
    ///
    /// # Errors
    /// [`CoreError::Conflict`], [`CoreError::Stale`], [`CoreError::NotFound`] when it is not what was expected;
    /// [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn put(&self, actor: &Actor, expected: &Expected, role: Role) -> Result<Role> {
        check(&role)?;
        let grants = serde_json::to_string(&role.grants).map_err(|error| CoreError::Store(error.to_string()))?;
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let version = match expected {
            Expected::Absent => {
                let sql = "INSERT INTO role (code, label, grants, version) VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING RETURNING version";
                let made: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
                    .bind(&role.code).bind(&role.label).bind(&grants).fetch_optional(db).await)?;
                made.ok_or_else(|| CoreError::Conflict("there is a role with this code".to_owned()))?
            }
            Expected::Any | Expected::Versions(_) => {
                let sql = "UPDATE role SET label = $2, grants = $3, version = version + 1 WHERE code = $1 RETURNING version";
                let found: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
                    .bind(&role.code).bind(&role.label).bind(&grants).fetch_optional(db).await)?;
                // Another version than the expected one: the transaction is dropped, and the change with it.
                expected.check(found.map(|version| version - 1), "role", "code")?;
                found.unwrap_or_default()
            }
        };
        let change = Change {
            kind: "role",
            subject: &role.code,
            action: "put",
            detail: json!({"grants": role.grants, "version": version}),
        };
        record(&mut tx, actor, now, change).await?;
        tx.commit().await?;
        Ok(Role { version, ..role })
    }
}

/// The grants of all roles, by code.
///
/// # Errors
/// The store's.
pub(super) async fn grants(store: &Store) -> Result<BTreeMap<String, Vec<Grant>>> {
    let all = Roles::new(store.clone()).list().await?;
    Ok(all.into_iter().map(|role| (role.code, role.grants)).collect())
}

/// The codes that there are, in a transaction.
///
/// # Errors
/// The store's.
pub(super) async fn codes(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = "SELECT code FROM role ORDER BY code";
    Ok(on!(Tx, tx, db => sqlx::query_scalar(sql).fetch_all(db).await)?)
}

fn read((code, label, grants, version): Stored) -> Result<Role> {
    let grants = serde_json::from_str(&grants).map_err(|error| CoreError::Store(format!("the grants of role {code}: {error}")))?;
    Ok(Role {
        code,
        label,
        grants,
        version,
    })
}

fn check(role: &Role) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !((1..=CODE).contains(&role.code.len()) && role.code.bytes().all(plain)) {
        let message = format!("must have 1 to {CODE} lower-case letters, digits and hyphens, such as agent-voirie");
        return Err(CoreError::invalid("/code", message));
    }
    if role.label.trim().is_empty() || role.label.chars().count() > LABEL || role.label.contains(is_hidden) {
        return Err(CoreError::invalid("/label", format!("must have 1 to {LABEL} visible characters")));
    }
    if role.grants.len() > GRANTS {
        return Err(CoreError::invalid("/grants", format!("has at most {GRANTS} entries")));
    }
    let keeps = |grant: &Grant| grant.operations.contain(Operation::Admin) && grant.restricts_nothing();
    if role.code == ADMINISTRATOR && !role.grants.iter().any(keeps) {
        let message = "must hold a grant of admin that nothing restricts (confidentiality secret): the town would lock itself out";
        return Err(CoreError::invalid("/grants", message));
    }
    let nothing = role.grants.iter().position(|grant| grant.operations.names().is_empty());
    match nothing {
        Some(at) => Err(CoreError::invalid(
            format!("/grants/{at}/operations"),
            "names nothing that may be done; there are read, reply, intake, admin",
        )),
        None => Ok(()),
    }
}
