//! What the document's schemas say of the shape of a value.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ROOTS;

/// The shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
    /// An object whose members nobody knows beforehand, or anything.
    Free,
    List(Box<Shape>),
    /// An object of this schema.
    Of(String),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) shape: Shape,
    /// Whether it is always there, and never null.
    pub(super) needed: bool,
}

/// The members of every schema that a root leads to, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shapes(pub(super) BTreeMap<String, BTreeMap<String, Member>>);

impl Shapes {
    /// Those of an OpenAPI document.
    pub(super) fn of(document: &Value) -> Self {
        let mut shapes = Self::default();
        let mut wanted: Vec<String> = ROOTS.iter().map(|(_, schema)| (*schema).to_owned()).collect();
        while let Some(name) = wanted.pop() {
            if shapes.0.contains_key(&name) {
                continue;
            }
            let schema = &document["components"]["schemas"][&name];
            let needed = |member: &str| {
                schema["required"]
                    .as_array()
                    .is_some_and(|needed| needed.iter().any(|name| name == member))
            };
            let members = schema["properties"].as_object().into_iter().flatten().map(|(member, schema)| {
                let found = Member {
                    shape: shape(schema),
                    needed: needed(member) && !may_be_null(schema),
                };
                (member.clone(), found)
            });
            let members: BTreeMap<String, Member> = members.collect();
            wanted.extend(members.values().filter_map(|member| leads_to(&member.shape)));
            shapes.0.insert(name, members);
        }
        shapes
    }
}

fn leads_to(shape: &Shape) -> Option<String> {
    match shape {
        Shape::Of(name) => Some(name.clone()),
        Shape::List(of) => leads_to(of),
        _ => None,
    }
}

fn may_be_null(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == "null"))
        || alternatives(schema).any(|one| one["type"] == "null")
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"]
        .into_iter()
        .flat_map(|name| schema[name].as_array().into_iter().flatten())
}

fn shape(schema: &Value) -> Shape {
    if let Some(reference) = schema["$ref"].as_str() {
        return Shape::Of(reference.rsplit('/').next().unwrap_or_default().to_owned());
    }
    if let Some(one) = alternatives(schema).find(|one| one["type"] != "null") {
        return shape(one);
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().find(|one| *one != "null").and_then(Value::as_str),
        other => other.as_str(),
    };
    match types {
        Some("string") => Shape::Text,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("array") => Shape::List(Box::new(shape(&schema["items"]))),
        _ => Shape::Free,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::{openapi, v1};

    fn shapes() -> Shapes {
        let (_, document) = v1::routes().split_for_parts();
        Shapes::of(&openapi::tree(&document))
    }

    /// A value that has every member.
    fn whole(shapes: &Shapes, shape: &Shape) -> Value {
        match shape {
            Shape::Text => json!("é <&> \"x\"\r\n"),
            Shape::Integer => json!(-7),
            Shape::Number => json!(1.5),
            Shape::Boolean => json!(true),
            Shape::Free => json!({"a b": {"c": [1, "x", null, true, {}]}, "d": "", "e": -1.5}),
            Shape::List(of) => json!([whole(shapes, of), whole(shapes, of)]),
            Shape::Of(name) => of(shapes, name),
        }
    }

    fn of(shapes: &Shapes, schema: &str) -> Value {
        let members = shapes.0[schema]
            .iter()
            .map(|(name, member)| (name.clone(), whole(shapes, &member.shape)));
        Value::Object(members.collect())
    }

    #[test]
    fn every_member_of_every_schema_goes_out_and_comes_back() {
        let shapes = shapes();
        for (root, schema) in ROOTS {
            assert!(shapes.0[schema].len() > 1 || schema == "Interactions", "{schema}");
            let value = of(&shapes, schema);
            let document = shapes.document(root, schema, &value);
            let back = Value::deserialize(shapes.json(root, schema, document.as_bytes()).unwrap()).unwrap();
            assert_eq!(back, value, "{document}");
        }
        let names = |schema: &str| shapes.0[schema].keys().map(String::as_str).collect::<Vec<_>>();
        assert!(names("Request").contains(&"external") && names("Interaction").contains(&"authenticity"));
        assert_eq!(shapes.0["Request"]["version"].shape, Shape::Integer);
        assert!(!shapes.0["Request"]["subject"].needed && shapes.0["Request"]["id"].needed);
    }

    #[test]
    fn every_shape_has_a_type_in_the_schema() {
        let shapes = shapes();
        let text = shapes.schema();
        for (name, members) in &shapes.0 {
            assert!(text.contains(&format!("<xs:complexType name=\"{name}\">")), "{name}");
            assert!(!members.is_empty(), "{name} leads nowhere");
            for (member, found) in members {
                assert!(text.contains(&format!("<xs:element name=\"{member}\"")), "{name}.{member}");
                let nested = matches!(&found.shape, Shape::List(of) if matches!(**of, Shape::List(_)));
                assert!(!nested, "{name}.{member} is a list of lists, for which there is no type");
            }
        }
    }
}
