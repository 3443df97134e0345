//! Replies: queued here, sent by their channel, followed by id.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use voxea_core::base::account::Channel;
use voxea_core::base::time::{parse_rfc3339, rfc3339};
use voxea_core::outbox::{Beside, NewReply, PartRow, ReplyRow, Sending};

use super::enclosures::{self, Enclosure};
use super::intake;
use crate::http::api::Api;
use crate::http::auth::{Caller, Read, Reply as MayReply};
use crate::http::extract::{Body, Id};
use crate::http::idempotency::{self, Call};
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
    /// As the citizen will read it. An SMS must fit one message, unless it may be split; it is never cut.
    text: String,
    /// Of a mail; the request's when left out.
    subject: Option<String>,
    /// Of an SMS: it may take as many segments as its account allows, each billed.
    #[serde(default)]
    split: bool,
    /// Of an SMS: how long it may be under way, 60 to 604800; the account's when left out.
    validity_seconds: Option<i64>,
    /// Not before this time, RFC 3339, within a year.
    #[schema(example = "2026-12-01T08:00:00+01:00")]
    send_at: Option<String>,
    /// Of an SMS: 0 to 3, for its operator to heed.
    #[serde(default)]
    priority: u8,
    /// The id of an earlier reply to this request whose place it takes. One that waits is cancelled. An SMS of one segment that
    /// its operator has is replaced there, where its account says `replace = true`; both must be of the 7-bit alphabet then. It
    /// goes by the same channel, when none is named.
    replaces: Option<String>,
    /// Of a mail: files that go with it, 20 at most and 15 MiB together.
    #[serde(default)]
    attachments: Vec<Enclosure>,
}

impl Answer {
    fn sending(&self) -> Result<Sending, Problem> {
        let send_at = match &self.send_at {
            Some(text) => {
                Some(parse_rfc3339(text).ok_or_else(|| Problem::invalid("/send_at", "is no time; an example: 2026-12-01T08:00:00+01:00"))?)
            }
            None => None,
        };
        Ok(Sending {
            split: self.split,
            life: self.validity_seconds.map(|seconds| seconds.saturating_mul(1000)),
            send_at,
            priority: self.priority,
        })
    }
}

/// One segment of an SMS that goes out as several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Segment {
    /// From 1.
    number: i64,
    /// `queued`, `submitted`, `delivered`, `rejected`, `unknown`.
    state: String,
    /// The peer's id of it.
    native_id: Option<String>,
}

impl From<PartRow> for Segment {
    fn from(row: PartRow) -> Self {
        Self {
            number: row.number,
            state: row.state,
            native_id: row.native_id,
        }
    }
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
    /// As it goes out: in an SMS typography is replaced, and letters where the account says so.
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
    /// Not before this; null when it goes at once.
    send_at: Option<String>,
    /// Of an SMS: after this it is not sent any more, and its receipt is not awaited much longer.
    expires_at: Option<String>,
    /// Of an SMS: 0 to 3.
    priority: i64,
    /// In how many segments it goes out.
    segments: i64,
    /// Of several segments, each one's state.
    parts: Vec<Segment>,
    /// Its operator is being asked to forget it.
    cancelling: bool,
    /// The earlier reply whose place it takes. That one's `reason` names this one once it is replaced.
    replaces: Option<String>,
}

impl Reply {
    fn new(row: ReplyRow, parts: Vec<PartRow>) -> Self {
        Self {
            cancelling: row.cancel_at.is_some() && row.state == "submitted",
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
            send_at: (row.send_at > 0).then(|| rfc3339(row.send_at)),
            expires_at: row.expires_at.map(rfc3339),
            priority: row.priority,
            segments: row.segments,
            parts: parts.into_iter().map(Segment::from).collect(),
            replaces: row.replaces,
        }
    }
}

