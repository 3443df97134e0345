//! The sound of a recording, in the form that is asked for, with Range.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use serde::Deserialize;
use utoipa::IntoParams;
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::flac;
use voxea_recorder::pcm16::Pcm16;
use voxea_recorder::reader::Reader;

use super::recordings::{blocking, open};
use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::{Id, Params};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody};
use crate::http::problem::{Kind, Problem};
use crate::http::range::{self, asked};

/// Bytes read at once: four seconds of both channels as they were received.
const PIECE: usize = 64 * 1024;

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// `wav`: the octets as they were received, A-law or µ-law (of G.722, as `pcm16`); when left out. `pcm16`: WAV that every program plays. `flac`:
    /// the same samples in fewer bytes.
    #[param(value_type = Option<String>, example = "wav")]
    format: Option<String>,
}

/// A form that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Wav,
    Pcm16,
    Flac,
}

impl Format {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        match asked.format.as_deref() {
            None | Some("wav") => Ok(Self::Wav),
            Some("pcm16") => Ok(Self::Pcm16),
            Some("flac") => Ok(Self::Flac),
            Some(_) => Err(Problem::new(Kind::BAD_REQUEST, "`format` must be wav, pcm16 or flac")),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Wav | Self::Pcm16 => "audio/wav",
            // RFC 9639 §12.1.
            Self::Flac => "audio/flac",
        }
    }

    /// What tells its bytes from those of the others.
    const fn mark(self) -> &'static str {
        match self {
            Self::Wav => "",
            Self::Pcm16 => "pcm16-",
            Self::Flac => "flac-",
        }
    }
}

/// What is sent of.
#[derive(Debug, Clone)]
enum Sound {
    Wav(Arc<Reader>),
    Pcm16(Arc<Reader>),
    Flac(Bytes),
}

impl Sound {
    async fn of(api: &Api, id: &str, reader: Arc<Reader>, format: Format) -> Result<Self, Problem> {
        Ok(match format {
            // Few programs play G.722 in a WAV.
            Format::Wav if reader.codec().wav_tag().is_none() => Self::Pcm16(reader),
            Format::Wav => Self::Wav(reader),
            Format::Pcm16 => Self::Pcm16(reader),
            Format::Flac => {
                if reader.samples() > flac::MAX_SAMPLES {
                    return Err(Problem::new(
                        Kind::CONFLICT,
                        "the recording is too long for FLAC; ask for format=pcm16",
                    ));
                }
                let encode = || async { blocking(move || flac::encode(&reader)).await.map(Bytes::from) };
                Self::Flac(api.encoded().get(id, encode).await?)
            }
        })
    }

    fn len(&self) -> Result<u64, RecorderError> {
        Ok(match self {
            Self::Wav(reader) => reader.wav_len(),
            Self::Pcm16(reader) => Pcm16::of(reader)?.len(),
            Self::Flac(bytes) => bytes.len() as u64,
        })
    }

    /// At most [`PIECE`] bytes from the beginning of a part.
    async fn piece(&self, part: &Range<u64>) -> std::io::Result<Bytes> {
        let wanted = usize::try_from(part.end - part.start).unwrap_or(PIECE).min(PIECE);
        let start = part.start;
        if let Self::Flac(bytes) = self {
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
            return Ok(bytes.slice(start..(start + wanted).min(bytes.len())));
        }
        let sound = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            let count = match &sound {
                Self::Wav(reader) => reader.read_at(start, &mut piece),
                Self::Pcm16(reader) => Pcm16::of(reader).and_then(|view| view.read_at(start, &mut piece)),
                Self::Flac(_) => Ok(0),
            };
            count.map(|count| {
                piece.truncate(count);
                piece
            })
        });
        let piece = read.await.map_err(std::io::Error::other)?;
        piece.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "a recording cannot be read");
            std::io::Error::other(error)
        })
    }
}

/// The sound: WAV or FLAC, two channels, 0 the caller and 1 us. Ranges may be open-ended.
#[utoipa::path(get, path = "/v1/recordings/{id}/audio", tag = "recordings", security(("key" = ["read"])),
    params(("id" = String, Path), Asked, ("Range" = Option<String>, Header, description = "One range of bytes: `bytes=0-`")),
    responses((status = 200, description = "The whole", content((String = "audio/wav"), (String = "audio/flac"))),
        (status = 206, description = "The range", content((String = "audio/wav"), (String = "audio/flac")), headers(("Content-Range" = String))),
        Keyed, One,
        (status = 409, description = "It is not closed yet, there is no sound, or it is too long for FLAC", body = ProblemBody, content_type = "application/problem+json"),
        (status = 416, description = "The range lies outside; Content-Range says how long the whole is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller<Read>,
    Id(id): Id,
    Params(wanted): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::of(&wanted)?;
    let (row, reader) = open(&api, &caller, &id).await?;
    let sound = Sound::of(&api, &row.id, reader, format).await?;
    let measured = sound.clone();
    let length = blocking(move || measured.len()).await?;
    // A closed recording never changes, so its id, form and length are its validator.
    let tag = HeaderValue::from_str(&format!("\"{}-{}{length}\"", row.id, format.mark())).unwrap_or(HeaderValue::from_static("\"\""));
    // RFC 9110 §13.1.5: a range of another representation is answered with the whole of this one.
    let same = headers.get(IF_RANGE).is_none_or(|wanted| *wanted == tag);
    let wanted = headers.get(RANGE).filter(|_| same).and_then(|value| value.to_str().ok());
    let (status, part) = match asked(wanted, length) {
        range::Asked::Whole => (StatusCode::OK, 0..length),
        range::Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        range::Asked::Outside => return Err(outside(length)),
    };
    let mut answer = HeaderMap::new();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
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
    Ok((status, answer, Body::from_stream(pieces(sound, part))).into_response())
}

fn outside(length: u64) -> Problem {
    let text = HeaderValue::from_str(&format!("bytes */{length}")).unwrap_or(HeaderValue::from_static("bytes */*"));
    Problem::new(Kind::RANGE, format!("the recording has {length} bytes")).header(CONTENT_RANGE, text)
}

fn pieces(sound: Sound, part: Range<u64>) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold((sound, part), |(sound, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let piece = sound.piece(&part).await?;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let rest = part.start + piece.len() as u64..part.end;
        Ok(Some((piece, (sound, rest))))
    })
}
