//! Answers in gzip (RFC 1952) or zstd (RFC 8878), where the client takes them and it is worth it.
//!
//! Left as they are: what is short, what is written piece by piece (events, sound), what is packed already, parts of a file, and
//! answers that hold a secret, whose length would tell of it together with what the caller sent (BREACH).

use std::io::Write as _;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::problem::{Kind, Problem};

/// Shorter ones fit one packet anyway, in bytes.
const SHORTEST: u64 = 1024;
/// Longer ones are sent as they are, in bytes: what is packed is held in memory twice.
const LONGEST: u64 = 16 * 1024 * 1024;
/// Longer ones are packed beside the tasks that serve calls, in bytes.
const AT_ONCE: usize = 32 * 1024;
/// Types that are worth it.
const TEXTS: [&str; 8] = [
    "application/json",
    "application/problem+json",
    "application/xml",
    "application/problem+xml",
    "application/atom+xml",
    "text/xml",
    "text/plain",
    "text/html",
];
/// Routes whose answers hold a secret: a session's token, a second factor, a key.
const SECRET: [&str; 4] = ["/v1/sessions", "/v1/me/totp", "/v1/oidc/callback", "/v1/webhooks"];

/// How an answer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Taken by all.
    Gzip,
    /// Faster, and taken by newer ones.
    Zstd,
}

impl Coding {
    const ALL: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// The name in headers.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn pack(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Zstd => Ok(compress_to_vec(bytes, CompressionLevel::Fastest)),
        }
    }
}

/// An entity tag without what packing and XML add to it: the same version in another coding or type is another representation (RFC 9110
/// §8.8.3.3), and no other version.
pub(super) fn unpacked(mut tag: &str) -> &str {
    for end in ["-gzip", "-zstd", "-xml"] {
        tag = tag.strip_suffix(end).unwrap_or(tag);
    }
    tag
}

/// The layer.
pub(crate) async fn compressed(request: Request, next: Next) -> Response {
    let coding = wanted(request.headers());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_MODIFIED {
        // What the whole answer would have varied by, a 304 says too (RFC 9110 §15.4.5).
        response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
        return response;
    }
    if !is_worth_it(&response) || route.is_some_and(|route| is_secret(&route)) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(coding) = coding else {
        return Response::from_parts(parts, body);
    };
    let packed = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => pack(coding, bytes).await,
        Err(error) => Err(std::io::Error::other(error)),
    };
    match packed {
        Ok(packed) => {
            let headers = &mut parts.headers;
            headers.remove(CONTENT_LENGTH);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
            mark(headers, coding);
            Response::from_parts(parts, Body::from(packed))
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be packed");
            Problem::new(Kind::INTERNAL, "the answer could not be written").into_response()
        }
    }
}

async fn pack(coding: Coding, bytes: Bytes) -> std::io::Result<Vec<u8>> {
    if bytes.len() <= AT_ONCE {
        return coding.pack(&bytes);
    }
    tokio::task::spawn_blocking(move || coding.pack(&bytes))
        .await
        .map_err(std::io::Error::other)?
}

