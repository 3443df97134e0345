//! Query parameters that there are not: refused, so that a slip of the pen does not show more than was meant, as `?statsu=open`
//! would that is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};
use voxea_core::base::nearest::{hint, quoted};

use super::problem::{Kind, Problem};

/// Where a stranger decides what is added: identity providers send `session_state` and what else they like (RFC 6749 §4.1.2:
/// "the client MUST ignore unrecognized response parameters").
const OPEN: &str = "/v1/oidc/callback";

/// The parameters of every route that reads, by route, as the document has them.
#[derive(Debug, Clone)]
pub(super) struct Known(Arc<BTreeMap<String, Vec<String>>>);

impl Known {
    /// Those of a document.
    pub(super) fn of(document: &OpenApi) -> Self {
        let reads = document
            .paths
            .paths
            .iter()
            .filter_map(|(path, item)| Some((path, item.get.as_ref()?)));
        let checked = reads.filter(|(path, _)| path.starts_with("/v1/") && *path != OPEN);
        Self(Arc::new(checked.map(|(path, call)| (path.clone(), names(call))).collect()))
    }
}

fn names(call: &Operation) -> Vec<String> {
    let parameters = call.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        _ => None,
    });
    parameters.collect()
}

/// The layer.
pub(super) async fn query(State(known): State<Known>, request: Request, next: Next) -> Response {
    match unknown(&known, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn unknown(known: &Known, request: &Request) -> Option<Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>()?;
    refused(request.uri(), known.0.get(route.as_str())?)
}

fn refused(uri: &Uri, known: &[String]) -> Option<Problem> {
    // What cannot be read at all is the handler's to refuse.
    let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let (name, _) = sent.into_iter().find(|(name, _)| !known.contains(name))?;
    let there_are = if known.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    let meant = hint(&name, known.iter().map(String::as_str));
    let detail = format!("there is no query parameter {} here{meant}; {there_are}", quoted(&name));
    // `did you mean x?; there are` reads badly.
    Some(Problem::new(Kind::BAD_REQUEST, detail.replace("?; there", "? There")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(query: &str, known: &[&str]) -> Option<u16> {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        refused(&format!("/v1/x?{query}").parse().unwrap(), &known).map(|problem| problem.status().as_u16())
    }

    #[test]
    fn what_there_is_passes_and_nothing_else_does() {
        let known = ["status", "after"];
        for right in ["", "status=open", "status=open&after=x", "&", "st%61tus=open"] {
            assert_eq!(told(right, &known), None, "{right}");
        }
        for wrong in ["statsu=open", "status=open&x=1", "x", "STATUS=open", "=1", "stat%20us=1"] {
            assert_eq!(told(wrong, &known), Some(400), "{wrong}");
        }
        assert_eq!(told("x=1", &[]), Some(400));
    }

    #[test]
    fn every_route_that_reads_is_known_but_the_one_that_strangers_call() {
        let (_, document) = super::super::v1::routes().split_for_parts();
        let known = Known::of(&document);
        assert_eq!(
            known.0["/v1/requests"],
            ["channel", "status", "flag", "theme", "snapshot", "after", "limit"]
        );
        assert!(known.0["/v1/roles"].is_empty() && known.0.len() > 25);
        assert!(!known.0.contains_key(OPEN) && !known.0.contains_key("/livez"));
    }
}
