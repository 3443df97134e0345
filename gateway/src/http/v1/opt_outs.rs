//! `/v1/opt-outs`: which addresses want no campaigns. An answer to a citizen's own request is none and goes out all the same.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use voxea_core::base::account::Channel;
use voxea_core::base::time::rfc3339;
use voxea_core::citizen::{self, Address, OptOutFilter, PointKind};

use crate::http::api::Api;
use crate::http::auth::{Caller, ReadTown, ReplyTown};
use crate::http::cursor;
use crate::http::extract::{Body, Id, Params, limit};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;

/// A channel that campaigns use.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CampaignChannel {
    /// Texts to a number.
    Sms,
    /// Mails to an address.
    Email,
}

/// An opt-out to be noted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOptOut {
    /// Of which campaigns.
    channel: CampaignChannel,
    /// A number or a mail address, whether a citizen is known to have it or not.
    #[schema(example = "+33612345678")]
    address: String,
    /// By what.
    #[schema(example = "asked at the counter")]
    how: Option<String>,
}

/// That an address wants no campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptOut {
    /// UUIDv7.
    id: String,
    /// Of which campaigns: `sms`, `email`.
    channel: String,
    /// In its one spelling.
    address: String,
    /// Since when.
    at: String,
    /// By what.
    how: Option<String>,
}

/// A page of opt-outs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptOuts {
    /// In commit order.
    items: Vec<OptOut>,
    /// Where to continue; null at the end.
    next: Option<String>,
}

/// Which opt-outs, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only those of this channel.
    #[param(value_type = Option<CampaignChannel>)]
    channel: Option<String>,
    /// Only those of this number or mail address.
    address: Option<String>,
    /// `next` of an earlier page.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

impl From<citizen::OptOut> for OptOut {
    fn from(row: citizen::OptOut) -> Self {
        Self {
            id: row.id,
            channel: row.channel,
            address: row.address,
            at: rfc3339(row.at),
            how: row.how,
        }
    }
}

/// Notes that an address wants no campaigns; one of which it is noted stays as it is (200). Replies to a citizen's own
/// requests and acknowledgements by mail are no campaigns; an acknowledgement by text is held back too.
#[utoipa::path(put, path = "/v1/opt-outs", tag = "citizens", security(("key" = ["reply"])), request_body = NewOptOut,
    responses((status = 201, description = "It was noted", body = OptOut), (status = 200, description = "It was there", body = OptOut), Keyed, Sent))]
pub(super) async fn put(State(api): State<Api>, caller: Caller<ReplyTown>, body: Body<NewOptOut>) -> Result<Response, Problem> {
    let new = body.value;
    let (kind, wrong) = match new.channel {
        CampaignChannel::Sms => (PointKind::Phone, "must be a telephone number; a withheld one is nobody's"),
        CampaignChannel::Email => (PointKind::Email, "must be a mail address such as a@example.fr"),
    };
    let address = Address::read(kind, &new.address).ok_or_else(|| Problem::invalid("/address", wrong))?;
    let (row, made) = api.core().opt_outs.put(&caller.actor, &address, new.how.as_deref()).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(OptOut::from(row))).into_response())
}

/// The opt-outs in force, in commit order.
#[utoipa::path(get, path = "/v1/opt-outs", tag = "citizens", security(("key" = ["read"])), params(Asked),
    responses((status = 200, description = "A page", body = OptOuts), Keyed,
        (status = 422, description = "No such channel, or no such address", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(State(api): State<Api>, caller: Caller<ReadTown>, Params(asked): Params<Asked>) -> Result<Json<OptOuts>, Problem> {
    let channel = match asked.channel.as_deref() {
        None => None,
        Some("sms") => Some(Channel::Sms),
        Some("email") => Some(Channel::Email),
        Some(_) => return Err(Problem::invalid_parameter("channel", "must be one of sms, email")),
    };
    let address = match asked.address.as_deref() {
        None => None,
        Some(text) => {
            let kind = if text.contains('@') { PointKind::Email } else { PointKind::Phone };
            let read = Address::read(kind, text);
            Some(read.ok_or_else(|| Problem::invalid_parameter("address", "must be a telephone number or a mail address"))?)
        }
    };
    let filter = OptOutFilter {
        channel,
        address,
        after: cursor::read(asked.after.as_deref())?,
    };
    let listed = api
        .core()
        .opt_outs
        .list(&caller.actor, &filter, limit(asked.limit.as_deref())?)
        .await?;
    Ok(Json(OptOuts {
        items: listed.items.into_iter().map(OptOut::from).collect(),
        next: listed.next.map(cursor::write),
    }))
}

/// Ends an opt-out: somebody wants to be written to again.
#[utoipa::path(delete, path = "/v1/opt-outs/{id}", tag = "citizens", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 204, description = "It is over"), Keyed, One))]
pub(super) async fn delete(State(api): State<Api>, caller: Caller<ReplyTown>, Id(id): Id) -> Result<StatusCode, Problem> {
    api.core().opt_outs.clear(&caller.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
