//! Channels, and the accounts through which they reach the town.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::nearest::{nearest, quoted};

/// What kind of task serves a channel account, as `/v1/channels` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The REST API itself.
    Api,
    /// A SIP endpoint.
    Sip,
    /// A bind to an SMSC.
    Smpp,
    /// A mailbox, with its submission server.
    Mailbox,
    /// A watched folder of scanned documents.
    Scan,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Api, Self::Sip, Self::Smpp, Self::Mailbox, Self::Scan];

    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Sip => "sip",
            Self::Smpp => "smpp",
            Self::Mailbox => "mailbox",
            Self::Scan => "scan",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Unknown(text.to_owned()))
    }
}

/// One configured way in or out: `smpp/short-number`, `mailbox/mairie`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// Which task serves it.
    pub kind: Kind,
    /// Its name in the configuration.
    pub name: String,
}

impl Account {
    /// The account called `name` of this kind.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// `kind/name`: the form in which the database refers to it.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// Reads `kind/name` back.
    ///
    /// # Errors
    /// [`Unknown`] when the kind is not one of ours or the slash is missing.
    pub fn parse(key: &str) -> Result<Self, Unknown> {
        let (kind, name) = key.split_once('/').ok_or_else(|| Unknown(key.to_owned()))?;
        Ok(Self::new(kind.parse()?, name))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

macro_rules! channels {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// The way by which a citizen reached us, or is answered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Channel { $(#[doc = $doc] $variant,)* }

        impl Channel {
            /// Every channel.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that the API and the database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

channels! {
    Call = "call", "A conversation with an agent, noted by hand.";
    Voicemail = "voicemail", "A message left after the greeting.";
    Sms = "sms", "A text to the short number.";
    Email = "email", "A mail to one of the town's mailboxes.";
    Web = "web", "The contact form of the town's web site.";
    Letter = "letter", "A letter on paper.";
    Fax = "fax", "A fax.";
    Counter = "counter", "A visit to the counter.";
    Extranet = "extranet", "The citizen's own space.";
    Teleservice = "teleservice", "An on-line procedure.";
    Open311 = "open311", "An Open311 GeoReport client.";
    Api = "api", "Another program.";
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL
            .iter()
            .copied()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| Unknown(text.to_owned()))
    }
}

impl Channel {
    /// The channel of a name that somebody wrote.
    ///
    /// # Errors
    /// What is wrong with it, for who wrote it: the nearest one, and which there are.
    pub fn named(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.iter().map(|channel| channel.as_str());
        text.parse().map_err(|_| {
            let (meant, all) = (nearest(text, names()), names().collect::<Vec<_>>().join(", "));
            let name = quoted(text);
            match meant {
                Some(meant) => format!("there is no channel {name}; did you mean {meant}? There are {all}"),
                None => format!("there is no channel {name}; there are {all}"),
            }
        })
    }
}

impl TryFrom<String> for Channel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::named(&text)
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.as_str().to_owned()
    }
}

/// A name that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct Unknown(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(*channel));
        }
        let account = Account::new(Kind::Mailbox, "a/b");
        assert_eq!(Account::parse(&account.key()), Ok(account));
        assert!("pigeon".parse::<Channel>().is_err());
        assert!(
            Channel::named("pigeon")
                .unwrap_err()
                .starts_with("there is no channel `pigeon`; there are call, voicemail, sms,")
        );
        assert!(
            Channel::named("emial")
                .unwrap_err()
                .contains("; did you mean email? There are call,")
        );
        assert!(Account::parse("pigeon").is_err());
    }
}
