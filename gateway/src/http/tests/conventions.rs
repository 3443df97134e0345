//! What holds for every call: ids of calls, quotas, other origins, packing, keys that make a call safe to repeat.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::outbox::Sender;

use super::town::{Got, Town};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_call_has_an_id_and_its_problem_names_it() {
    let town = Town::new().await;
    let refused = town.call("GET", "/v1/requests/nobody", &[("x-request-id", "abc-1:2")], "").await;
    refused.is_problem(404, "not-found");
    assert_eq!(refused.headers["x-request-id"], "abc-1:2");
    assert_eq!(refused.json()["instance"], "urn:voxea:call:abc-1:2");
    // A telephone's number is nobody's id of a call.
    let odd = town.call("GET", "/v1/nowhere", &[("x-request-id", "0612345678")], "").await;
    let ours = odd.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(
        (ours.len(), &odd.json()["instance"]),
        (36, &json!(format!("urn:voxea:call:{ours}")))
    );
    let fine = town.get("/v1/requests").await;
    assert_eq!((fine.status.as_u16(), fine.header("x-request-id")), (200, "town"));
    // Whatever is refused before a handler: the method, the parameter, the host.
    for (method, path) in [("TRACE", "/v1/requests"), ("GET", "/v1/requests?x=1")] {
        assert_eq!(town.call(method, path, &[], "").await.json()["instance"], "urn:voxea:call:town");
    }
}

