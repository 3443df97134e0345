//! A citizen as the API shows and takes them; the handlers stand in `citizens` and `contact_points`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use voxea_core::base::time::rfc3339;
use voxea_core::citizen::{self, NewPoint, Point, PointPatch};

use crate::http::extract::present;
use crate::http::problem::Problem;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident of $core:ty { $($variant:ident = $variant_doc:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $type { $(#[doc = $variant_doc] $variant,)* }

        impl From<$core> for $type {
            fn from(one: $core) -> Self {
                match one { $(<$core>::$variant => Self::$variant,)* }
            }
        }

        impl From<$type> for $core {
            fn from(one: $type) -> Self {
                match one { $($type::$variant => Self::$variant,)* }
            }
        }
    };
}

names! {
    /// Who a citizen is.
    CitizenKind of citizen::CitizenKind {
        Person = "A person.";
        Organisation = "A company, an association, another body.";
    }
}

names! {
    /// What may be done with a citizen.
    CitizenStatus of citizen::CitizenStatus {
        Active = "Found again by their contact points.";
        Merged = "It goes on as another citizen.";
        Restricted = "Kept, but no longer worked with: nothing new is linked to them.";
        Anonymised = "Nothing personal is left.";
    }
}

names! {
    /// What an address is.
    AddressKind of citizen::PointKind {
        Phone = "A telephone number.";
        Email = "A mail address.";
        Postal = "A postal address.";
        Other = "Anything else.";
    }
}

/// Somebody who writes to the town.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Citizen {
    /// UUIDv7.
    id: String,
    /// Who it is.
    kind: CitizenKind,
    /// Of a person.
    given_name: Option<String>,
    /// Of a person.
    family_name: Option<String>,
    /// The organisation's name, or that of the one for which a person writes.
    organisation: Option<String>,
    /// BCP 47.
    #[schema(example = "fr")]
    language: Option<String>,
    /// What makes the town accessible to them.
    #[schema(example = "gros caractères")]
    needs: Option<String>,
    /// For those who work with them.
    note: Option<String>,
    /// How sure the town is of who they are, 0 (they said so) to 3.
    #[schema(minimum = 0, maximum = 3)]
    identity_level: u8,
    /// What may be done with them.
    status: CitizenStatus,
    /// The id of the citizen as whom it goes on, when it was merged.
    merged_into: Option<String>,
    /// The oldest first.
    contact_points: Vec<ContactPoint>,
    /// When it was made.
    created_at: String,
    /// When it changed last, its contact points included.
    updated_at: String,
    /// Rises with every change, those of its contact points included; the ETag.
    pub(super) version: i64,
    /// Where to go from here.
    links: CitizenLinks,
}

/// Paths of this API.
#[derive(Debug, Serialize, ToSchema)]
struct CitizenLinks {
    /// The citizen.
    #[serde(rename = "self")]
    this: String,
    /// Where contact points are posted.
    contact_points: String,
    /// What they asked for.
    requests: String,
}

/// An address of a citizen.
#[derive(Debug, Serialize, ToSchema)]
struct ContactPoint {
    /// UUIDv7.
    id: String,
    /// What it is.
    kind: AddressKind,
    /// As it was written.
    #[schema(example = "06 12 34 56 78")]
    value: String,
    /// In the one spelling by which it is compared.
    #[schema(example = "+33612345678")]
    normalised: String,
    /// For people.
    #[schema(example = "mobile")]
    label: Option<String>,
    /// That it is known to be theirs.
    verified: Option<KnownSince>,
    /// That it wants no campaigns, whoever said so.
    opted_out: Option<KnownSince>,
    /// That mail to it came back, and what was said: it is written to again when a mail comes from it, or when a change of the point
    /// says `null` here.
    undeliverable: Option<KnownSince>,
    /// When it was added.
    created_at: String,
}

/// Since when something holds, and by what.
#[derive(Debug, Serialize, ToSchema)]
struct KnownSince {
    /// Since when.
    at: String,
    /// By what.
    #[schema(example = "STOP")]
    how: Option<String>,
}

impl From<citizen::Citizen> for Citizen {
    fn from(citizen: citizen::Citizen) -> Self {
        let path = format!("/v1/citizens/{}", citizen.id);
        Self {
            kind: citizen.kind.into(),
            given_name: citizen.given_name,
            family_name: citizen.family_name,
            organisation: citizen.organisation,
            language: citizen.language,
            needs: citizen.needs,
            note: citizen.note,
            identity_level: citizen.identity_level,
            status: citizen.status.into(),
            merged_into: citizen.merged_into,
            contact_points: citizen.points.into_iter().map(ContactPoint::from).collect(),
            created_at: rfc3339(citizen.created_at),
            updated_at: rfc3339(citizen.updated_at),
            version: citizen.version,
            links: CitizenLinks {
                contact_points: format!("{path}/contact-points"),
                requests: format!("{path}/requests"),
                this: path,
            },
            id: citizen.id,
        }
    }
}

impl From<Point> for ContactPoint {
    fn from(point: Point) -> Self {
        let since = |at, how| KnownSince { at: rfc3339(at), how };
        Self {
            id: point.id,
            kind: point.kind.into(),
            value: point.raw,
            normalised: point.normalised,
            label: point.label,
            verified: point.verified.map(|verified| since(verified.at, Some(verified.how))),
            opted_out: point.opted_out.map(|out| since(out.at, out.how)),
            undeliverable: point.undeliverable.map(|back| since(back.at, Some(back.reason))),
            created_at: rfc3339(point.created_at),
        }
    }
}

/// A citizen to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCitizen {
    /// Who it is.
    kind: CitizenKind,
    /// At most 200 characters, as every name.
    given_name: Option<String>,
    /// Of a person.
    family_name: Option<String>,
    /// The name of an organisation, which must have one.
    organisation: Option<String>,
    /// BCP 47.
    #[schema(example = "fr")]
    language: Option<String>,
    /// What makes the town accessible to them.
    needs: Option<String>,
    /// For those who work with them.
    note: Option<String>,
    /// How sure the town is of who they are; 0 when left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3)]
    identity_level: u8,
    /// At most 50; one that comes twice is taken once.
    #[serde(default)]
    contact_points: Vec<NewContactPoint>,
}

