//! `/v1/citizens:lookup`: who has exactly this address.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use voxea_core::citizen::{self, PointKind};

use super::citizen::{AddressKind, Citizen};
use super::citizens::{status, status_schema};
use crate::http::api::Api;
use crate::http::auth::{Caller, ReadTown};
use crate::http::extract::Params;
use crate::http::openapi::{Keyed, Problem as ProblemBody};
use crate::http::problem::Problem;
use crate::http::shape::{Shaped, shape};

/// Exactly one address.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// A telephone number in any spelling; write `+` as `%2B`.
    #[param(example = "0612345678")]
    phone: Option<String>,
    /// A mail address; case does not count.
    email: Option<String>,
    /// A postal address; case, accents and punctuation do not count, everything else does.
    postal: Option<String>,
    /// Only those in this state; `active` when left out.
    #[param(schema_with = status_schema)]
    status: Option<String>,
}

/// Who has an address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CitizensFound {
    /// Who has it among their contact points, the oldest first, at most 500; empty when nobody has.
    items: Vec<Citizen>,
    /// What was looked for.
    address: AddressFound,
    /// Whether it wants no campaigns, whoever has it.
    opted_out: bool,
}

/// An address in its one spelling.
#[derive(Debug, Serialize, ToSchema)]
struct AddressFound {
    /// What it is.
    kind: AddressKind,
    /// The spelling.
    #[schema(example = "+33612345678")]
    normalised: String,
}

/// The citizens who have exactly this address, of which exactly one is asked for. Nothing is guessed: who is not found by it
/// has another one.
#[utoipa::path(get, path = "/v1/citizens:lookup", tag = "citizens", security(("key" = ["read"])), params(Asked),
    responses((status = 200, description = "Who has it", body = CitizensFound), Keyed,
        (status = 422, description = "Not exactly one address, or none that can be somebody's", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn lookup(
    State(api): State<Api>,
    caller: Caller<ReadTown>,
    Params(asked): Params<Asked>,
) -> Result<Shaped<CitizensFound>, Problem> {
    let status = status(asked.status.as_deref())?;
    let (kind, raw) = match (&asked.phone, &asked.email, &asked.postal) {
        (Some(raw), None, None) => (PointKind::Phone, raw),
        (None, Some(raw), None) => (PointKind::Email, raw),
        (None, None, Some(raw)) => (PointKind::Postal, raw),
        _ => {
            return Err(Problem::invalid_parameters(
                &["phone", "email", "postal"],
                "ask for exactly one of `phone`, `email` and `postal`",
            ));
        }
    };
    let address = citizen::Address::read(kind, raw)
        .ok_or_else(|| Problem::invalid_parameter(&kind.to_string(), "cannot be somebody's: it is empty, withheld or no such address"))?;
    let found = api.core().citizens.lookup(&caller.actor, &address, status).await?;
    let found = CitizensFound {
        items: found.citizens.into_iter().map(Citizen::from).collect(),
        opted_out: found.opted_out,
        address: AddressFound {
            kind: kind.into(),
            normalised: address.normalised().to_owned(),
        },
    };
    Ok(shape(&caller.actor, found))
}
