//! Requests under the ids of other systems.

use serde_json::{Value, json};

use super::town::{Got, Town};

const PATH: &str = "/v1/requests/by-external/ged-voirie/2026%2F42%20%C3%A9";

async fn put(town: &Town, key: &str, headers: &[(&str, &str)], body: Value) -> Got {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    town.call_as(key, "PUT", PATH, &headers, body.to_string()).await
}

fn brought() -> Value {
    json!({"from": "06 12 34 56 78", "subject": "Nid de poule", "text": "Rue Foch", "theme": "voirie", "status": "déposé"})
}

#[tokio::test]
async fn an_id_makes_a_request_and_finds_it() {
    let town = Town::new().await;
    town.get(PATH).await.is_problem(404, "not-found");
    let intake = town.key_with(&["intake"]).await;
    let made = put(&town, &intake, &[], brought()).await;
    assert_eq!(made.status, 201, "{}", made.json());
    assert_eq!((made.header("location"), made.header("etag")), (PATH, "\"1\""));
    let request = made.json();
    assert_eq!(
        (&request["channel"], &request["from"]),
        (&json!("teleservice"), &json!("+33612345678"))
    );
    let external = &request["external"];
    assert_eq!(external.as_array().unwrap().len(), 1);
    assert_eq!(
        (&external[0]["system"], &external[0]["id"], &external[0]["status"]),
        (&json!("ged-voirie"), &json!("2026/42 é"), &json!("déposé"))
    );
    assert!(external[0]["updated_at"].as_str().unwrap().ends_with('Z'));
    let found = town.get(PATH).await;
    assert_eq!(
        (found.status.as_u16(), found.json(), found.header("etag")),
        (200, request.clone(), made.header("etag"))
    );
    // Entered as a read of the request, not of the other system's id.
    let trail = town.get("/v1/audit?limit=500").await.json();
    let read = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["action"] == "found")
        .unwrap()
        .clone();
    assert_eq!(read["object"], format!("request/{}", request["id"].as_str().unwrap()));
    // Sent again, whether or not the client has read what it made.
    let again = put(&town, &intake, &[], brought()).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, made.header("etag")));
    assert_eq!(again.json()["id"], request["id"]);
    assert!(
        again.json()["from"].is_null(),
        "who may not read it sees no more than that it is there"
    );
    assert_eq!(town.get("/v1/requests").await.json()["items"], json!([request]));
}

#[tokio::test]
async fn a_change_of_what_agents_change_too_names_its_version() {
    let town = Town::new().await;
    let made = put(&town, &town.key, &[], brought()).await.json();
    let id = made["id"].as_str().unwrap();
    // An agent was there in between: a repetition does not undo it.
    let patch = json!({"subject": "Chaussée"}).to_string();
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    assert_eq!(town.call("PATCH", &format!("/v1/requests/{id}"), &merge, patch).await.status, 200);
    let again = put(&town, &town.key, &[], brought()).await;
    assert_eq!((again.status.as_u16(), &again.json()["subject"]), (200, &json!("Chaussée")));
    let change = json!({"subject": "Trottoir", "status": "instruit"});
    put(&town, &town.key, &[], change.clone())
        .await
        .is_problem(428, "precondition-required");
    let stale = put(&town, &town.key, &[("if-match", "\"1\"")], change.clone()).await;
    stale.is_problem(412, "stale");
    assert_eq!(stale.json()["current"], 2);
    let intake = town.key_with(&["intake"]).await;
    put(&town, &intake, &[("if-match", "*")], change.clone())
        .await
        .is_problem(403, "forbidden");
    assert_eq!(town.get(PATH).await.json()["external"][0]["status"], "déposé", "refused, all of it");
    let changed = put(&town, &town.key, &[("if-match", "\"2\"")], change).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"4\""));
    let now = changed.json();
    assert_eq!(
        (&now["subject"], &now["external"][0]["status"]),
        (&json!("Trottoir"), &json!("instruit"))
    );
    // Its own word needs no version, and who brings it in may say it.
    let told = put(&town, &intake, &[], json!({"status": "clos"})).await;
    assert_eq!((told.status.as_u16(), told.header("etag")), (200, "\"5\""));
    // What the citizen said stays.
    for (member, value) in [
        ("text", "Rue Leclerc"),
        ("from", "0699999999"),
        ("name", "Durand"),
        ("channel", "web"),
        ("occurred_at", "2026-01-01T00:00:00Z"),
    ] {
        let refused = put(&town, &town.key, &[("if-match", "*")], json!({member: value})).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], format!("/{member}"));
    }
    let same = put(
        &town,
        &town.key,
        &[],
        json!({"text": "Rue Foch", "from": "0612345678", "channel": "teleservice"}),
    )
    .await;
    assert_eq!((same.status.as_u16(), same.header("etag")), (200, "\"5\""));
    // Events tell of it with ids alone.
    let events = town.get("/v1/changes?limit=500").await.json().to_string();
    assert!(
        !events.contains("2026/42") && !events.contains("clos\"") && events.contains("request.updated"),
        "{events}"
    );
}

