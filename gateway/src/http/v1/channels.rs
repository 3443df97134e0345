//! `/v1/channels`: what every channel is doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::channel::{Status, TrunkStatus};

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
    /// What is wrong now although it works, such as a disk that takes no recordings; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "recordings cannot be written: No space left on device (os error 28)")]
    alarm: Option<String>,
    /// When it is tried again.
    next_attempt: Option<String>,
    /// Work that waits.
    queue: u64,
    /// The trunks of the telephone, in the order of the configuration; absent for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trunks: Vec<Trunk>,
}

/// A peer that may call us.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trunk {
    /// As in the configuration.
    #[schema(example = "pbx")]
    name: String,
    /// `up`: it answers OPTIONS or REGISTER, and has registered us where we wish it; `retrying`: it answers, but has not
    /// registered us, and `next_attempt` is soon; `halted`: it refuses to register us, and somebody must change something;
    /// `down`: it did not answer, twice in a row; `unknown`: nobody has asked, or the first answer is awaited. It says nothing
    /// about the calls that come in: they are taken in any case.
    #[schema(example = "up")]
    state: &'static str,
    /// Since when it is in this state.
    since: String,
    /// Where it is reached, when the configuration says so.
    #[schema(example = "udp:192.0.2.1:5060")]
    address: Option<String>,
    /// Until when we are registered with it.
    registered_until: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When it is asked next, or when the next attempt to register is due.
    next_attempt: Option<String>,
    /// Calls that were taken from it since the start.
    calls: u64,
    /// Calls that were refused since then, for want of credentials or of a line for instance.
    refused: u64,
}

impl From<TrunkStatus> for Trunk {
    fn from(status: TrunkStatus) -> Self {
        Self {
            name: status.name,
            state: status.state.as_str(),
            since: rfc3339(status.since),
            address: status.address,
            registered_until: status.registered_until.map(rfc3339),
            last_error: status.last_error,
            next_attempt: status.next_attempt.map(rfc3339),
            calls: status.calls,
            refused: status.refused,
        }
    }
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
            alarm: status.alarm,
            next_attempt: status.next_attempt.map(rfc3339),
            queue: status.queue,
            trunks: status.trunks.into_iter().map(Trunk::from).collect(),
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
