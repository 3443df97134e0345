//! Recordings that are being made: pause, resume, stop, discard.

use axum::Json;
use axum::extract::State;
use voxea_core::artefact::RecordingRow;
use voxea_core::base::actor::Actor;
use voxea_core::base::error::{CoreError, Result as CoreResult};

use super::recordings::Recording;
use crate::http::api::Api;
use crate::http::auth::{Caller, Reply};
use crate::http::extract::Id;
use crate::http::openapi::{Keyed, One, Problem as ProblemBody};
use crate::http::problem::{Kind, Problem};
use crate::http::shape::may_see;

/// From the moment of this call on the recording has silence, for both sides and of the same length, until it is resumed.
/// Keys of the caller are noted nowhere meanwhile. One that is paused stays so. 503 also when the call does not answer.
#[utoipa::path(post, path = "/v1/recordings/{id}/pause", tag = "recordings", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 200, description = "It is paused", body = Recording), Keyed, One,
        (status = 409, description = "Nothing is being recorded; `state` says what the recording is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn pause(State(api): State<Api>, caller: Caller<Reply>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let done = api.core().recordings.pause(&caller.actor, &id).await;
    answer(&api, &caller.actor, &id, done).await
}

/// From the moment of this call on it is recorded again. One that is not paused stays so. 503 also when the call does not
/// answer.
#[utoipa::path(post, path = "/v1/recordings/{id}/resume", tag = "recordings", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 200, description = "It is being recorded", body = Recording), Keyed, One,
        (status = 409, description = "Nothing is being recorded; `state` says what the recording is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn resume(State(api): State<Api>, caller: Caller<Reply>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let done = api.core().recordings.resume(&caller.actor, &id).await;
    answer(&api, &caller.actor, &id, done).await
}

/// The recording ends here and is closed, and its call is hung up. 503 also when that takes longer than 5 s.
#[utoipa::path(post, path = "/v1/recordings/{id}/stop", tag = "recordings", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 200, description = "It is closed", body = Recording), Keyed, One,
        (status = 409, description = "Nothing is being recorded; `state` says what the recording is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn stop(State(api): State<Api>, caller: Caller<Reply>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let done = api.core().recordings.stop(&caller.actor, &id).await;
    answer(&api, &caller.actor, &id, done).await
}

/// Nothing stays of a recording that is being made: its call is hung up, its key destroyed, its file removed; its state is
/// `failed`. Also before the beep. 503 also when that takes longer than 5 s: it is discarded all the same.
#[utoipa::path(post, path = "/v1/recordings/{id}/discard", tag = "recordings", security(("key" = ["reply"])), params(("id" = String, Path)),
    responses((status = 200, description = "Nothing of it is left", body = Recording), Keyed, One,
        (status = 409, description = "It is closed already, or somebody holds it; `state` says what it is", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn discard(State(api): State<Api>, caller: Caller<Reply>, Id(id): Id) -> Result<Json<Recording>, Problem> {
    may_see(&caller.actor, "recording", "recording")?;
    let core = api.core();
    let done = core.recordings.discard(&caller.actor, &id, &core.blobs).await;
    answer(&api, &caller.actor, &id, done).await
}

/// The recording as it is now, or why nothing was done.
async fn answer(api: &Api, actor: &Actor, id: &str, done: CoreResult<RecordingRow>) -> Result<Json<Recording>, Problem> {
    match done {
        Ok(row) => Ok(Json(row.into())),
        Err(CoreError::Conflict(why)) => {
            let problem = Problem::new(Kind::CONFLICT, why);
            // Whoever may change a recording and not read it is told the reason alone.
            let row = api.core().recordings.get(actor, id).await;
            Err(match row {
                Ok(row) => problem.with("state", row.state.into()),
                Err(_) => problem,
            })
        }
        Err(error) => Err(error.into()),
    }
}
