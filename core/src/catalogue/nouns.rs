//! What a town hall does: domains, the services in them, and the themes that citizens write about.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use voxea_rules::calendar::Closure;

pub use crate::base::grant::Confidentiality;

/// A field of public action; the default has six.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Lower-case letters, digits and hyphens, at most 60.
    pub code: String,
    /// For people.
    pub label: String,
}

/// Who answers. The acknowledgement that the law wants (CRPA R112-11-1) names the service with its address and phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// As for a domain.
    pub code: String,
    /// For people.
    pub name: String,
    /// A domain's code.
    pub domain: String,
    /// The code of the service that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Lines separated by LF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_address: Option<String>,
    /// As it is shown to citizens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// As it is shown to citizens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When it is open, such as `mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00`; without them, the organisation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Days on which it is closed besides public holidays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closures: Vec<ClosedDays>,
}

/// Days on which a service is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedDays {
    /// `2026-08-03`.
    pub first: String,
    /// The last of them; the first when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl ClosedDays {
    /// As the calendar takes it; `None` when a date is none, or the last comes before the first.
    #[must_use]
    pub fn closure(&self) -> Option<Closure> {
        let first: Date = self.first.parse().ok()?;
        let last = match &self.last {
            None => first,
            Some(text) => text.parse().ok()?,
        };
        Closure::new(first, last, self.label.clone())
    }
}

/// What silence means (CRPA L231-1 and following).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Nothing: no decision is asked for.
    #[default]
    None,
    /// After the delay, silence accepts.
    Acceptance,
    /// After the delay, silence refuses.
    Rejection,
}

/// What silence means, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What it means.
    pub regime: Regime,
    /// After how many months; the law's rule is two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub months: Option<u32>,
}

/// What a citizen may write about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theme {
    /// As for a domain; what `theme` of a request says.
    pub code: String,
    /// For people.
    pub label: String,
    /// A service's code.
    pub service: String,
    /// First words of a text that choose it; case, accents and punctuation do not matter.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// The key that chooses it in a call's menu: `0` to `8`, since `9` refuses the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digit: Option<String>,
    /// Addresses of mails that choose it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Offered on the town's web site.
    #[serde(default = "yes")]
    pub public: bool,
    /// What silence means.
    #[serde(default)]
    pub decision: Decision,
    /// Working time within which it should be answered, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_minutes: Option<u32>,
    /// How long its requests are kept after their end, in months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_months: Option<u32>,
    /// Who may see its requests.
    #[serde(default)]
    pub confidentiality: Confidentiality,
    /// JSON Schema (2020-12) of the fields that a form adds, as far as [`super::schema`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
    /// Whether new requests may have it; old ones keep it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// All of it, in the order in which it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The fields of public action.
    pub domains: Vec<Domain>,
    /// Who answers.
    pub services: Vec<Service>,
    /// What citizens write about.
    pub themes: Vec<Theme>,
}

impl Document {
    /// What a new database begins with: six domains and their usual themes.
    ///
    /// # Errors
    /// What the parser says of the file that the build brought; a test holds that it says nothing.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../../config/catalogue.json"))
    }
}
