//! Versions as strong entity tags (RFC 9110 §8.8.3) and the If-Match that every change must bring.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue};

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
                && let Ok(version) = inner.parse()
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
        assert_eq!(read("*"), Ok(Match::Any));
        assert_eq!(read("7"), Err(400));
        assert_eq!(if_match(&HeaderMap::new()).map_err(|problem| problem.status().as_u16()), Err(428));
    }
}