/// Answers the citizen. The reply is queued when this returns, and sent by its channel. With `replaces` it takes an earlier
/// reply's place: that one is `cancelled` at once when it waits, and otherwise when its operator has replaced it; where it will
/// not, the new one is `rejected` and the earlier one stays what it was.
#[utoipa::path(post, path = "/v1/requests/{id}/replies", tag = "replies", security(("key" = ["reply"])), params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer, and one reply")),
    request_body = Answer,
    responses((status = 202, description = "Queued", body = Reply, headers(("Location" = String, description = "Where its state is seen"))),
        Keyed, One, Sent,
        (status = 409, description = "A call with this key is at work, the request takes no reply, no account sends on the channel, mail to the citizen's address came back, or what is to be replaced cannot be any more", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<MayReply>,
    Id(id): Id,
    headers: HeaderMap,
    answer: Body<Answer>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    let sending = answer.value.sending()?;
    let Answer {
        channel,
        text,
        subject,
        replaces,
        attachments,
        ..
    } = answer.value;
    let channel = match channel.as_deref() {
        Some(name) => Some(
            name.parse::<Channel>()
                .map_err(|_| Problem::invalid("/channel", "is no channel; answers go by sms or email"))?,
        ),
        None => None,
    };
    intake::bounded("/subject", subject.as_deref(), intake::MEMBER)?;
    if replaces.as_deref().is_some_and(|id| id.contains('\0')) {
        return Err(Problem::invalid("/replaces", "is no reply's id"));
    }
    let new = NewReply { channel, text, subject };
    let route = format!("replies/{id}");
    let call = Call {
        api: &api,
        client: &caller.id,
        key: key.as_deref(),
        route: &route,
        body: &answer.bytes,
    };
    let (doors, actor, origin) = (api.clone(), caller.actor.clone(), call.origin());
    let work = async move {
        let files = enclosures::files(&doors, &actor, attachments).await?;
        let beside = Beside {
            replaces: replaces.as_deref(),
            files,
            origin: origin.as_deref(),
        };
        let outbox = &doors.core().outbox;
        let row = outbox.reply_beside(&actor, &id, &new, &sending, beside).await?;
        let parts = outbox.parts(&row).await?;
        Ok((StatusCode::ACCEPTED, shape(&actor, Reply::new(row, parts)).text()))
    };
    idempotency::once(call, queued, work).await
}

/// The answer to a reply that was queued.
fn queued(status: StatusCode, text: &str) -> Response {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let location = format!("/v1/replies/{}", body["id"].as_str().unwrap_or_default());
    let headers = [(LOCATION, location), (CONTENT_TYPE, "application/json".to_owned())];
    (status, headers, text.to_owned()).into_response()
}

/// One reply and its state.
#[utoipa::path(get, path = "/v1/replies/{id}", tag = "replies", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "The reply", body = Reply), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Shaped<Reply>, Problem> {
    let row = api.core().outbox.get(&caller.actor, &id).await?;
    let parts = api.core().outbox.parts(&row).await?;
    Ok(shape(&caller.actor, Reply::new(row, parts)))
}

/// Takes a reply back that has not been sent. Of an SMS that was, its operator is asked to forget it where the account says
/// `cancel = true`: its `state` tells whether that succeeded. Whatever else was sent is not taken back.
#[utoipa::path(delete, path = "/v1/replies/{id}", tag = "replies", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 200, description = "It is cancelled, or was before", body = Reply), Keyed, One,
        (status = 202, description = "Its operator is asked", body = Reply),
        (status = 409, description = "It is being sent, or was sent", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn cancel(State(api): State<Api>, caller: Caller<MayReply>, Id(id): Id) -> Result<impl IntoResponse, Problem> {
    let row = api.core().outbox.cancel(&caller.actor, &id).await?;
    let parts = api.core().outbox.parts(&row).await?;
    let status = if row.cancel_at.is_some() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, shape(&caller.actor, Reply::new(row, parts))))
}
