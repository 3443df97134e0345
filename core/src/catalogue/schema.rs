//! The schema of the fields that a form adds to a theme's requests: the part of JSON Schema 2020-12 that a form needs, and
//! nothing else. A keyword beyond it is refused when the schema is stored, since one that is ignored would promise what
//! nobody holds.
//!
//! | | keywords |
//! |---|---|
//! | for people | `$schema` (2020-12), `$comment`, `title`, `description`, `default`, `examples`, `deprecated`, `readOnly`, `writeOnly`, `format` |
//! | any value | `type` (one or several), `enum`, `const` |
//! | object | `properties`, `required`, `additionalProperties` |
//! | array | `items`, `minItems`, `maxItems`, `uniqueItems` |
//! | string | `minLength`, `maxLength` (in characters) |
//! | number | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum` |
//!
//! Neither references nor patterns: a schema cannot make the check of what a stranger sends slow.

use serde_json::{Map, Value};

/// Bytes of a schema.
const BYTES: usize = 16 * 1024;
/// Levels of schemas within schemas.
const DEPTH: usize = 8;
/// Properties of one object, values of one `enum`.
const MANY: usize = 200;
/// What a schema of ours is.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What a value may be.
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
/// Every keyword that there is here.
const KEYWORDS: [&str; 26] = [
    "$schema",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

/// The first thing that is wrong: a JSON pointer from the schema's or the value's root, and what would be right.
pub type Fault = (String, String);

/// Whether a schema of an object's fields can be used.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(schema: &Value) -> Result<(), Fault> {
    if schema.to_string().len() > BYTES {
        return Err((String::new(), format!("must be a JSON Schema of at most {BYTES} bytes")));
    }
    let Value::Object(members) = schema else {
        return Err((String::new(), "must be a JSON Schema, an object".to_owned()));
    };
    if members.get("type") != Some(&Value::from("object")) {
        return Err((
            "/type".to_owned(),
            "must be \"object\": the fields are the members of one".to_owned(),
        ));
    }
    one(schema, "", 0)
}

