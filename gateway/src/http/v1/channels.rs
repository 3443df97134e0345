//! `/v1/channels`: what every channel is doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::channel::{BindStatus, FolderStatus, Status, TrunkStatus};

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
    /// `api`, `sip`, `smpp`, `mailbox`, `scan`.
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
    /// What is wrong now although it works, such as a disk that takes no recordings, or a folder in which no look for mail has
    /// succeeded for a quarter of an hour, or a mail server by which none went out for as long; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "recordings cannot be written: No space left on device (os error 28)")]
    alarm: Option<String>,
    /// When it is tried again.
    next_attempt: Option<String>,
    /// Work that waits: what is to go out, and of a mailbox also the mails that are to be taken in.
    queue: u64,
    /// The trunks of the telephone, in the order of the configuration; absent for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trunks: Vec<Trunk>,
    /// The binds of an SMPP account: those of the configuration in their order, then those that the SMSC made by outbind;
    /// absent for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    binds: Vec<Bind>,
    /// The folders of a mailbox, in the order of the configuration; absent for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    folders: Vec<Folder>,
}

/// A folder of a mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Folder {
    /// As in the configuration.
    #[schema(example = "INBOX")]
    name: String,
    /// The last time that a look for new mail came to its end, or mails were taken in; null before the first since the start.
    last_success: Option<String>,
    /// Mails that are known to wait.
    waiting: u64,
    /// When the mail server had the oldest of those; null when none waits, or it has not said so yet.
    oldest_waiting: Option<String>,
    /// Of these, mails that the server did not give so far. They are tried again.
    unfetched: u64,
    /// What is wrong with this folder; null once a look came to its end.
    last_error: Option<String>,
    /// How far a pass over many mails is; null when there is none.
    progress: Option<Progress>,
}

/// How far a pass over many mails is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Progress {
    /// Mails that are done.
    done: u64,
    /// Mails that were found.
    total: u64,
    /// Mails a second since it began.
    per_second: f64,
}

impl From<FolderStatus> for Folder {
    fn from(status: FolderStatus) -> Self {
        Self {
            name: status.name,
            last_success: status.last_success.map(rfc3339),
            waiting: status.waiting,
            oldest_waiting: status.oldest_waiting.map(rfc3339),
            unfetched: status.unfetched,
            last_error: status.last_error,
            progress: status.progress.map(|progress| Progress {
                done: progress.done,
                total: progress.total,
                per_second: (progress.per_second * 10.0).round() / 10.0,
            }),
        }
    }
}

/// A connection of an SMPP account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bind {
    /// `1` to `8`, with `-transmitter` and `-receiver` where they are separate; `outbind-1` when the SMSC connected.
    #[schema(example = "1")]
    name: String,
    /// `transceiver`, `transmitter`, `receiver`.
    #[schema(example = "transceiver")]
    kind: &'static str,
    /// `connecting`, `up`, `retrying`, `halted`, `stopping`.
    #[schema(example = "up")]
    state: &'static str,
    /// Since when it is in this state.
    since: String,
    /// The SMSC that was reached last, by `tcp:` or `tls:`.
    #[schema(example = "tcp:192.0.2.1:2775")]
    address: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When it is tried again; null also where the whole account is.
    next_attempt: Option<String>,
    /// Texts of ours that may wait for their response at once.
    window: u64,
    /// Of these, how many do.
    window_used: u64,
    /// Texts and receipts that came since the start.
    received: u64,
    /// Texts that were sent since the start.
    sent: u64,
    /// Texts and receipts that come a second, mean of the last ten.
    in_per_second: f64,
    /// Texts that go out a second, mean of the last ten.
    out_per_second: f64,
    /// From a request of ours to its response, in milliseconds, smoothed; null before the first.
    round_trip_ms: Option<f64>,
    /// How loaded the SMSC says it is, 0 to 100; from 90 on it gets less. Null when it does not say (SMPP 3.4).
    #[schema(minimum = 0, maximum = 100)]
    congestion: Option<u8>,
    /// What the SMSC refused since the start, by its error.
    errors: Vec<BindError>,
    /// When the last receipt came.
    last_receipt: Option<String>,
}

/// How often an SMSC refused something for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BindError {
    /// The standard's name and number; `no response` for what was not answered, `other` for all beyond the first 32.
    #[schema(example = "ESME_RTHROTTLED (0x58)")]
    error: String,
    /// How often.
    count: u64,
}

impl From<BindStatus> for Bind {
    fn from(status: BindStatus) -> Self {
        let error = |(error, count)| BindError { error, count };
        Self {
            name: status.name.to_string(),
            kind: status.kind,
            state: status.state.as_str(),
            since: rfc3339(status.since),
            address: status.address,
            last_error: status.last_error,
            next_attempt: status.next_attempt.map(rfc3339),
            window: status.window,
            window_used: status.in_use,
            received: status.received,
            sent: status.sent,
            in_per_second: status.in_per_second,
            out_per_second: status.out_per_second,
            round_trip_ms: status.round_trip_ms,
            congestion: status.congestion,
            errors: status.errors.into_iter().map(error).collect(),
            last_receipt: status.last_receipt.map(rfc3339),
        }
    }
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
            binds: status.binds.into_iter().map(Bind::from).collect(),
            folders: status.folders.into_iter().map(Folder::from).collect(),
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
