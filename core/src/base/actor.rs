//! Who acts: every call on a door says so, and history keeps it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::grant::{Grant, Operation, Scopes};
use super::time::Millis;

/// Who does something to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Voxea itself: jobs, repairs, commands of the operator.
    System,
    /// A channel that takes a contact in or settles a reply.
    Channel(Account),
    /// A program.
    Client(Arc<Client>),
    /// A person who works for the town.
    Agent(Arc<Agent>),
}

/// A program that calls the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `key:` and the key's public id, or `oauth:`, the issuer's name, a slash and the subject: unique, and in history.
    pub id: String,
    /// The name that it was given.
    pub name: String,
    /// On what terms it calls.
    pub contract: Contract,
}

/// The terms on which a program is served: what it may do to which requests, which members it is shown, for what purpose
/// and how long (GDPR art. 5 and 28).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// What it may do, to which requests.
    pub grant: Grant,
    /// Names of the members of requests, interactions and citizens that it is shown, besides ids; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeSet<String>>,
    /// What it does with them, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// From when on it is refused, milliseconds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// A person who works for the town, as logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// UUIDv7.
    pub id: String,
    /// What they log in with.
    pub login: String,
    /// For people.
    pub name: String,
    /// What their roles allow, together.
    pub grants: Vec<Grant>,
}

impl Contract {
    /// These operations on every request, for no end.
    #[must_use]
    pub fn everything(operations: Scopes) -> Self {
        Self {
            grant: Grant::everything(operations),
            ..Self::default()
        }
    }
}

impl Client {
    /// A program that holds the API key of this public id.
    #[must_use]
    pub fn of_key(key_id: &str, name: impl Into<String>, contract: Contract) -> Self {
        Self {
            id: format!("key:{key_id}"),
            name: name.into(),
            contract,
        }
    }
}

impl Actor {
    /// What it may do; nothing is said of the system and of channels, whose doors are their own.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        match self {
            Self::System | Self::Channel(_) => &[],
            Self::Client(client) => std::slice::from_ref(&client.contract.grant),
            Self::Agent(agent) => &agent.grants,
        }
    }

    /// Whether it may do something to some requests at least. What Voxea itself goes by is no request's: it is changed by
    /// those alone whom nothing restricts, since they could give themselves any right.
    #[must_use]
    pub fn may(&self, operation: Operation) -> bool {
        let grants = self.grants().iter();
        let mut able = grants.filter(|grant| grant.operations.contain(operation));
        let whole = |grant: &Grant| grant.restricts_nothing() && self.fields().is_none();
        matches!(self, Self::System) || able.any(|grant| operation != Operation::Admin || whole(grant))
    }

    /// Whether it may do something, and neither themes nor channels restrict to which requests.
    #[must_use]
    pub fn may_in_town(&self, operation: Operation) -> bool {
        let mut whole = self.grants().iter().filter(|grant| grant.is_of_the_whole_town());
        matches!(self, Self::System) || whole.any(|grant| grant.operations.contain(operation))
    }

    /// The members that it is shown; `None` for all.
    #[must_use]
    pub fn fields(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Client(client) => client.contract.fields.as_ref(),
            Self::System | Self::Channel(_) | Self::Agent(_) => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Channel(account) => write!(f, "channel:{account}"),
            Self::Client(client) => f.write_str(&client.id),
            Self::Agent(agent) => write!(f, "agent:{}", agent.id),
        }
    }
}
