//! Logging in: one answer, and one time, for whatever is wrong.

use super::agent_row::{self, AgentRow, Stored};
use super::attempts::{Attempts, FORGOTTEN_MS};
use super::entrance::{self, Means, Outcome};
use super::passwords::Passwords;
use super::sessions::Sessions;
use super::totp;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::{Store, Tx, on};

/// What somebody logs in with.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// In any case.
    pub login: &'a str,
    /// As typed.
    pub password: &'a str,
    /// The code that the phone shows, if there is one.
    pub totp: Option<&'a str>,
}

/// How a login ended.
#[derive(Debug)]
pub enum Login {
    /// They are in.
    In(Box<Opened>),
    /// They are not. Whoever tried is told nothing more.
    Refused(Refusal),
    /// Too many failures before: a try counts from this moment on.
    Later(Millis),
}

/// Why a login was refused: for the operator's count, never for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such agent.
    Unknown,
    /// They may not come in.
    Disabled,
    /// The password is another one, or there is none.
    Password,
    /// The code is missing, wrong, or has served already.
    Totp,
}

/// A session that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// `vs_…`; it cannot be shown again.
    pub token: String,
    /// When it ends at the latest.
    pub expires_at: Millis,
    /// Whose it is.
    pub agent: AgentRow,
}

/// The door to logins.
#[derive(Debug, Clone)]
pub struct Logins {
    store: Store,
    attempts: Attempts,
    passwords: Passwords,
    sessions: Sessions,
}

/// Reckoned with where there is no secret, so that it takes as long.
const NOBODY: [u8; 20] = [0; 20];

impl Logins {
    /// Over a store and the doors beside it.
    pub(super) const fn new(store: Store, attempts: Attempts, passwords: Passwords, sessions: Sessions) -> Self {
        Self {
            store,
            attempts,
            passwords,
            sessions,
        }
    }

    /// Opens a session for who knows the password and, where codes are in use, a code that has not served.
    ///
    /// Whatever is wrong, the same is asked of the database and written to the audit trail, and one password is hashed.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when too many log in at once; the store's.
    pub async fn login(&self, credentials: Credentials<'_>, now: Millis) -> Result<Login> {
        let login = self.tried(credentials, now).await?;
        let outcome = match &login {
            Login::In(_) => return Ok(login),
            Login::Refused(_) => Outcome::Refused,
            Login::Later(_) => Outcome::Delayed,
        };
        entrance::kept_out(&self.store, credentials.login, Means::Password, outcome, now).await?;
        Ok(login)
    }

    /// Enters that the identity provider's word let nobody in; `given` is whom it named, empty when it named nobody.
    ///
    /// # Errors
    /// The store's.
    pub async fn not_proved(&self, given: &str, now: Millis) -> Result<()> {
        entrance::kept_out(&self.store, given, Means::Oidc, Outcome::Refused, now).await
    }

    async fn tried(&self, credentials: Credentials<'_>, now: Millis) -> Result<Login> {
        // A place first: who gets none has not tried.
        let place = self.passwords.place().await?;
        let what = format!("login:{}", credentials.login.trim().to_lowercase());
        if let Some(at) = self.attempts.begin(&what, now).await? {
            return Ok(Login::Later(at));
        }
        let agent = agent_row::by_login(&self.store, credentials.login).await?;
        let stored = agent.as_ref().and_then(|agent| agent.password.as_deref());
        let is_password = place.verify(credentials.password, stored).await?;
        let secret = agent.as_ref().and_then(Stored::totp_in_use);
        let step = totp::step(secret.as_deref().unwrap_or(&NOBODY), credentials.totp.unwrap_or_default(), now);
        let Some(agent) = agent else {
            return Ok(Login::Refused(Refusal::Unknown));
        };
        if !is_password {
            return Ok(Login::Refused(Refusal::Password));
        }
        if !agent.enabled() {
            return Ok(Login::Refused(Refusal::Disabled));
        }
        let step = match (&secret, step) {
            (None, _) => None,
            (Some(_), Some(step)) if step > agent.totp_step => Some(step),
            (Some(_), _) => return Ok(Login::Refused(Refusal::Totp)),
        };
        let mut tx = self.store.begin().await?;
        let Some(agent) = claim(&mut tx, &agent, step).await? else {
            // Between the look and now somebody else changed the agent, or used the same code.
            return Ok(Login::Refused(Refusal::Totp));
        };
        self.attempts.succeeded(&mut tx, &what).await?;
        self.enter(tx, agent, Means::Password, now)
            .await
            .map(|opened| Login::In(Box::new(opened)))
    }

