//! Who calls: the bearer key, its scopes, and the throttle on failures.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use voxea_core::base::actor::Actor;
use voxea_core::base::grant::Operation;

use super::api::Api;
use super::identify::identify;
use super::problem::{Kind, Problem};
use super::quota;
use super::reads::Slot;

/// The address of the peer on the socket, put into each request by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What a handler demands of a key.
pub(crate) trait Scope {
    /// Its name, as `voxea key new --scope` takes it.
    const NAME: &'static str;
    /// Whether somebody may do it, to some requests at least.
    fn granted(actor: &Actor) -> bool;
}

/// Reading requests, interactions, recordings, the feed.
#[derive(Debug)]
pub(crate) struct Read;
/// Changing requests and answering citizens.
#[derive(Debug)]
pub(crate) struct Reply;
/// Bringing contacts in.
#[derive(Debug)]
pub(crate) struct Intake;

/// Reading, or bringing contacts in: what a web site's form must know.
#[derive(Debug)]
pub(crate) struct ReadOrIntake;
/// Changing what Voxea itself goes by.
#[derive(Debug)]
pub(crate) struct Admin;

impl Scope for ReadOrIntake {
    const NAME: &'static str = "read";
    fn granted(actor: &Actor) -> bool {
        actor.may(Operation::Read) || actor.may(Operation::Intake)
    }
}

impl Scope for Admin {
    const NAME: &'static str = "admin";
    fn granted(actor: &Actor) -> bool {
        actor.may(Operation::Admin)
    }
}

impl Scope for Read {
    const NAME: &'static str = "read";
    fn granted(actor: &Actor) -> bool {
        actor.may(Operation::Read)
    }
}

impl Scope for Reply {
    const NAME: &'static str = "reply";
    fn granted(actor: &Actor) -> bool {
        actor.may(Operation::Reply)
    }
}

impl Scope for Intake {
    const NAME: &'static str = "intake";
    fn granted(actor: &Actor) -> bool {
        actor.may(Operation::Intake)
    }
}

/// Reading citizens and opt-outs, for whom neither themes nor channels restrict: they are of the whole town, and whoever
/// could look up or add an address would reach the requests behind it.
#[derive(Debug)]
pub(crate) struct ReadTown;
/// Changing them.
#[derive(Debug)]
pub(crate) struct ReplyTown;

impl Scope for ReadTown {
    const NAME: &'static str = "read";
    fn granted(actor: &Actor) -> bool {
        actor.may_in_town(Operation::Read)
    }
}

impl Scope for ReplyTown {
    const NAME: &'static str = "reply";
    fn granted(actor: &Actor) -> bool {
        actor.may_in_town(Operation::Reply)
    }
}

/// A caller whose key holds the scope `S`. First argument of every handler under `/v1`.
#[derive(Debug)]
pub(crate) struct Caller<S> {
    /// Who calls, for the door.
    pub(crate) actor: Actor,
    /// The same as history names them.
    pub(crate) id: String,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    /// Whether the caller may read, whatever the handler demanded.
    pub(crate) fn may_read(&self) -> bool {
        self.actor.may(Operation::Read)
    }
}

impl<S: Scope> FromRequestParts<Api> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let known = match token(&parts.headers) {
            Some(token) => identify(api, token).await?,
            None => None,
        };
        let Some(actor) = known else {
            let address = address(parts, api.settings().behind_proxy);
            return Err(match api.throttle().failed(address, Instant::now()) {
                Ok(()) => Problem::new(
                    Kind::UNAUTHENTICATED,
                    "send `Authorization: Bearer …` with a key that `voxea key new` made, or the token of POST /v1/sessions",
                )
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"voxea\"")),
                Err(seconds) => {
                    Problem::new(Kind::THROTTLED, "too many requests without a valid key from this address").retry_after(seconds)
                }
            });
        };
        api.quota().take(&actor, parts.extensions.get::<quota::Slot>(), Instant::now())?;
        if !S::granted(&actor) {
            return Err(Problem::new(
                Kind::FORBIDDEN,
                format!(
                    "this call needs a key with the scope `{}`; for citizens and opt-outs, one that neither themes nor channels restrict",
                    S::NAME
                ),
            )
            .with("scope", S::NAME.into()));
        }
        parts.extensions.get::<Slot>().inspect(|slot| slot.fill(&actor));
        Ok(Self {
            id: actor.to_string(),
            actor,
            scope: PhantomData,
        })
    }
}

/// The token of a `Bearer` header; the scheme's name is case-insensitive (RFC 9110 §11.1).
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The client's address. Behind a proxy, the last entry of X-Forwarded-For: the only one that the proxy itself wrote.
pub(super) fn address(parts: &Parts, behind_proxy: bool) -> IpAddr {
    let socket = parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    if !behind_proxy {
        return socket;
    }
    let forwarded = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok());
    forwarded
        .and_then(|list| list.rsplit(',').next())
        .and_then(|last| last.trim().parse().ok())
        .unwrap_or(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(forwarded: &[&str]) -> Parts {
        let mut builder = Request::builder().extension(Peer(IpAddr::from([192, 0, 2, 9])));
        for value in forwarded {
            builder = builder.header("x-forwarded-for", *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_a_proxys_own_word_is_believed() {
        let socket = IpAddr::from([192, 0, 2, 9]);
        let client = IpAddr::from([198, 51, 100, 7]);
        assert_eq!(address(&parts(&["198.51.100.7"]), false), socket);
        assert_eq!(address(&parts(&["10.0.0.1, 198.51.100.7"]), true), client);
        assert_eq!(address(&parts(&["10.0.0.1", "198.51.100.7"]), true), client);
        assert_eq!(address(&parts(&["nonsense"]), true), socket);
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        let headers = |text: &'static str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
        assert_eq!(token(&headers("bearer vx_a_b")), Some("vx_a_b"));
        assert_eq!(token(&headers("Basic vx_a_b")), None);
        assert_eq!(token(&headers("vx_a_b")), None);
    }
}
