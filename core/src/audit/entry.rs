//! One line of the trail before it is chained.

use serde_json::Value;

use crate::base::actor::Actor;
use crate::base::time::{self, Millis};

/// Something that an actor did. It holds ids, codes, names of members and counts only, and what was typed as a login: what a citizen said or is called stays out of it,
/// because the trail is kept longer than the request, and is read by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, milliseconds UTC.
    pub at: Millis,
    /// As history names them: `key:id`, `agent:id`, `system`; `nobody` tried to log in.
    pub actor: String,
    /// What was done: `read`, `listened`, `listed`, `patched`, `replied`, `created`, `revoked`…
    pub action: String,
    /// To what: `request/ID`, `recording/ID`, `theme/CODE`; a list is its kind, `?` and the query.
    pub object: String,
    /// A JSON object.
    pub detail: String,
    /// For what purpose, in the words of whoever read.
    pub purpose: Option<String>,
}

impl Entry {
    /// Now, by an actor.
    #[must_use]
    pub fn new(actor: &Actor, action: impl Into<String>, object: impl Into<String>) -> Self {
        Self {
            at: time::now(),
            actor: actor.to_string(),
            action: action.into(),
            object: object.into(),
            detail: "{}".to_owned(),
            purpose: None,
        }
    }

    /// Now, by somebody who is not known: who tried to log in.
    #[must_use]
    pub fn of_nobody(action: impl Into<String>, object: impl Into<String>) -> Self {
        Self {
            actor: "nobody".to_owned(),
            ..Self::new(&Actor::System, action, object)
        }
    }

    /// At another time than now: that of the change.
    #[must_use]
    pub const fn at(mut self, at: Millis) -> Self {
        self.at = at;
        self
    }

    /// With more about it: ids, codes and counts, nothing that a citizen said.
    #[must_use]
    pub fn detail(mut self, detail: &Value) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// With the purpose of a read.
    #[must_use]
    pub fn purpose(mut self, purpose: Option<String>) -> Self {
        self.purpose = purpose;
        self
    }
}
