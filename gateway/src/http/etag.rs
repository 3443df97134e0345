//! Versions as strong entity tags (RFC 9110 §8.8.3) and the If-Match that every change must bring.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_MATCH, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use voxea_core::base::error::CoreError;
use voxea_core::catalogue::Expected;

use super::compressed::unpacked;
use super::problem::{Kind, Problem};

/// The entity tag of a version: `"7"`.
pub(crate) fn of(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The versions that an `If-Match` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    /// `*`: whatever is there.
    Any,
    /// The listed ones; tags that are no version of ours match nothing.
    Versions(Vec<i64>),
}

/// Reads `If-Match`.
///
/// # Errors
/// 428 when it is missing (RFC 6585 §3), 400 when it is no list of entity tags.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Match, Problem> {
    let mut versions = Vec::new();
    let mut seen = false;
    for value in headers.get_all(IF_MATCH) {
        seen = true;
        let text = value.to_str().unwrap_or_default();
        if text.trim() == "*" {
            return Ok(Match::Any);
        }
        for tag in text.split(',').map(str::trim) {
            // RFC 9110 §13.1.1: strong comparison, so a weak tag never matches.
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let Some(inner) = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
                return Err(Problem::new(
                    Kind::BAD_REQUEST,
                    "If-Match must hold the ETag as it came, with its quotes",
                ));
            };
            if opaque.len() == tag.len()
                && let Ok(version) = unpacked(inner).parse()
            {
                versions.push(version);
            }
        }
    }
    if !seen {
        return Err(Problem::new(
            Kind::PRECONDITION,
            "send If-Match with the ETag of the version that you read",
        ));
    }
    Ok(Match::Versions(versions))
}

/// A moment's race between reading and changing is tried again; `*` matches whatever is there (RFC 9110 §13.1.1), so that
/// only a crowd that never ends is told of a race.
const RACES: usize = 200;

/// Changes what is at one of the wanted versions. `current` reads the version, `change` changes the one that it is given.
///
/// # Errors
/// Those of `change`, [`CoreError::Stale`] among them when the version is none of the wanted ones.
pub(crate) async fn changing<T, C, R>(wanted: &Match, current: impl Fn() -> C, change: impl Fn(i64) -> R) -> Result<T, CoreError>
where
    C: Future<Output = Result<i64, CoreError>>,
    R: Future<Output = Result<T, CoreError>>,
{
    match wanted {
        Match::Any => {
            for _ in 1..RACES {
                match change(current().await?).await {
                    Err(CoreError::Stale { .. }) => {}
                    other => return other,
                }
            }
            change(current().await?).await
        }
        // A tag that is no version of ours matches nothing, and no version is negative.
        Match::Versions(versions) => match change(versions.first().copied().unwrap_or(-1)).await {
            Err(CoreError::Stale { current, .. }) if versions.contains(&current) => change(current).await,
            other => other,
        },
    }
}

/// What a change that may also make the thing expects: `If-None-Match: *`, or `If-Match`.
///
/// # Errors
/// 428 when both are missing, 400 when they cannot be read.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    if let Some(value) = headers.get(IF_NONE_MATCH) {
        let star = value.to_str().is_ok_and(|text| text.trim() == "*");
        if !star || headers.contains_key(IF_MATCH) {
            return Err(Problem::new(
                Kind::BAD_REQUEST,
                "send If-None-Match: * to make it, or If-Match with its ETag to replace it",
            ));
        }
        return Ok(Expected::Absent);
    }
    Ok(match if_match(headers)? {
        Match::Any => Expected::Any,
        Match::Versions(versions) => Expected::Versions(versions),
    })
}

/// The answer to a reader that may have this version already (RFC 9110 §13.1.2): 304 without a body, or all of it.
pub(crate) fn unless_known<T: Serialize>(headers: &HeaderMap, tag: &str, content: impl FnOnce() -> T) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .any(|one| one == "*" || same(one.strip_prefix("W/").unwrap_or(one), tag))
    });
    let about = [
        (ETAG, HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"0\""))),
        // What a key may see is its own; a cache may keep it for that key, and asks before it uses it.
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (VARY, HeaderValue::from_static("Authorization")),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, about).into_response()
    } else {
        (about, Json(content())).into_response()
    }
}

/// Whether two tags are of one version, whatever it was packed in.
fn same(one: &str, other: &str) -> bool {
    let inner = |tag: &str| {
        tag.strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .map(|tag| unpacked(tag).to_owned())
    };
    inner(one).is_some() && inner(one) == inner(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<Match, u16> {
        let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(text))]);
        if_match(&headers).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn tags_as_in_the_standard() {
        assert_eq!(of(7), "\"7\"");
        assert_eq!(read("\"7\""), Ok(Match::Versions(vec![7])));
        assert_eq!(read("\"7\", \"8\""), Ok(Match::Versions(vec![7, 8])));
        assert_eq!(read("W/\"7\""), Ok(Match::Versions(vec![])));
        assert_eq!(read("\"other\""), Ok(Match::Versions(vec![])));
        assert_eq!(read("\"7-gzip\", \"8-zstd\""), Ok(Match::Versions(vec![7, 8])));
        assert!(same("\"7\"", "\"7-zstd\"") && !same("\"7\"", "\"8-zstd\"") && !same("7", "7"));
        assert_eq!(read("*"), Ok(Match::Any));
        assert_eq!(read("7"), Err(400));
        assert_eq!(if_match(&HeaderMap::new()).map_err(|problem| problem.status().as_u16()), Err(428));
    }
}
