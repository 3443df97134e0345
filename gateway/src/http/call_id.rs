//! The id of a call: the client's own word in `X-Request-Id` or ours, in its answer, in what is logged meanwhile, and in its problem's
//! `instance`.

use std::sync::Arc;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use voxea_core::base::id;

/// The header, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over, in characters.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: CallId;
}

/// The id of one call.
#[derive(Debug, Clone)]
pub(crate) struct CallId(Arc<str>);

impl CallId {
    /// The client's, when it is one; else a new one. One is at most 64 letters, digits and `.`, `_`, `:`, `-`, and not a number,
    /// which might be somebody's telephone's.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| sane(text));
        Self(sent.map_or_else(|| id::new().into(), Into::into))
    }

    /// Runs work of this call: refusals that it makes name it.
    pub(crate) async fn within<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(self.clone(), work).await
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header's value.
    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""))
    }
}

/// What a problem's `instance` says (RFC 9457 §3.1.5): of the call at work, if there is one.
pub(super) fn instance() -> Option<String> {
    CURRENT.try_with(|call| format!("urn:voxea:call:{}", call.as_str())).ok()
}

fn sane(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken_over_and_others_are_not() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap())]);
            CallId::of(&headers).as_str().to_owned()
        };
        for sane in ["a", "019ac1d2-0000-7000-8000-000000000001", "7F000001:8080_1.x"] {
            assert_eq!(of(sane), sane);
        }
        for odd in ["", " ", "a b", "a@example.fr", "é", "0612345678", "a\"b", "a\tb", &"x".repeat(65)] {
            assert_ne!(of(odd), odd);
            assert_eq!(of(odd).len(), 36);
        }
    }

    #[tokio::test]
    async fn only_a_call_at_work_is_named() {
        assert_eq!(instance(), None);
        let call = CallId("a-1".into());
        assert_eq!(call.within(async { instance() }).await.as_deref(), Some("urn:voxea:call:a-1"));
    }
}
