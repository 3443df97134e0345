//! `/v1/interactions/{id}/move`: a contact that belongs elsewhere.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use voxea_core::request::Moving;

use super::requests::Request;
use crate::http::api::Api;
use crate::http::auth::{Caller, Reply};
use crate::http::etag;
use crate::http::extract::{Body, Id, present, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;
use crate::http::shape::shape;

/// Where a contact goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    /// The id of the request that it goes to; null for a new one, with the theme of the one that it leaves.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, required = true)]
    to: Option<Option<String>>,
    /// The id of the request that it leaves; only needed when it belongs to several.
    #[schema(value_type = Option<String>)]
    from: Option<String>,
}

/// Moves a contact of the citizen to another request, or to a new one. The caller must be able to change both. A request that no
/// contact is left of becomes `merged`, if it may. Our answers stay with the request that they answered.
#[utoipa::path(post, path = "/v1/interactions/{id}/move", tag = "requests", security(("key" = ["reply"])),
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag of the request that it leaves")),
    request_body = Move,
    responses((status = 200, description = "The request that it belongs to now", body = Request, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The request that was opened for it", body = Request,
            headers(("ETag" = String, description = "Its version"), ("Location" = String, description = "Where it is"))),
        Keyed, One, Sent,
        (status = 409, description = "It is an answer of ours, or the only contact of its request, or one of both requests takes no change", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request that it leaves was changed: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<Reply>,
    Id(id): Id,
    headers: HeaderMap,
    wanted: Body<Move>,
) -> Result<Response, Problem> {
    let version = etag::if_match(&headers)?;
    let Move { to, from } = wanted.value;
    let to = to.ok_or_else(|| Problem::invalid("/to", "must be the id of a request, or null for a new one"))?;
    let moving = Moving {
        interaction_id: &id,
        from: from.as_deref(),
        to: to.as_deref(),
    };
    let (desk, actor) = (&api.core().desk, &caller.actor);
    let current = || desk.version_left(actor, &moving);
    let moved = etag::changing(&version, current, |version| desk.move_interaction(actor, &moving, version)).await?;
    let (version, location) = (moved.request.version, format!("/v1/requests/{}", moved.request.id));
    let answer = tagged(shape(actor, Request::from(moved.request)), version);
    Ok(if moved.opened {
        (StatusCode::CREATED, [(LOCATION, location)], answer).into_response()
    } else {
        answer
    })
}
