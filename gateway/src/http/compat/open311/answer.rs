//! Answers in both formats, as GeoReport orders them: XML with a root and repeated elements, JSON as a list of the same.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::extract::FromRequestParts;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use voxea_core::base::error::CoreError;
use voxea_rules::xml::escape;

use crate::http::problem::Problem;

/// How a call wants its answer; the path's suffix says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Xml,
    Json,
}

impl Format {
    /// By the name of a suffix.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "xml" => Some(Self::Xml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// By the suffix of a path.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        Self::named(path.rsplit_once('.')?.1)
    }
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Infallible;

    /// Of a path that has one; the routes have.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of_path(parts.uri.path()).unwrap_or(Self::Xml))
    }
}

/// The name before a suffix, and the format that it names.
///
/// # Errors
/// 404 for a path without one.
pub(super) fn suffixed(text: &str) -> Result<(&str, Format), Answer> {
    let split = text
        .rsplit_once('.')
        .and_then(|(name, suffix)| Some((name, Format::named(suffix)?)));
    split.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the path must end in .xml or .json").answer(Format::Xml))
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    format: Format,
    /// The outermost element of XML, and that of each item; JSON has neither.
    root: &'static str,
    item: Option<&'static str>,
    content: Value,
    headers: Box<HeaderMap>,
}

impl Answer {
    /// A list of items.
    pub(super) fn list(format: Format, root: &'static str, item: &'static str, items: Vec<Value>) -> Self {
        Self {
            status: StatusCode::OK,
            format,
            root,
            item: Some(item),
            content: Value::Array(items),
            headers: Box::default(),
        }
    }

    /// One thing.
    pub(super) fn one(format: Format, root: &'static str, content: Value) -> Self {
        Self {
            item: None,
            ..Self {
                content,
                ..Self::list(format, root, root, Vec::new())
            }
        }
    }

    /// With a status of its own.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With more headers.
    pub(super) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        self.headers.extend(headers.clone());
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (media, text) = match self.format {
            Format::Json => ("application/json; charset=utf-8", self.content.to_string()),
            Format::Xml => {
                let mut out = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned();
                let _ = write!(out, "<{}>", self.root);
                match (&self.content, self.item) {
                    (Value::Array(items), Some(item)) => items.iter().for_each(|value| element(item, value, &mut out)),
                    (content, _) => content_of(content, &mut out),
                }
                let _ = write!(out, "</{}>", self.root);
                ("text/xml; charset=utf-8", out)
            }
        };
        let mut response = (self.status, [(CONTENT_TYPE, HeaderValue::from_static(media))], text).into_response();
        response.headers_mut().extend(*self.headers);
        response
    }
}

/// Names of members are GeoReport's, and names of elements too.
fn element(name: &str, value: &Value, out: &mut String) {
    let _ = write!(out, "<{name}>");
    content_of(value, out);
    let _ = write!(out, "</{name}>");
}

fn content_of(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(items) => {
                        // `attributes` holds elements `attribute`, and so on; `formats` and the like the same.
                        let _ = write!(out, "<{name}>");
                        let item = name.strip_suffix('s').unwrap_or(name);
                        items.iter().for_each(|value| element(item, value, out));
                        let _ = write!(out, "</{name}>");
                    }
                    other => element(name, other, out),
                }
            }
        }
        Value::Null => {}
        Value::String(text) => escape(text, out),
        other => escape(&other.to_string(), out),
    }
}

/// A refusal (GeoReport v2, "Error").
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    description: String,
    headers: Box<HeaderMap>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
            headers: Box::default(),
        }
    }

    pub(super) fn answer(self, format: Format) -> Answer {
        let error = json!({"code": self.status.as_u16(), "description": self.description});
        Answer::list(format, "errors", "error", vec![error])
            .status(self.status)
            .with_headers(&self.headers)
    }
}

impl From<Problem> for Failure {
    /// GeoReport knows 400, 403 and 404; what is passing stays what it is.
    fn from(problem: Problem) -> Self {
        let status = match problem.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            other => other,
        };
        Self {
            status,
            description: problem.detail().to_owned(),
            headers: Box::new(problem.headers().clone()),
        }
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Problem::from(error).into()
    }
}
