//! Browsers' programs from other origins (Fetch, "CORS protocol"): only those that the configuration names. A preflight is
//! answered before anybody asks for a key, since a browser sends none with it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Prefer, Range, \
                       Voxea-Purpose, X-Request-Id";
const EXPOSED: &str = "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, Deprecation, Sunset, X-Request-Id, \
                       Content-Range, Accept-Ranges, Preference-Applied";
/// How long a browser may remember a preflight, in seconds.
const REMEMBERED: &str = "600";

/// The origins that may read answers.
#[derive(Debug, Clone)]
pub(crate) struct Origins(Arc<[HeaderValue]>);

impl Origins {
    /// These, as `Origin` headers have them.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.contains(origin).then(|| origin.clone())
    }
}

/// The layer.
pub(crate) async fn cors(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    if origins.0.is_empty() {
        return next.run(request).await;
    }
    let allowed = origins.allowed(request.headers());
    let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &allowed {
        Some(_) if preflight => {
            let said = [
                (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
                (ACCESS_CONTROL_MAX_AGE, REMEMBERED),
            ];
            (StatusCode::NO_CONTENT, said).into_response()
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    // A cache must not give one origin the answer that another may read.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
    response
}

/// What is wrong with an origin of the configuration, if anything: it must be written as browsers send it (RFC 6454 §6.2).
pub(crate) fn fault(origin: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return Some("must be an origin as browsers send it, such as https://agents.example.fr");
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (rest, None),
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) || host.contains('*') {
        return Some("must be one scheme, host and port in lower case, without path, * or user: https://agents.example.fr");
    }
    match (scheme, port) {
        ("https", Some("443")) | ("http", Some("80")) => Some("has its scheme's own port, which browsers leave out; leave it out too"),
        ("https", _) => None,
        ("http", _) if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => None,
        ("http", _) => Some("is http, whose pages anybody on the way can change; only https, or http on this machine"),
        _ => Some("must begin with https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for right in [
            "https://a.example.fr",
            "https://a.example.fr:8443",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
        for wrong in [
            "*",
            "",
            "a.example.fr",
            "https://",
            "https://a.fr/",
            "https://A.fr",
            "https://*.fr",
            "https://u@a.fr",
            "https://a.fr:443",
            "http://a.fr",
            "http://localhost:80",
            "ftp://a.fr",
            "null",
        ] {
            assert!(fault(wrong).is_some(), "{wrong}");
        }
    }
}
