//! `/v1/sms:preview`: what a text would cost, before it is sent.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::api::Api;
use crate::http::auth::{Caller, Reply};
use crate::http::extract::Body;
use crate::http::openapi::{Keyed, Sent};
use crate::http::preview::Preview;
use crate::http::problem::Problem;

/// A text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    /// As the agent wrote it.
    text: String,
    /// Whether it may take as many segments as the account allows.
    #[serde(default)]
    split: bool,
}

/// What a text would cost as an SMS, in the account that sends them. Nothing is sent.
#[utoipa::path(post, path = "/v1/sms:preview", tag = "replies", security(("key" = ["reply"])), request_body = Draft,
    responses((status = 200, description = "Its coding and length", body = Preview), Keyed, Sent))]
pub(super) async fn preview(State(api): State<Api>, _caller: Caller<Reply>, draft: Body<Draft>) -> Result<Json<Preview>, Problem> {
    let Draft { text, split } = draft.value;
    if text.contains('\0') {
        // As the reply would be.
        return Err(Problem::invalid("/text", "must hold what to say to the citizen, and no NUL"));
    }
    Ok(Json(api.core().outbox.preview(&text, split).into()))
}
