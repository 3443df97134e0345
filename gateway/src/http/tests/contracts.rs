//! What a contract lets its holder bring in, see and keep.

use serde_json::{Value, json};
use voxea_core::base::actor::{Actor, Contract};

use super::town::Town;

#[tokio::test]
async fn who_brings_in_does_so_within_the_contract() {
    let town = Town::new().await;
    let contract = json!({"grant": {"operations": ["intake"], "themes": ["voirie"], "channels": ["web"]}});
    let contract: Contract = serde_json::from_value(contract).unwrap();
    let key = town.core.keys.create(&Actor::System, "site", &contract).await.unwrap();
    let post = async |channel: &str, theme: Value| {
        let body = json!({"text": "Un trou", "theme": theme}).to_string();
        let path = format!("/v1/intake/{channel}");
        town.call_as(&key, "POST", &path, &[("content-type", "application/json")], body)
            .await
    };
    assert_eq!(post("web", json!("voirie")).await.status, 201);
    for (channel, theme) in [("web", json!("eau")), ("web", Value::Null), ("counter", json!("voirie"))] {
        let got = post(channel, theme).await;
        got.is_problem(422, "invalid");
        assert_eq!(got.json()["errors"][0]["pointer"], "/theme");
    }
    town.call_as(&key, "GET", "/v1/requests", &[], "")
        .await
        .is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_contract_names_the_members_that_are_shown() {
    let town = Town::new().await;
    let visit = town.visit("Bonjour").await;
    let contract = json!({"grant": {"operations": ["read"], "confidentiality": "secret"}, "fields": ["status", "theme", "channel"]});
    let contract: Contract = serde_json::from_value(contract).unwrap();
    let key = town.core.keys.create(&Actor::System, "statistics", &contract).await.unwrap();
    let get = async |path: String| town.call_as(&key, "GET", &path, &[], "").await;
    let path = format!("/v1/requests/{}", visit["id"].as_str().unwrap());
    let shown = get(path.clone()).await.json();
    let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(names, ["channel", "id", "links", "ref", "status", "theme", "version"]);
    for path in ["/v1/requests".to_owned(), format!("{path}/interactions")] {
        let got = get(path.clone()).await;
        let text = String::from_utf8_lossy(&got.body).into_owned();
        assert_eq!(got.status, 200, "{path}");
        assert!(
            text.contains("\"counter\"") && !text.contains("+336") && !text.contains("Bonjour"),
            "{text}"
        );
    }
    let whole = town.get(&format!("{path}/interactions")).await.json();
    let evidence = whole["items"][0]["id"].as_str().unwrap();
    get(format!("/v1/interactions/{evidence}/raw")).await.is_problem(404, "not-found");
    get(format!("/v1/interactions/{evidence}/html")).await.is_problem(404, "not-found");
    get(format!("{path}/history")).await.is_problem(404, "not-found");
    assert_eq!(town.get(&format!("/v1/interactions/{evidence}/raw")).await.status, 200);
}

#[tokio::test]
async fn nobody_draws_a_citizen_into_their_reach() {
    let town = Town::new().await;
    let json = ("content-type", "application/json");
    let citizen = json!({"kind": "person", "family_name": "Durand", "contact_points": [{"kind": "phone", "value": "0611111111"}]});
    let citizen = town.post("/v1/citizens", &[], citizen).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = async |grant: Value| {
        let contract: Contract = serde_json::from_value(json!({ "grant": grant })).unwrap();
        town.core.keys.create(&Actor::System, "k", &contract).await.unwrap()
    };
    let narrow = key(json!({"operations": ["read", "reply", "intake"], "themes": ["voirie"]})).await;
    let post = json!({"text": "Un trou", "theme": "voirie", "from": "0611111111"}).to_string();
    let made = town.call_as(&narrow, "POST", "/v1/intake/web", &[json], post).await;
    assert_eq!(made.status, 201);
    let request = format!("/v1/requests/{}", made.json()["id"].as_str().unwrap());
    for (method, path, body) in [
        ("GET", format!("/v1/citizens/{citizen}"), String::new()),
        ("GET", "/v1/citizens:lookup?phone=0611111111".to_owned(), String::new()),
        ("GET", "/v1/opt-outs?address=0611111111".to_owned(), String::new()),
        (
            "POST",
            "/v1/citizens".to_owned(),
            json!({"kind": "person", "family_name": "X"}).to_string(),
        ),
        ("PATCH", format!("/v1/citizens/{citizen}"), json!({"note": "X"}).to_string()),
        (
            "PUT",
            "/v1/opt-outs".to_owned(),
            json!({"channel": "sms", "address": "0611111111"}).to_string(),
        ),
    ] {
        let got = town.call_as(&narrow, method, &path, &[json, ("if-match", "*")], body).await;
        got.is_problem(403, "forbidden");
    }
    // Whom it may not see it cannot name either: as if there were no such citizen.
    let secret = town.visit("Bonjour").await["id"].as_str().unwrap().to_owned();
    let link = json!({"citizen": citizen, "theme": "aides"}).to_string();
    let linked = town
        .call("PATCH", &format!("/v1/requests/{secret}"), &[json, ("if-match", "*")], link)
        .await;
    assert_eq!(linked.status, 200);
    let unlink = json!({"citizen": null}).to_string();
    town.call("PATCH", &request, &[json, ("if-match", "*")], unlink).await;
    let link = json!({"citizen": citizen}).to_string();
    let got = town.call_as(&narrow, "PATCH", &request, &[json, ("if-match", "*")], link).await;
    got.is_problem(422, "invalid");
    // An admin key that is shown some members only is no administrator.
    let contract = json!({"grant": {"operations": ["admin"], "confidentiality": "secret"}, "fields": ["status"]});
    let contract: Contract = serde_json::from_value(contract).unwrap();
    let shown = town.core.keys.create(&Actor::System, "k", &contract).await.unwrap();
    town.call_as(&shown, "GET", "/v1/agents", &[], "")
        .await
        .is_problem(403, "forbidden");
    assert_eq!(town.call_as(&shown, "GET", "/v1/requests", &[], "").await.status, 200);
}
