//! Attachments: the bytes as they came, always as a download.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};

use crate::http::auth::{Caller, Read};
use crate::http::openapi::{Keyed, One};
use crate::http::problem::{Kind, Problem};
use crate::http::{Api, download, files};

/// The bytes of an attachment.
#[utoipa::path(get, path = "/v1/attachments/{id}", tag = "interactions", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "As it came, as a download and never inline", content_type = "application/octet-stream"), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (row, path) = api.core().attachments.get(&id).await?;
    let file = tokio::fs::File::open(&path).await.map_err(|error| {
        tracing::error!(error = %error, attachment = %id, "the file of an attachment cannot be opened");
        Problem::new(Kind::INTERNAL, "the file cannot be read; the daemon's log says more")
    })?;
    let length = u64::try_from(row.size).unwrap_or(0);
    let mut headers = download::headers(&row.media_type, &row.name);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    Ok((headers, Body::from_stream(files::stream(file, length))).into_response())
}
