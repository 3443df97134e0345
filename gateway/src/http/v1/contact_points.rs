//! `/v1/citizens/{id}/contact-points`: the addresses of a citizen. Each call answers with the whole citizen, whose ETag is
//! what the next change needs.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::citizen::{Citizen, ContactPointChange, NewContactPoint};
use crate::http::api::Api;
use crate::http::auth::{Caller, ReplyTown};
use crate::http::etag;
use crate::http::extract::{Body, Id, Ids, tagged};
use crate::http::idempotency::{self, Call};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;
use crate::http::shape::shape;

/// Adds an address to a citizen; one that they have already stays as it is (200). Requests that came from it before and are
/// nobody's become theirs, the latest 500, as far as nobody else has it.
#[utoipa::path(post, path = "/v1/citizens/{id}/contact-points", tag = "citizens", security(("key" = ["reply"])),
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer")),
    request_body = NewContactPoint,
    responses((status = 201, description = "It was added", body = Citizen, headers(("ETag" = String, description = "The citizen's new version"))),
        (status = 200, description = "It was there", body = Citizen, headers(("ETag" = String, description = "The citizen's version"))),
        Keyed, One, Sent,
        (status = 409, description = "A call with this key is at work, or the citizen was merged or anonymised, or has 50 already", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<ReplyTown>,
    Id(id): Id,
    headers: HeaderMap,
    body: Body<NewContactPoint>,
) -> Result<Response, Problem> {
    let (key, route) = (idempotency::key(&headers)?, format!("contact-points/{id}"));
    let call = Call {
        api: &api,
        client: &caller.id,
        key: key.as_deref(),
        route: &route,
        body: &body.bytes,
    };
    let (doors, actor, point) = (api.clone(), caller.actor.clone(), body.value.into());
    let work = async move {
        let added = doors.core().citizens.add_point(&actor, &id, &point).await?;
        let status = if added.made { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, shape(&actor, Citizen::from(added.citizen)).text()))
    };
    idempotency::once(call, idempotency::placeless, work).await
}

/// Says what an address is, by what it is known to be theirs, or that mail to it may be tried again.
#[utoipa::path(patch, path = "/v1/citizens/{id}/contact-points/{pid}", tag = "citizens", security(("key" = ["reply"])),
    params(("id" = String, Path), ("pid" = String, Path), ("If-Match" = String, Header, description = "The ETag of the citizen that was read")),
    request_body(content = ContactPointChange, content_type = "application/merge-patch+json", description = "RFC 7396; `application/json` is taken for the same"),
    responses((status = 200, description = "The citizen as they are now", body = Citizen, headers(("ETag" = String, description = "The new version"))),
        Keyed, One, Sent,
        (status = 409, description = "The citizen was merged or anonymised", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller<ReplyTown>,
    Ids(id, point): Ids,
    headers: HeaderMap,
    change: Body<ContactPointChange>,
) -> Result<Response, Problem> {
    let wanted = etag::if_match(&headers)?;
    let patch = change.value.patch()?;
    let (door, actor) = (&api.core().citizens, &caller.actor);
    let current = || async { Ok(door.get(actor, &id).await?.version) };
    let change = |version| door.patch_point(actor, &id, &point, version, &patch);
    let shown = Citizen::from(etag::changing(&wanted, current, change).await?);
    let version = shown.version;
    Ok(tagged(shape(&caller.actor, shown), version))
}

/// Takes an address from a citizen. Requests that are theirs stay theirs, and an opt-out of the address stays in force.
#[utoipa::path(delete, path = "/v1/citizens/{id}/contact-points/{pid}", tag = "citizens", security(("key" = ["reply"])),
    params(("id" = String, Path), ("pid" = String, Path), ("If-Match" = String, Header, description = "The ETag of the citizen that was read")),
    responses((status = 200, description = "The citizen as they are now", body = Citizen, headers(("ETag" = String, description = "The new version"))),
        Keyed, One,
        (status = 409, description = "The citizen was merged or anonymised", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller<ReplyTown>,
    Ids(id, point): Ids,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = etag::if_match(&headers)?;
    let (door, actor) = (&api.core().citizens, &caller.actor);
    let current = || async { Ok(door.get(actor, &id).await?.version) };
    let change = |version| door.remove_point(actor, &id, &point, version);
    let shown = Citizen::from(etag::changing(&wanted, current, change).await?);
    let version = shown.version;
    Ok(tagged(shape(&caller.actor, shown), version))
}
