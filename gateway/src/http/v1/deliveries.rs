//! `/v1/webhooks/{id}/deliveries`: what was sent, and what came of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use voxea_core::base::id::is_valid;
use voxea_core::base::time::rfc3339;
use voxea_core::webhook::{self, DeliveryState as State_};

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::extract::{Id, Ids, Params, limit};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody};
use crate::http::problem::{Kind, Problem};

/// How a delivery stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used: what comes in is read by its name")]
pub(super) enum DeliveryState {
    /// It is attempted at `next_attempt`.
    Pending,
    /// It was answered with 2xx.
    Delivered,
    /// It was given up.
    Failed,
}

/// One event for one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delivery {
    /// UUIDv7.
    id: String,
    /// The event's id: `webhook-id`.
    event_id: String,
    /// The event's type.
    #[schema(example = "fr.voxea.request.created")]
    r#type: String,
    /// The event's subject.
    subject: String,
    /// How it stands.
    #[schema(value_type = DeliveryState)]
    state: String,
    /// How often it was tried since it was entered, or made due by hand.
    attempts: i64,
    /// When it is tried next; null when it is over.
    next_attempt: Option<String>,
    /// The status that was answered last.
    status: Option<i64>,
    /// What went wrong last.
    error: Option<String>,
    /// When it was delivered or given up.
    settled_at: Option<String>,
    /// When it was entered.
    created_at: String,
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deliveries {
    /// The newest first.
    items: Vec<Delivery>,
    /// Where to continue; null at the end.
    next: Option<String>,
}

/// Which deliveries, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only those that stand so.
    #[param(value_type = Option<DeliveryState>)]
    state: Option<String>,
    /// `next` of an earlier page.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

impl From<webhook::Delivery> for Delivery {
    fn from(row: webhook::Delivery) -> Self {
        let pending = row.state == State_::Pending.as_str();
        Self {
            id: row.id,
            event_id: row.event_id,
            r#type: format!("fr.voxea.{}", row.kind),
            subject: row.subject,
            state: row.state,
            attempts: row.attempts,
            next_attempt: pending.then(|| rfc3339(row.next_at)),
            status: row.status,
            error: row.error,
            settled_at: row.settled_at.map(rfc3339),
            created_at: rfc3339(row.created_at),
        }
    }
}

fn before(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|id| is_valid(id));
    id.ok_or_else(|| {
        Problem::new(
            Kind::BAD_CURSOR,
            "`after` must be a cursor as an earlier page gave it in `next`; leave it out to begin",
        )
    })
}

/// What was sent to a webhook or is to be, the newest first. What is over is kept for 7 days, 10,000 at most.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks", security(("key" = ["admin"])), params(("id" = String, Path), Asked),
    responses((status = 200, description = "A page", body = Deliveries), Keyed, One,
        (status = 422, description = "No such state", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    _caller: Caller<Admin>,
    Id(id): Id,
    Params(asked): Params<Asked>,
) -> Result<Json<Deliveries>, Problem> {
    let state = match asked.state.as_deref() {
        None => None,
        Some(name) => {
            Some(State_::named(name).ok_or_else(|| Problem::invalid_parameter("state", "must be one of pending, delivered, failed"))?)
        }
    };
    let after = asked.after.as_deref().map(before).transpose()?;
    let limit = limit(asked.limit.as_deref())?;
    let found = api.core().webhooks.deliveries(&id, state, after.as_deref(), limit).await?;
    Ok(Json(Deliveries {
        items: found.items.into_iter().map(Delivery::from).collect(),
        next: found.next.map(|id| URL_SAFE_NO_PAD.encode(id)),
    }))
}

/// Makes a delivery due at once, also one that was delivered or given up; the webhook's pause after failures is over.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{did}/retry", tag = "webhooks", security(("key" = ["admin"])),
    params(("id" = String, Path), ("did" = String, Path, description = "The delivery")),
    responses((status = 202, description = "The delivery as it stands now", body = Delivery), Keyed, One,
        (status = 409, description = "The webhook is disabled", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn retry(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Ids(id, delivery): Ids,
) -> Result<(StatusCode, Json<Delivery>), Problem> {
    let row = api.core().webhooks.retry(&caller.actor, &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

/// Sends an event that is not in the feed, `fr.voxea.webhook.test`, at once; its delivery tells what came of it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks", security(("key" = ["admin"])), params(("id" = String, Path)),
    responses((status = 202, description = "The delivery", body = Delivery), Keyed, One,
        (status = 409, description = "The webhook is disabled, or many tests wait", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn test(State(api): State<Api>, caller: Caller<Admin>, Id(id): Id) -> Result<(StatusCode, Json<Delivery>), Problem> {
    let row = api.core().webhooks.test(&caller.actor, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}
