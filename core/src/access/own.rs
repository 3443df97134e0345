//! What agents change of their own access: the password, the codes. Each proves anew that it is them.

use serde_json::json;

use super::agent_row::{self, Stored};
use super::attempts::Attempts;
use super::changes::{Change, as_agent, record};
use super::passwords::Passwords;
use super::{sessions, totp};
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::secret::Secret;
use crate::base::time::Millis;
use crate::store::{Store, Tx, on};

/// The door to one's own access.
#[derive(Debug, Clone)]
pub struct Own {
    store: Store,
    attempts: Attempts,
    passwords: Passwords,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It was them, and it is done.
    Done,
    /// The password or the code was wrong.
    Wrong,
    /// Too many failures before: a try counts from this moment on.
    Later(Millis),
}

/// A secret that was just made, to be shown once.
#[derive(Debug)]
pub struct Enrolment {
    /// As it is typed into a phone.
    pub secret: Secret,
    /// As a phone reads it from a QR code.
    pub uri: Secret,
}

impl Own {
    /// Over a store and the doors beside it.
    pub(super) const fn new(store: Store, attempts: Attempts, passwords: Passwords) -> Self {
        Self {
            store,
            attempts,
            passwords,
        }
    }

    /// Changes one's password, and ends all of one's sessions.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] without a password to change; [`CoreError::Invalid`] at `/new` with what is missing; the
    /// store's.
    pub async fn change_password(&self, agent_id: &str, current: &str, new: &str, now: Millis) -> Result<Proof> {
        let agent = agent_row::by_id(&self.store, agent_id).await?;
        let Some(stored) = agent.password.clone() else {
            return Err(CoreError::Conflict(
                "you have no password to change; an administrator gives you the first".to_owned(),
            ));
        };
        agent.accepts("/new", new)?;
        let place = self.passwords.place().await?;
        let what = format!("password:{agent_id}");
        if let Some(at) = self.attempts.begin(&what, now).await? {
            return Ok(Proof::Later(at));
        }
        if !place.verify(current, Some(&stored)).await? {
            return Ok(Proof::Wrong);
        }
        let hash = self.passwords.place().await?.hash(new).await?;
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE agent SET password = $3, version = version + 1, updated_at = $4 WHERE id = $1 AND password = $2 RETURNING id";
        let changed: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(agent_id).bind(&stored).bind(&hash).bind(now).fetch_optional(db).await)?;
        if changed.is_none() {
            return Ok(Proof::Wrong);
        }
        sessions::end_all(&mut tx, agent_id, now).await?;
        self.attempts.succeeded(&mut tx, &what).await?;
        changed_by(&mut tx, &agent, now, "password").await?;
        tx.commit().await?;
        Ok(Proof::Done)
    }

    /// Makes a secret for codes; they are in use once a first one has confirmed it. `organisation` is what the phone
    /// calls it.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] while codes are in use; the store's.
    pub async fn enrol(&self, agent_id: &str, organisation: &str, now: Millis) -> Result<Enrolment> {
        let secret = totp::secret()?;
        let mut tx = self.store.begin().await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE agent SET totp = $2, totp_step = 0, updated_at = $3 WHERE id = $1 AND totp_in_use = 0 RETURNING {}",
            agent_row::COLUMNS
        ));
        let agent: Option<Stored> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(agent_id).bind(hex::encode(&secret)).bind(now).fetch_optional(db).await)?;
        let Some(agent) = agent else {
            return Err(CoreError::Conflict(
                "codes are in use; take them away with one of them, then begin again".to_owned(),
            ));
        };
        tx.commit().await?;
        Ok(Enrolment {
            uri: Secret::new(totp::uri(organisation, &agent.login, &secret)),
            secret: Secret::new(totp::base32(&secret)),
        })
    }

    /// Takes codes into use, by the first of them.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when there is no secret to confirm; the store's.
    pub async fn confirm(&self, agent_id: &str, code: &str, now: Millis) -> Result<Proof> {
        let sql = "UPDATE agent SET totp_in_use = 1, totp_step = $2, version = version + 1, updated_at = $3 \
                   WHERE id = $1 AND totp_in_use = 0 AND totp = $4 RETURNING id";
        self.by_code(agent_id, code, now, false, sql, "totp_confirmed").await
    }

    /// Takes codes out of use, by one of them that has not served.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when none are in use; the store's.
    pub async fn remove(&self, agent_id: &str, code: &str, now: Millis) -> Result<Proof> {
        let sql = "UPDATE agent SET totp = NULL, totp_in_use = 0, version = version + 1, updated_at = $3 \
                   WHERE id = $1 AND totp_in_use = 1 AND totp_step < $2 AND totp = $4 RETURNING id";
        self.by_code(agent_id, code, now, true, sql, "totp_removed").await
    }

    async fn by_code(
        &self,
        agent_id: &str,
        code: &str,
        now: Millis,
        in_use: bool,
        sql: &'static str,
        action: &'static str,
    ) -> Result<Proof> {
        let agent = agent_row::by_id(&self.store, agent_id).await?;
        let secret = agent.totp_secret().filter(|_| agent.totp_in_use().is_some() == in_use);
        let Some(secret) = secret else {
            return Err(CoreError::Conflict(
                if in_use {
                    "no codes are in use"
                } else {
                    "there is no secret to confirm; POST /v1/me/totp makes one"
                }
                .to_owned(),
            ));
        };
        // A stolen session must not try a million codes.
        let what = format!("totp:{agent_id}");
        if let Some(at) = self.attempts.begin(&what, now).await? {
            return Ok(Proof::Later(at));
        }
        let Some(step) = totp::step(&secret, code, now) else {
            return Ok(Proof::Wrong);
        };
        let mut tx = self.store.begin().await?;
        let done: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(agent_id).bind(step).bind(now).bind(hex::encode(&secret)).fetch_optional(db).await)?;
        if done.is_none() {
            return Ok(Proof::Wrong);
        }
        self.attempts.succeeded(&mut tx, &what).await?;
        changed_by(&mut tx, &agent, now, action).await?;
        tx.commit().await?;
        Ok(Proof::Done)
    }
}

/// Notes that an agent changed their own access.
async fn changed_by(tx: &mut Tx, agent: &Stored, now: Millis, action: &'static str) -> Result<()> {
    let actor = as_agent(&agent.id, &agent.login);
    let change = Change {
        kind: "agent",
        subject: &agent.id,
        action,
        detail: json!({}),
    };
    record(tx, &actor, now, change).await
}
