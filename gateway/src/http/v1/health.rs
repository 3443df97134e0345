//! `/livez` and `/readyz`: no key, no detail that a stranger should not have.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::api::Api;
use crate::http::problem::{Kind, Problem};
use crate::run::health::Readiness;

/// It lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// Always `true`: who can answer lives.
    live: bool,
}

/// It works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// Always `true`; a daemon that is not ready answers 503.
    ready: bool,
    /// There, and `true`, when a channel is halted, or has an alarm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}

/// Whether the process answers. Never touches the database.
#[utoipa::path(get, path = "/livez", tag = "about", responses((status = 200, description = "It lives", body = Live)))]
pub(super) async fn livez() -> Json<Live> {
    Json(Live { live: true })
}

/// Whether the daemon can do its work: the database is migrated and takes writes, and the API listens.
#[utoipa::path(get, path = "/readyz", tag = "about", responses(
    (status = 200, description = "It works", body = Ready),
    (status = 503, description = "Not now", body = crate::http::openapi::Problem, content_type = "application/problem+json")))]
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    match api.health().readiness(api.core()).await {
        Readiness::Ready { degraded } => (StatusCode::OK, Json(Ready { ready: true, degraded })).into_response(),
        Readiness::Not(reason) => Problem::new(Kind::UNAVAILABLE, reason).retry_after(1).into_response(),
    }
}
