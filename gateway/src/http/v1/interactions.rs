//! Interactions: each contact as it was taken in or sent, and its artefact.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::artefact;
use voxea_core::base::time::rfc3339;
use voxea_core::contact::{AttachmentOf, CallOf, RawRow, RecordingOf, Shown};

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::Id;
use crate::http::openapi::{Keyed, One};
use crate::http::problem::Problem;
use crate::http::shape::{Shaped, may_see, shape};
use crate::http::v1::mails::Authenticity;
use crate::http::{download, files};

/// The contacts of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Interactions {
    /// In order.
    items: Vec<Interaction>,
}

/// Evidence of one contact. Only its links and its delivery change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Interaction {
    /// UUIDv7.
    id: String,
    /// The requests it belongs to.
    request_ids: Vec<String>,
    /// `sms`, `voicemail`, …
    channel: String,
    /// `in`, `out`.
    #[schema(example = "in")]
    direction: String,
    /// Who speaks: a number in E.164 where it can be, an address; empty when it was withheld.
    from: String,
    /// The name that came with it: of a mail, a call, a form.
    from_name: Option<String>,
    /// Who is spoken to.
    to: String,
    /// Of a mail or form.
    subject: Option<String>,
    /// The full text, with LF.
    text: Option<String>,
    /// The text without what it quotes, of a mail.
    text_stripped: Option<String>,
    /// When the citizen acted, by the peer's word.
    occurred_at: String,
    /// When it reached us.
    received_at: String,
    /// The peer's own id: Message-ID, Call-ID.
    native_id: Option<String>,
    /// `undecodable`, `partial`, `redelivered`, `oversize`, `truncated`, `automatic`, `list`, `spam`, `signed`, `encrypted`,
    /// `invitation`, `tnef`, `quarantined`, …
    flags: Vec<String>,
    /// Of a mail: what the server that `authserv_id` names found out about its sender (RFC 8601). Null where none is named.
    authenticity: Option<Authenticity>,
    /// How often the peer delivered it.
    deliveries: i64,
    /// Of the artefact at `/v1/interactions/{id}/raw`, hexadecimal.
    raw_sha256: Option<String>,
    /// Files that came with it.
    attachments: Vec<Attachment>,
    /// Of a recorded call.
    recording: Option<Recording>,
    /// Of a call.
    call: Option<Call>,
}

/// A file at `/v1/attachments/{id}`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attachment {
    /// UUIDv7.
    id: String,
    /// As the sender called it, cleaned.
    name: String,
    /// The media type that the sender gave.
    r#type: String,
    /// Bytes.
    size: i64,
    /// Of its content, hexadecimal.
    sha256: String,
    /// It belongs into the text, as an image of a mail's HTML does, rather than beside it.
    inline: bool,
    /// By which `/v1/interactions/{id}/html` names it, as `cid:…` (RFC 2392).
    content_id: Option<String>,
}

/// A recording at `/v1/recordings/{id}`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InteractionRecording)]
pub(super) struct Recording {
    /// UUIDv7.
    id: String,
    /// `recording`, `sealing`, `sealed`, `partial`, `failed`, `purged`.
    #[schema(example = "sealed")]
    state: String,
    /// Its length.
    duration_ms: i64,
}

/// What is particular to a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// The dialled user part.
    dialled: String,
    /// The first diversion first.
    diverted_from: Vec<String>,
    /// When the caller confirmed our answer.
    answered_at: Option<String>,
    /// When it was over.
    ended_at: Option<String>,
    /// `caller`, `silence`, `max_length`, `rtp_timeout`, `cancelled`, `abandoned`, `refused_recording`, `operator` (an agent
    /// ended it, or the line was closed and takes no messages then), `shutdown`, `crash`.
    end: Option<String>,
    /// Why, in the peer's words: protocol and cause of its Reason (RFC 3326).
    end_reason: Option<String>,
    /// How well the caller was heard; once the call is over, and if anything was.
    quality: Option<Quality>,
    /// What the header fields of the call said. Believed only where `trusted` is true; a caller who asked to stay unknown is named by none of them.
    signalling: Option<Signalling>,
}

/// What was counted of a caller's sound, and what both sides' reports said (RTCP, RFC 3550).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallQuality)]
pub(super) struct Quality {
    /// Packets of sound that are in the recording, or came before it began.
    received: u64,
    /// Packets that never came.
    lost: u64,
    /// Packets that came twice.
    duplicated: u64,
    /// Packets that came out of order, and still in time.
    reordered: u64,
    /// Packets that came too late to be recorded.
    late: u64,
    /// Interarrival jitter at the end of the call (RFC 3550 §A.8).
    jitter_ms: f64,
    /// Mean round trip; null when the other side sent no reports.
    round_trip_ms: Option<f64>,
    /// Packets of ours that the other side missed, as it said.
    remote_lost: Option<u64>,
    /// Jitter of ours at the other side, as it said.
    remote_jitter_ms: Option<f64>,
    /// Estimated mean opinion score, 1 to 4.5, by a simplified E-model (ITU-T G.107); null when nothing was heard.
    #[schema(example = 4.41)]
    mos: Option<f64>,
}

