//! Who may come in, and which answers were given already.

mod agent_row;
mod agents;
mod attempts;
mod changes;
mod entrance;
mod idempotency;
mod keys;
mod logins;
mod oauth;
mod oidc;
mod own;
mod passwords;
mod people;
mod roles;
mod sessions;
mod token;
mod totp;

pub use agent_row::{AgentRow, Oidc, Profile};
pub use agents::Agents;
pub use idempotency::{Idempotency, Slot};
pub use keys::{KeyRow, Keys};
pub use logins::{Credentials, Login, Logins, Opened, Proved, Refusal};
pub use oauth::{OauthClientRow, OauthClients};
pub use oidc::{OIDC_LOGIN_MS, OidcLogin, OidcLogins};
pub use own::{Enrolment, Own, Proof};
pub use people::People;
pub use roles::{Role, Roles};
pub use sessions::{Lifetime, Sessions};
