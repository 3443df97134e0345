//! Logins that were sent to the identity provider and are not back: each comes back once, to the browser that began it.

use super::token;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::{Store, on};

/// How long a person may take at the identity provider.
pub const OIDC_LOGIN_MS: Millis = 10 * 60_000;
/// Logins on their way at once; who begins more than a town has agents is no agent.
const ON_THEIR_WAY: i64 = 10_000;

/// A login on its way.
#[derive(Debug)]
pub struct OidcLogin {
    /// What the browser's cookie holds.
    pub cookie: String,
    /// What comes back with the browser.
    pub state: String,
    /// What comes back in the token.
    pub nonce: String,
    /// What proves that who fetches the token has begun the login (RFC 7636).
    pub verifier: String,
}

/// The door to them.
#[derive(Debug, Clone)]
pub struct OidcLogins {
    store: Store,
}

impl OidcLogins {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Begins one.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when too many are on their way; the store's.
    pub async fn begin(&self, now: Millis) -> Result<OidcLogin> {
        let login = OidcLogin {
            cookie: token::secret()?,
            state: token::secret()?,
            nonce: token::secret()?,
            verifier: token::secret()?,
        };
        let sql = "INSERT INTO oidc_login (id, state, nonce, verifier, expires_at) SELECT $1, $2, $3, $4, $5 \
                   WHERE (SELECT COUNT(*) FROM oidc_login) < $6 RETURNING id";
        let mut tx = self.store.begin().await?;
        let over = "DELETE FROM oidc_login WHERE expires_at < $1";
        on!(Tx, &mut tx, db => sqlx::query(over).bind(now).execute(db).await.map(|_| ()))?;
        let made: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(token::hash(&login.cookie)).bind(&login.state).bind(&login.nonce).bind(&login.verifier)
            .bind(now + OIDC_LOGIN_MS).bind(ON_THEIR_WAY).fetch_optional(db).await)?;
        tx.commit().await?;
        made.map(|_| login)
            .ok_or_else(|| CoreError::Unavailable("too many logins are on their way".to_owned()))
    }

    /// Takes one that came back: its nonce and verifier. `None` when it is another browser's, came back already, or took
    /// too long.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self, cookie: &str, state: &str, now: Millis) -> Result<Option<(String, String)>> {
        let sql = "DELETE FROM oidc_login WHERE id = $1 RETURNING state, nonce, verifier, expires_at";
        let mut tx = self.store.begin().await?;
        let row: Option<(String, String, String, Millis)> =
            on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(token::hash(cookie)).fetch_optional(db).await)?;
        tx.commit().await?;
        let found = row.filter(|(stored, _, _, expires_at)| token::same(stored.as_bytes(), state.as_bytes()) && now < *expires_at);
        Ok(found.map(|(_, nonce, verifier, _)| (nonce, verifier)))
    }
}