fn is_secret(route: &str) -> bool {
    SECRET.iter().any(|secret| {
        route
            .strip_prefix(secret)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    // What is written piece by piece has no exact length.
    let length = response.body().size_hint().exact().unwrap_or_default();
    TEXTS.contains(&essence)
        && (SHORTEST..=LONGEST).contains(&length)
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
}

/// The coding that the client likes best, if it takes one of ours at least as gladly as none (RFC 9110 §12.5.3).
fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let accepted: Vec<&str> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let items = || accepted.iter().flat_map(|text| text.split(',')).filter_map(item);
    let quality = |name: &str| {
        items()
            .find(|(coding, _)| coding.eq_ignore_ascii_case(name))
            .map(|(_, quality)| quality)
    };
    let plain = quality("identity").unwrap_or(0);
    // With two that are liked as well, the first of ours.
    let ours = Coding::ALL.into_iter().rev().map(|coding| {
        let quality = quality(coding.as_str()).or_else(|| quality("*")).unwrap_or(0);
        (quality, coding)
    });
    let (quality, coding) = ours.max_by_key(|(quality, _)| *quality)?;
    (quality > 0 && quality >= plain).then_some(coding)
}

/// One of a list, with its quality in thousandths; `None` for what cannot be read.
fn item(text: &str) -> Option<(&str, u32)> {
    let mut pieces = text.split(';').map(str::trim);
    let name = pieces.next().filter(|name| !name.is_empty())?;
    let quality = match pieces.next() {
        None => 1000,
        Some(weight) => super::accept::thousandths(weight)?,
    };
    Some((name, quality))
}

fn mark(headers: &mut HeaderMap, coding: Coding) {
    let tag = headers
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
        .and_then(|tag| tag.strip_suffix('"'));
    if let Some(marked) = tag.and_then(|tag| HeaderValue::from_str(&format!("{tag}-{}\"", coding.as_str())).ok()) {
        headers.insert(ETAG, marked);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn chosen(text: &'static str) -> Option<Coding> {
        wanted(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]))
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(wanted(&HeaderMap::new()), None);
        for (text, coding) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("GZIP;q=0.1", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.2, zstd;q=0", Some(Coding::Gzip)),
            ("identity, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("br", None),
            ("", None),
            ("gzip;q=nonsense", None),
            (", ,;q=1", None),
        ] {
            assert_eq!(chosen(text), coding, "{text}");
        }
    }

    #[test]
    fn what_is_packed_is_read_back() {
        for text in ["", "a", &"{\"id\":\"é\"},".repeat(40_000), &"x".repeat(300_000)] {
            let mut back = String::new();
            let gzip = Coding::Gzip.pack(text.as_bytes()).unwrap();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut back).unwrap();
            assert_eq!(back, *text);
            let zstd = Coding::Zstd.pack(text.as_bytes()).unwrap();
            back.clear();
            ruzstd::decoding::StreamingDecoder::new(&zstd[..])
                .unwrap()
                .read_to_string(&mut back)
                .unwrap();
            assert_eq!(back, *text);
            assert!(text.len() < 1000 || (gzip.len() < text.len() / 20 && zstd.len() < text.len() / 20));
        }
    }

    async fn asked(path: &str) -> Response {
        let long = || "{\"a\":1}".repeat(1000);
        let json = |body: Body| {
            (
                [
                    (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                    (ETAG, HeaderValue::from_static("\"7\"")),
                ],
                body,
            )
        };
        let router = Router::new()
            .route("/long", get(async move || json(Body::from(long()))))
            .route("/short", get(async move || json(Body::from("{}"))))
            .route("/v1/sessions", get(async move || json(Body::from(long()))))
            .route(
                "/pieces",
                get(async move || json(Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(long())])))),
            )
            .route(
                "/events",
                get(async move || ([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], long())),
            )
            .route(
                "/sound",
                get(async move || ([(CONTENT_TYPE, HeaderValue::from_static("audio/wav"))], long())),
            )
            .layer(middleware::from_fn(compressed));
        let request = Request::get(path).header(ACCEPT_ENCODING, "gzip").body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn only_long_texts_without_secrets_are_packed() {
        let packed = asked("/long").await;
        assert_eq!(packed.status(), StatusCode::OK);
        for (name, value) in [(CONTENT_ENCODING, "gzip"), (ETAG, "\"7-gzip\""), (VARY, "Accept-Encoding")] {
            assert_eq!(packed.headers()[name], value);
        }
        for path in ["/short", "/v1/sessions", "/pieces", "/events", "/sound"] {
            assert!(!asked(path).await.headers().contains_key(CONTENT_ENCODING), "{path}");
        }
        assert!(is_secret("/v1/webhooks/{id}/keys") && !is_secret("/v1/webhooksx") && !is_secret("/v1/requests"));
        assert_eq!(
            (unpacked("7-gzip"), unpacked("7-xml-zstd"), unpacked("7-xml"), unpacked("gzip")),
            ("7", "7", "7", "gzip")
        );
    }
}
