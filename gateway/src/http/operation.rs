//! What generators of clients and linters want of every operation in the document: a name of its own, and a word on security.

use serde_json::{Map, Value, json};

/// Where paths begin: on the server that the document came from.
const SERVER: &str = "/";
/// The problem that the guard around all routes may answer, beside those that an operation tells of.
const HOST: &str = "The request is not HTTP as it should be: HTTP/1.1 needs exactly one Host header";

/// Names every operation by its method and path, says of those that need no key that they need none, and where the paths
/// begin.
pub(super) fn finish(document: &mut Value) {
    if let Some(document) = document.as_object_mut() {
        document.insert("servers".to_owned(), json!([{ "url": SERVER }]));
    }
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                operation.insert("operationId".to_owned(), name(method, path).into());
                operation.entry("security").or_insert_with(|| json!([]));
                refuses(operation);
            }
        }
    }
}

/// `get` and `/v1/requests/{id}/interactions` give `get_requests_by_id_interactions`.
fn name(method: &str, path: &str) -> String {
    let mut name = method.to_owned();
    for segment in path
        .split(['/', ':', '.', '-'])
        .filter(|segment| !segment.is_empty() && *segment != "v1")
    {
        let (between, word) = match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(parameter) => ("_by_", parameter),
            None => ("_", segment),
        };
        name += between;
        name += word;
    }
    name
}

fn refuses(operation: &mut Map<String, Value>) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    responses.entry("400").or_insert_with(|| {
        let schema = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        json!({"description": HOST, "content": {super::problem::MEDIA_TYPE: schema}})
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_method_and_path() {
        for (method, path, wanted) in [
            ("get", "/v1/requests", "get_requests"),
            ("get", "/v1/requests/{id}", "get_requests_by_id"),
            ("post", "/v1/sms:preview", "post_sms_preview"),
            (
                "put",
                "/v1/citizens/{id}/contact-points/{pid}",
                "put_citizens_by_id_contact_points_by_pid",
            ),
            ("get", "/openapi.json", "get_openapi_json"),
        ] {
            assert_eq!(name(method, path), wanted);
        }
    }

    #[test]
    fn what_needs_no_key_says_so_and_what_needs_one_keeps_its_word() {
        let mut document = json!({"paths": {
            "/livez": {"get": {"responses": {"200": {}}}},
            "/v1/me": {"get": {"security": [{"key": []}], "responses": {"400": {"description": "own"}}}},
        }});
        finish(&mut document);
        assert_eq!(document["servers"][0]["url"], "/");
        assert_eq!(document["paths"]["/livez"]["get"]["security"], json!([]));
        assert!(document["paths"]["/livez"]["get"]["responses"]["400"].is_object());
        let me = &document["paths"]["/v1/me"]["get"];
        assert_eq!(
            (&me["security"][0], &me["responses"]["400"]["description"]),
            (&json!({"key": []}), &json!("own"))
        );
        assert_eq!(me["operationId"], "get_me");
    }
}
