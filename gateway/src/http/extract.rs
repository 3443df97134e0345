//! Bodies and queries, refused in our own words.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::api::Api;
use super::json::Json as Tree;
use super::problem::{Kind, Problem};
use super::xml::Xml;

/// Bodies longer than this are refused, in bytes. The longest legal text is far shorter.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;

/// The same of a reply with files, which come in base64.
pub(crate) const LARGEST_REPLY: usize = 21 * 1024 * 1024;

/// Time for a whole body to arrive.
const BODY_TIME: Duration = Duration::from_secs(20);

/// A JSON body, and its bytes as they came (an Idempotency-Key is compared with them).
#[derive(Debug)]
pub(crate) struct Body<T> {
    /// What it says.
    pub(crate) value: T,
    /// As it came.
    pub(crate) bytes: Bytes,
    /// What it is: `application/json`, `application/xml`.
    pub(crate) media_type: &'static str,
}

/// A body that may also be XML.
#[derive(Debug)]
pub(crate) struct Content<T>(pub(crate) Body<T>);

/// What may come as XML.
pub(crate) trait Rooted {
    /// The name of the outermost element.
    const ROOT: &'static str;
}

impl<T: DeserializeOwned + Rooted> FromRequest<Api> for Content<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !["application/xml", "text/xml"].iter().any(|media| is(request.headers(), media)) {
            let body = Body::from_request(request, api).await.map_err(|problem| {
                if problem.is(Kind::MEDIA_TYPE) {
                    Problem::new(Kind::MEDIA_TYPE, "send the body as application/json or application/xml")
                } else {
                    problem
                }
            });
            return body.map(Self);
        }
        let mapping = request.extensions().get::<Xml>().cloned();
        let bytes = all(request, api).await?;
        let Some(mapping) = mapping else {
            return Err(Problem::new(Kind::MEDIA_TYPE, "send the body as application/json"));
        };
        let tree = mapping.json(T::ROOT, &bytes)?;
        let value = T::deserialize(tree).map_err(|fault| Problem::invalid(&fault.pointer, &fault.detail))?;
        Ok(Self(Body {
            value,
            bytes,
            media_type: "application/xml",
        }))
    }
}

/// The whole body.
pub(crate) async fn all(request: Request, api: &Api) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_TIME, Bytes::from_request(request, api))
        .await
        .map_err(|_| Problem::new(Kind::TIMEOUT, "the body did not arrive in time"))?
        .map_err(unreadable)
}

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let merge_patch = request.method() == axum::http::Method::PATCH;
        if !is_json(request.headers(), merge_patch) {
            let accepted = if merge_patch {
                "application/merge-patch+json or application/json"
            } else {
                "application/json"
            };
            return Err(Problem::new(Kind::MEDIA_TYPE, format!("send the body as {accepted}")));
        }
        let bytes = all(request, api).await?;
        let value = parse(&bytes)?;
        Ok(Self {
            value,
            bytes,
            media_type: "application/json",
        })
    }
}

/// Reads a JSON object: what is no JSON is 400, what is JSON of another shape is 422.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The message may quote what was sent, but goes back to who sent it and into no log.
    let tree: Tree =
        serde_json::from_slice(bytes).map_err(|error| Problem::new(Kind::BAD_REQUEST, format!("the body is not JSON: {error}")))?;
    if !tree.is_object() {
        return Err(Problem::invalid("", "the body must be a JSON object"));
    }
    T::deserialize(tree).map_err(|fault| Problem::invalid(&fault.pointer, &fault.detail))
}

fn unreadable(rejection: BytesRejection) -> Problem {
    if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(
            Kind::TOO_LARGE,
            format!("a body may have {LARGEST_BODY} bytes, that of a reply {LARGEST_REPLY}"),
        )
    } else {
        Problem::new(Kind::BAD_REQUEST, "the body broke off")
    }
}

fn is_json(headers: &HeaderMap, merge_patch: bool) -> bool {
    is(headers, "application/json") || (merge_patch && is(headers, "application/merge-patch+json"))
}

