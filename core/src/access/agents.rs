//! Agents, as an administrator keeps them.

use serde_json::json;

use super::agent_row::{self, AgentRow, COLUMNS, Profile, Stored};
use super::changes::{Change, record};
use super::passwords::Passwords;
use super::{roles, sessions};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::expected::Expected;
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::store::{Store, Tx, on};

/// The door to agents.
#[derive(Debug, Clone)]
pub struct Agents {
    store: Store,
    passwords: Passwords,
}

const NONE: CoreError = CoreError::NotFound { what: "agent" };

impl Agents {
    /// Over a store.
    pub(super) const fn new(store: Store, passwords: Passwords) -> Self {
        Self { store, passwords }
    }

    /// Every agent, by login.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<AgentRow>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM agent ORDER BY login"));
        let rows: Vec<Stored> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter().map(AgentRow::try_from).collect()
    }

    /// The agent of a login.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] and the store's.
    pub async fn get(&self, login: &str) -> Result<AgentRow> {
        agent_row::by_login(&self.store, login).await?.ok_or(NONE)?.try_into()
    }

    /// The agent of an id.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] and the store's.
    pub async fn by_id(&self, id: &str) -> Result<AgentRow> {
        agent_row::by_id(&self.store, id).await?.try_into()
    }

    /// Enters an agent, or changes one. Who is no longer enabled is out at once.
    ///
    /// # Errors
    /// [`CoreError::Conflict`], [`CoreError::Stale`], [`CoreError::NotFound`] when it is not what was expected;
    /// [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn put(&self, actor: &Actor, expected: &Expected, profile: Profile) -> Result<AgentRow> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        agent_row::check(&profile, &roles::codes(&mut tx).await?)?;
        if self.is_taken(&mut tx, &profile).await? {
            return Err(CoreError::invalid("/oidc_subject", "is another agent's already"));
        }
        let row = match expected {
            Expected::Absent => insert(&mut tx, &profile, now).await?,
            Expected::Any | Expected::Versions(_) => {
                let touched = agent_row::touch(&mut tx, &profile.login, now).await?;
                // Another version than the expected one: the transaction is dropped, and with it the count.
                expected.check(touched.as_ref().map(|row| row.version - 1), "agent", "login")?;
                let before = AgentRow::try_from(touched.ok_or(NONE)?)?;
                if before.profile == profile {
                    drop(tx);
                    return self.get(&profile.login).await;
                }
                if !profile.enabled {
                    sessions::end_all(&mut tx, &before.id, now).await?;
                }
                update(&mut tx, &profile).await?
            }
        };
        let row = AgentRow::try_from(row)?;
        let detail = json!({
            "login": row.profile.login, "roles": row.profile.roles,
            "oidc_issuer": row.profile.oidc.as_ref().map(|oidc| &oidc.issuer),
            "oidc_subject": row.profile.oidc.as_ref().map(|oidc| &oidc.subject),
            "enabled": row.profile.enabled, "version": row.version,
        });
        self.changed(tx, actor, now, &row.id, "put", detail).await?;
        Ok(row)
    }

    /// Gives an agent a password, and ends their sessions.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Invalid`] at `/password` with what is missing; the store's.
    pub async fn set_password(&self, actor: &Actor, login: &str, password: &str) -> Result<()> {
        let agent = agent_row::by_login(&self.store, login).await?.ok_or(NONE)?;
        agent.accepts("/password", password)?;
        let hash = self.passwords.place().await?.hash(password).await?;
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let agent = agent_row::touch(&mut tx, &agent.login, now).await?.ok_or(NONE)?;
        let sql = "UPDATE agent SET password = $2 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(&agent.id).bind(&hash).execute(db).await.map(|_| ()))?;
        sessions::end_all(&mut tx, &agent.id, now).await?;
        self.changed(tx, actor, now, &agent.id, "password", json!({})).await
    }

    /// Takes an agent's codes away, if there are any, for who has lost the phone; they log in without one from then on.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] and the store's.
    pub async fn remove_totp(&self, actor: &Actor, login: &str) -> Result<()> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let agent = agent_row::touch(&mut tx, login, now).await?.ok_or(NONE)?;
        if agent.totp_secret().is_none() {
            // The transaction is dropped, and the version that it took with it.
            return Ok(());
        }
        let sql = "UPDATE agent SET totp = NULL, totp_in_use = 0 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(&agent.id).execute(db).await.map(|_| ()))?;
        self.changed(tx, actor, now, &agent.id, "totp_removed", json!({})).await
    }

    /// Whether an identity provider's name for this agent is already that of another.
    async fn is_taken(&self, tx: &mut Tx, profile: &Profile) -> Result<bool> {
        let Some(oidc) = &profile.oidc else { return Ok(false) };
        let sql = "SELECT id FROM agent WHERE oidc_issuer = $1 AND oidc_subject = $2 AND login <> $3";
        let other: Option<String> = on!(Tx, tx, db => sqlx::query_scalar(sql)
            .bind(&oidc.issuer).bind(&oidc.subject).bind(&profile.login).fetch_optional(db).await)?;
        Ok(other.is_some())
    }

    async fn changed(
        &self,
        mut tx: Tx,
        actor: &Actor,
        now: Millis,
        id: &str,
        action: &'static str,
        detail: serde_json::Value,
    ) -> Result<()> {
        let change = Change {
            kind: "agent",
            subject: id,
            action,
            detail,
        };
        record(&mut tx, actor, now, change).await?;
        tx.commit().await
    }
}

async fn insert(tx: &mut Tx, profile: &Profile, now: Millis) -> Result<Stored> {
    let sql = sqlx::AssertSqlSafe(format!(
        "INSERT INTO agent (id, login, name, email, roles, oidc_issuer, oidc_subject, enabled, version, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9) ON CONFLICT (login) DO NOTHING RETURNING {COLUMNS}"
    ));
    let made: Option<Stored> = on!(Tx, tx, db => sqlx::query_as(sql)
        .bind(id::new()).bind(&profile.login).bind(&profile.name).bind(&profile.email).bind(list(&profile.roles))
        .bind(profile.oidc.as_ref().map(|oidc| &oidc.issuer)).bind(profile.oidc.as_ref().map(|oidc| &oidc.subject))
        .bind(i64::from(profile.enabled)).bind(now).fetch_optional(db).await)?;
    made.ok_or_else(|| CoreError::Conflict("there is an agent with this login".to_owned()))
}

async fn update(tx: &mut Tx, profile: &Profile) -> Result<Stored> {
    let sql = sqlx::AssertSqlSafe(format!(
        "UPDATE agent SET name = $2, email = $3, roles = $4, oidc_issuer = $5, oidc_subject = $6, enabled = $7 WHERE login = $1 \
         RETURNING {COLUMNS}"
    ));
    Ok(on!(Tx, tx, db => sqlx::query_as(sql)
        .bind(&profile.login).bind(&profile.name).bind(&profile.email).bind(list(&profile.roles))
        .bind(profile.oidc.as_ref().map(|oidc| &oidc.issuer)).bind(profile.oidc.as_ref().map(|oidc| &oidc.subject))
        .bind(i64::from(profile.enabled)).fetch_one(db).await)?)
}

fn list(codes: &[String]) -> String {
    json!(codes).to_string()
}
