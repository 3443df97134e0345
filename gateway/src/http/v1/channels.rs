//! `/v1/channels`: what every channel is doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::channel::Status;

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::openapi::Keyed;

/// Every channel of this node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channels {
    /// By kind and name.
    items: Vec<Channel>,
}

/// A channel account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channel {
    /// `api`, `sip`, `smpp`, `mailbox`.
    #[schema(example = "smpp")]
    kind: &'static str,
    /// As in the configuration.
    name: String,
    /// `connecting`, `up`, `retrying`, `halted`, `stopping`.
    #[schema(example = "up")]
    state: &'static str,
    /// Since when it is in this state.
    since: String,
    /// Really bound or reached.
    #[schema(example = json!(["udp:127.0.0.1:5060"]))]
    addresses: Vec<String>,
    /// When the peer was last heard.
    last_activity: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When it is tried again.
    next_attempt: Option<String>,
    /// Work that waits.
    queue: u64,
}

impl From<Status> for Channel {
    fn from(status: Status) -> Self {
        Self {
            kind: status.account.kind.as_str(),
            name: status.account.name,
            state: status.state.as_str(),
            since: rfc3339(status.since),
            addresses: status.addresses,
            last_activity: status.last_activity.map(rfc3339),
            last_error: status.last_error,
            next_attempt: status.next_attempt.map(rfc3339),
            queue: status.queue,
        }
    }
}

/// What every channel is doing.
#[utoipa::path(get, path = "/v1/channels", tag = "channels", security(("key" = ["read"])),
    responses((status = 200, description = "Every channel of this node", body = Channels), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Read>) -> Json<Channels> {
    Json(Channels {
        items: api.core().channels.list().into_iter().map(Channel::from).collect(),
    })
}
