//! `/v1/agents`: who may log in, as an administrator keeps them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::access::{AgentRow, Oidc, Profile};
use voxea_core::base::expected::Expected;
use voxea_core::base::time::rfc3339;

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::etag;
use crate::http::extract::{Body, Id, made_or_there, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;

const fn yes() -> bool {
    true
}

/// What an administrator decides of an agent; the path says the login.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentContent {
    /// For people.
    #[schema(example = "Jeanne Martin")]
    name: String,
    /// Where they are written to.
    email: Option<String>,
    /// Codes of roles.
    #[serde(default)]
    roles: Vec<String>,
    /// The URL of the identity provider that knows them; together with `oidc_subject`.
    oidc_issuer: Option<String>,
    /// `sub` in its tokens.
    oidc_subject: Option<String>,
    /// Whether they may log in. `false` ends their sessions at once.
    #[serde(default = "yes")]
    enabled: bool,
}

/// A person who works for the town.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// UUIDv7; history names `agent:` and this.
    id: String,
    /// What they log in with.
    #[schema(example = "j.martin")]
    login: String,
    #[serde(flatten)]
    body: AgentContent,
    /// Whether there is a password.
    password: bool,
    /// Whether a login needs a code.
    totp: bool,
    /// When they were entered.
    created_at: String,
    /// When they changed last.
    updated_at: String,
    /// Rises with every change; the ETag.
    version: i64,
}

/// The agents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    /// By login.
    items: Vec<Agent>,
}

/// A password for somebody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    /// At least 50 bits by the CNIL's reckoning, and none that is guessed first.
    password: String,
}

impl From<AgentRow> for Agent {
    fn from(row: AgentRow) -> Self {
        let (oidc_issuer, oidc_subject) = row.profile.oidc.map(|oidc| (oidc.issuer, oidc.subject)).unzip();
        Self {
            id: row.id,
            login: row.profile.login,
            body: AgentContent {
                name: row.profile.name,
                email: row.profile.email,
                roles: row.profile.roles,
                oidc_issuer,
                oidc_subject,
                enabled: row.profile.enabled,
            },
            password: row.has_password,
            totp: row.has_totp,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
            version: row.version,
        }
    }
}

impl AgentContent {
    fn profile(self, login: String) -> Result<Profile, Problem> {
        let oidc = match (self.oidc_issuer, self.oidc_subject) {
            (None, None) => None,
            (Some(issuer), Some(subject)) => Some(Oidc { issuer, subject }),
            (None, _) => return Err(Problem::invalid("/oidc_issuer", "belongs to oidc_subject: send both or none")),
            (_, None) => return Err(Problem::invalid("/oidc_subject", "belongs to oidc_issuer: send both or none")),
        };
        Ok(Profile {
            login,
            name: self.name,
            email: self.email,
            roles: self.roles,
            oidc,
            enabled: self.enabled,
        })
    }
}

/// Every agent.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", security(("key" = ["admin"])),
    responses((status = 200, description = "The agents", body = Agents), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Admin>) -> Result<Json<Agents>, Problem> {
    let rows = api.core().people.agents.list().await?;
    Ok(Json(Agents {
        items: rows.into_iter().map(Agent::from).collect(),
    }))
}

/// One agent, with its ETag.
#[utoipa::path(get, path = "/v1/agents/{login}", tag = "agents", security(("key" = ["admin"])), params(("login" = String, Path)),
    responses((status = 200, description = "The agent", body = Agent, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Admin>, Id(login): Id) -> Result<Response, Problem> {
    let row = api.core().people.agents.get(&login).await?;
    let version = row.version;
    Ok(tagged(Json(Agent::from(row)), version))
}

/// Enters an agent (`If-None-Match: *`) or replaces the version that was read (`If-Match`). They have no password until one
/// is set; who has left is not taken away but switched off by `"enabled": false`, since history names them.
#[utoipa::path(put, path = "/v1/agents/{login}", tag = "agents", security(("key" = ["admin"])), request_body = AgentContent,
    params(("login" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is none yet")),
    responses((status = 200, description = "The agent as it is now", body = Agent, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The agent was entered", body = Agent, headers(("ETag" = String, description = "Its version"))), Keyed, One, Sent,
        (status = 409, description = "There is one of this login", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match or If-None-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(login): Id,
    headers: HeaderMap,
    body: Body<AgentContent>,
) -> Result<Response, Problem> {
    let expected = etag::expected(&headers)?;
    let profile = body.value.profile(login)?;
    let row = api.core().people.agents.put(&caller.actor, &expected, profile).await?;
    let made = expected == Expected::Absent;
    let version = row.version;
    Ok(made_or_there(made, Json(Agent::from(row)), version))
}

/// Gives an agent a password, and ends their sessions.
#[utoipa::path(put, path = "/v1/agents/{login}/password", tag = "agents", security(("key" = ["admin"])), request_body = Password,
    params(("login" = String, Path)), responses((status = 204, description = "It is set"), Keyed, One, Sent))]
pub(super) async fn password(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(login): Id,
    body: Body<Password>,
) -> Result<StatusCode, Problem> {
    let agents = &api.core().people.agents;
    agents.set_password(&caller.actor, &login, &body.value.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an agent's codes away, for who has lost the phone.
#[utoipa::path(delete, path = "/v1/agents/{login}/totp", tag = "agents", security(("key" = ["admin"])),
    params(("login" = String, Path)), responses((status = 204, description = "A login needs no code any more"), Keyed, One))]
pub(super) async fn totp(State(api): State<Api>, caller: Caller<Admin>, Id(login): Id) -> Result<StatusCode, Problem> {
    api.core().people.agents.remove_totp(&caller.actor, &login).await?;
    Ok(StatusCode::NO_CONTENT)
}
