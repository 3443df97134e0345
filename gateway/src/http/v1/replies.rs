//! Replies: queued here, sent by their channel, followed by id.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::base::account::Channel;
use voxea_core::base::time::rfc3339;
use voxea_core::outbox::{NewReply, ReplyRow};

use crate::http::api::Api;
use crate::http::auth::{Caller, Read, Reply as MayReply};
use crate::http::extract::{Body, Id};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;
use crate::http::shape::{Shaped, shape};

/// What to say to the citizen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// `sms` or `email`; the request's preferred one when left out.
    #[schema(example = "sms")]
    channel: Option<String>,
    /// As the citizen will read it. An SMS must fit one message.
    text: String,
    /// Of a mail; the request's when left out.
    subject: Option<String>,
}

/// An answer and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reply {
    /// UUIDv7.
    id: String,
    /// The request that it answers.
    request_id: String,
    /// Its outgoing interaction.
    interaction_id: String,
    /// `sms`, `email`.
    channel: String,
    /// The citizen's number or address.
    to: String,
    /// Of a mail.
    subject: Option<String>,
    /// As it was written.
    text: String,
    /// `queued`, `submitted`, `delivered`, `rejected`, `unknown`, `cancelled`.
    #[schema(example = "queued")]
    state: String,
    /// The peer's words for a rejection, or why its fate is unknown.
    reason: Option<String>,
    /// The peer's id of it.
    native_id: Option<String>,
    /// When it was queued.
    created_at: String,
    /// When the peer took it.
    submitted_at: Option<String>,
    /// When its last state was known.
    settled_at: Option<String>,
    /// Tries so far.
    attempts: i64,
}

impl From<ReplyRow> for Reply {
    fn from(row: ReplyRow) -> Self {
        Self {
            id: row.id,
            request_id: row.request_id,
            interaction_id: row.interaction_id,
            channel: row.channel,
            to: row.recipient,
            subject: row.subject,
            text: row.text,
            state: row.state,
            reason: row.reason,
            native_id: row.native_id,
            created_at: rfc3339(row.created_at),
            submitted_at: row.submitted_at.map(rfc3339),
            settled_at: row.settled_at.map(rfc3339),
            attempts: row.attempts,
        }
    }
}

/// Answers the citizen. The reply is queued when this returns, and sent by its channel.
#[utoipa::path(post, path = "/v1/requests/{id}/replies", tag = "replies", security(("key" = ["reply"])), params(("id" = String, Path)),
    request_body = Answer,
    responses((status = 202, description = "Queued", body = Reply, headers(("Location" = String, description = "Where its state is seen"))),
        Keyed, One, Sent,
        (status = 409, description = "The request takes no reply, or no account sends on the channel", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<MayReply>,
    Id(id): Id,
    answer: Body<Answer>,
) -> Result<impl IntoResponse, Problem> {
    let Answer { channel, text, subject } = answer.value;
    let channel = match channel.as_deref() {
        Some(name) => Some(
            name.parse::<Channel>()
                .map_err(|_| Problem::invalid("/channel", "is no channel; answers go by sms or email"))?,
        ),
        None => None,
    };
    let row = api
        .core()
        .outbox
        .reply(&caller.actor, &id, &NewReply { channel, text, subject })
        .await?;
    let location = format!("/v1/replies/{}", row.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], shape(&caller.actor, Reply::from(row))))
}

/// One reply and its state.
#[utoipa::path(get, path = "/v1/replies/{id}", tag = "replies", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "The reply", body = Reply), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Shaped<Reply>, Problem> {
    let row = api.core().outbox.get(&caller.actor, &id).await?;
    Ok(shape(&caller.actor, Reply::from(row)))
}
