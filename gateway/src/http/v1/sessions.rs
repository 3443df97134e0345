//! `/v1/sessions`: agents log in, and out.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::access::{Credentials, Login, Opened, Refusal};
use voxea_core::base::time::{self, rfc3339};

use crate::http::api::Api;
use crate::http::auth::{Caller, token};
use crate::http::extract::Body;
use crate::http::known::{Address, Known, later, slower};
use crate::http::openapi::{Keyed, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::v1::agents::Agent;

/// What somebody logs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entering {
    /// In any case.
    #[schema(example = "j.martin")]
    login: String,
    /// As it is.
    password: String,
    /// The six digits that the phone shows, where they are in use.
    #[schema(example = "123456")]
    totp: Option<String>,
}

/// An agent is in.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// `vs_…`, for `Authorization: Bearer`. It is shown this once.
    token: String,
    /// When it ends at the latest; earlier when it is not used.
    expires_at: String,
    /// Who that is.
    agent: Agent,
}

impl From<Opened> for Session {
    fn from(opened: Opened) -> Self {
        Self {
            token: opened.token,
            expires_at: rfc3339(opened.expires_at),
            agent: opened.agent.into(),
        }
    }
}

/// Logs an agent in. Whatever is wrong, the answer is the same. After three failures of a login the next try counts after
/// 1 s, 2 s, 4 s, up to 15 min; before, it is answered 429 with Retry-After.
#[utoipa::path(post, path = "/v1/sessions", tag = "agents", security(()), request_body = Entering,
    responses((status = 201, description = "They are in", body = Session), Keyed, Sent))]
pub(super) async fn post(State(api): State<Api>, Address(address): Address, body: Body<Entering>) -> Result<Response, Problem> {
    // Counted before it is looked at, so that many at once are not each the first.
    if let Err(seconds) = api.entrance().failed(address, Instant::now()) {
        api.metrics().login("address");
        return Err(slower(seconds));
    }
    let Entering { login, password, totp } = &body.value;
    let credentials = Credentials {
        login,
        password,
        totp: totp.as_deref(),
    };
    let login = api.core().people.logins.login(credentials, time::now()).await.inspect_err(|_| {
        // It is not theirs that it could not be looked at.
        api.entrance().succeeded(address);
    })?;
    let (outcome, answer) = match login {
        Login::In(opened) => {
            api.entrance().succeeded(address);
            ("in", Ok((StatusCode::CREATED, Json(Session::from(*opened))).into_response()))
        }
        Login::Later(at) => ("later", Err(later(at))),
        Login::Refused(refusal) => {
            let outcome = match refusal {
                Refusal::Unknown => "unknown",
                Refusal::Disabled => "disabled",
                Refusal::Password => "password",
                Refusal::Totp => "totp",
            };
            (outcome, Err(refused()))
        }
    };
    api.metrics().login(outcome);
    answer
}

fn refused() -> Problem {
    Problem::new(
        Kind::LOGIN,
        "the login, the password or the code is wrong, or the agent may not log in; after some failures wait longer between tries",
    )
    .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"voxea\""))
}

/// Logs the agent out.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "agents", security(("key" = [])),
    responses((status = 204, description = "The session is over"), Keyed,
        (status = 409, description = "The token is a program's", body = crate::http::openapi::Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(State(api): State<Api>, caller: Caller<Known>, headers: HeaderMap) -> Result<StatusCode, Problem> {
    caller.agent()?;
    let token = token(&headers).unwrap_or_default();
    api.core().people.sessions.end(token, time::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
