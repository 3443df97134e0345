//! `/v1/requests/{id}/history` and `/v1/citizens/{id}/history`: who changed what, and when.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::citizen::CitizenChange;
use voxea_core::request::HistoryRow;

use crate::http::api::Api;
use crate::http::auth::{Caller, Read, ReadTown};
use crate::http::extract::Id;
use crate::http::openapi::{Keyed, One};
use crate::http::problem::Problem;
use crate::http::shape::may_see;

/// What happened to a request or a citizen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// The first entry first.
    items: Vec<Entry>,
}

/// One step.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry {
    /// When.
    at: String,
    /// `system`, `channel:smpp/short-number`, `key:` and the key's id.
    #[schema(example = "channel:smpp/short-number")]
    actor: String,
    /// `created`, `joined`, `linked`, `patched`, `replied`, `settled`…; of a citizen `created`, `changed`,
    /// `contact_point_added`, `contact_point_changed`, `contact_point_removed`.
    #[schema(example = "patched")]
    action: String,
    /// What changed, from what to what.
    detail: serde_json::Value,
}

impl From<HistoryRow> for Entry {
    fn from(row: HistoryRow) -> Self {
        Self {
            at: rfc3339(row.at),
            actor: row.actor,
            action: row.action,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        }
    }
}

impl From<CitizenChange> for Entry {
    fn from(row: CitizenChange) -> Self {
        Self {
            at: rfc3339(row.at),
            actor: row.actor,
            action: row.action,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        }
    }
}

/// What was done to a citizen.
#[utoipa::path(get, path = "/v1/citizens/{id}/history", tag = "citizens", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "Every step, the first one first", body = History), Keyed, One))]
pub(super) async fn of_citizen(State(api): State<Api>, caller: Caller<ReadTown>, Id(id): Id) -> Result<Json<History>, Problem> {
    may_see(&caller.actor, "history", "history")?;
    let rows = api.core().citizens.history(&caller.actor, &id).await?;
    Ok(Json(History {
        items: rows.into_iter().map(Entry::from).collect(),
    }))
}

/// What happened to a request.
#[utoipa::path(get, path = "/v1/requests/{id}/history", tag = "requests", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "Every step, the first one first", body = History), Keyed, One))]
pub(super) async fn of_request(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Json<History>, Problem> {
    may_see(&caller.actor, "history", "history")?;
    let rows = api.core().desk.history(&caller.actor, &id).await?;
    Ok(Json(History {
        items: rows.into_iter().map(Entry::from).collect(),
    }))
}