/// What the optional header fields of an INVITE said.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Signalling {
    /// Whether the trunk's word counts.
    trusted: bool,
    /// P-Asserted-Identity (RFC 3325).
    asserted: Vec<String>,
    /// Remote-Party-ID.
    remote_party: Vec<RemoteParty>,
    /// Privacy (RFC 3323): `id`, `user`, …
    privacy: Vec<String>,
    /// Diversion, the first diversion first (RFC 5806).
    diversions: Vec<CallDiversion>,
    /// History-Info, by its index (RFC 7044).
    history: Vec<CallHistory>,
    /// What the operator found out about the number: `passed`, `failed`, `none` (RFC 8224).
    verification: Option<String>,
    /// The operator's signatures over the call, as they came (RFC 8224).
    identity: Vec<String>,
    /// The caller's half of the session identifier (RFC 7989).
    session_id: Option<String>,
}

/// One Remote-Party-ID.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct RemoteParty {
    /// User part, else the URI.
    number: String,
    /// `calling` or `called`.
    party: String,
    /// `off`, `full`, `name`, `uri`.
    privacy: String,
    /// Whether the network has verified it.
    screened: bool,
}

/// One Diversion.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct CallDiversion {
    /// Who diverted.
    number: String,
    /// `user-busy`, `no-answer`, `unconditional`, …
    reason: Option<String>,
}

/// One entry of History-Info.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct CallHistory {
    /// Its place: `1`, `1.1`, …
    index: String,
    /// User part, else the URI.
    number: String,
    /// The status that sent the call on.
    cause: Option<u16>,
}

impl From<Shown> for Interaction {
    fn from(shown: Shown) -> Self {
        let row = shown.row;
        Self {
            id: row.id,
            request_ids: shown.request_ids,
            channel: row.channel,
            direction: row.direction,
            from: row.from_address,
            from_name: row.from_name,
            to: row.to_address,
            subject: row.subject,
            text: row.text,
            text_stripped: row.text_stripped,
            occurred_at: rfc3339(row.occurred_at),
            received_at: rfc3339(row.received_at),
            native_id: row.native_id,
            flags: shown.flags,
            authenticity: row.authenticity.and_then(|text| serde_json::from_str(&text).ok()),
            deliveries: row.deliveries,
            raw_sha256: row.raw_sha256,
            attachments: shown.attachments.into_iter().map(Attachment::from).collect(),
            recording: shown.recording.map(Recording::from),
            call: shown.call.map(Call::from),
        }
    }
}

impl From<AttachmentOf> for Attachment {
    fn from(row: AttachmentOf) -> Self {
        Self {
            inline: row.inline(),
            id: row.id,
            name: row.name,
            r#type: row.media_type,
            size: row.size,
            sha256: row.sha256,
            content_id: row.content_id,
        }
    }
}

impl From<RecordingOf> for Recording {
    fn from(row: RecordingOf) -> Self {
        Self {
            duration_ms: row.duration_ms(),
            id: row.id,
            state: row.state,
        }
    }
}

impl From<CallOf> for Call {
    fn from(row: CallOf) -> Self {
        Self {
            quality: row.quality().map(Quality::from),
            diverted_from: row.diversions(),
            dialled: row.dialled,
            answered_at: row.answered_at.map(rfc3339),
            ended_at: row.ended_at.map(rfc3339),
            end: row.ended_by,
            end_reason: row.ended_reason,
            signalling: row.signalling.and_then(|text| serde_json::from_str(&text).ok()),
        }
    }
}

impl From<artefact::Quality> for Quality {
    fn from(stored: artefact::Quality) -> Self {
        // To a hundredth, as nobody needs it finer.
        let ms = |us: u64| (us as f64 / 10.0).round() / 100.0;
        Self {
            received: stored.received,
            lost: stored.lost,
            duplicated: stored.duplicated,
            reordered: stored.reordered,
            late: stored.late,
            jitter_ms: ms(stored.jitter_us),
            round_trip_ms: stored.round_trip_us.map(ms),
            remote_lost: stored.remote_lost,
            remote_jitter_ms: stored.remote_jitter_us.map(ms),
            mos: stored.mos.map(|hundredths| f64::from(hundredths) / 100.0),
        }
    }
}

/// The contacts of a request, in and out, in order.
#[utoipa::path(get, path = "/v1/requests/{id}/interactions", tag = "interactions", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "In order", body = Interactions), Keyed, One))]
pub(super) async fn of_request(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Shaped<Interactions>, Problem> {
    let shown = api.core().interactions.of_request(&caller.actor, &id).await?;
    let items = shown.into_iter().map(Interaction::from).collect();
    Ok(shape(&caller.actor, Interactions { items }))
}

/// The artefact as it came: the mail, the PDU, the INVITE, the form.
#[utoipa::path(get, path = "/v1/interactions/{id}/raw", tag = "interactions", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "As it came, as a download, with its own media type", content_type = "*/*"), Keyed, One))]
pub(super) async fn raw(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Response, Problem> {
    may_see(&caller.actor, "raw", "raw artefact")?;
    match api.core().interactions.raw(&caller.actor, &id, &api.core().blobs).await? {
        RawRow::Inline { media_type, bytes } => Ok((download::headers(&media_type, &name(&id, &media_type)), bytes).into_response()),
        RawRow::File { media_type, content } => {
            let (length, stream) = files::stream(content);
            let mut headers = download::headers(&media_type, &name(&id, &media_type));
            headers.insert(axum::http::header::CONTENT_LENGTH, length.into());
            Ok((headers, Body::from_stream(stream)).into_response())
        }
    }
}

/// A file name that the program for the type opens.
fn name(id: &str, media_type: &str) -> String {
    let ending = match media_type {
        "message/rfc822" => "eml",
        "message/sip" => "sip.txt",
        "application/json" => "json",
        _ => "bin",
    };
    format!("{id}.{ending}")
}
