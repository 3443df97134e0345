//! Errors as RFC 9457 problem details: one type from which every refusal of the API is made.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use voxea_core::base::error::CoreError;
use voxea_core::contact::IntakeError;

use super::call_id;

/// One kind of refusal: the end of its `type` URI, its status, its title.
///
/// The set is closed, so that a client can switch on `type` (RFC 9457 §3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    slug: &'static str,
    status: StatusCode,
    title: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal, $status:ident, $title:literal;)*) => {
        impl Kind {
            /// Every kind.
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];
            $(#[doc = $title] pub(crate) const $name: Self = Self { slug: $slug, status: StatusCode::$status, title: $title };)*
        }
    };
}

kinds! {
    BAD_REQUEST = "bad-request", BAD_REQUEST, "The request cannot be read";
    BAD_CURSOR = "bad-cursor", BAD_REQUEST, "The cursor cannot be read";
    PURPOSE = "purpose-required", BAD_REQUEST, "The purpose of the read must be said";
    UNAUTHENTICATED = "unauthenticated", UNAUTHORIZED, "A valid key is needed";
    LOGIN = "login-refused", UNAUTHORIZED, "The login was refused";
    NOT_LET_IN = "not-let-in", FORBIDDEN, "The identity provider's word opens no door here";
    FORBIDDEN = "forbidden", FORBIDDEN, "The key lacks the scope";
    NOT_FOUND = "not-found", NOT_FOUND, "There is no such thing";
    METHOD = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not offered here";
    TIMEOUT = "timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    CONFLICT = "conflict", CONFLICT, "The state does not allow it";
    FEED_EPOCH = "feed-epoch", CONFLICT, "The cursor is of another feed";
    FEED_GONE = "feed-gone", GONE, "The cursor is older than what is kept";
    STALE = "stale", PRECONDITION_FAILED, "The thing has changed since it was read";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    MEDIA_TYPE = "media-type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not accepted";
    RANGE = "range", RANGE_NOT_SATISFIABLE, "The range lies outside";
    INVALID = "invalid", UNPROCESSABLE_ENTITY, "The content is not acceptable";
    TEXT_TOO_LONG = "text-too-long", UNPROCESSABLE_ENTITY, "The text does not fit one message";
    KEY_REUSED = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key came with another body before";
    PRECONDITION = "precondition-required", PRECONDITION_REQUIRED, "If-Match is needed";
    THROTTLED = "throttled", TOO_MANY_REQUESTS, "Too many failed attempts";
    RATE = "rate-limited", TOO_MANY_REQUESTS, "The key makes too many calls";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "Not possible at this moment";
}

/// A refusal on its way to the client. Boxed, since every handler's `Result` is as large as this.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    detail: String,
    members: Map<String, Value>,
    headers: HeaderMap,
}

/// Where a reader of the feed begins anew that cannot go on.
pub(crate) const WAY_BACK: &str = "/v1/requests?snapshot=true";

/// The media type of a problem (RFC 9457 §3).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    /// A problem of this kind; `detail` says what happened and what would be right.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            detail: detail.into(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// The content is well-formed but `pointer` (RFC 6901) is not acceptable.
    pub(crate) fn invalid(pointer: &str, detail: &str) -> Self {
        Self::new(Kind::INVALID, detail).with("errors", json!([{ "pointer": pointer, "detail": detail }]))
    }

    /// The content is well-formed but a variable of the path or a parameter of the query is not acceptable.
    pub(crate) fn invalid_parameter(name: &str, detail: &str) -> Self {
        Self::new(Kind::INVALID, format!("`{name}` {detail}")).with("errors", json!([{ "parameter": name, "detail": detail }]))
    }

    /// The parameters of the query are not acceptable together.
    pub(crate) fn invalid_parameters(names: &[&str], detail: &str) -> Self {
        let errors: Vec<Value> = names.iter().map(|name| json!({"parameter": name, "detail": detail})).collect();
        Self::new(Kind::INVALID, detail).with("errors", errors.into())
    }

    /// There is no such thing, or the caller may not know that there is.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NOT_FOUND, format!("there is no {what} with this id"))
    }

    /// Says that the member at `pointer` (RFC 6901) is what is not acceptable.
    fn at(self, pointer: &str) -> Self {
        let detail = self.0.detail.clone();
        self.with("errors", json!([{ "pointer": pointer, "detail": detail }]))
    }

    /// Adds an extension member.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a response header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says when to come back.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Whether it is of this kind.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.0.kind == kind
    }

    /// What happened.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The headers that it adds.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The status that the client sees.
    pub(crate) const fn status(&self) -> StatusCode {
        self.0.kind.status
    }

    /// The JSON body.
    fn body(self) -> Value {
        let mut parts = self.0;
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:voxea:problem:{}", parts.kind.slug).into());
        body.insert("title".into(), parts.kind.title.into());
        body.insert("status".into(), parts.kind.status.as_u16().into());
        body.insert("detail".into(), parts.detail.into());
        if let Some(instance) = call_id::instance() {
            body.insert("instance".into(), instance.into());
        }
        body.append(&mut parts.members);
        Value::Object(body)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = self.status();
        debug_assert!(
            status != StatusCode::UNPROCESSABLE_ENTITY || self.0.members.contains_key("errors"),
            "a 422 says where: {}",
            self.0.kind.slug
        );
        let mut headers = std::mem::take(&mut self.0.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (status, headers, self.body().to_string()).into_response()
    }
}

