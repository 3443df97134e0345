//! Who acts: every call on a door says so, and history keeps it.

use std::fmt;

use super::account::Account;

/// What an API key may do. `admin` may do all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes {
    /// Read requests, interactions, recordings, the feed.
    pub read: bool,
    /// Change requests and answer citizens.
    pub reply: bool,
    /// Bring contacts in.
    pub intake: bool,
    /// Everything, keys excepted: those are made on the command line.
    pub admin: bool,
}

impl Scopes {
    /// The names of the scopes, in the order in which they are written.
    pub const NAMES: [&'static str; 4] = ["read", "reply", "intake", "admin"];

    /// Reads a list of names such as `["read", "reply"]`.
    ///
    /// # Errors
    /// The first name that is no scope.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut scopes = Self::default();
        for name in names {
            match name {
                "read" => scopes.read = true,
                "reply" => scopes.reply = true,
                "intake" => scopes.intake = true,
                "admin" => scopes.admin = true,
                other => return Err(other.to_owned()),
            }
        }
        Ok(scopes)
    }

    /// The names that are granted, separated by spaces.
    #[must_use]
    pub fn names(self) -> String {
        let granted = [self.read, self.reply, self.intake, self.admin];
        let names: Vec<&str> = Self::NAMES
            .into_iter()
            .zip(granted)
            .filter_map(|(name, on)| on.then_some(name))
            .collect();
        names.join(" ")
    }

    /// Whether reading is allowed.
    #[must_use]
    pub const fn may_read(self) -> bool {
        self.read || self.admin
    }

    /// Whether changing requests and answering citizens is allowed.
    #[must_use]
    pub const fn may_reply(self) -> bool {
        self.reply || self.admin
    }

    /// Whether bringing contacts in is allowed.
    #[must_use]
    pub const fn may_intake(self) -> bool {
        self.intake || self.admin
    }
}

/// Who does something to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Voxea itself: jobs, repairs.
    System,
    /// A channel that takes a contact in or settles a reply.
    Channel(Account),
    /// A program that holds an API key.
    Client {
        /// The key's public id, the part between the two underscores.
        key_id: String,
        /// The name that the key was given.
        name: String,
        /// What the key may do.
        scopes: Scopes,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Channel(account) => write!(f, "channel:{account}"),
            Self::Client { key_id, .. } => write!(f, "key:{key_id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_admin_may_all() {
        let scopes = Scopes::from_names(["reply", "read"]).unwrap();
        assert_eq!(scopes.names(), "read reply");
        assert!(!scopes.may_intake());
        assert!(Scopes::from_names(["admin"]).unwrap().may_intake());
        assert_eq!(Scopes::from_names(["read", "root"]), Err("root".to_owned()));
    }
}