#[tokio::test]
async fn what_shows_a_request_is_in_the_trail_though_it_changed_nothing() {
    let town = Town::new().await;
    let made = put(&town, &town.key, &[], brought()).await.json();
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let shown = || async {
        let trail = town.get("/v1/audit?limit=500").await.json();
        let object = format!("request/{}", made["id"].as_str().unwrap());
        let entries = trail["items"].as_array().unwrap().clone();
        entries
            .iter()
            .filter(|one| one["object"] == object.as_str() && ["found", "read"].iter().any(|action| one["action"] == *action))
            .count()
    };
    assert_eq!(shown().await, 0);
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    assert_eq!(put(&town, &town.key, &[], json!({})).await.json(), made);
    assert_eq!(shown().await, 1);
    assert_eq!(town.call("PATCH", &path, &merge, "{}").await.json(), made);
    assert_eq!(shown().await, 2);
    assert_eq!(
        town.call("PATCH", &path, &merge, json!({"subject": "Autre"}).to_string())
            .await
            .status,
        200
    );
    assert_eq!(put(&town, &town.key, &[], json!({"status": "clos"})).await.status, 200);
    assert_eq!(shown().await, 2, "a change has a row of its own");
    // Who may not read it is shown nothing, and enters nothing.
    let intake = town.key_with(&["intake"]).await;
    assert_eq!(put(&town, &intake, &[], json!({})).await.status, 200);
    assert_eq!(shown().await, 2);
}

#[tokio::test]
async fn who_brings_a_request_in_may_send_all_of_it_again_with_another_status() {
    let town = Town::new().await;
    let intake = town.key_with(&["intake"]).await;
    assert_eq!(put(&town, &intake, &[], brought()).await.status, 201);
    let mut told = brought();
    told["status"] = json!("instruit");
    let again = put(&town, &intake, &[], told).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, "\"2\""), "{}", again.json());
    assert_eq!(town.get(PATH).await.json()["external"][0]["status"], "instruit");
}

#[tokio::test]
async fn who_neither_brought_it_in_nor_reads_it_cannot_guess_what_was_said() {
    let town = Town::new().await;
    let first = town.key_with(&["intake"]).await;
    assert_eq!(put(&town, &first, &[], brought()).await.status, 201);
    let other = town.key_with(&["intake"]).await;
    // The same answer, whether the guess is right or wrong.
    for body in [json!({"text": "Rue Foch"}), json!({"text": "Rue Leclerc"}), brought()] {
        let refused = put(&town, &other, &[], body).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/text");
    }
    for member in ["subject", "theme"] {
        let has = brought()[member].clone();
        let refused = put(&town, &other, &[("if-match", "*")], json!({member: has})).await;
        refused.is_problem(403, "forbidden");
    }
    assert_eq!(put(&town, &other, &[], json!({"status": "clos"})).await.status, 200);
}

#[tokio::test]
async fn who_brought_it_in_and_may_not_read_it_learns_nothing_of_what_agents_made_of_it() {
    let town = Town::new().await;
    let intake = town.key_with(&["intake"]).await;
    let made = put(&town, &intake, &[], brought()).await.json();
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    let decided = json!({"theme": "dechets", "subject": "Dépôt"}).to_string();
    assert_eq!(town.call("PATCH", &path, &merge, decided).await.status, 200);
    for theme in ["voirie", "dechets"] {
        let again = put(&town, &intake, &[], json!({"theme": theme})).await;
        assert_eq!((again.status.as_u16(), again.header("etag")), (200, "\"2\""));
        put(&town, &intake, &[("if-match", "*")], json!({"theme": theme}))
            .await
            .is_problem(403, "forbidden");
    }
    assert_eq!(town.get(&path).await.json()["theme"], "dechets");
}

#[tokio::test]
async fn who_may_answer_and_not_read_is_shown_no_request() {
    let town = Town::new().await;
    let made = put(&town, &town.key, &[], brought()).await.json();
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    let reply = town.key_with(&["reply"]).await;
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    let told = [("content-type", "application/json")];
    for got in [
        town.call_as(&reply, "PATCH", &path, &merge, "{}").await,
        town.call_as(&reply, "PATCH", &path, &merge, json!({"subject": "Autre"}).to_string())
            .await,
        town.call_as(
            &reply,
            "PUT",
            &format!("{path}/external/sig"),
            &told,
            json!({"id": "7"}).to_string(),
        )
        .await,
    ] {
        assert!([200, 201].contains(&got.status.as_u16()), "{}", got.json());
        let shown = got.json();
        assert_eq!(
            (&shown["id"], &shown["from"], &shown["subject"]),
            (&made["id"], &json!(null), &json!(null))
        );
    }
    assert_eq!(town.get(&path).await.json()["subject"], "Autre");
}