fn is(headers: &HeaderMap, media: &str) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media)
}

/// The one variable of a path: an id or a code.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<Api> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, api).await {
            // PostgreSQL takes no NUL in a text.
            Ok(Path(text)) if !text.contains('\0') => Ok(Self(text)),
            _ => Err(unreadable_path()),
        }
    }
}

/// The two variables of a path: a thing and what belongs to it.
#[derive(Debug)]
pub(crate) struct Ids(pub(crate) String, pub(crate) String);

impl FromRequestParts<Api> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match Path::<(String, String)>::from_request_parts(parts, api).await {
            Ok(Path((one, other))) if !one.contains('\0') && !other.contains('\0') => Ok(Self(one, other)),
            _ => Err(unreadable_path()),
        }
    }
}

fn unreadable_path() -> Problem {
    Problem::new(
        Kind::BAD_REQUEST,
        "the path cannot be read: what it encodes with % must be UTF-8 without NUL",
    )
}

/// The query of a list or a filter: what cannot be read is 400.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Query(value) = Query::<T>::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::new(Kind::BAD_REQUEST, said(&rejection.body_text())))?;
        Ok(Self(value))
    }
}

/// What the library found wrong with a query, in our words.
fn said(library: &str) -> String {
    let twice = library.split_once("duplicate field `").and_then(|(_, rest)| rest.split_once('`'));
    match twice {
        Some((name, _)) => format!("`{name}` may come once"),
        None => format!("the query cannot be read: {library}"),
    }
}

/// How many items a page holds when nobody says.
const PAGE: usize = 100;
/// How many it may hold.
const LARGEST_PAGE: usize = 500;

/// Reads `limit`, a number from 1 to 500.
pub(crate) fn limit(text: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(PAGE) };
    match text.parse() {
        Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Problem::new(
            Kind::BAD_REQUEST,
            format!("`limit` must be a number from 1 to {LARGEST_PAGE}"),
        )),
    }
}

/// Tells `null` from a member that is left out, for a merge patch (RFC 7396).
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a call that makes something or finds it there answers: 201 or 200, with the entity tag of its version.
pub(crate) fn made_or_there(made: bool, answer: impl IntoResponse, version: i64) -> Response {
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    (status, tagged(answer, version)).into_response()
}

/// An answer with the entity tag of its version.
pub(crate) fn tagged(answer: impl IntoResponse, version: i64) -> Response {
    ([(axum::http::header::ETAG, super::etag::of(version))], answer).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_named() {
        let library = "Failed to deserialize query string: duplicate field `limit`";
        assert_eq!(said(library), "`limit` may come once");
        assert!(said("odd").ends_with("read: odd"));
    }

    #[test]
    fn a_limit_lies_between_one_and_five_hundred() {
        assert_eq!(limit(None).ok(), Some(100));
        assert_eq!(limit(Some("500")).ok(), Some(500));
        for bad in ["0", "501", "-1", "ten", "", "1e2"] {
            assert_eq!(limit(Some(bad)).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn broken_json_is_400_and_another_shape_422() {
        let status = |text: &str| parse::<BTreeMap<String, u8>>(text.as_bytes()).map_err(|problem| problem.status().as_u16());
        for broken in ["", "{", "[1,", "{\"a\":1}}", "{\"a\":\"\u{1}\"}"] {
            assert_eq!(status(broken), Err(400), "{broken}");
        }
        for other in ["null", "1", "\"a\"", "[]", "[1]", "{\"a\":256}"] {
            assert_eq!(status(other), Err(422), "{other}");
        }
        assert_eq!(status("{\"a\":1}").unwrap()["a"], 1);
    }

    #[test]
    fn content_types() {
        let of = |text: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, axum::http::HeaderValue::from_static(text))]);
        assert!(is_json(&of("application/json; charset=utf-8"), false));
        assert!(!is_json(&of("application/merge-patch+json"), false));
        assert!(is_json(&of("application/merge-patch+json"), true));
        assert!(!is_json(&of("text/plain"), true));
        assert!(!is_json(&HeaderMap::new(), true));
    }
}
