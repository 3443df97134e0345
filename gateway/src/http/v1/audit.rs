//! `/v1/audit`: who did what, and who read what. It can only be read, and reading it is entered in it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use voxea_core::audit::{Filter, Record};
use voxea_core::base::time::rfc3339;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::cursor;
use crate::http::extract::{Params, limit};
use crate::http::openapi::Keyed;
use crate::http::problem::{Kind, Problem};

/// Which rows, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only those of this actor: `key:` and the key's id, `agent:` and the agent's.
    actor: Option<String>,
    /// Only those about this object: `request/` and its id.
    object: Option<String>,
    /// `next` of an earlier page; leave it out to begin at the beginning.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// A page of the trail.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trail {
    /// In the order in which they were written.
    items: Vec<Row>,
    /// Where to continue; null at the end.
    next: Option<String>,
}

/// Something that somebody did or read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Row {
    /// 1, 2, 3… without a gap.
    seq: i64,
    /// When.
    at: String,
    /// `system`, `key:` and the key's id, `agent:` and the agent's.
    #[schema(example = "key:3f9a0c2d1b77")]
    actor: String,
    /// `read`, `listened`, `listed`, `patched`, `replied`, `created`, `revoked`…
    #[schema(example = "listened")]
    action: String,
    /// To what; of a list, the query.
    #[schema(example = "recording/019ab2c4-0000-7000-8000-000000000000")]
    object: String,
    /// Ids, codes and counts.
    #[schema(value_type = Object)]
    detail: Value,
    /// For what purpose.
    purpose: Option<String>,
    /// SHA-256 over the hash of the row before and all of this one, hexadecimal.
    hash: String,
}

impl From<Record> for Row {
    fn from(row: Record) -> Self {
        Self {
            seq: row.seq,
            at: rfc3339(row.at),
            actor: row.actor,
            action: row.action,
            object: row.object,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            purpose: row.purpose,
            hash: row.hash,
        }
    }
}

/// Who did what, and who read what, in order. Nothing of the API changes it; `voxea audit verify` says whether anybody has.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", security(("key" = ["admin"])), params(Asked),
    responses((status = 200, description = "A page", body = Trail), Keyed))]
pub(super) async fn list(State(api): State<Api>, caller: Caller<Admin>, Params(asked): Params<Asked>) -> Result<Json<Trail>, Problem> {
    let (after, limit) = (cursor::read(asked.after.as_deref())?, limit(asked.limit.as_deref())?);
    if [&asked.actor, &asked.object].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(Problem::new(Kind::BAD_REQUEST, "`actor` and `object` have no NUL"));
    }
    let filter = Filter {
        actor: asked.actor,
        object: asked.object,
        after,
    };
    let page = api.core().audit.page(&caller.actor, &filter, limit).await?;
    Ok(Json(Trail {
        next: page.next.map(cursor::write),
        items: page.items.into_iter().map(Row::from).collect(),
    }))
}
