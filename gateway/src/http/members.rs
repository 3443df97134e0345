//! The members of answers, as contracts name them: read from the document, so that they are those that there are.

use std::collections::BTreeSet;

use super::shape::{BY_PATH, SHAPED};
use super::v1;

/// What a contract may name in its `fields`: the members of whatever passes through it, and what is asked for by a path.
pub(crate) fn members() -> BTreeSet<String> {
    let (_, document) = v1::routes().split_for_parts();
    let document = serde_json::to_value(document).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    let mut found: BTreeSet<String> = BY_PATH.map(str::to_owned).into();
    for name in SHAPED {
        let parts = schemas[name]["allOf"].as_array().into_iter().flatten();
        let named = parts.filter_map(|part| part["$ref"].as_str()?.rsplit('/').next().map(|name| &schemas[name]));
        let inline = schemas[name]["allOf"].as_array().into_iter().flatten();
        for schema in named.chain(inline).chain([&schemas[name]]) {
            found.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_that_answers_have() {
        let members = members();
        for name in [
            "status",
            "from_name",
            "text",
            "attachments",
            "recording",
            "raw",
            "history",
            "state",
            "family_name",
            "contact_points",
            "id",
        ] {
            assert!(members.contains(name), "{name}: {members:?}");
        }
        for name in ["items", "next", "password", "grants", "keywords"] {
            assert!(!members.contains(name), "{name}");
        }
    }
}