/// An address to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewContactPoint {
    /// What it is.
    kind: AddressKind,
    /// As it is written; a French number needs no country code.
    #[schema(example = "06 12 34 56 78")]
    value: String,
    /// For people.
    label: Option<String>,
    /// By what it is known to be theirs, when it is.
    #[schema(example = "identity card")]
    verified_how: Option<String>,
}

impl From<NewCitizen> for citizen::NewCitizen {
    fn from(new: NewCitizen) -> Self {
        Self {
            kind: new.kind.into(),
            given_name: new.given_name,
            family_name: new.family_name,
            organisation: new.organisation,
            language: new.language,
            needs: new.needs,
            note: new.note,
            identity_level: new.identity_level,
            points: new.contact_points.into_iter().map(NewPoint::from).collect(),
        }
    }
}

impl From<NewContactPoint> for NewPoint {
    fn from(new: NewContactPoint) -> Self {
        Self {
            kind: new.kind.into(),
            raw: new.value,
            label: new.label,
            verified_how: new.verified_how,
        }
    }
}

/// A merge patch (RFC 7396) of a citizen: members left out stay, `null` empties.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CitizenChange {
    /// Who it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CitizenKind>)]
    kind: Option<Option<CitizenKind>>,
    /// Of a person.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    given_name: Option<Option<String>>,
    /// Of a person.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    family_name: Option<Option<String>>,
    /// The name of an organisation.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    organisation: Option<Option<String>>,
    /// BCP 47.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// What makes the town accessible to them.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    needs: Option<Option<String>>,
    /// For those who work with them.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    note: Option<Option<String>>,
    /// How sure the town is of who they are.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u8>, minimum = 0, maximum = 3)]
    identity_level: Option<Option<u8>>,
    /// `active` or `restricted`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CitizenStatus>)]
    status: Option<Option<CitizenStatus>>,
}

/// A merge patch (RFC 7396) of a contact point. Its value never changes: add another one and remove this one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactPointChange {
    /// For people.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    label: Option<Option<String>>,
    /// By what it is known to be theirs, from now on; `null`: it is not.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    verified_how: Option<Option<String>>,
    /// `null`: mail to it came back, and may be tried again. Nobody can say that it comes back but a mail server.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = nothing)]
    undeliverable: Option<Option<Value>>,
}

/// A member that can only be emptied.
fn nothing() -> Schema {
    ObjectBuilder::new().schema_type(Type::Null).into()
}

impl ContactPointChange {
    /// The patch, or that a member was given what it cannot have.
    pub(super) fn patch(self) -> Result<PointPatch, Problem> {
        if let Some(Some(_)) = self.undeliverable {
            return Err(Problem::invalid(
                "/undeliverable",
                "must be null, which says that mail may be tried again",
            ));
        }
        Ok(PointPatch {
            label: self.label,
            verified_how: self.verified_how,
            deliverable: self.undeliverable.is_some(),
        })
    }
}

impl CitizenChange {
    /// The patch, or the first member that cannot be emptied and is.
    pub(super) fn patch(self) -> Result<citizen::Patch, Problem> {
        Ok(citizen::Patch {
            kind: never_null("/kind", self.kind)?.map(Into::into),
            given_name: self.given_name,
            family_name: self.family_name,
            organisation: self.organisation,
            language: self.language,
            needs: self.needs,
            note: self.note,
            identity_level: never_null("/identity_level", self.identity_level)?,
            status: never_null("/status", self.status)?.map(Into::into),
        })
    }
}

fn never_null<T>(pointer: &str, member: Option<Option<T>>) -> Result<Option<T>, Problem> {
    match member {
        Some(None) => Err(Problem::invalid(pointer, "a citizen always has it; it cannot be null")),
        Some(some) => Ok(some),
        None => Ok(None),
    }
}