#[tokio::test]
async fn conditions_and_names_are_held() {
    let town = Town::new().await;
    put(&town, &town.key, &[("if-match", "*")], brought())
        .await
        .is_problem(412, "stale");
    assert_eq!(put(&town, &town.key, &[("if-none-match", "*")], brought()).await.status, 201);
    put(&town, &town.key, &[("if-none-match", "*")], brought())
        .await
        .is_problem(412, "stale");
    put(&town, &town.key, &[("if-none-match", "\"1\"")], brought())
        .await
        .is_problem(400, "bad-request");
    let json = [("content-type", "application/json")];
    let missing = town.call("PUT", "/v1/requests/by-external/ged/1", &json, "{}").await;
    missing.is_problem(422, "invalid");
    assert_eq!(missing.json()["errors"][0]["pointer"], "/text");
    for path in ["/v1/requests/by-external/GED/1", "/v1/requests/by-external/g%20d/1"] {
        let refused = town.call("PUT", path, &json, r#"{"text":"a"}"#).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["parameter"], "system");
        town.get(path).await.is_problem(404, "not-found");
    }
    let long = format!("/v1/requests/by-external/ged/{}", "x".repeat(201));
    let refused = town.call("PUT", &long, &json, r#"{"text":"a"}"#).await;
    assert_eq!(refused.json()["errors"][0]["parameter"], "id");
    let theme = town
        .call("PUT", "/v1/requests/by-external/ged/1", &json, r#"{"text":"a","theme":"x"}"#)
        .await;
    assert_eq!(
        (theme.status.as_u16(), &theme.json()["errors"][0]["pointer"]),
        (422, &json!("/theme"))
    );
    let channel = town
        .call("PUT", "/v1/requests/by-external/ged/1", &json, r#"{"text":"a","channel":"pigeon"}"#)
        .await;
    assert_eq!(
        (channel.status.as_u16(), &channel.json()["errors"][0]["pointer"]),
        (422, &json!("/channel"))
    );
    let status = town
        .call("PUT", "/v1/requests/by-external/ged/1", &json, r#"{"text":"a","status":"\n"}"#)
        .await;
    assert_eq!(
        (status.status.as_u16(), &status.json()["errors"][0]["pointer"]),
        (422, &json!("/status"))
    );
    assert_eq!(town.get("/v1/requests").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_there_gets_an_id_elsewhere() {
    let town = Town::new().await;
    let made = town.visit("Un lampadaire est en panne").await;
    let path = format!("/v1/requests/{}/external/ged-voirie", made["id"].as_str().unwrap());
    let tell = async |headers: &[(&str, &str)], body: Value| {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        town.call("PUT", &path, &headers, body.to_string()).await
    };
    let attached = tell(&[("if-match", "\"1\"")], json!({"id": "2026/42 é", "status": "reçu"})).await;
    assert_eq!(
        (attached.status.as_u16(), attached.header("etag"), attached.header("location")),
        (201, "\"2\"", PATH)
    );
    assert_eq!(attached.json(), town.get(PATH).await.json());
    tell(&[("if-match", "\"1\"")], json!({"id": "2026/42 é", "status": "clos"}))
        .await
        .is_problem(412, "stale");
    let told = tell(&[], json!({"id": "2026/42 é", "status": "clos"})).await;
    assert_eq!((told.status.as_u16(), &told.json()["external"][0]["status"]), (200, &json!("clos")));
    tell(&[], json!({"id": "43"})).await.is_problem(409, "conflict");
    // The other system sends it for the first time, and is told that it is there.
    let late = put(
        &town,
        &town.key,
        &[],
        json!({"text": "Un lampadaire est en panne", "status": "rouvert"}),
    )
    .await;
    assert_eq!((late.status.as_u16(), &late.json()["id"]), (200, &made["id"]));
    assert_eq!(town.get("/v1/requests").await.json()["items"].as_array().unwrap().len(), 1);
    let other = town.visit("Autre").await;
    let path = format!("/v1/requests/{}/external/ged-voirie", other["id"].as_str().unwrap());
    let taken = town
        .call("PUT", &path, &[("content-type", "application/json")], r#"{"id":"2026/42 é"}"#)
        .await;
    taken.is_problem(409, "conflict");
}
