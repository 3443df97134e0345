//! Recordings: what is known of one, and its sound as WAV with Range.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::artefact::{RecordingRow, RecordingState};
use voxea_core::base::time::rfc3339;
use voxea_recorder::reader::Reader;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller, Read};
use crate::http::extract::{self, Id};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::range;
use crate::http::range::{Asked, asked};
use crate::http::shape::may_see;

/// Bytes read at once: four seconds of both channels.
const PIECE: usize = 64 * 1024;

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
    /// `pcma` or `pcmu`, as it was received.
    codec: String,
    /// Samples a second.
    rate: i64,
    /// 0 is the caller, 1 is us.
    channels: u8,
    /// Why it is partial or failed.
    reason: Option<String>,
    /// When its first sample was heard.
    started_at: Option<String>,
    /// When it was closed.
    sealed_at: Option<String>,
    /// When it is erased, unless it is held; null while a request that it belongs to is not closed.
    keep_until: Option<String>,
    /// Who wants it kept all the same; null for nobody.
    hold: Option<Hold>,
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
        Self {
            duration_ms: row.duration_ms(),
            keep_until: row.keep_until.map(rfc3339),
            hold: row.hold_reason.clone().and_then(hold),
            id: row.id,
            interaction_id: row.interaction_id,
            state: row.state,
            codec: row.codec,
            rate: row.rate,
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

/// The sound: WAV, two channels, 0 the caller and 1 us. Ranges may be open-ended.
#[utoipa::path(get, path = "/v1/recordings/{id}/audio", tag = "recordings", security(("key" = ["read"])),
    params(("id" = String, Path), ("Range" = Option<String>, Header, description = "One range of bytes: `bytes=0-`")),
    responses((status = 200, description = "The whole", content_type = "audio/wav"),
        (status = 206, description = "The range", content_type = "audio/wav", headers(("Content-Range" = String))),
        Keyed, One,
        (status = 409, description = "It is not closed yet, or there is no sound", body = ProblemBody, content_type = "application/problem+json"),
        (status = 416, description = "The range lies outside; Content-Range says how long the whole is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn audio(State(api): State<Api>, caller: Caller<Read>, Id(id): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let (row, reader) = open(&api, &caller, &id).await?;
    let length = reader.wav_len();
    // A closed recording never changes, so its id and length are its validator.
    let tag = HeaderValue::from_str(&format!("\"{}-{length}\"", row.id)).unwrap_or(HeaderValue::from_static("\"\""));
    // RFC 9110 §13.1.5: a range of another representation is answered with the whole of this one.
    let same = headers.get(IF_RANGE).is_none_or(|wanted| *wanted == tag);
    let wanted = headers.get(RANGE).filter(|_| same).and_then(|value| value.to_str().ok());
    let (status, part) = match asked(wanted, length) {
        Asked::Whole => (StatusCode::OK, 0..length),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Outside => return Err(outside(length)),
    };
    let mut answer = HeaderMap::new();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    answer.insert(ACCEPT_RANGES, HeaderValue::from_static(range::UNIT));
    answer.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    answer.insert(ETAG, tag);
    // A browser that opens the address shows a player, which must be allowed to load its own sound.
    answer.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        answer.insert(
            CONTENT_RANGE,
            HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("bytes */*")),
        );
    }
    Ok((status, answer, Body::from_stream(pieces(reader, part))).into_response())
}

fn outside(length: u64) -> Problem {
    let text = HeaderValue::from_str(&format!("bytes */{length}")).unwrap_or(HeaderValue::from_static("bytes */*"));
    Problem::new(Kind::RANGE, format!("the recording has {length} bytes")).header(CONTENT_RANGE, text)
}

/// Opens a recording that may be heard.
///
/// # Errors
/// 404; 409 before it is closed, and when there is no sound.
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
    let path = api.core().blobs.path(&row.path);
    let opened = blocking(move || Reader::open(&path)).await?;
    Ok((row, Arc::new(opened)))
}

/// Reads of the disk, off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, voxea_recorder::error::Error> + Send + 'static,
) -> Result<T, Problem> {
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

fn pieces(reader: Arc<Reader>, part: std::ops::Range<u64>) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold((reader, part), |(reader, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let wanted = usize::try_from(part.end - part.start).unwrap_or(PIECE).min(PIECE);
        let (reader, read) = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            let read = reader.read_at(part.start, &mut piece).map(|count| {
                piece.truncate(count);
                piece
            });
            (reader, read)
        })
        .await
        .map_err(std::io::Error::other)?;
        let piece = read.map_err(std::io::Error::other)?;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let rest = part.start + piece.len() as u64..part.end;
        Ok(Some((Bytes::from(piece), (reader, rest))))
    })
}
