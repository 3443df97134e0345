//! Sessions, `vs_<id>_<secret>`: what an agent calls with between a login and its end.

use std::sync::Arc;

use super::roles;
use super::token::{self, Token};
use super::{agent_row, entrance};
use crate::base::actor::{Actor, Agent};
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::{Store, Tx, on};

/// What a session's token begins with.
const PREFIX: &str = "vs_";
/// That somebody was seen is noted this often at most, so that reading does not write with every call.
const NOTE_MS: Millis = 60_000;
/// How long ended sessions are kept, for who asks when somebody was in.
const KEPT_MS: Millis = 90 * 24 * 3600 * 1000;

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Without a call, in milliseconds.
    pub idle: Millis,
    /// In all, in milliseconds.
    pub total: Millis,
}

impl Default for Lifetime {
    /// Half an hour, and a long day.
    fn default() -> Self {
        Self {
            idle: 30 * 60_000,
            total: 10 * 3_600_000,
        }
    }
}

/// The door to sessions.
#[derive(Debug, Clone)]
pub struct Sessions {
    store: Store,
    lifetime: Lifetime,
}

#[derive(sqlx::FromRow)]
struct Found {
    hash: String,
    last_seen_at: Millis,
    agent_id: String,
    login: String,
    name: String,
    roles: String,
}

impl Sessions {
    /// Over a store.
    pub(super) const fn new(store: Store, lifetime: Lifetime) -> Self {
        Self { store, lifetime }
    }

    /// Who holds this token; `None` when nobody does, or the session is over, or the agent is no longer enabled. What
    /// their roles allow is read anew each time.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self, token: &str, now: Millis) -> Result<Option<Actor>> {
        let Some((id, secret)) = token::split(PREFIX, token) else {
            return Ok(None);
        };
        let sql = "SELECT s.hash, s.last_seen_at, a.id AS agent_id, a.login, a.name, a.roles FROM session s \
                   JOIN agent a ON a.id = s.agent_id WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 \
                   AND s.last_seen_at > $3 AND a.enabled = 1";
        let found: Option<Found> = on!(Store, &self.store, db => sqlx::query_as(sql)
            .bind(id).bind(now).bind(now - self.lifetime.idle).fetch_optional(db).await)?;
        let Some(found) = found.filter(|found| token::is(secret, &found.hash)) else {
            return Ok(None);
        };
        if now - found.last_seen_at >= NOTE_MS.min(self.lifetime.idle / 10) {
            self.seen(id, now).await;
        }
        let all = roles::grants(&self.store).await?;
        let codes = agent_row::roles(&found.agent_id, &found.roles)?;
        let grants = codes.iter().filter_map(|code| all.get(code)).flatten().cloned().collect();
        Ok(Some(Actor::Agent(Arc::new(Agent {
            id: found.agent_id,
            login: found.login,
            name: found.name,
            grants,
        }))))
    }

    /// Notes it. A database that takes no write at the moment keeps nobody from reading.
    async fn seen(&self, id: &str, now: Millis) {
        let noted = async {
            let sql = "UPDATE session SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2 AND ended_at IS NULL";
            let mut tx = self.store.begin().await?;
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(id).bind(now).execute(db).await.map(|_| ()))?;
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = %error, "a session could not be noted as in use");
        }
    }

    /// Ends the session of a token, which enters it in the audit trail; whether there was one.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, token: &str, now: Millis) -> Result<bool> {
        let Some((id, secret)) = token::split(PREFIX, token) else {
            return Ok(false);
        };
        let sql = "UPDATE session SET ended_at = $2 WHERE id = $1 AND hash = $3 AND ended_at IS NULL RETURNING agent_id";
        let mut tx = self.store.begin().await?;
        let ended: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(id).bind(now).bind(token::hash(secret)).fetch_optional(db).await)?;
        let Some(agent_id) = ended else { return Ok(false) };
        entrance::went_out(&mut tx, &agent_id, now).await?;
        tx.commit().await?;
        entrance::log(None, "logged_out");
        Ok(true)
    }

    /// Opens a session, if the transaction commits: its token, and when it ends at the latest.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn open(&self, tx: &mut Tx, agent_id: &str, now: Millis) -> Result<(String, Millis)> {
        let Token { id, hash, text } = Token::new(PREFIX)?;
        let expires_at = now + self.lifetime.total;
        let sql = "INSERT INTO session (id, hash, agent_id, created_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5)";
        on!(Tx, tx, db => sqlx::query(sql)
            .bind(id).bind(hash).bind(agent_id).bind(now).bind(expires_at).execute(db).await.map(|_| ()))?;
        Ok((text, expires_at))
    }

    /// Drops what nobody asks for any more.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn forget(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let sql = "DELETE FROM session WHERE expires_at < $1";
        on!(Tx, tx, db => sqlx::query(sql).bind(now - KEPT_MS).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}

/// Ends every session of an agent, if the transaction commits.
///
/// # Errors
/// The store's.
pub(super) async fn end_all(tx: &mut Tx, agent_id: &str, now: Millis) -> Result<()> {
    let sql = "UPDATE session SET ended_at = $2 WHERE agent_id = $1 AND ended_at IS NULL";
    on!(Tx, tx, db => sqlx::query(sql).bind(agent_id).bind(now).execute(db).await.map(|_| ()))?;
    Ok(())
}
