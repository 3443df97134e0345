//! The doors to who may log in, opened together: they share the bound on hashing.

use super::agents::Agents;
use super::attempts::Attempts;
use super::logins::Logins;
use super::oauth::OauthClients;
use super::oidc::OidcLogins;
use super::own::Own;
use super::passwords::Passwords;
use super::roles::Roles;
use super::sessions::{Lifetime, Sessions};
use crate::store::Store;

/// The doors. Clones share them.
#[derive(Debug, Clone)]
pub struct People {
    /// What agents may do.
    pub roles: Roles,
    /// Agents, as an administrator keeps them.
    pub agents: Agents,
    /// Logging in.
    pub logins: Logins,
    /// Being logged in.
    pub sessions: Sessions,
    /// What agents change of their own access.
    pub own: Own,
    /// Programs that an identity provider answers for.
    pub clients: OauthClients,
    /// Logins that were sent to the identity provider.
    pub oidc: OidcLogins,
}

impl People {
    /// Over a store.
    #[must_use]
    pub fn new(store: &Store, lifetime: Lifetime) -> Self {
        let (attempts, passwords) = (Attempts::new(store.clone()), Passwords::new());
        let sessions = Sessions::new(store.clone(), lifetime);
        Self {
            roles: Roles::new(store.clone()),
            agents: Agents::new(store.clone(), passwords.clone()),
            logins: Logins::new(store.clone(), attempts.clone(), passwords.clone(), sessions.clone()),
            sessions,
            own: Own::new(store.clone(), attempts, passwords),
            clients: OauthClients::new(store.clone()),
            oidc: OidcLogins::new(store.clone()),
        }
    }
}
