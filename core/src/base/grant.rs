//! What may be done, and to which requests: operations × service or theme × channel × confidentiality.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::account::Channel;

/// One thing that a call on a door does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read requests, interactions, recordings, citizens, the feed.
    Read,
    /// Change requests and answer citizens.
    Reply,
    /// Bring contacts in.
    Intake,
    /// Change what Voxea itself goes by.
    Admin,
}

impl Operation {
    /// The name of the scope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reply => "reply",
            Self::Intake => "intake",
            Self::Admin => "admin",
        }
    }
}

/// What may be done. `admin` may do all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes {
    /// Read requests, interactions, recordings, the feed.
    pub read: bool,
    /// Change requests and answer citizens.
    pub reply: bool,
    /// Bring contacts in.
    pub intake: bool,
    /// Everything; and, where nothing else restricts the grant, changing what Voxea itself goes by.
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

    /// Whether this is among them.
    #[must_use]
    pub const fn contain(self, operation: Operation) -> bool {
        self.admin
            || match operation {
                Operation::Read => self.read,
                Operation::Reply => self.reply,
                Operation::Intake => self.intake,
                Operation::Admin => false,
            }
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        Self::from_names(names.iter().map(String::as_str)).map_err(|name| format!("{name:?} must be one of {}", Self::NAMES.join(", ")))
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.names().split_whitespace().map(str::to_owned).collect()
    }
}

/// How far the requests of a theme may be seen. A grant names the highest level that it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidentiality {
    /// Whoever works on requests.
    #[default]
    Normal,
    /// Whoever was given this level: social aid, complaints about agents.
    Restricted,
    /// A few persons by name: child protection, alerts.
    Secret,
}

/// What may be done to which requests. What is left out restricts nothing, but for the confidentiality, which is normal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub operations: Scopes,
    /// Codes of themes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub themes: Option<BTreeSet<String>>,
    /// Codes of services: all of their themes, and those of the services within them. Together with `themes`: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<BTreeSet<String>>,
    /// Where themes or services are named: whether requests without a theme belong to it too.
    #[serde(default)]
    pub unthemed: bool,
    /// By which channel the request came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<BTreeSet<Channel>>,
    /// Up to which level.
    #[serde(default)]
    pub confidentiality: Confidentiality,
}

impl Grant {
    /// These operations on every request.
    #[must_use]
    pub fn everything(operations: Scopes) -> Self {
        Self {
            operations,
            confidentiality: Confidentiality::Secret,
            ..Self::default()
        }
    }

    /// Whether neither themes nor channels restrict it, though its confidentiality may.
    #[must_use]
    pub const fn is_of_the_whole_town(&self) -> bool {
        self.themes.is_none() && self.services.is_none() && self.channels.is_none()
    }

    /// Whether it reaches every request.
    #[must_use]
    pub fn restricts_nothing(&self) -> bool {
        self.is_of_the_whole_town() && self.confidentiality == Confidentiality::Secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_admin_may_all() {
        let scopes = Scopes::from_names(["reply", "read"]).unwrap();
        assert_eq!(scopes.names(), "read reply");
        assert!(!scopes.contain(Operation::Intake));
        assert!(Scopes::from_names(["admin"]).unwrap().contain(Operation::Intake));
        assert_eq!(Scopes::from_names(["read", "root"]), Err("root".to_owned()));
    }

    #[test]
    fn a_level_alone_leaves_the_whole_town() {
        let of = |text: &str| serde_json::from_str::<Grant>(text).unwrap();
        let normal = of(r#"{"operations":["read"]}"#);
        assert!(normal.is_of_the_whole_town() && !normal.restricts_nothing());
        assert!(of(r#"{"operations":["read"],"confidentiality":"secret"}"#).restricts_nothing());
        for part in [r#""themes":["a"]"#, r#""services":["a"]"#, r#""channels":["sms"]"#] {
            let some = of(&format!(r#"{{"operations":["read"],"confidentiality":"secret",{part}}}"#));
            assert!(!some.is_of_the_whole_town() && !some.restricts_nothing(), "{part}");
        }
    }

    #[test]
    fn a_grant_is_read_as_it_is_written() {
        let text = r#"{"operations":["read","reply"],"services":["voirie"],"unthemed":true,"channels":["sms","email"],"confidentiality":"restricted"}"#;
        let grant: Grant = serde_json::from_str(text).unwrap();
        assert_eq!(grant.channels, Some(BTreeSet::from([Channel::Sms, Channel::Email])));
        assert_eq!(
            serde_json::from_str::<Grant>(&serde_json::to_string(&grant).unwrap()).unwrap(),
            grant
        );
        for wrong in [
            r#"{"operations":["root"]}"#,
            r#"{"operations":[],"channels":["pigeon"]}"#,
            r#"{"operations":[],"theme":[]}"#,
        ] {
            assert!(serde_json::from_str::<Grant>(wrong).is_err(), "{wrong}");
        }
    }
}
