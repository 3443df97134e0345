//! Attachments: the bytes as they came, always as a download.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::Id;
use crate::http::openapi::{Keyed, One};
use crate::http::problem::Problem;
use crate::http::shape::may_see;
use crate::http::{download, files};

/// The bytes of an attachment.
#[utoipa::path(get, path = "/v1/attachments/{id}", tag = "interactions", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "As it came, as a download and never inline", content_type = "*/*"), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Response, Problem> {
    may_see(&caller.actor, "attachments", "attachment")?;
    let (row, path) = api.core().attachments.get(&caller.actor, &id).await?;
    let (length, stream) = files::open(&path, row.size).await?;
    let mut headers = download::headers(&row.media_type, &row.name);
    headers.insert(CONTENT_LENGTH, length.into());
    Ok((headers, Body::from_stream(stream)).into_response())
}
