//! `/openapi.json`: made from the same list as the routes, so that it cannot say anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::operation;
use super::problem::MEDIA_TYPE;
use super::shape::{ALWAYS, SHAPED};

/// The frame of the document; routes add their paths and schemas.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Voxea",
        description = "Citizen requests from calls, texts, mails, letters, faxes, the counter and the web site. \
                       Errors are RFC 9457 problem details. Lists come in commit order and never skip; cursors are opaque.",
        license(name = "GPL-3.0-or-later", identifier = "GPL-3.0-or-later")
    ),
    components(schemas(Problem)),
    modifiers(&Key)
)]
pub(super) struct Frame;

struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A key made by `voxea key new`: `vx_…`, or an agent's session opened by POST /v1/sessions: `vs_…`, \
                 or a JWT of a configured identity provider. \
                 Scopes: read, reply, intake, admin (all).",
            ))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// A refusal (RFC 9457). Some kinds add members, such as `errors`, `scope`, or those of a text's preview.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used; refusals are written member by member")]
pub(super) struct Problem {
    /// `urn:voxea:problem:…`; what a program switches on.
    #[schema(example = "urn:voxea:problem:not-found")]
    r#type: String,
    /// The same for every refusal of this type.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, and what would be right.
    detail: String,
    /// Which call it was: `urn:voxea:call:…` with the answer's X-Request-Id.
    instance: Option<String>,
    /// Of a 422: where, by `pointer` (RFC 6901), `parameter` or `header`, and what is wrong there.
    #[schema(value_type = Option<Vec<Object>>)]
    errors: Option<Vec<Value>>,
}

/// What every call with a key may answer.
#[derive(Debug)]
pub(super) struct Keyed;
/// What a call on one thing may answer too.
#[derive(Debug)]
pub(super) struct One;
/// What a call with a body may answer too.
#[derive(Debug)]
pub(super) struct Sent;

impl IntoResponses for Keyed {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(&[
            (
                "400",
                "A cursor, a number, the path or the query cannot be read, or the query has a parameter that there is not",
            ),
            ("401", "The key is missing or wrong"),
            ("403", "The key lacks the scope"),
            ("429", "Too many calls without a valid key from this address; see Retry-After"),
            ("500", "Something went wrong in the daemon"),
            ("503", "The database does not answer; see Retry-After"),
        ])
    }
}

impl IntoResponses for One {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(&[("404", "There is no such thing")])
    }
}

impl IntoResponses for Sent {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(&[
            ("408", "The body did not arrive in time"),
            ("413", "The body is too large"),
            ("415", "The body is of another type by its Content-Type"),
            ("422", "Well-formed, but not acceptable; `errors` says which member and why"),
        ])
    }
}

fn problems(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let one = |description: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        RefOr::T(ResponseBuilder::new().description(description).content(MEDIA_TYPE, content).build())
    };
    list.iter()
        .map(|(status, description)| ((*status).to_owned(), one(description)))
        .collect()
}

/// The document's text, written once.
#[derive(Debug, Clone)]
pub(super) struct Document(Arc<str>);

impl Document {
    /// Writes the document.
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        Self(tree(document).to_string().into())
    }
}

/// The document as it is published.
pub(super) fn tree(document: &utoipa::openapi::OpenApi) -> Value {
    let written = serde_json::to_value(document).map(|mut tree| {
        composed_schemas_are_open(&mut tree);
        contracts_hide_members(&mut tree);
        operation::finish(&mut tree);
        tree
    });
    written.unwrap_or_else(|error| serde_json::json!({"error": error.to_string()}))
}

/// A schema that others extend must not forbid what they add: `additionalProperties` looks at its own members only
/// (JSON Schema 2020-12 §10.3.2.3). Bodies with unknown members are refused all the same.
fn composed_schemas_are_open(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let parts: BTreeSet<String> = schemas
        .values()
        .flat_map(|schema| schema["allOf"].as_array().into_iter().flatten())
        .filter_map(|part| part["$ref"].as_str()?.rsplit('/').next().map(str::to_owned))
        .collect();
    for part in parts {
        if let Some(Value::Object(schema)) = schemas.get_mut(&part) {
            schema.remove("additionalProperties");
        }
    }
}

/// A contract may hide every member of these but those by which things are told apart.
fn contracts_hide_members(document: &mut Value) {
    for name in SHAPED {
        let required = document.pointer_mut(&format!("/components/schemas/{name}/required"));
        if let Some(Value::Array(required)) = required {
            required.retain(|member| member.as_str().is_some_and(|member| ALWAYS.contains(&member)));
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(super) async fn document(Extension(document): Extension<Document>) -> Response {
    ([(CONTENT_TYPE, "application/json")], document.0.to_string()).into_response()
}
