//! `/v1/channels/{kind}/{name}/capture`: what two machines said to each other last, masked, for support.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::account::{Account, Kind};
use voxea_core::base::hex;
use voxea_core::base::time::rfc3339;
use voxea_core::channel::Captured;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::extract::Ids;
use crate::http::openapi::{Keyed, One};
use crate::http::problem::Problem;

/// The last PDUs of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Capture {
    /// The oldest first, 500 at most, of every bind. They are gone when the daemon restarts.
    items: Vec<CapturedPdu>,
}

/// A PDU as it was sent or received, without numbers, texts and passwords.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapturedPdu {
    /// Counts from 1 since the start.
    number: u64,
    /// When.
    at: String,
    /// `in`, `out`.
    #[schema(example = "in")]
    direction: &'static str,
    /// On which bind of the account, as `/v1/channels` names it.
    #[schema(example = "1")]
    bind: String,
    /// Its command, or the number of one that the standard does not have.
    #[schema(example = "deliver_sm")]
    command: String,
    /// Its octets.
    length: u32,
    /// command_status: of a response what the other side says of it, 0 when all is well.
    status: u32,
    /// sequence_number: a response has that of its request.
    sequence: u32,
    /// What it says, in its order, optional parameters last. Of a number the ends are shown, of a text and a password the
    /// length.
    fields: Vec<CapturedField>,
    /// The masked octets in hexadecimal, `2a` in the place of what is not shown; the first 512. A dissector reads them.
    hex: String,
}

/// A field of a PDU.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapturedField {
    /// As the standard calls it; an optional parameter that it does not name by its tag.
    #[schema(example = "source_addr")]
    name: String,
    /// As it may be shown.
    #[schema(example = "33•••••78")]
    value: String,
}

impl From<Captured> for CapturedPdu {
    fn from(captured: Captured) -> Self {
        let pdu = voxea_smpp::capture::describe(&captured.bytes);
        let field = |(name, value)| CapturedField { name, value };
        Self {
            number: captured.number,
            at: rfc3339(captured.at),
            direction: if captured.sent { "out" } else { "in" },
            bind: captured.bind.to_string(),
            command: pdu.command,
            length: pdu.length,
            status: pdu.status,
            sequence: pdu.sequence,
            fields: pdu.fields.into_iter().map(field).collect(),
            hex: hex::encode(&captured.bytes),
        }
    }
}

/// The last PDUs of an SMPP account, masked: what its operator's support asks for.
#[utoipa::path(get, path = "/v1/channels/{kind}/{name}/capture", tag = "channels", security(("key" = ["admin"])),
    params(("kind" = String, Path, description = "`smpp`"), ("name" = String, Path, description = "As in the configuration")),
    responses((status = 200, description = "What is kept", body = Capture), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Admin>, Ids(kind, name): Ids) -> Result<Json<Capture>, Problem> {
    let account = kind.parse::<Kind>().map(|kind| Account::new(kind, &name));
    let capture = account.ok().and_then(|account| api.core().channels.capture(&account));
    let capture = capture.ok_or_else(|| Problem::not_found("channel that keeps a capture"))?;
    Ok(Json(Capture {
        items: capture.units().into_iter().map(CapturedPdu::from).collect(),
    }))
}