fn one(schema: &Value, at: &str, depth: usize) -> Result<(), Fault> {
    let members = match schema {
        // §4.3.2: a schema that allows everything, or nothing.
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        _ => return Err((at.to_owned(), "must be a schema: an object, true or false".to_owned())),
    };
    if depth > DEPTH {
        return Err((at.to_owned(), format!("schemas stand at most {DEPTH} deep in each other")));
    }
    for (keyword, value) in members {
        let here = format!("{at}/{}", escaped(keyword));
        let wrong = |message: &str| Err((here.clone(), message.to_owned()));
        match keyword.as_str() {
            "$schema" if value != DIALECT => return wrong(&format!("must be {DIALECT}")),
            "$comment" | "title" | "description" | "format" if !value.is_string() => return wrong("must be a string"),
            "deprecated" | "readOnly" | "writeOnly" | "uniqueItems" if !value.is_boolean() => return wrong("must be true or false"),
            "examples" if !value.is_array() => return wrong("must be an array"),
            "type" => types(value)
                .ok_or_else(|| (here, format!("must be one or several of {}", TYPES.join(", "))))
                .map(drop)?,
            "enum" if value.as_array().is_none_or(|values| values.is_empty() || values.len() > MANY) => {
                return wrong(&format!("must be an array of 1 to {MANY} values"));
            }
            "required" => required(value, &here)?,
            "properties" => properties(value, &here, depth)?,
            "additionalProperties" | "items" => one(value, &here, depth + 1)?,
            "minItems" | "maxItems" | "minLength" | "maxLength" if !value.is_u64() => {
                return wrong("must be a whole number that is not negative");
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" if !value.is_number() => return wrong("must be a number"),
            known if KEYWORDS.contains(&known) => (),
            _ => return wrong(&format!("is no keyword that is understood here; there are {}", KEYWORDS.join(", "))),
        }
    }
    Ok(())
}

fn required(value: &Value, here: &str) -> Result<(), Fault> {
    let names = value.as_array().map(|names| names.iter().map(Value::as_str).collect::<Vec<_>>());
    let is_set = |names: &Vec<Option<&str>>| {
        let all = names.iter().all(Option::is_some);
        all && names.iter().enumerate().all(|(at, name)| !names[..at].contains(name))
    };
    match names {
        Some(names) if names.len() <= MANY && is_set(&names) => Ok(()),
        _ => Err((here.to_owned(), format!("must be an array of at most {MANY} different strings"))),
    }
}

fn properties(value: &Value, here: &str, depth: usize) -> Result<(), Fault> {
    let Some(members) = value.as_object().filter(|members| members.len() <= MANY) else {
        return Err((here.to_owned(), format!("must be an object of at most {MANY} schemas")));
    };
    members
        .iter()
        .try_for_each(|(name, schema)| one(schema, &format!("{here}/{}", escaped(name)), depth + 1))
}

fn types(value: &Value) -> Option<Vec<&str>> {
    let names = match value {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) if !names.is_empty() => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let distinct = names.iter().enumerate().all(|(at, name)| !names[..at].contains(name));
    (distinct && names.iter().all(|name| TYPES.contains(name))).then_some(names)
}

/// Everything that is wrong with a value by a schema that [`check`] lets pass, at most a hundred things.
#[must_use]
pub fn faults(schema: &Value, value: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    judge(schema, value, "", &mut found);
    found
}

/// What is told at once.
const TOLD: usize = 100;

fn judge(schema: &Value, value: &Value, at: &str, found: &mut Vec<Fault>) {
    if found.len() >= TOLD {
        return;
    }
    let mut wrong = |message: String| found.push((at.to_owned(), message));
    let Value::Object(rules) = schema else {
        if schema == &Value::Bool(false) {
            wrong("there is no such field".to_owned());
        }
        return;
    };
    if let Some(names) = rules.get("type").and_then(types)
        && !names.iter().any(|name| is_of(name, value))
    {
        // What else is wrong follows from it.
        return wrong(format!("must be of type {}", names.join(" or ")));
    }
    if let Some(allowed) = rules.get("enum").and_then(Value::as_array)
        && !allowed.iter().any(|one| same(one, value))
    {
        let names: Vec<String> = allowed.iter().map(Value::to_string).collect();
        wrong(format!("must be one of {}", names.join(", ")));
    }
    if let Some(only) = rules.get("const").filter(|only| !same(only, value)) {
        wrong(format!("must be {only}"));
    }
    let size = |name: &str| rules.get(name).and_then(Value::as_u64);
    match value {
        Value::String(text) => sized(text.chars().count(), size("minLength"), size("maxLength"), "characters", &mut wrong),
        Value::Number(number) => numbered(number.as_f64().unwrap_or(f64::NAN), rules, &mut wrong),
        Value::Array(items) => {
            sized(items.len(), size("minItems"), size("maxItems"), "entries", &mut wrong);
            let unique = rules.get("uniqueItems") == Some(&Value::Bool(true));
            // Bodies are bounded, and so is what a square of it costs.
            if unique && (1..items.len()).any(|at| items[..at].iter().any(|one| same(one, &items[at]))) {
                wrong("must have no entry twice".to_owned());
            }
            if let Some(schema) = rules.get("items") {
                for (index, item) in items.iter().enumerate() {
                    judge(schema, item, &format!("{at}/{index}"), found);
                }
            }
        }
        Value::Object(members) => judge_members(rules, members, at, found),
        Value::Null | Value::Bool(_) => (),
    }
}

fn judge_members(rules: &Map<String, Value>, members: &Map<String, Value>, at: &str, found: &mut Vec<Fault>) {
    for name in rules
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !members.contains_key(name) {
            found.push((format!("{at}/{}", escaped(name)), "is missing".to_owned()));
        }
    }
    let known = rules.get("properties").and_then(Value::as_object);
    for (name, value) in members {
        let schema = known
            .and_then(|known| known.get(name))
            .or_else(|| rules.get("additionalProperties"));
        if let Some(schema) = schema {
            judge(schema, value, &format!("{at}/{}", escaped(name)), found);
        }
    }
}

fn sized(count: usize, least: Option<u64>, most: Option<u64>, what: &str, wrong: &mut impl FnMut(String)) {
    let count = count as u64;
    match (least, most) {
        (Some(least), _) if count < least => wrong(format!("must have at least {least} {what}")),
        (_, Some(most)) if count > most => wrong(format!("must have at most {most} {what}")),
        _ => (),
    }
}

fn numbered(number: f64, rules: &Map<String, Value>, wrong: &mut impl FnMut(String)) {
    let limit = |name: &str| rules.get(name).and_then(Value::as_f64);
    for (name, right, words) in [
        ("minimum", limit("minimum").is_none_or(|limit| number >= limit), "at least"),
        ("maximum", limit("maximum").is_none_or(|limit| number <= limit), "at most"),
        (
            "exclusiveMinimum",
            limit("exclusiveMinimum").is_none_or(|limit| number > limit),
            "more than",
        ),
        (
            "exclusiveMaximum",
            limit("exclusiveMaximum").is_none_or(|limit| number < limit),
            "less than",
        ),
    ] {
        if !right {
            wrong(format!("must be {words} {}", rules.get(name).unwrap_or(&Value::Null)));
        }
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        // §6.1.1: any number with a zero fractional part.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

/// §4.2.2: 1 and 1.0 are one number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b))),
        _ => one == other,
    }
}

