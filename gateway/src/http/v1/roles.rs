//! `/v1/roles`: what agents may do.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::access;
use voxea_core::base::expected::Expected;
use voxea_core::base::grant::Grant;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::etag;
use crate::http::extract::{Body, Id, made_or_there, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;

/// What may be done to which requests. What is left out restricts nothing, but for the confidentiality, which is normal.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used; the core reads and writes grants itself")]
pub(super) struct GrantBody {
    /// `read`, `reply`, `intake`, `admin` (all).
    #[schema(example = json!(["read", "reply"]))]
    operations: Vec<String>,
    /// Codes of themes.
    themes: Option<Vec<String>>,
    /// Codes of services: all of their themes, and those of the services within them. Together with `themes`: both.
    services: Option<Vec<String>>,
    /// Where themes or services are named: whether requests without a theme belong to it too.
    #[schema(default = false)]
    unthemed: Option<bool>,
    /// By which channel the request came.
    channels: Option<Vec<String>>,
    /// `normal`, `restricted`, `secret`: up to which level.
    #[schema(default = "normal")]
    confidentiality: Option<String>,
}

/// A role without its code, which the path says.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleContent {
    /// For people.
    #[schema(example = "Roads department")]
    label: String,
    /// What it allows: whatever any of these does.
    #[schema(value_type = Vec<GrantBody>)]
    grants: Vec<Grant>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Role {
    /// What an agent's `roles` name.
    #[schema(example = "agent")]
    code: String,
    #[serde(flatten)]
    body: RoleContent,
    /// Rises with every change; the ETag.
    version: i64,
}

/// The roles.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Roles {
    /// By code.
    items: Vec<Role>,
}

impl From<access::Role> for Role {
    fn from(role: access::Role) -> Self {
        Self {
            code: role.code,
            body: RoleContent {
                label: role.label,
                grants: role.grants,
            },
            version: role.version,
        }
    }
}

/// Every role.
#[utoipa::path(get, path = "/v1/roles", tag = "agents", security(("key" = ["admin"])),
    responses((status = 200, description = "The roles", body = Roles), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Admin>) -> Result<Json<Roles>, Problem> {
    let roles = api.core().people.roles.list().await?;
    Ok(Json(Roles {
        items: roles.into_iter().map(Role::from).collect(),
    }))
}

/// One role, with its ETag.
#[utoipa::path(get, path = "/v1/roles/{code}", tag = "agents", security(("key" = ["admin"])), params(("code" = String, Path)),
    responses((status = 200, description = "The role", body = Role, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Admin>, Id(code): Id) -> Result<Response, Problem> {
    let role = api.core().people.roles.get(&code).await?;
    let version = role.version;
    Ok(tagged(Json(Role::from(role)), version))
}

/// Makes a role (`If-None-Match: *`) or replaces the version that was read (`If-Match`). Whoever has it may do what it says
/// from their next call on.
#[utoipa::path(put, path = "/v1/roles/{code}", tag = "agents", security(("key" = ["admin"])), request_body = RoleContent,
    params(("code" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is none yet")),
    responses((status = 200, description = "The role as it is now", body = Role, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The role was made", body = Role, headers(("ETag" = String, description = "Its version"))), Keyed, One, Sent,
        (status = 409, description = "There is one of this code", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match or If-None-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(code): Id,
    headers: HeaderMap,
    body: Body<RoleContent>,
) -> Result<Response, Problem> {
    let expected = etag::expected(&headers)?;
    let made = expected == Expected::Absent;
    let catalogue = api.core().catalogue.fresh().await?;
    for (at, grant) in body.value.grants.iter().enumerate() {
        if let Some(unknown) = catalogue.unknown_code(grant) {
            let list = unknown.member();
            return Err(Problem::invalid(
                &format!("/grants/{at}/{list}"),
                &unknown.told(&format!("GET /v1/{list}")),
            ));
        }
    }
    let role = access::Role {
        code,
        label: body.value.label,
        grants: body.value.grants,
        version: 0,
    };
    let role = api.core().people.roles.put(&caller.actor, &expected, role).await?;
    let version = role.version;
    Ok(made_or_there(made, Json(Role::from(role)), version))
}
