//! `/v1/changes`: the one ordered stream that back-office applications pull.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use voxea_core::base::grant::Operation;
use voxea_core::base::time::rfc3339;
use voxea_core::feed;

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::cursor;
use crate::http::extract::{Params, limit};
use crate::http::openapi::Keyed;
use crate::http::problem::Problem;

/// Where to begin, and how much.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// `next` of an earlier page; leave it out to begin at the beginning.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// A run of events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changes {
    /// In commit order.
    items: Vec<Event>,
    /// Where to continue, also after an empty page.
    next: String,
    /// Whether more is there already.
    has_more: bool,
}

/// CloudEvents 1.0, thin: ids and states, no personal data.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Always `1.0`.
    specversion: &'static str,
    /// Unique; the effect of an event seen twice is that of one.
    id: String,
    /// Who says it.
    source: &'static str,
    /// What happened.
    #[schema(example = "fr.voxea.request.created")]
    r#type: String,
    /// The request's id; of a channel event the account.
    subject: String,
    /// When.
    time: String,
    /// Rises and may skip; 20 digits, so that it sorts as text.
    #[schema(example = "00000000000000000042")]
    sequence: String,
    /// Always `application/json`.
    datacontenttype: &'static str,
    /// Ids, channel, status, version.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<feed::Event> for Event {
    fn from(event: feed::Event) -> Self {
        Self {
            specversion: "1.0",
            id: event.id,
            source: "urn:voxea:gateway",
            r#type: format!("fr.voxea.{}", event.kind),
            subject: event.subject,
            time: rfc3339(event.at),
            sequence: format!("{:020}", event.position),
            datacontenttype: "application/json",
            data: serde_json::from_str(&event.data).unwrap_or_default(),
        }
    }
}

/// Every change after a cursor, in order, none left out.
#[utoipa::path(get, path = "/v1/changes", tag = "changes", security(("key" = ["read"])), params(Asked),
    responses((status = 200, description = "A page of events", body = Changes), Keyed))]
pub(super) async fn list(State(api): State<Api>, caller: Caller<Read>, Params(asked): Params<Asked>) -> Result<Json<Changes>, Problem> {
    let (after, limit) = (cursor::read(asked.after.as_deref())?, limit(asked.limit.as_deref())?);
    let reach = api.core().catalogue.reach(&caller.actor, Operation::Read);
    let page = api.core().feed.page(&reach, after, limit).await?;
    let items = page.items.into_iter().map(Event::from).collect();
    Ok(Json(Changes {
        items,
        next: cursor::write(page.next),
        has_more: page.has_more,
    }))
}
