//! A citizen and their contact points, as the door takes and shows them.

use std::fmt;
use std::str::FromStr;

use super::address::PointKind;
use super::undeliverable::Undeliverable;
use crate::base::account::Unknown;
use crate::base::time::Millis;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal, $variant_doc:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $(#[doc = $variant_doc] $variant,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that the API and the database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Unknown;

            fn from_str(text: &str) -> Result<Self, Unknown> {
                let found = Self::ALL.iter().copied().find(|one| one.as_str() == text);
                found.ok_or_else(|| Unknown(text.to_owned()))
            }
        }
    };
}

names! {
    /// Who a citizen is.
    CitizenKind {
        Person = "person", "A person.";
        Organisation = "organisation", "A company, an association, another body.";
    }
}

names! {
    /// What may be done with a citizen.
    CitizenStatus {
        Active = "active", "Found again by their contact points.";
        Merged = "merged", "It goes on as another citizen.";
        Restricted = "restricted", "Kept, but no longer worked with (GDPR art. 18): nothing new is linked to them.";
        Anonymised = "anonymised", "Nothing personal is left.";
    }
}

impl CitizenStatus {
    /// Whether they may still be changed, and requests be given to them by hand.
    #[must_use]
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Active | Self::Restricted)
    }
}

/// Somebody who writes to the town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citizen {
    /// UUIDv7.
    pub id: String,
    /// Its place in the order of commits.
    pub position: i64,
    /// Who it is.
    pub kind: CitizenKind,
    /// Of a person.
    pub given_name: Option<String>,
    /// Of a person.
    pub family_name: Option<String>,
    /// The organisation's name, or that of the one for which a person writes.
    pub organisation: Option<String>,
    /// BCP 47: `fr`, `pt-BR`.
    pub language: Option<String>,
    /// What makes the town accessible to them: large print, sign language.
    pub needs: Option<String>,
    /// For those who work with them.
    pub note: Option<String>,
    /// How sure the town is of who they are: 0 (they said so) to 3.
    pub identity_level: u8,
    /// What may be done with them.
    pub status: CitizenStatus,
    /// As whom it goes on, when it was merged.
    pub merged_into: Option<String>,
    /// Rises with every change, those of its contact points included; the ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
    /// Those that are in force, the oldest first.
    pub points: Vec<Point>,
}

/// An address of a citizen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// UUIDv7.
    pub id: String,
    /// What it is.
    pub kind: PointKind,
    /// As it was written.
    pub raw: String,
    /// In its one spelling.
    pub normalised: String,
    /// `mobile`, `work`, for people.
    pub label: Option<String>,
    /// That it is theirs.
    pub verified: Option<Verified>,
    /// That it wants no campaigns, whoever said so.
    pub opted_out: Option<OptedOut>,
    /// That mail to it came back: it is written to again when a mail comes from it.
    pub undeliverable: Option<Undeliverable>,
    /// When it was added.
    pub created_at: Millis,
}

/// That an address is known to be somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Since when.
    pub at: Millis,
    /// By what: `code by text`, `identity card`.
    pub how: String,
}

/// That an address wants no campaigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptedOut {
    /// Since when.
    pub at: Millis,
    /// By what: `STOP`, `asked at the counter`.
    pub how: Option<String>,
}

/// A citizen to be made.
#[derive(Debug, Clone)]
pub struct NewCitizen {
    /// Who it is.
    pub kind: CitizenKind,
    /// See [`Citizen`].
    pub given_name: Option<String>,
    /// See [`Citizen`].
    pub family_name: Option<String>,
    /// See [`Citizen`].
    pub organisation: Option<String>,
    /// See [`Citizen`].
    pub language: Option<String>,
    /// See [`Citizen`].
    pub needs: Option<String>,
    /// See [`Citizen`].
    pub note: Option<String>,
    /// See [`Citizen`].
    pub identity_level: u8,
    /// Their addresses; one that comes twice is taken once.
    pub points: Vec<NewPoint>,
}

impl NewCitizen {
    /// One of whom nothing is known.
    #[must_use]
    pub const fn new(kind: CitizenKind) -> Self {
        Self {
            kind,
            given_name: None,
            family_name: None,
            organisation: None,
            language: None,
            needs: None,
            note: None,
            identity_level: 0,
            points: Vec::new(),
        }
    }
}

/// An address to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoint {
    /// What it is.
    pub kind: PointKind,
    /// As it was written.
    pub raw: String,
    /// For people.
    pub label: Option<String>,
    /// By what it is known to be theirs, when it is.
    pub verified_how: Option<String>,
}

/// A merge patch (RFC 7396) of a citizen: `None` leaves a member alone, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Who it is.
    pub kind: Option<CitizenKind>,
    /// See [`Citizen`].
    pub given_name: Option<Option<String>>,
    /// See [`Citizen`].
    pub family_name: Option<Option<String>>,
    /// See [`Citizen`].
    pub organisation: Option<Option<String>>,
    /// See [`Citizen`].
    pub language: Option<Option<String>>,
    /// See [`Citizen`].
    pub needs: Option<Option<String>>,
    /// See [`Citizen`].
    pub note: Option<Option<String>>,
    /// See [`Citizen`].
    pub identity_level: Option<u8>,
    /// Active or restricted; the others have calls of their own.
    pub status: Option<CitizenStatus>,
}

/// A merge patch of a contact point. An address itself never changes: another one is added, and this one removed.
#[derive(Debug, Clone, Default)]
pub struct PointPatch {
    /// For people.
    pub label: Option<Option<String>>,
    /// By what it is known to be theirs, from now on; `Some(None)`: it is not.
    pub verified_how: Option<Option<String>>,
    /// Mail to it came back, and may be tried again: see [`Undeliverable`].
    pub deliverable: bool,
}

/// What was done to a citizen.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CitizenChange {
    /// When, milliseconds UTC.
    pub at: Millis,
    /// `system`, `key:id`, `agent:id`.
    pub actor: String,
    /// `created`, `changed`, `contact_point_added`, `contact_point_changed`, `contact_point_removed`.
    pub action: String,
    /// JSON: what changed, from what to what.
    pub detail: String,
}

/// Which citizens a list shows.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Only those in this state.
    pub status: CitizenStatus,
    /// Only those committed after this position.
    pub after: i64,
}

/// A page of citizens.
#[derive(Debug, Clone)]
pub struct Listed {
    /// In commit order.
    pub items: Vec<Citizen>,
    /// The position to continue from; `None` at the end.
    pub next: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for status in CitizenStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for kind in CitizenKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("robot".parse::<CitizenKind>().is_err());
    }
}
