//! Changes of somebody's access, as the audit trail keeps them.

use std::sync::Arc;

use serde_json::Value;

use crate::audit::{self, Entry};
use crate::base::actor::{Actor, Agent};
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::Tx;

/// What was changed: `agent`, `role` or `client`, its id or code, and what happened to it.
pub(super) struct Change<'a> {
    pub(super) kind: &'static str,
    pub(super) subject: &'a str,
    pub(super) action: &'static str,
    /// What it became: ids, codes and counts. No secret, and nothing that the trail need not know of a person.
    pub(super) detail: Value,
}

/// Enters it, in the transaction of the change itself and as its last statement: the trail has one writer at a time.
///
/// # Errors
/// The store's.
pub(super) async fn record(tx: &mut Tx, actor: &Actor, at: Millis, change: Change<'_>) -> Result<()> {
    let object = format!("{}/{}", change.kind, change.subject);
    let entry = Entry::new(actor, change.action, object).at(at).detail(&change.detail);
    audit::append(tx, &[entry]).await
}

/// An agent as the trail names them, who acts on their own access.
pub(super) fn as_agent(id: &str, login: &str) -> Actor {
    Actor::Agent(Arc::new(Agent {
        id: id.to_owned(),
        login: login.to_owned(),
        name: String::new(),
        grants: Vec::new(),
    }))
}
