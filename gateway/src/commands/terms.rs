//! The terms of a key, as they are typed.

use std::collections::BTreeSet;

use clap::Args;
use voxea_core::base::account::Channel;
use voxea_core::base::actor::Contract;
use voxea_core::base::grant::{Confidentiality, Grant, Operation, Scopes};
use voxea_core::base::nearest::{hint, quoted};
use voxea_core::base::time::{self, Millis, rfc3339};
use voxea_core::catalogue::Catalogue;
use voxea_core::feed::Feed;
use voxea_core::store::Store;

use crate::config::Config;
use crate::failure::Failure;
use crate::http;

/// What a key may do, to which requests, and what its holder is shown.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// What it may do: read, reply, intake, admin (all). May be given several times.
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
    scope: Vec<String>,
    /// Only requests of these themes, by code.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    theme: Vec<String>,
    /// Only requests of themes of these services and the services within them, by code.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    service: Vec<String>,
    /// With --theme or --service: requests without a theme as well.
    #[arg(long)]
    unthemed: bool,
    /// Only requests that came by these channels.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    channel: Vec<String>,
    /// Themes up to this confidentiality: normal, restricted, secret (all).
    #[arg(long, default_value = "secret")]
    confidentiality: String,
    /// Only these members of requests, interactions and citizens, besides ids.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    field: Vec<String>,
    /// What the data are used for.
    #[arg(long)]
    purpose: Option<String>,
    /// The last day on which the key is accepted: 2027-12-31.
    #[arg(long)]
    until: Option<String>,
}

impl Terms {
    /// The contract that these are; days are those of the zone.
    ///
    /// # Errors
    /// What is typed wrong, and what would be right.
    pub(super) fn contract(&self, time_zone: &str) -> Result<Contract, Failure> {
        let operations = Scopes::from_names(self.scope.iter().map(String::as_str))
            .map_err(|name| Failure::Usage(format!("{name:?} is no scope; there are {}", Scopes::NAMES.join(", "))))?;
        let channels = self.channel.iter().map(|name| channel(name)).collect::<Result<BTreeSet<_>, _>>()?;
        let confidentiality = match self.confidentiality.as_str() {
            "normal" => Confidentiality::Normal,
            "restricted" => Confidentiality::Restricted,
            "secret" => Confidentiality::Secret,
            other => {
                return Err(Failure::Usage(format!(
                    "{other:?} is no confidentiality; there are normal, restricted, secret"
                )));
            }
        };
        let until = match &self.until {
            None => None,
            Some(text) => Some(
                time::end_of_day(text, time_zone)
                    .ok_or_else(|| Failure::Usage(format!("--until {text:?} is no day; an example: --until 2027-12-31")))?,
            ),
        };
        if until.is_some_and(|until| until <= time::now()) {
            return Err(Failure::Usage(
                "--until lies in the past: nobody would ever accept the key".to_owned(),
            ));
        }
        if operations.contain(Operation::Admin) && !self.field.is_empty() {
            return Err(Failure::Usage(
                "--field cannot restrict an admin key, which may give itself any other; leave one of them out".to_owned(),
            ));
        }
        if self.unthemed && self.theme.is_empty() && self.service.is_empty() {
            return Err(Failure::Usage("--unthemed goes with --theme or --service".to_owned()));
        }
        if !self.field.is_empty() {
            let known = http::members();
            self.field.iter().try_for_each(|name| member(name, &known))?;
        }
        Ok(Contract {
            grant: Grant {
                operations,
                themes: some(&self.theme),
                services: some(&self.service),
                unthemed: self.unthemed,
                channels: (!channels.is_empty()).then_some(channels),
                confidentiality,
            },
            fields: some(&self.field),
            purpose: self.purpose.clone(),
            until,
        })
    }
}

/// Whether a contract is in force, for a list.
pub(super) fn state(revoked_at: Option<Millis>, contract: &Contract) -> String {
    match (revoked_at, contract.until) {
        (Some(at), _) => format!("revoked {}", rfc3339(at)),
        (None, Some(until)) => format!("until {}", rfc3339(until)),
        (None, None) => "in force".to_owned(),
    }
}

fn some(names: &[String]) -> Option<BTreeSet<String>> {
    (!names.is_empty()).then(|| names.iter().cloned().collect())
}

fn channel(name: &str) -> Result<Channel, Failure> {
    Channel::named(name).map_err(|message| Failure::Usage(format!("--channel: {message}")))
}

/// Members that a contract may name are those that it can show.
fn member(name: &str, known: &BTreeSet<String>) -> Result<(), Failure> {
    if known.contains(name) {
        return Ok(());
    }
    let known = || known.iter().map(String::as_str);
    let (name, meant) = (quoted(name), hint(name, known()));
    let all = known().collect::<Vec<_>>().join(", ");
    let joint = if meant.is_empty() { "; there" } else { " There" };
    Err(Failure::Usage(format!(
        "--field: requests, interactions, replies and citizens have no member {name}{meant}{joint} are {all}"
    )))
}

/// Refuses themes and services that there are not, by the catalogue of the database.
///
/// # Errors
/// The first code that there is not, as usage; the database's.
pub(super) async fn known_codes(config: &Config, store: &Store, contract: &Contract) -> Result<(), Failure> {
    let catalogue = Catalogue::new(store.clone(), Feed::new(store.clone()), config.organisation.calendar.clone());
    // A new database has the catalogue that it begins with, as after a first start.
    catalogue.seed().await?;
    match catalogue.current().unknown_code(&contract.grant) {
        Some(unknown) => {
            let option = unknown.kind.as_str();
            Err(Failure::Usage(format!("--{option}: {}", unknown.told("voxea catalogue export"))))
        }
        None => Ok(()),
    }
}
