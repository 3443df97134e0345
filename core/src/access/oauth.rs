//! Programs that an identity provider answers for (OAuth 2 client credentials), each with its contract.

use std::sync::Arc;

use serde_json::json;

use super::changes::{Change, record};
use crate::base::actor::{Actor, Client, Contract};
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::store::{Store, on};

/// A program as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClientRow {
    /// UUIDv7.
    pub id: String,
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// `sub` or `client_id` of its tokens.
    pub subject: String,
    /// For people.
    pub name: String,
    /// On what terms it calls.
    pub contract: Contract,
    /// When it was entered.
    pub created_at: Millis,
    /// When it was taken out.
    pub revoked_at: Option<Millis>,
}

/// The door to such programs.
#[derive(Debug, Clone)]
pub struct OauthClients {
    store: Store,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    issuer: String,
    subject: String,
    name: String,
    contract: String,
    created_at: Millis,
    revoked_at: Option<Millis>,
}

impl OauthClients {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Enters a program; its id.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when the issuer's subject is entered already; the store's.
    pub async fn add(&self, actor: &Actor, issuer: &str, subject: &str, name: &str, contract: &Contract) -> Result<String> {
        let (id, now) = (id::new(), time::now());
        let terms = serde_json::to_string(contract).map_err(|error| CoreError::Store(error.to_string()))?;
        let sql = "INSERT INTO oauth_client (id, issuer, subject, name, contract, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT DO NOTHING RETURNING id";
        let mut tx = self.store.begin().await?;
        let made: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&id).bind(issuer).bind(subject).bind(name).bind(&terms).bind(now).fetch_optional(db).await)?;
        if made.is_none() {
            return Err(CoreError::Conflict(format!(
                "{subject} of {issuer} is entered already; revoke it first"
            )));
        }
        let detail = json!({"issuer": issuer, "subject": subject, "scopes": contract.grant.operations.names()});
        let change = Change {
            kind: "client",
            subject: &id,
            action: "added",
            detail,
        };
        record(&mut tx, actor, now, change).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Every program, the newest last.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<OauthClientRow>> {
        let sql = "SELECT id, issuer, subject, name, contract, created_at, revoked_at FROM oauth_client ORDER BY created_at, id";
        let rows: Vec<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter().map(OauthClientRow::try_from).collect()
    }

    /// Takes a program out; the daemon refuses its tokens from the next call on.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when no such program is in force; the store's.
    pub async fn revoke(&self, actor: &Actor, id: &str) -> Result<()> {
        let now = time::now();
        let sql = "UPDATE oauth_client SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id";
        let mut tx = self.store.begin().await?;
        let found: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(id).bind(now).fetch_optional(db).await)?;
        found.ok_or(CoreError::NotFound { what: "client" })?;
        let change = Change {
            kind: "client",
            subject: id,
            action: "revoked",
            detail: json!({}),
        };
        record(&mut tx, actor, now, change).await?;
        tx.commit().await
    }

    /// Who the program of a token is that was found right; `None` when it is not entered, or its contract is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, issuer: &str, subject: &str, now: Millis) -> Result<Option<Actor>> {
        // PostgreSQL takes no NUL in a text.
        if subject.contains('\0') {
            return Ok(None);
        }
        let sql = "SELECT id, issuer, subject, name, contract, created_at, revoked_at FROM oauth_client \
                   WHERE issuer = $1 AND subject = $2 AND revoked_at IS NULL";
        let row: Option<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(issuer).bind(subject).fetch_optional(db).await)?;
        let Some(row) = row else { return Ok(None) };
        let row = OauthClientRow::try_from(row)?;
        if row.contract.until.is_some_and(|until| now >= until) {
            return Ok(None);
        }
        Ok(Some(Actor::Client(Arc::new(Client {
            id: format!("oauth:{issuer}/{subject}"),
            name: row.name,
            contract: row.contract,
        }))))
    }
}

impl TryFrom<Stored> for OauthClientRow {
    type Error = CoreError;

    fn try_from(row: Stored) -> Result<Self> {
        let unreadable = |error| CoreError::Store(format!("the contract of client {} cannot be read: {error}", row.id));
        Ok(Self {
            contract: serde_json::from_str(&row.contract).map_err(unreadable)?,
            id: row.id,
            issuer: row.issuer,
            subject: row.subject,
            name: row.name,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}
