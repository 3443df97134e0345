//! Routes that will go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where their successor is, from one table.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HeaderName, LINK};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use voxea_core::base::time::{self, Millis};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// A call that is not to be used any more.
#[derive(Debug)]
pub(crate) struct Row {
    method: Method,
    /// As the document has it.
    route: &'static str,
    /// Since when, milliseconds UTC.
    since: Millis,
    /// When it goes; at least six months after `since`.
    until: Option<Millis>,
    /// What to use instead.
    successor: Option<&'static str>,
}

/// All of them. There is none.
pub(crate) static TABLE: &[Row] = &[];

/// The layer.
pub(crate) async fn deprecated(State(table): State<&'static [Row]>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let row = table.iter().find(|row| Some(row.route) == route && row.method == *request.method());
    let mut response = next.run(request).await;
    if let Some(row) = row {
        tell(row, response.headers_mut());
    }
    response
}

fn tell(row: &Row, headers: &mut HeaderMap) {
    let value = |text: String| HeaderValue::from_str(&text).ok();
    // RFC 9745 §2.1: a date as structured fields have it (RFC 9651 §3.3.7).
    if let Some(since) = value(format!("@{}", row.since.div_euclid(1000))) {
        headers.insert(DEPRECATION, since);
    }
    if let Some(until) = row.until.and_then(|until| value(time::http_date(until))) {
        headers.insert(SUNSET, until);
    }
    if let Some(successor) = row.successor.and_then(|path| value(format!("<{path}>; rel=\"successor-version\""))) {
        headers.append(LINK, successor);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt as _;

    use super::*;

    static PLANTED: [Row; 1] = [Row {
        method: Method::GET,
        route: "/old/{id}",
        since: 1_795_507_200_000,
        until: Some(1_827_043_200_000),
        successor: Some("/new"),
    }];

    async fn told(table: &'static [Row], method: &str, path: &str) -> Vec<String> {
        let routes = Router::new()
            .route("/old/{id}", get(async || "a").delete(async || "b"))
            .route("/new", get(async || "c"));
        let router = routes.layer(middleware::from_fn_with_state(table, deprecated));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let named = [DEPRECATION, SUNSET, LINK]
            .into_iter()
            .filter_map(|name| answer.headers().get(name).cloned());
        named.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_planted_row_is_told_of_on_its_call_alone() {
        assert_eq!(
            told(&PLANTED, "GET", "/old/7").await,
            ["@1795507200", "Wed, 24 Nov 2027 08:00:00 GMT", "</new>; rel=\"successor-version\""]
        );
        for (method, path) in [("DELETE", "/old/7"), ("GET", "/new")] {
            assert_eq!(told(&PLANTED, method, path).await, Vec::<String>::new());
        }
        assert_eq!(told(TABLE, "GET", "/old/7").await, Vec::<String>::new());
    }

    #[test]
    fn every_row_names_a_call_and_leaves_time() {
        let (_, document) = super::super::v1::routes().split_for_parts();
        for row in TABLE {
            assert!(document.paths.paths.contains_key(row.route), "{}", row.route);
            assert!(row.until.is_none_or(|until| until - row.since >= 180 * 86_400_000), "{}", row.route);
        }
    }
}
