//! Calls and their refusals.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use voxea_core::base::account::{Account, Kind as AccountKind};

use super::town::Town;
use crate::http::extract;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn without_a_key_there_is_nothing_and_noise_is_throttled() {
    let town = Town::new().await;
    let ask = |key: &str| {
        Request::get("/v1/requests")
            .header("authorization", format!("Bearer {key}"))
            .body(Body::empty())
            .unwrap()
    };
    let bare = town.send(Request::get("/v1/requests").body(Body::empty()).unwrap()).await;
    bare.is_problem(401, "unauthenticated");
    assert!(bare.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    for _ in 1..20 {
        town.send(ask("vx_000000000000_wrong")).await.is_problem(401, "unauthenticated");
    }
    let throttled = town.send(ask("vx_000000000000_wrong")).await;
    throttled.is_problem(429, "throttled");
    assert!(throttled.headers.contains_key("retry-after"));
    assert_eq!(town.send(ask(&town.key)).await.status, 200, "a right key passes all the same");
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let town = Town::new().await;
    let key = town.key_with(&["read"]).await;
    let bearer = format!("Bearer {key}");
    let request = |method: &str, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", &bearer)
            .header(JSON.0, JSON.1)
    };
    assert_eq!(
        town.send(request("GET", "/v1/changes").body(Body::empty()).unwrap()).await.status,
        200
    );
    let refused = town
        .send(request("POST", "/v1/intake/counter").body(Body::from("{\"text\":\"a\"}")).unwrap())
        .await;
    refused.is_problem(403, "forbidden");
    assert_eq!(refused.json()["scope"], "intake");
    town.send(request("PATCH", "/v1/requests/x").body(Body::from("{}")).unwrap())
        .await
        .is_problem(403, "forbidden");
    town.send(request("POST", "/v1/sms:preview").body(Body::from("{\"text\":\"a\"}")).unwrap())
        .await
        .is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_contact_becomes_a_request_that_lists_show_and_the_feed_tells() {
    let town = Town::new().await;
    let made = town.visit("Un trou rue de la Mairie").await;
    let id = made["id"].as_str().unwrap();
    let mut names: Vec<&String> = made.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "assignee",
            "channel",
            "citizen",
            "external",
            "fields",
            "from",
            "from_name",
            "id",
            "links",
            "received_at",
            "ref",
            "status",
            "subject",
            "theme",
            "updated_at",
            "version"
        ]
    );
    assert_eq!(
        (made["channel"].as_str(), made["from"].as_str(), made["status"].as_str()),
        (Some("counter"), Some("+33612345678"), Some("received"))
    );
    assert!(made["received_at"].as_str().unwrap().ends_with('Z') && made["received_at"].as_str().unwrap().len() == 24);

    let got = town.get(&format!("/v1/requests/{id}")).await;
    assert_eq!(got.json(), made);
    assert_eq!(got.headers["etag"], format!("\"{}\"", made["version"]));
    assert_eq!(got.headers["cache-control"], "no-store");

    let listed = town.get("/v1/requests?channel=counter&status=received").await.json();
    assert_eq!(listed, json!({"items": [made], "next": null}));
    assert_eq!(town.get("/v1/requests?channel=sms").await.json()["items"], json!([]));

    let interactions = town.get(&format!("/v1/requests/{id}/interactions")).await.json();
    let contact = &interactions["items"][0];
    assert_eq!(
        (contact["direction"].as_str(), contact["text"].as_str()),
        (Some("in"), Some("Un trou rue de la Mairie"))
    );
    assert_eq!(contact["request_ids"], json!([id]));
    let raw = town.get(&format!("/v1/interactions/{}/raw", contact["id"].as_str().unwrap())).await;
    assert_eq!(
        (
            raw.status,
            raw.headers["content-disposition"].to_str().unwrap().starts_with("attachment")
        ),
        (StatusCode::OK, true)
    );
    assert!(String::from_utf8(raw.body).unwrap().contains("06 12 34 56 78"), "as it came");

    let feed = town.get("/v1/changes").await.json();
    let types: Vec<&str> = feed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["fr.voxea.request.created", "fr.voxea.interaction.received"]);
    let event = &feed["items"][0];
    assert_eq!(
        (
            event["subject"].as_str(),
            event["data"]["request_id"].as_str(),
            event["specversion"].as_str()
        ),
        (Some(id), Some(id), Some("1.0"))
    );
    assert_eq!(event["sequence"].as_str().unwrap().len(), 20);
    assert!(
        !feed.to_string().contains("33612345678") && !feed.to_string().contains("trou"),
        "no personal data in the feed"
    );
    let end = town
        .get(&format!("/v1/changes?after={}", feed["next"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(end, json!({"items": [], "next": feed["next"], "has_more": false}));
}

#[tokio::test]
async fn pages_follow_each_other_and_skip_nothing() {
    let town = Town::new().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(town.visit(&format!("visite {n}")).await["id"].clone());
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = town.get(&format!("/v1/requests?limit=2{after}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|request| request["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, made);
    let first = town.get("/v1/changes?limit=3").await.json();
    assert_eq!(
        (first["items"].as_array().unwrap().len(), first["has_more"].as_bool()),
        (3, Some(true))
    );
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let town = Town::new().await;
    let made = town.visit("a").await;
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let patch = async |tag: Option<&str>, body: &str| {
        let mut headers = vec![("content-type", "application/merge-patch+json")];
        headers.extend(tag.map(|tag| ("if-match", tag)));
        town.call("PATCH", &path, &headers, body.to_owned()).await
    };
    patch(None, "{}").await.is_problem(428, "precondition-required");
    for none in ["\"99\"", "W/\"1\"", "\"other\""] {
        let stale = patch(Some(none), r#"{"status":"open"}"#).await;
        stale.is_problem(412, "stale");
        assert_eq!(stale.json()["current"], made["version"]);
        let detail = stale.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains(&format!("version is {},", made["version"])) && !detail.contains("-1"),
            "{detail}"
        );
    }
    let tag = format!("\"{}\"", made["version"]);
    let changed = patch(Some(&tag), r#"{"status":"open","assignee":"Mme Martin","theme":"voirie"}"#).await;
    assert_eq!(changed.status, 200);
    assert_eq!(
        (changed.json()["status"].as_str(), changed.json()["theme"].as_str()),
        (Some("open"), Some("voirie"))
    );
    assert_ne!(changed.headers["etag"], tag.as_str());
    patch(Some(&tag), r#"{"status":"open"}"#).await.is_problem(412, "stale");
    assert_eq!(patch(Some("*"), r#"{"theme":null}"#).await.json()["theme"], Value::Null);
    patch(Some("*"), r#"{"status":"received"}"#).await.is_problem(409, "conflict");
    patch(Some("*"), r#"{"status":"done"}"#).await.is_problem(422, "invalid");
    patch(Some("*"), r#"{"status":null}"#).await.is_problem(422, "invalid");
    patch(Some("*"), r#"{"colour":"red"}"#).await.is_problem(422, "invalid");
    patch(Some("*"), "{").await.is_problem(400, "bad-request");
    patch(Some("7"), "{}").await.is_problem(400, "bad-request");
    town.call("PATCH", &path, &[("if-match", "*"), ("content-type", "text/plain")], "{}")
        .await
        .is_problem(415, "media-type");
    town.call("PATCH", "/v1/requests/none", &[("if-match", "*"), JSON], "{}")
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn an_idempotency_key_makes_one_contact() {
    let town = Town::new().await;
    let body = json!({"text": "a", "name": "Jeanne"});
    let key = [("idempotency-key", "form-1")];
    let first = town.post("/v1/intake/web", &key, body.clone()).await;
    let again = town.post("/v1/intake/web", &key, body.clone()).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.json(), again.json());
    assert_eq!(
        (&first.headers["location"], &first.headers["etag"]),
        (&again.headers["location"], &again.headers["etag"])
    );
    town.post("/v1/intake/web", &key, json!({"text": "b"}))
        .await
        .is_problem(422, "idempotency-key-reused");
    town.post("/v1/intake/fax", &key, body.clone())
        .await
        .is_problem(422, "idempotency-key-reused");
    assert_eq!(town.get("/v1/requests").await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        town.post("/v1/intake/web", &[("idempotency-key", "form-2")], body).await.status,
        201
    );
    // A refused body leaves its key free.
    let third = [("idempotency-key", "form-3")];
    town.post("/v1/intake/web", &third, json!({"text": " "}))
        .await
        .is_problem(422, "invalid");
    assert_eq!(town.post("/v1/intake/web", &third, json!({"text": "c"})).await.status, 201);
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let town = Town::new().await;
    for query in ["limit=0", "limit=501", "limit=x", "after=!!", "after=42"] {
        assert_eq!(town.get(&format!("/v1/requests?{query}")).await.status, 400, "{query}");
        assert_eq!(town.get(&format!("/v1/changes?{query}")).await.status, 400, "{query}");
    }
    town.get("/v1/requests?after=AAAA").await.is_problem(400, "bad-cursor");
    town.get("/v1/requests?status=done").await.is_problem(422, "invalid");
    town.get("/v1/requests?channel=pigeon").await.is_problem(422, "invalid");
    town.get("/v1/requests?flag=partial").await.is_problem(422, "invalid");
    assert_eq!(town.get("/v1/requests?flag=quarantined").await.json()["items"], json!([]));
    for path in [
        "requests/x",
        "requests/x/interactions",
        "replies/x",
        "recordings/x",
        "recordings/x/audio",
        "recordings/x/waveform",
        "attachments/x",
        "interactions/x/raw",
    ] {
        town.get(&format!("/v1/{path}")).await.is_problem(404, "not-found");
    }
    town.get("/v2").await.is_problem(404, "not-found");
    let wrong = town.call("DELETE", "/v1/requests", &[], Body::empty()).await;
    wrong.is_problem(405, "method-not-allowed");
    assert!(wrong.headers["allow"].to_str().unwrap().contains("GET"));
    town.call("POST", "/v1/intake/counter", &[JSON], "{\"text\":")
        .await
        .is_problem(400, "bad-request");
    town.call("POST", "/v1/intake/counter", &[JSON], "[]")
        .await
        .is_problem(422, "invalid");
    town.call("POST", "/v1/intake/counter", &[], "{}")
        .await
        .is_problem(415, "media-type");
    town.call("POST", "/v1/intake/counter", &[JSON], "x".repeat(extract::LARGEST_BODY + 1))
        .await
        .is_problem(413, "too-large");
    town.post("/v1/requests/x/replies", &[], json!({"text": "a"}))
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn a_text_is_counted_before_it_is_sent() {
    let town = Town::new().await;
    let fits = town
        .post("/v1/sms:preview", &[], json!({"text": "Votre demande est prise en compte."}))
        .await
        .json();
    assert_eq!(
        (fits["coding"].as_str(), fits["limit"].as_u64(), fits["segments"].as_u64()),
        (Some("gsm7"), Some(160), Some(1))
    );
    assert_eq!((&fits["offending"], &fits["suggestion"]), (&json!([]), &Value::Null));
    let long = town.post("/v1/sms:preview", &[], json!({"text": "ê".repeat(71)})).await.json();
    assert_eq!(
        (
            long["coding"].as_str(),
            long["units"].as_u64(),
            long["offending"][0]["index"].as_u64()
        ),
        (Some("ucs2"), Some(71), Some(0))
    );
}

#[tokio::test]
async fn health_needs_no_key_and_tells_no_stranger_much() {
    let town = Town::new().await;
    let ask = async |path: &str| town.send(Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(ask("/livez").await.status, 200);
    assert_eq!(ask("/readyz").await.json(), json!({"ready": true}));
    let halted = town.core.channels.register(Account::new(AccountKind::Mailbox, "mairie"));
    halted.alarm(Some("the disk is full"));
    assert_eq!(ask("/readyz").await.json(), json!({"ready": true, "degraded": true}));
    let shown = town.get("/v1/channels").await.json();
    assert_eq!(shown["items"][0]["alarm"], "the disk is full");
    halted.alarm(None);
    assert_eq!(ask("/readyz").await.json(), json!({"ready": true}));
    halted.halted("wrong password", 0, 1);
    assert_eq!(ask("/readyz").await.json(), json!({"ready": true, "degraded": true}));
    let channels = town.get("/v1/channels").await.json();
    let mut names: Vec<&String> = channels["items"][0].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "addresses",
            "kind",
            "last_activity",
            "last_error",
            "name",
            "next_attempt",
            "queue",
            "since",
            "state"
        ]
    );
    assert_eq!(channels["items"][0]["state"], "halted");
}
