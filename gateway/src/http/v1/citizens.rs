//! `/v1/citizens`: who writes to the town.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use voxea_core::citizen::{CitizenStatus, Filter};
use voxea_core::request;

use super::citizen::{Citizen, CitizenChange, NewCitizen};
use super::requests::Requests;
use crate::http::api::Api;
use crate::http::auth::{Caller, ReadTown, ReplyTown};
use crate::http::extract::{Body, Id, Params, limit, tagged};
use crate::http::idempotency::{self, Claim};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::shape::{Shaped, shape};
use crate::http::{cursor, etag};

/// By what an Idempotency-Key of these calls is told from one of others.
const ROUTE: &str = "citizens";

/// Which citizens, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only those in this state; `active` when left out.
    #[param(schema_with = status_schema)]
    status: Option<String>,
    /// `next` of an earlier page.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paged {
    /// `next` of an earlier page.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// A page of citizens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Citizens {
    /// In commit order.
    items: Vec<Citizen>,
    /// Where to continue; null at the end.
    next: Option<String>,
}

/// Reads a state; active when none is asked for.
pub(super) fn status(text: Option<&str>) -> Result<CitizenStatus, Problem> {
    let Some(text) = text else {
        return Ok(CitizenStatus::Active);
    };
    text.parse()
        .map_err(|_| Problem::invalid_parameter("status", &format!("must be one of {}", statuses().join(", "))))
}

fn statuses() -> Vec<&'static str> {
    CitizenStatus::ALL.iter().map(|status| status.as_str()).collect()
}

/// The states as the document lists them.
pub(super) fn status_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(statuses())).build()
}

/// Citizens in commit order: continuing from `next` skips none.
#[utoipa::path(get, path = "/v1/citizens", tag = "citizens", security(("key" = ["read"])), params(Asked),
    responses((status = 200, description = "A page", body = Citizens), Keyed,
        (status = 422, description = "No such status", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller<ReadTown>,
    Params(asked): Params<Asked>,
) -> Result<Shaped<Citizens>, Problem> {
    let filter = Filter {
        status: status(asked.status.as_deref())?,
        after: cursor::read(asked.after.as_deref())?,
    };
    let listed = api
        .core()
        .citizens
        .list(&caller.actor, filter, limit(asked.limit.as_deref())?)
        .await?;
    let page = Citizens {
        items: listed.items.into_iter().map(Citizen::from).collect(),
        next: listed.next.map(cursor::write),
    };
    Ok(shape(&caller.actor, page))
}

/// Makes a citizen. Requests that came from their addresses before and are nobody's become theirs, as far as nobody else
/// has the address. That others have it too is no error: a family shares a phone.
#[utoipa::path(post, path = "/v1/citizens", tag = "citizens", security(("key" = ["reply"])), request_body = NewCitizen,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer, and one citizen")),
    responses((status = 201, description = "The citizen that was made", body = Citizen, headers(("Location" = String), ("ETag" = String))),
        Keyed, Sent,
        (status = 409, description = "A call with this key is at work", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<ReplyTown>,
    headers: HeaderMap,
    body: Body<NewCitizen>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    // To the end, also when the client does not wait for it: a key that was claimed must get its answer.
    let work = tokio::spawn(async move { make(&api, &caller, key, body).await }.in_current_span());
    work.await.unwrap_or_else(|error| {
        tracing::error!(panicked = error.is_panic(), "making a citizen did not end");
        Err(Problem::new(Kind::INTERNAL, "an internal error; the daemon's log names the place"))
    })
}

async fn make(api: &Api, caller: &Caller<ReplyTown>, key: Option<String>, body: Body<NewCitizen>) -> Result<Response, Problem> {
    let held = match &key {
        None => None,
        Some(key) => match idempotency::claim(api, &caller.id, key, ROUTE, &body.bytes).await? {
            Claim::Fresh(held) => Some(held),
            Claim::Done(status, text) => return Ok(idempotency::answer(status, &text)),
        },
    };
    // The door's own key outlives a crash between the commit and the remembering. It outlives the remembering too, so that
    // it names the body: by then the client may use its key for another one.
    let origin = key.map(|key| format!("{}/{key}/{}", caller.id, idempotency::fingerprint(ROUTE, &body.bytes)));
    let made = api
        .core()
        .citizens
        .create(&caller.actor, &body.value.into(), origin.as_deref())
        .await;
    match (made, held) {
        (Ok(made), held) => {
            let text = serde_json::to_string(&Citizen::from(made.citizen)).unwrap_or_default();
            if let Some(held) = held {
                held.remember(StatusCode::CREATED, &text).await;
            }
            Ok(idempotency::answer(StatusCode::CREATED, &text))
        }
        (Err(error), held) => {
            if let Some(held) = held {
                held.release().await;
            }
            Err(error.into())
        }
    }
}

/// One citizen, with their ETag.
#[utoipa::path(get, path = "/v1/citizens/{id}", tag = "citizens", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "The citizen", body = Citizen, headers(("ETag" = String, description = "Their version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<ReadTown>, Id(id): Id) -> Result<Response, Problem> {
    let shown = Citizen::from(api.core().citizens.get(&caller.actor, &id).await?);
    let version = shown.version;
    Ok(tagged(shape(&caller.actor, shown), version))
}

/// Changes the version of a citizen that was read.
#[utoipa::path(patch, path = "/v1/citizens/{id}", tag = "citizens", security(("key" = ["reply"])),
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag of the version that was read")),
    request_body(content = CitizenChange, content_type = "application/merge-patch+json", description = "RFC 7396; `application/json` is taken for the same"),
    responses((status = 200, description = "The citizen as they are now", body = Citizen, headers(("ETag" = String, description = "The new version"))),
        Keyed, One, Sent,
        (status = 409, description = "They were merged or anonymised", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller<ReplyTown>,
    Id(id): Id,
    headers: HeaderMap,
    change: Body<CitizenChange>,
) -> Result<Response, Problem> {
    let wanted = etag::if_match(&headers)?;
    let patch = change.value.patch()?;
    let (door, actor) = (&api.core().citizens, &caller.actor);
    let current = || async { Ok(door.get(actor, &id).await?.version) };
    let changed = etag::changing(&wanted, current, |version| door.patch(actor, &id, version, &patch)).await?;
    let shown = Citizen::from(changed);
    let version = shown.version;
    Ok(tagged(shape(&caller.actor, shown), version))
}

/// What a citizen asked for, as far as the caller may see it, in commit order.
#[utoipa::path(get, path = "/v1/citizens/{id}/requests", tag = "citizens", security(("key" = ["read"])), params(("id" = String, Path), Paged),
    responses((status = 200, description = "A page", body = Requests), Keyed, One))]
pub(super) async fn requests(
    State(api): State<Api>,
    caller: Caller<ReadTown>,
    Id(id): Id,
    Params(asked): Params<Paged>,
) -> Result<Shaped<Requests>, Problem> {
    let filter = request::Filter {
        after: cursor::read(asked.after.as_deref())?,
        citizen: Some(id.clone()),
        ..request::Filter::default()
    };
    let limit = limit(asked.limit.as_deref())?;
    api.core().citizens.get(&caller.actor, &id).await?;
    let listed = api.core().desk.list(&caller.actor, filter, limit).await?;
    Ok(shape(&caller.actor, listed.into()))
}
