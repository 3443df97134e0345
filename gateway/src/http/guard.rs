//! Around every call: a time limit, a net for panics, the security headers, the count.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::api::Api;
use super::call_id::{self, CallId};
use super::problem::{Kind, Problem};
use super::quota;

/// Time until the headers of an answer; its body may take longer.
const LIMIT: Duration = Duration::from_secs(30);
/// The route under which calls to nowhere are counted.
const NOWHERE: &str = "none";

/// The outermost layer.
pub(crate) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let call = CallId::of(request.headers());
    let standing = quota::Slot::default();
    request.extensions_mut().insert(standing.clone());
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NOWHERE, MatchedPath::as_str);
    let hostless = request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1;
    let work = async {
        if hostless {
            // RFC 9112 §3.2: proxies that disagree on the host are how requests are smuggled.
            return Problem::new(Kind::BAD_REQUEST, "HTTP/1.1 needs exactly one Host header").into_response();
        }
        next.run(request).await
    };
    // A handler that is dropped half-way has committed or has not: doors work in one transaction.
    let limited = async {
        match tokio::time::timeout(LIMIT, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => Problem::new(Kind::INTERNAL, "an internal error; the daemon's log names the place").into_response(),
            Err(_) => Problem::new(Kind::UNAVAILABLE, "the answer took too long")
                .retry_after(5)
                .into_response(),
        }
    };
    let span = tracing::info_span!("call", id = call.as_str());
    let mut response = call.within(limited).instrument(span.clone()).await;
    standing.tell(response.headers_mut());
    response.headers_mut().insert(call_id::HEADER, call.value());
    harden(response.headers_mut(), api.settings().tls);
    span.in_scope(|| {
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(method, route, status = response.status().as_u16(), milliseconds, "called");
    });
    api.metrics().called(method, route, response.status().as_u16(), started.elapsed());
    response
}

/// Methods are the client's to invent; the metrics keep to the ones there are.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Nothing of the API is a page, so nothing of it may be framed, sniffed or cached, unless a handler said otherwise.
fn harden(headers: &mut HeaderMap, tls: bool) {
    let defaults: [(HeaderName, &'static str); 5] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