impl From<CoreError> for Problem {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::NotFound { what } => Self::not_found(what),
            // What was expected is the client's own word, and no number when its tags were none of ours.
            CoreError::Stale { current, .. } => Self::new(
                Kind::STALE,
                format!(
                    "the current version is {current}, and If-Match does not have its ETag; read it again, then send the ETag as it came"
                ),
            )
            .with("current", current.into()),
            CoreError::Conflict(detail) => Self::new(Kind::CONFLICT, detail),
            CoreError::Invalid { pointer, message } => Self::invalid(&pointer, &message),
            CoreError::TextTooLong(preview) => {
                let mut problem = Self::new(
                    Kind::TEXT_TOO_LONG,
                    format!(
                        "the text needs {} units and one message holds {}: shorten it, or send it in {} messages with \"split\": true, \
                         where [[smpp]] most_segments of its account allows so many",
                        preview.units, preview.limit, preview.segments
                    ),
                );
                if let Ok(Value::Object(members)) = serde_json::to_value(super::preview::Preview::from(*preview)) {
                    problem.0.members = members;
                }
                problem.at("/text")
            }
            CoreError::FeedAhead { epoch, .. } => Self::new(
                Kind::FEED_EPOCH,
                "the cursor lies beyond the end of the feed: a backup was restored since. Fetch the snapshot, and go on from the cursor \
                 in its `changes`",
            )
            .with("epoch", epoch.into())
            .with("snapshot", WAY_BACK.into()),
            CoreError::FeedGone { epoch, .. } => Self::new(
                Kind::FEED_GONE,
                "events after the cursor were removed, since their time was over. Fetch the snapshot, and go on from the cursor in its \
                 `changes`",
            )
            .with("epoch", epoch.into())
            .with("snapshot", WAY_BACK.into()),
            CoreError::Unanswered(detail) => Self::new(Kind::UNAVAILABLE, detail).retry_after(1),
            CoreError::Away(_) => {
                tracing::warn!(error = %error, "object storage could not serve the API");
                Self::new(
                    Kind::UNAVAILABLE,
                    "the file is in object storage, which cannot be reached now; try again later",
                )
                .retry_after(5)
            }
            CoreError::Fenced { .. } | CoreError::Unavailable(_) => {
                tracing::warn!(error = %error, "a door could not serve the API");
                Self::new(Kind::UNAVAILABLE, "the database cannot be reached or is full; nothing was stored").retry_after(5)
            }
            CoreError::Store(_) | CoreError::Sealed { .. } | CoreError::File { .. } => {
                tracing::error!(error = %error, "a door failed under the API");
                Self::new(Kind::INTERNAL, "the daemon's log says more; nothing was stored")
            }
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Invalid(detail) => Self::invalid("", &detail),
            IntakeError::Fenced | IntakeError::Unavailable(_) => {
                tracing::warn!(error = %error, "a contact could not be taken in");
                Self::new(Kind::UNAVAILABLE, "the contact could not be stored; send it again").retry_after(5)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_five_members_of_the_standard_and_its_own() {
        let body = Problem::new(Kind::STALE, "version 3 is current").with("current", 3.into()).body();
        assert_eq!(body["type"], "urn:voxea:problem:stale");
        assert_eq!(body["status"], 412);
        assert_eq!(body["title"], "The thing has changed since it was read");
        assert_eq!(body["detail"], "version 3 is current");
        assert_eq!(body["current"], 3);
    }

    #[test]
    fn a_response_has_the_media_type_and_its_headers() {
        let response = Problem::new(Kind::THROTTLED, "slow down").retry_after(60).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.headers()["retry-after"], "60");
    }

    #[test]
    fn every_kind_is_told_of_in_the_docs_and_no_other() {
        let page = include_str!("../../../docs/problems.md");
        let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `urn:voxea:problem:")).collect();
        for kind in Kind::ALL {
            let line = format!("| `urn:voxea:problem:{}` | {} | {} |", kind.slug, kind.status.as_u16(), kind.title);
            assert_eq!(
                told.iter().filter(|told| told.starts_with(&line)).count(),
                1,
                "docs/problems.md has no line {line}"
            );
        }
        assert_eq!(told.len(), Kind::ALL.len(), "docs/problems.md has a line too many");
    }

    #[test]
    fn what_the_store_said_stays_in_the_log() {
        let body = Problem::from(CoreError::Store("constraint failed: citizen 0612345678".into())).body();
        assert!(!body.to_string().contains("0612345678"));
        let invalid = Problem::from(CoreError::invalid("/status", "no such status")).body();
        assert_eq!(invalid["errors"][0]["pointer"], "/status");
    }
}
