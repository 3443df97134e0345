//! Where XML goes out and comes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr};

use super::schema::Page;
use super::shapes::Shapes;
use super::{MEDIA_TYPE, ROOTS, write};
use crate::http::accept;
use crate::http::json::Json;
use crate::http::problem::{self, Kind, Problem};

const JSON: &str = "application/json";
/// The media type of a problem in XML (RFC 9457 §6.2).
const PROBLEM: &str = "application/problem+xml";
/// What may be asked for, the first unless the client would rather have another.
const OFFERED: [&str; 3] = [JSON, MEDIA_TYPE, "text/xml"];

/// Calls whose answers may be had in XML.
const OUT: [(&str, &str); 12] = [
    ("GET", "/v1/requests"),
    ("GET", "/v1/requests/{id}"),
    ("PATCH", "/v1/requests/{id}"),
    ("GET", "/v1/requests/{id}/interactions"),
    ("GET", "/v1/requests/by-external/{system}/{id}"),
    ("PUT", "/v1/requests/by-external/{system}/{id}"),
    ("GET", "/v1/changes"),
    ("POST", "/v1/intake/counter"),
    ("POST", "/v1/intake/letters"),
    ("POST", "/v1/intake/calls"),
    ("POST", "/v1/intake/fax"),
    ("POST", "/v1/intake/web"),
];

/// The mapping, and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Xml(Arc<Mapping>);

#[derive(Debug)]
struct Mapping {
    shapes: Shapes,
    /// The root of the answers of each call, by method and route.
    answers: BTreeMap<(String, String), (&'static str, &'static str)>,
}

impl Xml {
    /// By the document as it is published.
    pub(crate) fn of(tree: &Value) -> Self {
        let answers = OUT.iter().filter_map(|(method, route)| {
            let responses = tree["paths"][route][method.to_lowercase()]["responses"].as_object()?;
            let successes = responses.iter().filter(|(status, _)| status.starts_with('2'));
            let mut names = successes.filter_map(|(_, response)| response["content"][JSON]["schema"]["$ref"].as_str()?.rsplit('/').next());
            let name = names.next_back()?;
            let root = ROOTS.iter().find(|(_, schema)| *schema == name)?;
            Some((((*method).to_owned(), (*route).to_owned()), *root))
        });
        Self(Arc::new(Mapping {
            answers: answers.collect(),
            shapes: Shapes::of(tree),
        }))
    }

    /// The schema of it.
    pub(crate) fn page(&self) -> Page {
        Page(self.0.shapes.schema().into())
    }

    /// The JSON of a body in XML, of this root.
    ///
    /// # Errors
    /// Those of [`Shapes::json`].
    pub(crate) fn json(&self, root: &'static str, bytes: &[u8]) -> Result<Json, Problem> {
        let schema = ROOTS.iter().find(|(name, _)| *name == root).map_or("", |(_, schema)| *schema);
        self.0.shapes.json(root, schema, bytes)
    }

    fn root(&self, request: &Request) -> Option<(&'static str, &'static str)> {
        let route = request.extensions().get::<MatchedPath>()?.as_str();
        // The answer to HEAD has no body to write.
        self.0
            .answers
            .get(&(request.method().as_str().to_owned(), route.to_owned()))
            .copied()
    }
}

/// The layer.
pub(crate) async fn xml(State(xml): State<Xml>, mut request: Request, next: Next) -> Response {
    let Some((root, schema)) = xml.root(&request) else {
        return next.run(request).await;
    };
    let wanted = accept::best(request.headers(), &OFFERED).filter(|at| *at > 0);
    request.extensions_mut().insert(xml.clone());
    let mut response = next.run(request).await;
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    let Some(wanted) = wanted else { return response };
    let (is_problem, is_json) = (is(response.headers(), problem::MEDIA_TYPE), is(response.headers(), JSON));
    // What is written piece by piece is no JSON of ours.
    if !(is_problem || is_json) || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let value = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).ok(),
        Err(_) => None,
    };
    let text = match (value, is_problem) {
        (Some(Value::Object(members)), true) => write::problem(&members),
        (Some(value), false) => xml.0.shapes.document(root, schema, &value),
        _ => return Problem::new(Kind::INTERNAL, "the answer could not be written as XML").into_response(),
    };
    let media = if is_problem {
        PROBLEM
    } else {
        OFFERED.get(wanted).copied().unwrap_or(MEDIA_TYPE)
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    mark(&mut parts.headers);
    Response::from_parts(parts, Body::from(text))
}

fn is(headers: &HeaderMap, media: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes() == media.as_bytes())
}

/// The same version in XML is another representation (RFC 9110 §8.8.3).
fn mark(headers: &mut HeaderMap) {
    let tag = headers
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
        .and_then(|tag| tag.strip_suffix('"'));
    if let Some(marked) = tag.and_then(|tag| HeaderValue::from_str(&format!("{tag}-xml\"")).ok()) {
        headers.insert(ETAG, marked);
    }
}

/// Documents both: answers of the table, and bodies of roots.
pub(crate) fn describe(document: &mut OpenApi) {
    for (method, route) in OUT {
        let Some(item) = document.paths.paths.get_mut(route) else {
            continue;
        };
        let operation = match method {
            "GET" => item.get.as_mut(),
            "PATCH" => item.patch.as_mut(),
            "PUT" => item.put.as_mut(),
            _ => item.post.as_mut(),
        };
        if let Some(operation) = operation {
            tell(operation, method != "PATCH");
        }
    }
}

fn tell(operation: &mut Operation, takes: bool) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with('2')
            && let Some(content) = response.content.get(JSON).cloned()
        {
            response.content.insert(MEDIA_TYPE.to_owned(), content);
        } else if response.content.contains_key(problem::MEDIA_TYPE) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            response.content.insert(PROBLEM.to_owned(), RefOr::T(content));
        }
    }
    if let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| takes)
        && let Some(content) = body.content.get(JSON).cloned()
    {
        body.content.insert(MEDIA_TYPE.to_owned(), content);
    }
}
