//! `/v1/jobs`: what happens later, and what failed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::jobs::JobRow;

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::openapi::Keyed;
use crate::http::problem::Problem;

/// Every job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    /// The one that is due next first.
    items: Vec<Job>,
}

/// Something that happens later.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    /// What is done.
    #[schema(example = "intake.expire_parts")]
    kind: String,
    /// To what; empty when to everything.
    key: String,
    /// When it runs next.
    due_at: String,
    /// Whether it runs now.
    running: bool,
    /// Failures in a row.
    attempts: i64,
    /// What went wrong last.
    last_error: Option<String>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        Self {
            kind: row.kind,
            key: row.key,
            due_at: rfc3339(row.due_at),
            running: row.lease_until > 0,
            attempts: row.attempts,
            last_error: row.last_error,
        }
    }
}

/// What happens later, and what failed.
#[utoipa::path(get, path = "/v1/jobs", tag = "channels", security(("key" = ["read"])),
    responses((status = 200, description = "Every job", body = Jobs), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Read>) -> Result<Json<Jobs>, Problem> {
    let rows = api.core().jobs.list().await?;
    Ok(Json(Jobs {
        items: rows.into_iter().map(Job::from).collect(),
    }))
}
