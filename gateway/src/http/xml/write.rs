//! JSON as XML.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use voxea_rules::xml::escape;

use super::shapes::{Shape, Shapes};
use super::{NAMESPACE, SCHEMA};

/// Of problems (RFC 9457 appendix B).
const PROBLEMS: &str = "urn:ietf:rfc:7807";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

impl Shapes {
    /// A document with this outermost element, of a value of this schema.
    pub(super) fn document(&self, root: &str, schema: &str, value: &Value) -> String {
        let mut out = DECLARATION.to_owned();
        let _ = write!(
            out,
            "<{root} xmlns=\"{NAMESPACE}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"{NAMESPACE} {SCHEMA}\">"
        );
        self.members(schema, value, &mut out);
        let _ = write!(out, "</{root}>");
        out
    }

    fn members(&self, schema: &str, value: &Value, out: &mut String) {
        let Some(known) = self.0.get(schema) else { return };
        for (name, member) in known {
            // What is null has no element, as what a contract hides.
            if let Some(value) = value.get(name).filter(|value| !value.is_null()) {
                self.element(name, &member.shape, value, out);
            }
        }
    }

    fn element(&self, name: &str, shape: &Shape, value: &Value, out: &mut String) {
        if *shape == Shape::Free {
            let _ = write!(out, "<{name}>");
            free(value, out);
            let _ = write!(out, "</{name}>");
            return;
        }
        let _ = write!(out, "<{name}>");
        match (shape, value) {
            (Shape::List(of), Value::Array(items)) => items.iter().for_each(|item| self.element("item", of, item, out)),
            (Shape::Of(schema), value) => self.members(schema, value, out),
            (_, Value::String(text)) => escape(text, out),
            (_, other) => escape(&other.to_string(), out),
        }
        let _ = write!(out, "</{name}>");
    }
}

/// The content of something whose members nobody knows beforehand.
fn free(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                out.push_str("<member name=\"");
                escape(name, out);
                let _ = write!(out, "\" type=\"{}\">", kind(value));
                free(value, out);
                out.push_str("</member>");
            }
        }
        Value::Array(items) => {
            for value in items {
                let _ = write!(out, "<item type=\"{}\">", kind(value));
                free(value, out);
                out.push_str("</item>");
            }
        }
        Value::Null => {}
        Value::String(text) => escape(text, out),
        other => escape(&other.to_string(), out),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A problem as XML (RFC 9457 appendix B): members are elements, items of lists are elements `i`.
pub(super) fn problem(members: &Map<String, Value>) -> String {
    let mut out = format!("{DECLARATION}<problem xmlns=\"{PROBLEMS}\">");
    for (name, value) in members {
        extension(name, value, &mut out);
    }
    out.push_str("</problem>");
    out
}

/// Names of members are ours, and names of elements too.
fn extension(name: &str, value: &Value, out: &mut String) {
    let _ = write!(out, "<{name}>");
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| extension(name, value, out)),
        Value::Array(items) => items.iter().for_each(|item| extension("i", item, out)),
        Value::Null => {}
        Value::String(text) => escape(text, out),
        other => escape(&other.to_string(), out),
    }
    let _ = write!(out, "</{name}>");
}
