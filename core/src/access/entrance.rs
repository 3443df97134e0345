//! What the audit trail and the log keep of logins. Of one that was refused the trail has the name as it was typed and not
//! why, so that it tells nobody who there is; the log has neither.

use serde_json::{Value, json};

use super::changes::as_agent;
use crate::audit::{self, Entry};
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::{Store, Tx};

/// Characters of a name as somebody typed it; what is longer is nobody's login.
const NAME: usize = 60;

/// By what somebody says who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// A password, and a code where codes are in use.
    Password,
    /// The word of the identity provider.
    Oidc,
}

impl Means {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Oidc => "oidc",
        }
    }
}

/// How a login ended, for who may not know more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They are not in.
    Refused,
    /// It did not count, since too many failed before.
    Delayed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "login_refused",
            Self::Delayed => "login_delayed",
        }
    }
}

/// Enters that an agent came in, in the transaction of the session and as its last statement.
///
/// # Errors
/// The store's.
pub(super) async fn came_in(tx: &mut Tx, agent_id: &str, login: &str, by: Means, now: Millis) -> Result<()> {
    of_agent(tx, agent_id, login, "logged_in", json!({"by": by.as_str()}), now).await
}

/// Enters that an agent logged out, in the transaction that ends the session and as its last statement.
///
/// # Errors
/// The store's.
pub(super) async fn went_out(tx: &mut Tx, agent_id: &str, now: Millis) -> Result<()> {
    of_agent(tx, agent_id, "", "logged_out", json!({}), now).await
}

async fn of_agent(tx: &mut Tx, id: &str, login: &str, action: &'static str, detail: Value, now: Millis) -> Result<()> {
    let entry = Entry::new(&as_agent(id, login), action, format!("agent/{id}"))
        .at(now)
        .detail(&detail);
    audit::append(tx, &[entry]).await
}

/// Enters that somebody did not come in. Whatever was wrong, the same is written.
///
/// # Errors
/// The store's; then the login must not be answered as if it had been entered.
pub(super) async fn kept_out(store: &Store, given: &str, by: Means, outcome: Outcome, now: Millis) -> Result<()> {
    let entry = Entry::of_nobody(outcome.as_str(), format!("login/{}", bounded(given))).at(now);
    let mut tx = store.begin().await?;
    audit::append(&mut tx, &[entry.detail(&json!({"by": by.as_str()}))]).await?;
    tx.commit().await?;
    tracing::info!(by = by.as_str(), outcome = outcome.as_str(), "somebody tried to log in");
    Ok(())
}

/// Says in the log that somebody came in or went out.
pub(super) fn log(by: Option<Means>, outcome: &'static str) {
    tracing::info!(by = by.map(Means::as_str), outcome, "an agent logged in or out");
}

fn bounded(given: &str) -> String {
    let shown = given.trim().chars().take(NAME);
    shown
        .map(|char| if voxea_rules::visible::is_hidden(char) { '\u{fffd}' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_given_as_far_as_it_is_one() {
        assert_eq!(bounded(" J.Martin "), "J.Martin");
        assert_eq!(bounded("a\0b\nc\u{202e}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(bounded(&"é".repeat(100_000)).chars().count(), NAME);
    }
}