    /// Opens a session for somebody whom an identity provider has proved to be this agent. `None` when they may not
    /// come in, or there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn proved(&self, who: Proved<'_>, now: Millis) -> Result<Option<Opened>> {
        let (column, value) = match who {
            Proved::Subject { subject, .. } => ("oidc_subject", subject),
            Proved::Email(email) => ("LOWER(email)", email),
            Proved::Login(login) => ("login", login),
        };
        let issuer = match who {
            Proved::Subject { issuer, .. } => issuer,
            Proved::Email(_) | Proved::Login(_) => "",
        };
        // The row is locked as by a login. Two agents of one address: neither is proved to be meant.
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE agent SET totp_step = totp_step WHERE {column} = $1 AND ($2 = '' OR oidc_issuer = $2) AND enabled = 1 RETURNING {}",
            agent_row::COLUMNS
        ));
        let mut tx = self.store.begin().await?;
        let mut found: Vec<Stored> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(value.to_owned()).bind(issuer).fetch_all(db).await)?;
        match (found.pop(), found.is_empty()) {
            (Some(agent), true) => self.enter(tx, agent, Means::Oidc, now).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn enter(&self, mut tx: Tx, agent: Stored, by: Means, now: Millis) -> Result<Opened> {
        let (token, expires_at) = self.sessions.open(&mut tx, &agent.id, now).await?;
        entrance::came_in(&mut tx, &agent.id, &agent.login, by, now).await?;
        tx.commit().await?;
        entrance::log(Some(by), "logged_in");
        Ok(Opened {
            token,
            expires_at,
            agent: AgentRow::try_from(agent)?,
        })
    }

    /// Drops what has served: failures of yesterday, sessions long over, logins that never came back.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, now: Millis) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM login_attempt WHERE retry_at < $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(now - FORGOTTEN_MS).execute(db).await.map(|_| ()))?;
        let sql = "DELETE FROM oidc_login WHERE expires_at < $1";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(now).execute(db).await.map(|_| ()))?;
        self.sessions.forget(&mut tx, now).await?;
        tx.commit().await
    }
}

/// Whom an identity provider has proved somebody to be.
#[derive(Debug, Clone, Copy)]
pub enum Proved<'a> {
    /// The agent that is entered with this issuer and subject.
    Subject {
        /// Its URL.
        issuer: &'a str,
        /// `sub`.
        subject: &'a str,
    },
    /// The one agent with this address, in lower case.
    Email(&'a str),
    /// The agent of this login, in lower case.
    Login(&'a str),
}

/// Locks the agent's row, if it still is as it was looked at, and uses the step up. A password that is changed meanwhile
/// waits for this, and ends the session; or it came first, and there is none.
async fn claim(tx: &mut Tx, agent: &Stored, step: Option<i64>) -> Result<Option<Stored>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "UPDATE agent SET totp_step = $3 WHERE id = $1 AND enabled = 1 AND password = $2 AND totp_in_use = $4 \
         AND ($4 = 0 OR totp_step < $3) RETURNING {}",
        agent_row::COLUMNS
    ));
    let claimed = on!(Tx, tx, db => sqlx::query_as(sql)
        .bind(&agent.id).bind(&agent.password).bind(step.unwrap_or(agent.totp_step)).bind(i64::from(step.is_some()))
        .fetch_optional(db).await);
    claimed.map_err(CoreError::from)
}
