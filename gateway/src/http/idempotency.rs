//! `Idempotency-Key`: the same call twice is answered twice and done once.

use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ring::digest::{SHA256, digest};
use serde_json::json;
use tracing::Instrument as _;
use voxea_core::access::Slot;
use voxea_core::base::failpoint;
use voxea_core::base::hex;

use super::api::Api;
use super::etag;
use super::problem::{Kind, Problem};

/// The longest key, in bytes.
const LONGEST: usize = 200;

/// The key of a call, if it brings one.
///
/// # Errors
/// 400 when it is empty, too long or not ASCII.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.to_owned())),
        _ => Err(Problem::new(
            Kind::BAD_REQUEST,
            format!("Idempotency-Key must have 1 to {LONGEST} visible ASCII characters"),
        )),
    }
}

/// What to do with a call that brings a key.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Do it, then remember or release.
    Fresh(Held),
    /// It was done: answer this.
    Done(StatusCode, String),
}

/// A key that is ours until the answer is known.
#[derive(Debug)]
pub(crate) struct Held {
    api: Api,
    client: String,
    key: String,
}

/// What a route and a body are known by.
pub(crate) fn fingerprint(route: &str, body: &[u8]) -> String {
    hex::encode(digest(&SHA256, &[route.as_bytes(), b"\n", body].concat()).as_ref())
}

/// Claims a key for this client, route and body.
///
/// # Errors
/// 422 when the key came with another body or on another route, 409 while the first call is at work.
pub(crate) async fn claim(api: &Api, client: &str, key: &str, route: &str, body: &[u8]) -> Result<Claim, Problem> {
    match api.core().idempotency.begin(client, key, &fingerprint(route, body)).await? {
        Slot::Fresh => Ok(Claim::Fresh(Held {
            api: api.clone(),
            client: client.to_owned(),
            key: key.to_owned(),
        })),
        Slot::Done(status, body) => Ok(Claim::Done(StatusCode::from_u16(status).unwrap_or(StatusCode::CREATED), body)),
        Slot::InFlight => {
            Err(Problem::new(Kind::CONFLICT, "a call with this Idempotency-Key is at work; try again shortly").retry_after(1))
        }
        Slot::Mismatch => {
            let detail = "this Idempotency-Key came with another body or to another path before; use a new one";
            let errors = json!([{"header": "Idempotency-Key", "detail": detail}]);
            Err(Problem::new(Kind::KEY_REUSED, detail).with("errors", errors))
        }
    }
}

/// The answer to a call that made something, the first time and every other time: the JSON of what was made, which says
/// where it is (`links.self`) and its `version`.
pub(crate) fn answer(status: StatusCode, text: &str) -> Response {
    let body: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let location = body["links"]["self"].as_str().unwrap_or_default();
    let headers = [
        (LOCATION, HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static(""))),
        (ETAG, etag::of(body["version"].as_i64().unwrap_or_default())),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ];
    (status, headers, text.to_owned()).into_response()
}

/// The same where nothing was made that has a place of its own: a part of what the path names, or a change of it.
pub(crate) fn placeless(status: StatusCode, text: &str) -> Response {
    let mut answer = answer(status, text);
    answer.headers_mut().remove(LOCATION);
    answer
}

/// Does a call's work once for its key, to the end also when the client does not wait for it. `work` answers a status and a JSON
/// text, of which `respond` makes the answer, the first time and every other time.
///
/// # Errors
/// [`claim`]'s, and those of the work: its key is given back then.
pub(crate) async fn once<W>(call: Call<'_>, respond: fn(StatusCode, &str) -> Response, work: W) -> Result<Response, Problem>
where
    W: Future<Output = Result<(StatusCode, String), Problem>> + Send + 'static,
{
    let Some(key) = call.key else {
        let (status, text) = work.await?;
        return Ok(respond(status, &text));
    };
    let held = match claim(call.api, call.client, key, call.route, call.body).await? {
        Claim::Fresh(held) => held,
        Claim::Done(status, text) => return Ok(respond(status, &text)),
    };
    let ended = tokio::spawn(
        async move {
            match work.await {
                Ok((status, text)) => {
                    failpoint::hit("http.once.before_remember");
                    held.remember(status, &text).await;
                    Ok((status, text))
                }
                Err(problem) => {
                    held.release().await;
                    Err(problem)
                }
            }
        }
        .in_current_span(),
    );
    match ended.await {
        Ok(done) => done.map(|(status, text)| respond(status, &text)),
        Err(error) => {
            tracing::error!(panicked = error.is_panic(), "a call did not end");
            Err(Problem::new(Kind::INTERNAL, "an internal error; the daemon's log names the place"))
        }
    }
}

/// What [`once`] must know of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Where it is served.
    pub(crate) api: &'a Api,
    /// Who calls, as history names them.
    pub(crate) client: &'a str,
    /// Its Idempotency-Key, if it brings one.
    pub(crate) key: Option<&'a str>,
    /// What it does, with the ids of its path.
    pub(crate) route: &'a str,
    /// Its body as it came.
    pub(crate) body: &'a [u8],
}

impl Call<'_> {
    /// By what a door knows the work again that outlives a death between its commit and the answer.
    pub(crate) fn origin(&self) -> Option<String> {
        let print = || fingerprint(self.route, self.body);
        self.key.map(|key| format!("{}/{key}/{}", self.client, print()))
    }
}

impl Held {
    /// Remembers the answer. Failing to is no failure of the call: the contact's own dedup key still makes a
    /// repetition harmless.
    pub(crate) async fn remember(self, status: StatusCode, body: &str) {
        if let Err(error) = self
            .api
            .core()
            .idempotency
            .finish(&self.client, &self.key, status.as_u16(), body)
            .await
        {
            tracing::warn!(error = %error, "an answer could not be remembered for its Idempotency-Key");
        }
    }

    /// Gives the key back after a refusal.
    pub(crate) async fn release(self) {
        if let Err(error) = self.api.core().idempotency.release(&self.client, &self.key).await {
            tracing::warn!(error = %error, "an Idempotency-Key could not be given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn keys_are_bounded() {
        let with = |text: &str| HeaderMap::from_iter([("idempotency-key".parse().unwrap(), HeaderValue::from_str(text).unwrap())]);
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
        assert_eq!(key(&with("a-1")).unwrap().as_deref(), Some("a-1"));
        assert_eq!(key(&with("")).unwrap_err().status(), 400);
        assert_eq!(key(&with(&"x".repeat(201))).unwrap_err().status(), 400);
    }
}