/// A member's name in a pointer (RFC 6901 §3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Value {
        json!({
            "$schema": DIALECT, "type": "object", "additionalProperties": false, "required": ["street", "kind"],
            "properties": {
                "street": {"type": "string", "title": "Rue", "minLength": 2, "maxLength": 5},
                "kind": {"enum": ["trou", 1]},
                "since": {"type": ["string", "null"], "format": "date"},
                "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10},
                "lamps": {"type": "array", "items": {"type": "object", "required": ["a/b"]}, "maxItems": 2, "uniqueItems": true},
            },
        })
    }

    #[test]
    fn a_schema_that_can_be_used_passes_and_what_is_wrong_is_pointed_at() {
        assert_eq!(check(&form()), Ok(()));
        assert_eq!(check(&json!({"type": "object"})), Ok(()));
        let deep = (0..=DEPTH).fold(
            json!({"type": "object"}),
            |within, _| json!({"type": "object", "properties": {"a": within}}),
        );
        for (schema, pointer) in [
            (json!("x"), ""),
            (json!(true), ""),
            (json!({}), "/type"),
            (json!({"type": "array"}), "/type"),
            (
                json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}),
                "/$schema",
            ),
            (json!({"type": "object", "properties": []}), "/properties"),
            (json!({"type": "object", "properties": {"a": 1}}), "/properties/a"),
            (
                json!({"type": "object", "properties": {"a/~": {"type": "text"}}}),
                "/properties/a~1~0/type",
            ),
            (json!({"type": "object", "properties": {"a": {"type": []}}}), "/properties/a/type"),
            (
                json!({"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}}),
                "/properties/a/pattern",
            ),
            (json!({"type": "object", "properties": {"a": {"$ref": "#"}}}), "/properties/a/$ref"),
            (json!({"type": "object", "properties": {"a": {"enum": []}}}), "/properties/a/enum"),
            (
                json!({"type": "object", "properties": {"a": {"minLength": -1}}}),
                "/properties/a/minLength",
            ),
            (
                json!({"type": "object", "properties": {"a": {"minimum": "1"}}}),
                "/properties/a/minimum",
            ),
            (json!({"type": "object", "properties": {"a": {"items": 3}}}), "/properties/a/items"),
            (json!({"type": "object", "required": "a"}), "/required"),
            (json!({"type": "object", "required": ["a", 1]}), "/required"),
            (json!({"type": "object", "required": ["a", "a"]}), "/required"),
            (json!({"type": "object", "title": "x".repeat(BYTES)}), ""),
        ] {
            assert_eq!(check(&schema).unwrap_err().0, pointer, "{schema}");
        }
        assert!(check(&deep).unwrap_err().1.contains("deep"));
    }

    #[test]
    fn every_fault_of_a_value_is_pointed_at() {
        let of = |value: Value| -> Vec<String> { faults(&form(), &value).into_iter().map(|(pointer, _)| pointer).collect() };
        assert_eq!(
            of(json!({"street": "Foch", "kind": 1.0, "since": null, "count": 2.0, "lamps": [{"a/b": 1}]})),
            [""; 0]
        );
        assert_eq!(of(json!([])), [""]);
        assert_eq!(of(json!({})), ["/street", "/kind"]);
        assert_eq!(
            of(json!({"street": "é", "kind": "x", "since": 1, "count": 10, "other": 1, "lamps": [{}, {"a/b": 1}, {}]})),
            [
                "/count",
                "/kind",
                "/lamps",
                "/lamps",
                "/lamps/0/a~1b",
                "/lamps/2/a~1b",
                "/other",
                "/since",
                "/street"
            ]
        );
        assert_eq!(of(json!({"street": "éééééé", "kind": "trou", "count": 1.5})), ["/count", "/street"]);
        let many = json!({"street": "Foch", "kind": 1, "lamps": vec![json!({}); 10_000]});
        let many = faults(
            &json!({"type": "object", "properties": {"lamps": {"items": {"required": ["x"]}}}}),
            &many,
        );
        assert_eq!(many.len(), TOLD);
    }
}
