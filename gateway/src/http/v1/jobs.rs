//! `/v1/jobs`: what happens later, and what failed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::jobs::{JobRow, Step};

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
    /// What it has still to do; null where nobody counts.
    waiting: Option<Waiting>,
}

/// Files that are only on this machine yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Waiting {
    /// How many.
    files: u64,
    /// Their octets.
    bytes: u64,
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
            waiting: None,
        }
    }
}

/// What happens later, and what failed.
#[utoipa::path(get, path = "/v1/jobs", tag = "channels", security(("key" = ["read"])),
    responses((status = 200, description = "Every job", body = Jobs), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Read>) -> Result<Json<Jobs>, Problem> {
    let rows = api.core().jobs.list().await?;
    let mut items: Vec<Job> = rows.into_iter().map(Job::from).collect();
    if let Some(waiting) = api.core().uploads.waiting() {
        for job in items.iter_mut().filter(|job| job.kind == Step::Upload.as_str()) {
            job.waiting = Some(Waiting {
                files: waiting.files,
                bytes: waiting.bytes,
            });
        }
    }
    Ok(Json(Jobs { items }))
}
