//! `/v1/interactions/{id}/move`: a contact that belongs elsewhere.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use voxea_core::request::Moving;

use super::requests::Request;
use crate::http::api::Api;
use crate::http::auth::{Caller, Reply};
use crate::http::etag;
use crate::http::extract::{Body, Id, present};
use crate::http::idempotency::{self, Call};
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
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag of the request that it leaves"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer, and one move")),
    request_body = Move,
    responses((status = 200, description = "The request that it belongs to now", body = Request, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The request that was opened for it", body = Request,
            headers(("ETag" = String, description = "Its version"), ("Location" = String, description = "Where it is"))),
        Keyed, One, Sent,
        (status = 409, description = "A call with this key is at work, or it is an answer of ours, or the only contact of its request, or one of both requests takes no change", body = ProblemBody, content_type = "application/problem+json"),
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
    let (key, route) = (idempotency::key(&headers)?, format!("move/{id}"));
    let call = Call {
        api: &api,
        client: &caller.id,
        key: key.as_deref(),
        route: &route,
        body: &wanted.bytes,
    };
    let (doors, actor) = (api.clone(), caller.actor.clone());
    let work = async move {
        let moving = Moving {
            interaction_id: &id,
            from: from.as_deref(),
            to: to.as_deref(),
        };
        let (desk, actor) = (&doors.core().desk, &actor);
        let current = || desk.version_left(actor, &moving);
        let moved = etag::changing(&version, current, |version| desk.move_interaction(actor, &moving, version)).await?;
        let status = if moved.opened { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, shape(actor, Request::from(moved.request)).text()))
    };
    idempotency::once(call, there, work).await
}

/// The answer to a contact that was moved.
fn there(status: StatusCode, text: &str) -> Response {
    if status == StatusCode::CREATED {
        idempotency::answer(status, text)
    } else {
        idempotency::placeless(status, text)
    }
}
