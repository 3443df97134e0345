//! Recordings: what is known of one, and opening those that may be heard.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::artefact::{PauseRow, RecordingRow, RecordingState};
use voxea_core::base::time::rfc3339;
use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::reader::Reader;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller, Read};
use crate::http::extract::{self, Id};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::shape::may_see;
use crate::sound;

/// What is known of a recording.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recording {
    /// UUIDv7.
    id: String,
    /// The call.
    interaction_id: String,
    /// `recording`, `sealing`, `sealed`, `partial`, `failed`, `purged`.
    #[schema(example = "sealed")]
    state: String,
    /// Samples divided by 8.
    duration_ms: i64,
    /// `pcma`, `pcmu` or `g722`, as it was received.
    codec: String,
    /// Samples a second: 8000, of G.722 16000.
    rate: i64,
    /// 0 is the caller, 1 is us.
    channels: u8,
    /// Why it is partial or failed; of a sealed one, who stopped it.
    reason: Option<String>,
    /// When its first sample was heard.
    started_at: Option<String>,
    /// When it was closed.
    sealed_at: Option<String>,
    /// When it is erased, unless it is held; null while a request that it belongs to is not closed.
    keep_until: Option<String>,
    /// Who wants it kept all the same; null for nobody.
    hold: Option<Hold>,
    /// Whether it is being made, and nothing is recorded at the moment.
    paused: bool,
    /// Where nothing was to be recorded: there is silence of that length.
    pauses: Vec<Pause>,
    /// Where its sound is.
    audio: String,
    /// Where its outline is.
    waveform: String,
}

/// That a recording is kept beyond its time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hold {
    /// Why.
    reason: String,
    /// Since when.
    since: String,
    /// By whose word: `agent:ID`, `key:ID`.
    by: String,
}

/// A stretch in which nothing was to be recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pause {
    /// Where it begins in the recording.
    offset_ms: i64,
    /// How long it is; null while it lasts, and when the daemon died before its end.
    duration_ms: Option<i64>,
    /// Who paused: `agent:ID`, `key:ID`.
    paused_by: Option<String>,
    /// Who resumed; null while it lasts, and when the recording ended before.
    resumed_by: Option<String>,
}

/// Why a recording is to be kept beyond its time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// In 1 to 500 characters.
    #[schema(min_length = 1, max_length = 500, example = "contentieux 2026-118")]
    reason: String,
}

impl From<RecordingRow> for Recording {
    fn from(row: RecordingRow) -> Self {
        let path = format!("/v1/recordings/{}", row.id);
        let hold = |reason| {
            Some(Hold {
                reason,
                since: rfc3339(row.held_at?),
                by: row.held_by.clone()?,
            })
        };
        let pause = |pause: &PauseRow| Pause {
            offset_ms: row.millis(pause.first_sample),
            duration_ms: pause.samples.map(|samples| row.millis(samples)),
            paused_by: pause.paused_by.clone(),
            resumed_by: pause.resumed_by.clone(),
        };
        Self {
            paused: row.is_paused(),
            pauses: row.pauses.iter().map(pause).collect(),
            duration_ms: row.duration_ms(),
            keep_until: row.keep_until.map(rfc3339),
            hold: row.hold_reason.clone().and_then(hold),
            id: row.id,
            interaction_id: row.interaction_id,
            state: row.state,
            // What is stored of G.722 has two samples in one octet.
            rate: row.codec.parse().map_or(row.rate, |codec: Codec| codec.rate().into()),
            codec: row.codec,
            channels: 2,
            reason: row.reason,
            started_at: row.started_at.map(rfc3339),
            sealed_at: row.sealed_at.map(rfc3339),
            audio: format!("{path}/audio"),
            waveform: format!("{path}/waveform"),
        }
    }
}

/// What is known of a recording.
#[utoipa::path(get, path = "/v1/recordings/{id}", tag = "recordings", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "The recording", body = Recording), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    Ok(Json(api.core().recordings.get(&caller.actor, &id).await?.into()))
}

/// Keeps a recording from being erased, whatever its time; another reason takes the place of the one that is there.
#[utoipa::path(put, path = "/v1/recordings/{id}/hold", tag = "recordings", security(("key" = ["admin"])), params(("id" = String, Path)),
    request_body = NewHold, responses((status = 200, description = "It is held", body = Recording), Keyed, One, Sent,
        (status = 409, description = "It was erased", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn hold(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(id): Id,
    body: extract::Body<NewHold>,
) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let row = api.core().recordings.hold(&caller.actor, &id, &body.value.reason).await?;
    Ok(Json(row.into()))
}

/// Lets a recording's time count again. One that is not held stays as it is.
#[utoipa::path(delete, path = "/v1/recordings/{id}/hold", tag = "recordings", security(("key" = ["admin"])), params(("id" = String, Path)),
    responses((status = 200, description = "It is not held", body = Recording), Keyed, One,
        (status = 409, description = "It was erased", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn release(State(api): State<Api>, caller: Caller<Admin>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    Ok(Json(api.core().recordings.release(&caller.actor, &id).await?.into()))
}

/// Opens a recording that may be heard.
///
/// # Errors
/// 404; 409 before it is closed, and when there is no sound; 503 when it is in object storage and that does not answer.
pub(super) async fn open(api: &Api, caller: &Caller<Read>, id: &str) -> Result<(RecordingRow, Arc<Reader>), Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let row = api.core().recordings.get(&caller.actor, id).await?;
    let state = row.state.parse::<RecordingState>().ok();
    if !state.is_some_and(RecordingState::is_audible) {
        let detail = match state {
            Some(RecordingState::Recording | RecordingState::Sealing) => {
                "the recording is not closed yet; the event recording.available tells when it is"
            }
            _ => "there is no sound; the recording's reason says why",
        };
        return Err(Problem::new(Kind::CONFLICT, detail).with("state", row.state.into()));
    }
    let shelf = api.core().blobs.shelf();
    let (path, source) = (shelf.path(&row.path), sound::source(shelf, &row.path).await?);
    let key = api.core().recordings.key(&row)?.map(|key| Key::new(key.octets()));
    // What was sealed whole is whole, or somebody has cut it.
    let promised = (state == Some(RecordingState::Sealed)).then_some(row.samples);
    let opened = blocking(move || {
        let reader = Reader::of(&path, source, key.as_ref())?;
        let there = i64::try_from(reader.samples()).ok();
        if promised.is_some_and(|promised| Some(promised) != there || !reader.is_whole()) {
            let problem = "it is not as long as when it was sealed";
            return Err(RecorderError::NotARecording { path, problem });
        }
        Ok(reader)
    })
    .await?;
    Ok((row, Arc::new(opened)))
}

/// Reads of the disk, off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, RecorderError> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let reason = match done {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(reason, "a recording cannot be read");
    Err(Problem::new(
        Kind::INTERNAL,
        "the recording cannot be read; the daemon's log says more",
    ))
}
