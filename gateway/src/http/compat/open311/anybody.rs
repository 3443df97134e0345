//! Calls of those who need not say who they are.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::answer::{Answer, Failure, Format};
use crate::http::api::Api;
use crate::http::auth;

/// A call of somebody who need not say who they are: its format, what it asks, and that its address has not asked too often.
#[derive(Debug)]
pub(super) struct Anybody {
    query: Vec<(String, String)>,
}

impl Anybody {
    /// A parameter; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl FromRequestParts<Api> for Anybody {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Answer> {
        let format = Format::of_path(parts.uri.path());
        let address = auth::address(parts, api.settings().behind_proxy);
        let refused = |failure: Failure| failure.answer(format.unwrap_or(Format::Xml));
        if let Err(problem) = api.quota().take_of_address(address, std::time::Instant::now()) {
            return Err(refused(Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests from this address; try again in a minute",
            ))
            .with_headers(problem.headers()));
        }
        let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
            return Err(refused(Failure::new(StatusCode::BAD_REQUEST, "the query cannot be read")));
        };
        let asked = Self { query };
        jurisdiction(api, asked.get("jurisdiction_id")).map_err(refused)?;
        Ok(asked)
    }
}

/// Whether a call is for this town.
///
/// # Errors
/// 404 for another's (GeoReport v2, "Error").
pub(super) fn jurisdiction(api: &Api, asked: Option<&str>) -> Result<(), Failure> {
    match (&api.settings().open311.jurisdiction, asked) {
        (Some(ours), Some(asked)) if ours != asked => Err(Failure::new(StatusCode::NOT_FOUND, "jurisdiction_id provided was not found")),
        _ => Ok(()),
    }
}
