//! What every route promises, held against the document.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, Version};

use super::town::Town;

/// What is called without a token, since it gives one.
const OPEN: [(&str, &str); 3] = [("post", "/v1/sessions"), ("get", "/v1/oidc/login"), ("get", "/v1/oidc/callback")];
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn the_document_names_every_call_and_its_refusals() {
    let town = Town::new().await;
    let document = town.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let calls = [
        ("get", "/v1/requests"),
        ("get", "/v1/requests/{id}"),
        ("patch", "/v1/requests/{id}"),
        ("get", "/v1/requests/by-external/{system}/{id}"),
        ("put", "/v1/requests/by-external/{system}/{id}"),
        ("put", "/v1/requests/{id}/external/{system}"),
        ("get", "/v1/requests/{id}/interactions"),
        ("post", "/v1/requests/{id}/replies"),
        ("get", "/v1/replies/{id}"),
        ("delete", "/v1/replies/{id}"),
        ("post", "/v1/sms:preview"),
        ("get", "/v1/recordings/{id}"),
        ("put", "/v1/recordings/{id}/hold"),
        ("delete", "/v1/recordings/{id}/hold"),
        ("post", "/v1/recordings/{id}/pause"),
        ("post", "/v1/recordings/{id}/resume"),
        ("post", "/v1/recordings/{id}/stop"),
        ("post", "/v1/recordings/{id}/discard"),
        ("get", "/v1/recordings/{id}/audio"),
        ("get", "/v1/recordings/{id}/waveform"),
        ("get", "/v1/attachments/{id}"),
        ("get", "/v1/interactions/{id}/raw"),
        ("get", "/v1/interactions/{id}/html"),
        ("post", "/v1/interactions/{id}/move"),
        ("get", "/v1/changes"),
        ("get", "/v1/changes/stream"),
        ("get", "/v1/consumers"),
        ("get", "/v1/consumers/{name}"),
        ("put", "/v1/consumers/{name}"),
        ("delete", "/v1/consumers/{name}"),
        ("post", "/v1/consumers/{name}/batch"),
        ("post", "/v1/consumers/{name}/ack"),
        ("post", "/v1/consumers/{name}/rewind"),
        ("get", "/v1/webhooks"),
        ("post", "/v1/webhooks"),
        ("get", "/v1/webhooks/{id}"),
        ("patch", "/v1/webhooks/{id}"),
        ("delete", "/v1/webhooks/{id}"),
        ("post", "/v1/webhooks/{id}/rotate"),
        ("post", "/v1/webhooks/{id}/replay"),
        ("post", "/v1/webhooks/{id}/test"),
        ("get", "/v1/webhooks/{id}/deliveries"),
        ("post", "/v1/webhooks/{id}/deliveries/{did}/retry"),
        ("get", "/v1/channels"),
        ("get", "/v1/channels/{kind}/{name}/capture"),
        ("get", "/v1/jobs"),
        ("get", "/v1/audit"),
        ("get", "/v1/requests/{id}/history"),
        ("get", "/v1/catalogue"),
        ("get", "/v1/services"),
        ("get", "/v1/services/{code}"),
        ("put", "/v1/services/{code}"),
        ("get", "/v1/themes"),
        ("get", "/v1/themes/{code}"),
        ("put", "/v1/themes/{code}"),
        ("post", "/v1/sessions"),
        ("delete", "/v1/sessions/current"),
        ("get", "/v1/oidc/login"),
        ("get", "/v1/oidc/callback"),
        ("get", "/v1/me"),
        ("put", "/v1/me/password"),
        ("post", "/v1/me/totp"),
        ("put", "/v1/me/totp"),
        ("delete", "/v1/me/totp"),
        ("get", "/v1/agents"),
        ("get", "/v1/agents/{login}"),
        ("put", "/v1/agents/{login}"),
        ("put", "/v1/agents/{login}/password"),
        ("delete", "/v1/agents/{login}/totp"),
        ("get", "/v1/roles"),
        ("get", "/v1/roles/{code}"),
        ("put", "/v1/roles/{code}"),
        ("get", "/v1/citizens"),
        ("post", "/v1/citizens"),
        ("get", "/v1/citizens/{id}"),
        ("patch", "/v1/citizens/{id}"),
        ("get", "/v1/citizens/{id}/requests"),
        ("get", "/v1/citizens/{id}/history"),
        ("post", "/v1/citizens/{id}/contact-points"),
        ("patch", "/v1/citizens/{id}/contact-points/{pid}"),
        ("delete", "/v1/citizens/{id}/contact-points/{pid}"),
        ("get", "/v1/citizens:lookup"),
        ("get", "/v1/opt-outs"),
        ("put", "/v1/opt-outs"),
        ("delete", "/v1/opt-outs/{id}"),
        ("post", "/v1/intake/counter"),
        ("post", "/v1/intake/letters"),
        ("post", "/v1/intake/calls"),
        ("post", "/v1/intake/fax"),
        ("post", "/v1/intake/web"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("get", "/openapi.json"),
        ("get", "/schemas/voxea-1.xsd"),
    ];
    let mut documented = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            assert!(
                calls.contains(&(method.as_str(), path.as_str())),
                "{method} {path} is documented, but promised nowhere"
            );
            documented += 1;
        }
    }
    assert_eq!(documented, calls.len());
    let operations = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let names: BTreeSet<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), documented, "each has a name of its own");
    for (method, path) in calls.iter().filter(|(_, path)| path.starts_with("/v1/")) {
        let operation = &document["paths"][path][method];
        for status in ["400", "401", "403", "429", "500", "503"] {
            let content = &operation["responses"][status]["content"]["application/problem+json"];
            assert_eq!(
                content["schema"]["$ref"], "#/components/schemas/Problem",
                "{method} {path} {status}"
            );
        }
        let is_open = OPEN.contains(&(*method, *path));
        assert_eq!(operation["security"][0]["key"].is_array(), !is_open, "{method} {path}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn an_array_is_never_taken_for_an_object() {
    let town = Town::new().await;
    let made = town.visit("a").await;
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let refused = town.call("PATCH", &path, &[("if-match", "*"), JSON], r#"["closed","x"]"#).await;
    refused.is_problem(422, "invalid");
    assert_eq!(refused.json()["detail"], "the body must be a JSON object");
    for (method, path, body, pointer) in [
        ("POST", "/v1/intake/counter", r#"["x","y","z","text",null,null]"#, None),
        ("POST", "/v1/sms:preview", r#"["a"]"#, None),
        ("POST", "/v1/requests/x/replies", r#"["sms","a"]"#, None),
        (
            "POST",
            "/v1/requests/x/replies",
            r#"{"text":"a","subject":"x\u0000"}"#,
            Some("/subject"),
        ),
        (
            "POST",
            "/v1/requests/x/replies",
            r#"{"text":"a","replaces":"x\u0000"}"#,
            Some("/replaces"),
        ),
        ("PUT", "/v1/themes/voirie", r#"["x","accueil"]"#, None),
        (
            "PUT",
            "/v1/themes/voirie",
            r#"{"label":"x","service":"accueil","decision":["none",null]}"#,
            Some("/decision"),
        ),
        (
            "PUT",
            "/v1/services/accueil",
            r#"{"name":"x","domain":"culture","closures":[["2026-08-03"]]}"#,
            Some("/closures/0"),
        ),
        ("POST", "/v1/intake/counter", r#"{"text":["a"]}"#, Some("/text")),
        ("POST", "/v1/citizens", r#"["person"]"#, None),
        (
            "POST",
            "/v1/citizens",
            r#"{"kind":"person","contact_points":[["phone","0612345678"]]}"#,
            Some("/contact_points/0"),
        ),
    ] {
        let refused = town.call(method, path, &[("if-match", "*"), JSON], body).await;
        refused.is_problem(422, "invalid");
        assert_eq!(
            refused.json()["errors"][0]["pointer"].as_str(),
            Some(pointer.unwrap_or_default()),
            "{path} {body}"
        );
        assert!(!refused.json()["detail"].as_str().unwrap().contains("struct"), "{}", refused.json());
    }
    assert_eq!(town.get(&path).await.json(), made);
    assert_eq!(town.get("/v1/requests").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_path_that_cannot_be_read_is_a_problem_on_every_route() {
    let town = Town::new().await;
    let document = town.get("/openapi.json").await.json();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some((before, rest)) = path.split_once('{') else { continue };
        let (_, after) = rest.split_once('}').unwrap();
        for method in item.as_object().unwrap().keys() {
            for unreadable in ["%ff", "%00"] {
                let path = format!("{before}{unreadable}{after}");
                let headers = [("if-match", "*"), JSON];
                let got = town.call(&method.to_uppercase(), &path, &headers, "{}").await;
                got.is_problem(400, "bad-request");
                tried += 1;
            }
        }
    }
    assert!(tried >= 2 * 14, "{tried}");
}

#[tokio::test]
async fn a_call_names_its_host_once() {
    let town = Town::new().await;
    let ask = |hosts: &[&str], version: Version| {
        let request = Request::get("/livez").version(version);
        let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
        town.send_raw(request.body(Body::empty()).unwrap())
    };
    ask(&[], Version::HTTP_11).await.is_problem(400, "bad-request");
    ask(&["a", "b"], Version::HTTP_11).await.is_problem(400, "bad-request");
    assert_eq!(ask(&["a"], Version::HTTP_11).await.status, 200);
    // HTTP/1.0 needs none, and HTTP/2 has :authority.
    for version in [Version::HTTP_10, Version::HTTP_2] {
        assert_eq!(ask(&[], version).await.status, 200, "{version:?}");
    }
}

#[tokio::test]
async fn what_a_list_is_asked_for_has_names() {
    let town = Town::new().await;
    for name in ["channel", "status"] {
        let refused = town.get(&format!("/v1/requests?{name}=letters")).await;
        refused.is_problem(422, "invalid");
        let document = town.get("/openapi.json").await.json();
        let parameters = document["paths"]["/v1/requests"]["get"]["parameters"].as_array().unwrap().clone();
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        assert_eq!(parameter["required"], false);
        let names: Vec<&str> = parameter["schema"]["enum"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(
            refused.json()["detail"].as_str().unwrap(),
            format!("`{name}` must be one of {}", names.join(", "))
        );
    }
}

#[tokio::test]
async fn a_query_parameter_that_there_is_not_is_refused() {
    let town = Town::new().await;
    let slip = town.get("/v1/requests?statsu=open&limit=1").await;
    slip.is_problem(400, "bad-request");
    assert_eq!(
        slip.json()["detail"],
        "there is no query parameter `statsu` here; did you mean status? There are channel, status, flag, theme, snapshot, after, limit"
    );
    // Whatever reads, and whether or not it takes any: the document says which.
    let document = town.get("/openapi.json").await.json();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item["get"].is_null() || !path.starts_with("/v1/") || path == "/v1/oidc/callback" {
            continue;
        }
        let path = path.replace(['{', '}'], "");
        town.get(&format!("{path}?surprise=1")).await.is_problem(400, "bad-request");
        tried += 1;
    }
    assert!(tried > 25, "{tried}");
    // A provider adds what it likes to the way back.
    town.get("/v1/oidc/callback?session_state=x").await.is_problem(404, "not-found");
    assert_eq!(town.get("/livez?x").await.status, 200);
}