#[tokio::test]
async fn a_client_has_a_quota_and_is_told_of_it() {
    let town = Town::settled(|settings| settings.requests_per_minute = 60).await;
    let first = town.get("/v1/channels").await;
    assert_eq!(first.headers["ratelimit-policy"], "\"key\";q=60;w=60");
    assert_eq!(first.headers["ratelimit"], "\"key\";r=59;t=1");
    let mut last = first;
    for _ in 0..80 {
        last = town.get("/v1/channels").await;
        if last.status == 429 {
            break;
        }
    }
    last.is_problem(429, "rate-limited");
    assert_eq!(last.headers["retry-after"], "1");
    assert!(last.headers["ratelimit"].to_str().unwrap().starts_with("\"key\";r=0;t="));
    let other = town.key_with(&["read"]).await;
    assert_eq!(
        town.call_as(&other, "GET", "/v1/channels", &[], "").await.status,
        200,
        "another key has its own"
    );
    // Who is nobody has none, and is told nothing.
    let nobody = town.call_as("vx_000000000000_x", "GET", "/v1/channels", &[], "").await;
    assert!(nobody.status == 401 && !nobody.headers.contains_key("ratelimit"));
    assert!(!town.get("/livez").await.headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn only_named_origins_read_answers() {
    let town = Town::settled(|settings| settings.cors_origins = vec!["https://agents.example.fr".to_owned()]).await;
    let preflight = |origin: &str| {
        let request = Request::builder().method("OPTIONS").uri("/v1/requests/x").header("origin", origin);
        let request = request
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "if-match");
        town.send(request.body(Body::empty()).unwrap())
    };
    let asked = preflight("https://agents.example.fr").await;
    assert_eq!(
        (asked.status.as_u16(), asked.header("access-control-allow-origin")),
        (204, "https://agents.example.fr")
    );
    assert!(asked.headers["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
    assert!(asked.headers["access-control-allow-headers"].to_str().unwrap().contains("If-Match"));
    assert!(!asked.headers.contains_key("access-control-allow-credentials"));
    let stranger = preflight("https://evil.example").await;
    assert!(stranger.status == 405 && !stranger.headers.contains_key("access-control-allow-origin"));
    let read = town
        .call("GET", "/v1/channels", &[("origin", "https://agents.example.fr")], "")
        .await;
    assert!(read.headers["access-control-expose-headers"].to_str().unwrap().contains("ETag"));
    assert!(read.headers.get_all("vary").iter().any(|value| value == "Origin"));
    let stranger = town.call("GET", "/v1/channels", &[("origin", "https://evil.example")], "").await;
    assert!(stranger.status == 200 && !stranger.headers.contains_key("access-control-allow-origin"));
    // Where nothing is configured nothing is said.
    let closed = Town::new().await;
    let asked = closed
        .call("GET", "/v1/channels", &[("origin", "https://agents.example.fr")], "")
        .await;
    assert!(!asked.headers.contains_key("vary") && !asked.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_packed_answers_tag_is_a_versions() {
    let town = Town::new().await;
    let made = town.visit(&"a".repeat(20)).await;
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let subject = json!({"subject": "é".repeat(500)}).to_string();
    let merge = [("if-match", "\"1\""), JSON];
    assert_eq!(town.call("PATCH", &path, &merge, subject).await.status, 200);
    for coding in ["gzip", "zstd"] {
        let packed = town.call("GET", &path, &[("accept-encoding", coding)], "").await;
        assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, coding));
        assert_eq!(packed.headers["etag"], format!("\"2-{coding}\""));
        assert!(packed.body.len() < 1000, "{}", packed.body.len());
    }
    let merge = [("if-match", "\"2-gzip\""), JSON];
    let changed = town.call("PATCH", &path, &merge, json!({"subject": "b"}).to_string()).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"3\""));
    let themes = town.call("GET", "/v1/themes", &[("accept-encoding", "zstd")], "").await;
    let tag = themes.headers["etag"].to_str().unwrap().to_owned();
    assert!(tag.ends_with("-zstd\""));
    let known = town
        .call("GET", "/v1/themes", &[("accept-encoding", "gzip"), ("if-none-match", &tag)], "")
        .await;
    assert_eq!(known.status, 304);
    assert!(known.headers.get_all("vary").iter().any(|value| value == "Accept-Encoding"));
}

async fn replies(town: &Town, path: &str, key: &str, text: &str) -> Got {
    let body = json!({"text": text, "channel": "sms"});
    town.post(path, &[("idempotency-key", key)], body).await
}

#[tokio::test]
async fn a_reply_that_is_asked_for_again_goes_out_once() {
    let town = Town::new().await;
    town.core.outbox.register(Sender {
        channel: Channel::Sms,
        account: Account::new(Kind::Smpp, "x"),
        from: "36123".to_owned(),
    });
    let made = town.visit("a").await;
    let path = format!("/v1/requests/{}/replies", made["id"].as_str().unwrap());
    let first = replies(&town, &path, "k1", "Bonjour").await;
    assert_eq!(first.status, 202, "{}", first.json());
    let again = replies(&town, &path, "k1", "Bonjour").await;
    assert_eq!(
        (again.status, again.json(), again.header("location")),
        (first.status, first.json(), first.header("location"))
    );
    replies(&town, &path, "k1", "Bonsoir")
        .await
        .is_problem(422, "idempotency-key-reused");
    assert_eq!(
        replies(&town, &path, "k1", "Bonsoir").await.json()["errors"][0]["header"],
        "Idempotency-Key"
    );
    let other = replies(&town, &path, "k2", "Bonjour").await;
    assert_ne!(other.json()["id"], first.json()["id"]);
    // A refused one gives the key back.
    replies(&town, &path, "k3", &"é".repeat(500)).await.is_problem(422, "text-too-long");
    assert_eq!(replies(&town, &path, "k3", "Merci").await.status, 202);
    // As after a death between the commit and the answer: the answer was never remembered.
    town.core.idempotency.forget(i64::MAX).await.unwrap();
    let late = replies(&town, &path, "k1", "Bonjour").await;
    assert_eq!((late.status.as_u16(), &late.json()["id"]), (202, &first.json()["id"]));
    let shown = town
        .get(&format!("{}/interactions", path.trim_end_matches("/replies")))
        .await
        .json();
    let out = shown["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["direction"] == "out")
        .count();
    assert_eq!(out, 3);
}

#[tokio::test]
async fn a_move_and_an_address_are_repeated_safely() {
    let town = Town::new().await;
    let made = town.visit("a").await;
    let id = made["id"].as_str().unwrap();
    let shown = town.get(&format!("/v1/requests/{id}/interactions")).await.json();
    let target = town.visit("b").await;
    let path = format!("/v1/interactions/{}/move", shown["items"][0]["id"].as_str().unwrap());
    let body = json!({"to": target["id"]});
    let headers = [("if-match", "\"1\""), ("idempotency-key", "m1")];
    let moved = town.post(&path, &headers, body.clone()).await;
    assert_eq!(moved.status, 200, "{}", moved.json());
    let again = town.post(&path, &headers, body).await;
    assert_eq!(
        (again.status, again.json(), again.header("etag")),
        (moved.status, moved.json(), moved.header("etag"))
    );
    assert!(!again.headers.contains_key("location"));
    let citizen: Value = town
        .post("/v1/citizens", &[], json!({"kind": "person", "family_name": "Durand"}))
        .await
        .json();
    let path = format!("/v1/citizens/{}/contact-points", citizen["id"].as_str().unwrap());
    let point = json!({"kind": "phone", "value": "06 99 99 99 99"});
    let added = town.post(&path, &[("idempotency-key", "p1")], point.clone()).await;
    let again = town.post(&path, &[("idempotency-key", "p1")], point).await;
    assert_eq!(
        (added.status.as_u16(), again.status.as_u16(), added.json()),
        (201, 201, again.json())
    );
}

#[tokio::test]
async fn every_refusal_of_content_says_where() {
    let town = Town::new().await;
    for (path, name) in [
        ("/v1/requests?channel=pigeon", "channel"),
        ("/v1/requests?status=lost", "status"),
        ("/v1/requests?flag=odd", "flag"),
        ("/v1/citizens?status=lost", "status"),
        ("/v1/opt-outs?channel=pigeon", "channel"),
        ("/v1/citizens:lookup", "phone"),
    ] {
        let refused = town.get(path).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["parameter"], name, "{path}");
    }
    let refused = town.post("/v1/intake/counter", &[], json!([])).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "");
}

#[tokio::test]
async fn a_webhook_that_is_made_or_turned_twice_under_one_key_is_so_once() {
    let town = Town::new().await;
    let send = async |path: &str, key: &str, body: serde_json::Value| {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        town.call("POST", path, &headers, body.to_string()).await
    };
    let wanted = json!({"url": "https://example.org/hook", "scheme": "hmac"});
    let made = send("/v1/webhooks", "w1", wanted.clone()).await;
    let again = send("/v1/webhooks", "w1", wanted).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""), "{}", made.json());
    assert_eq!(
        (again.status, again.json(), again.header("location")),
        (made.status, made.json(), made.header("location"))
    );
    let rotate = format!("{}/rotate", made.header("location"));
    let turned = send(&rotate, "w2", json!({})).await;
    let repeated = send(&rotate, "w2", json!({})).await;
    assert_eq!((turned.status.as_u16(), turned.header("etag")), (200, "\"2\""));
    assert_eq!((repeated.json(), repeated.header("etag")), (turned.json(), "\"2\""));
    assert!(!turned.headers.contains_key("location"));
    send(&rotate, "w2", json!({"overlap_hours": 1}))
        .await
        .is_problem(422, "idempotency-key-reused");
    assert_eq!(town.get("/v1/webhooks").await.json()["items"].as_array().unwrap().len(), 1);
}
