//! `/v1/oidc`: agents log in with the town's identity provider.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use voxea_core::access::{OIDC_LOGIN_MS, Proved};
use voxea_core::base::time;

use crate::http::api::Api;
use crate::http::extract::Params;
use crate::http::identify::silent;
use crate::http::known::{Address, slower};
use crate::http::openapi::{Keyed, One};
use crate::http::problem::{Kind, Problem};
use crate::http::v1::sessions::Session;
use crate::trust::{Doubt, Persons};

/// The browser that began a login is the one that may end it.
const COOKIE_NAME: &str = "voxea_oidc";

/// What the identity provider sends back with the browser.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Back {
    /// What becomes a token.
    code: Option<String>,
    /// What the login was begun with.
    state: Option<String>,
    /// Who sends it (RFC 9207).
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Sends a browser to the identity provider.
#[utoipa::path(get, path = "/v1/oidc/login", tag = "agents", security(()),
    responses((status = 303, description = "To the identity provider", headers(("Location" = String))), Keyed, One))]
pub(super) async fn login(State(api): State<Api>, Address(address): Address) -> Result<Response, Problem> {
    let persons = persons(&api)?;
    // Counted until it comes back, so that nobody begins more than can be kept.
    api.entrance().failed(address, Instant::now()).map_err(slower)?;
    let login = api.core().people.oidc.begin(time::now()).await?;
    let door = persons.door(&login).await.map_err(|_| silent())?;
    let cookie = cookie(persons, &login.cookie, OIDC_LOGIN_MS / 1000)?;
    let door = HeaderValue::from_str(&door).map_err(|_| silent())?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, door), (SET_COOKIE, cookie)]).into_response())
}

/// Where the identity provider sends the browser back. Nobody is entered by this: who is no agent is refused.
#[utoipa::path(get, path = "/v1/oidc/callback", tag = "agents", security(()), params(Back),
    responses((status = 200, description = "They are in", body = Session), Keyed, One))]
pub(super) async fn callback(
    State(api): State<Api>,
    Address(address): Address,
    headers: HeaderMap,
    Params(back): Params<Back>,
) -> Result<Response, Problem> {
    let persons = persons(&api)?;
    api.entrance().failed(address, Instant::now()).map_err(slower)?;
    let (people, now) = (&api.core().people, time::now());
    let state = back.state.unwrap_or_default();
    let taken = people.oidc.take(&sent(&headers), &state, now).await?;
    let Some((nonce, verifier)) = taken else {
        let message = "this login was not begun in this browser, took longer than ten minutes, or is over; begin again at /v1/oidc/login";
        return Err(refused(&api, "", message).await);
    };
    let code = match back.code {
        Some(code) if back.error.is_none() && back.iss.is_none_or(|iss| iss == persons.issuer.url) => code,
        _ => {
            let message = "the identity provider did not let you in; begin again at /v1/oidc/login";
            return Err(refused(&api, "", message).await);
        }
    };
    let person = match persons.who(&code, &nonce, &verifier, now / 1000).await {
        Ok(person) => person,
        Err(Doubt::Silent) => return Err(silent()),
        Err(Doubt::Wrong(why)) => {
            tracing::warn!(why, "a login by the identity provider was refused");
            let message = "what the identity provider sent cannot be believed; the daemon's log says more";
            return Err(refused(&api, "", message).await);
        }
    };
    let by_subject = Proved::Subject {
        issuer: &persons.issuer.url,
        subject: &person.subject,
    };
    let mut opened = people.logins.proved(by_subject, now).await?;
    if let (None, Some(claimed)) = (&opened, &person.claimed) {
        let by_claim = match persons.claim {
            crate::trust::Claim::Email => Proved::Email(claimed),
            _ => Proved::Login(claimed),
        };
        opened = people.logins.proved(by_claim, now).await?;
    }
    let Some(opened) = opened else {
        let message = "the identity provider knows you, but you are no agent here, or may not log in";
        let given = person.claimed.as_ref().unwrap_or(&person.subject);
        return Err(refused(&api, given, message).await);
    };
    // It was counted when it began and when it came back.
    api.entrance().succeeded(address);
    api.entrance().succeeded(address);
    api.metrics().login("in");
    let cookie = cookie(persons, "", 0)?;
    Ok(([(SET_COOKIE, cookie)], Json(Session::from(opened))).into_response())
}

fn persons(api: &Api) -> Result<&Persons, Problem> {
    let absent = || Problem::new(Kind::NOT_FOUND, "no identity provider is configured for agents: [oidc]");
    api.trust().persons().ok_or_else(absent)
}

/// Refuses, once that is entered in the audit trail. `given` is whom the provider named.
async fn refused(api: &Api, given: &str, why: &str) -> Problem {
    api.metrics().login("oidc");
    match api.core().people.logins.not_proved(given, time::now()).await {
        Ok(()) => Problem::new(Kind::NOT_LET_IN, why),
        Err(error) => error.into(),
    }
}

/// Lax, since it must come along when the identity provider sends the browser back.
fn cookie(persons: &Persons, value: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if persons.redirect_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    let text = format!("{COOKIE_NAME}={value}; Path=/v1/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|_| silent())
}

/// The cookie as the browser sends it; empty when it does not.
fn sent(headers: &HeaderMap) -> String {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(name, _)| *name == COOKIE_NAME);
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}
