//! The outline of a recording, as players draw it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use voxea_recorder::waveform::{MAX_POINTS, Waveform as Peaks};

use super::recordings;
use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::{Id, Params};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody};
use crate::http::problem::{Kind, Problem};

/// Points when nobody says.
const POINTS: u32 = 1_000;

/// How fine.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Points a channel at most, 1 to 10000; 1000 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    points: Option<String>,
}

/// audiowaveform's JSON, version 2.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Waveform {
    /// Always 2.
    version: u8,
    /// 0 is the caller, 1 is us.
    channels: u8,
    /// Of the sound.
    sample_rate: u32,
    /// Samples that each point stands for.
    samples_per_pixel: u64,
    /// Always 8.
    bits: u8,
    /// Points a channel.
    length: u64,
    /// Minimum and maximum of each channel for each point.
    data: Vec<i8>,
}

/// Minimum and maximum of equal stretches of both channels.
#[utoipa::path(get, path = "/v1/recordings/{id}/waveform", tag = "recordings", security(("key" = ["read"])), params(("id" = String, Path), Asked),
    responses((status = 200, description = "The outline", body = Waveform), Keyed, One,
        (status = 409, description = "It is not closed yet, or there is no sound", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller<Read>,
    Id(id): Id,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let points = match asked.points.as_deref().map(str::parse::<u32>) {
        None => POINTS,
        Some(Ok(points)) if (1..=MAX_POINTS).contains(&points) => points,
        Some(_) => {
            return Err(Problem::new(
                Kind::BAD_REQUEST,
                format!("`points` must be a number from 1 to {MAX_POINTS}"),
            ));
        }
    };
    let (_, reader) = recordings::open(&api, &caller, &id).await?;
    let text = recordings::blocking(move || Ok(Peaks::of(&reader, points)?.to_json())).await?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
