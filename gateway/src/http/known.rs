//! What a handler asks of whoever is known, and of whoever is not.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use voxea_core::base::actor::{Actor, Agent};
use voxea_core::base::time;

use super::api::Api;
use super::auth::{self, Caller, Scope};
use super::problem::{Kind, Problem};

/// Whoever is known, whatever they may do.
#[derive(Debug)]
pub(crate) struct Known;

impl Scope for Known {
    const NAME: &'static str = "read";
    fn granted(_actor: &Actor) -> bool {
        true
    }
}

impl<S> Caller<S> {
    /// The agent that calls.
    ///
    /// # Errors
    /// 409 for a program, which has no password and no session.
    pub(crate) fn agent(&self) -> Result<&Agent, Problem> {
        match &self.actor {
            Actor::Agent(agent) => Ok(agent),
            _ => Err(Problem::new(
                Kind::CONFLICT,
                "this call is an agent's, who has logged in by POST /v1/sessions",
            )),
        }
    }
}

/// The client's address, for the throttle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) IpAddr);

impl FromRequestParts<Api> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        Ok(Self(auth::address(parts, api.settings().behind_proxy)))
    }
}

/// Refuses until a moment, in milliseconds UTC.
pub(crate) fn later(at: i64) -> Problem {
    let seconds = u64::try_from((at - time::now()).max(0)).unwrap_or_default().div_ceil(1000).max(1);
    slower(seconds)
}

/// Refuses for so many seconds. One text, whether it is the login or the address that failed too often.
pub(crate) fn slower(seconds: u64) -> Problem {
    Problem::new(
        Kind::THROTTLED,
        "too many failed attempts; try again after the time that Retry-After says",
    )
    .retry_after(seconds)
}
