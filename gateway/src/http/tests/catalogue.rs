//! The catalogue as a web site and an administrator use it.

use serde_json::{Value, json};
use voxea_core::base::actor::{Actor, Contract};

use super::town::Town;

#[tokio::test]
async fn a_site_keeps_in_step_by_etag() {
    let town = Town::new().await;
    let whole = town.get("/v1/catalogue").await.json();
    assert_eq!(whole["domains"].as_array().map(Vec::len), Some(6), "{whole}");
    assert_eq!(whole["domains"][2]["services"][0]["themes"][0]["code"], "voirie");

    let form = town.key_with(&["intake"]).await;
    let as_form = async |headers: &[(&str, &str)]| town.call_as(&form, "GET", "/v1/themes", headers, "").await;
    let first = as_form(&[]).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let codes = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|theme| theme["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(
        !codes(&first.json()).contains(&"scolaire-credits".to_owned()),
        "a form sees what is public"
    );
    assert!(codes(&town.get("/v1/themes").await.json()).contains(&"scolaire-credits".to_owned()));
    let known = as_form(&[("if-none-match", &tag)]).await;
    assert_eq!(
        (known.status.as_u16(), known.body.len(), &known.headers["etag"]),
        (304, 0, &first.headers["etag"])
    );
    // The list of a reader is another one.
    assert_eq!(town.call("GET", "/v1/themes", &[("if-none-match", &tag)], "").await.status, 200);

    let voirie = town.get("/v1/themes/voirie").await;
    let version = voirie.headers["etag"].to_str().unwrap().to_owned();
    let mut body = voirie.json();
    for member in ["code", "domain", "version"] {
        body.as_object_mut().unwrap().remove(member);
    }
    body["label"] = json!("Rues et trottoirs");
    let put = async |path: &str, headers: &[(&str, &str)], body: &Value| {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        town.call("PUT", path, &headers, body.to_string()).await
    };
    put("/v1/themes/voirie", &[], &body).await.is_problem(428, "precondition-required");
    let renamed = put("/v1/themes/voirie", &[("if-match", &version)], &body).await;
    assert_eq!(renamed.status, 200, "{}", renamed.json());
    put(
        "/v1/themes/voirie",
        &[("if-match", &version)],
        &json!({"label": "x", "service": "accueil"}),
    )
    .await
    .is_problem(412, "stale");
    let fetched = as_form(&[("if-none-match", &tag)]).await;
    assert_eq!(fetched.status, 200);
    assert!(
        fetched.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|theme| theme["label"] == "Rues et trottoirs")
    );

    let event = town.get("/v1/changes").await.json()["items"][0].clone();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("fr.voxea.theme.changed"), &json!("voirie"))
    );
}

#[tokio::test]
async fn what_is_wrong_names_its_member() {
    let town = Town::new().await;
    let put = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        town.call("PUT", path, &headers, body.to_owned()).await
    };
    let new = [("if-none-match", "*")];
    let made = put(
        "/v1/themes/piscine",
        &new,
        r#"{"label":"Piscine","service":"service-culture","keywords":["PISCINE"],"digit":"4"}"#,
    )
    .await;
    assert_eq!(made.status, 201);
    assert_eq!((&made.json()["domain"], &made.json()["public"]), (&json!("culture"), &json!(true)));
    put("/v1/themes/piscine", &new, r#"{"label":"Piscine","service":"service-culture"}"#)
        .await
        .is_problem(409, "conflict");
    for (path, body, pointer) in [
        ("/v1/themes/deux", r#"{"label":"x","service":"aucun"}"#, "/service"),
        (
            "/v1/themes/deux",
            r#"{"label":"x","service":"ccas","keywords":["Piscine"]}"#,
            "/keywords/0",
        ),
        ("/v1/themes/deux", r#"{"label":"x","service":"ccas","digit":"4"}"#, "/digit"),
        ("/v1/themes/Deux", r#"{"label":"x","service":"ccas"}"#, "/code"),
        ("/v1/services/deux", r#"{"name":"x","domain":"aucun"}"#, "/domain"),
        ("/v1/services/deux", r#"{"name":"","domain":"culture"}"#, "/name"),
    ] {
        let refused = put(path, &new, body).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    put("/v1/themes/deux", &new, r#"{"label":"x","service":"ccas","colour":"red"}"#)
        .await
        .is_problem(422, "invalid");
    put(
        "/v1/themes/deux",
        &[("if-none-match", "\"3\"")],
        r#"{"label":"x","service":"ccas"}"#,
    )
    .await
    .is_problem(400, "bad-request");
    put("/v1/themes/aucun", &[("if-match", "*")], r#"{"label":"x","service":"ccas"}"#)
        .await
        .is_problem(404, "not-found");
    town.get("/v1/themes/aucun").await.is_problem(404, "not-found");
    town.get("/v1/services/aucun").await.is_problem(404, "not-found");
    town.get("/v1/themes?public=perhaps").await.is_problem(400, "bad-request");
    // What is no theme is no theme of a contact either.
    let contact = json!({"text": "Bonjour", "theme": "aucun"});
    let refused = town.post("/v1/intake/counter", &[], contact).await;
    refused.is_problem(422, "invalid");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/theme");
    let taken = town
        .post("/v1/intake/counter", &[], json!({"text": "Bonjour", "theme": "piscine"}))
        .await;
    assert_eq!((taken.status.as_u16(), &taken.json()["theme"]), (201, &json!("piscine")));
}

#[tokio::test]
async fn only_an_administrator_changes_it() {
    let town = Town::new().await;
    let reader = town.key_with(&["read", "reply", "intake"]).await;
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    for path in ["/v1/themes/voirie", "/v1/services/accueil"] {
        let refused = town
            .call_as(&reader, "PUT", path, &headers, r#"{"label":"x","service":"accueil"}"#)
            .await;
        refused.is_problem(403, "forbidden");
        assert_eq!(refused.json()["scope"], "admin");
    }
    let form = town.key_with(&["intake"]).await;
    for path in ["/v1/themes/voirie", "/v1/services", "/v1/services/accueil", "/v1/catalogue"] {
        town.call_as(&form, "GET", path, &[], "").await.is_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_form_sends_what_its_theme_asks() {
    let town = Town::new().await;
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["rue"],
        "properties": {"rue": {"type": "string", "maxLength": 40}, "lampes": {"type": "integer", "minimum": 1}},
    });
    let theme = |schema: Value| json!({"label": "Voirie", "service": "service-technique", "fields": schema}).to_string();
    let put = async |body: String| {
        let headers = [("if-match", "*"), ("content-type", "application/json")];
        town.call("PUT", "/v1/themes/voirie", &headers, body).await
    };
    let refused = put(theme(json!({"type": "object", "properties": {"rue": {"type": "text"}}}))).await;
    refused.is_problem(422, "invalid");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/fields/properties/rue/type");
    assert_eq!(put(theme(schema)).await.status, 200);
    let post = async |theme: &str, fields: Value| {
        let body = json!({"text": "Un trou", "theme": theme, "fields": fields});
        town.post("/v1/intake/web", &[], body).await
    };
    for (theme, fields, pointers) in [
        (
            "voirie",
            json!({"lampes": 0, "x": 1}),
            vec!["/fields/rue", "/fields/lampes", "/fields/x"],
        ),
        ("voirie", json!([]), vec!["/fields"]),
        ("voirie", json!({"rue": "x".repeat(70_000)}), vec!["/fields"]),
        ("eclairage", json!({"rue": "Foch"}), vec!["/fields"]),
    ] {
        let refused = post(theme, fields).await;
        refused.is_problem(422, "invalid");
        let errors = refused.json()["errors"].clone();
        let told: Vec<&str> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(told, pointers);
    }
    let fields = json!({"rue": "Avenue Foch", "lampes": 2});
    let made = post("voirie", fields.clone()).await;
    assert_eq!((made.status.as_u16(), &made.json()["fields"]), (201, &fields));
    let path = format!("/v1/requests/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(town.get(&path).await.json()["fields"], fields);
    // Left out, it is nothing; and it is in no event.
    let plain = post("voirie", Value::Null).await;
    assert_eq!((plain.status.as_u16(), &plain.json()["fields"]), (201, &Value::Null));
    assert!(!town.get("/v1/changes").await.json().to_string().contains("Foch"));
    // A contract that does not name them does not show them.
    for (named, shown) in [("status", false), ("fields", true)] {
        let contract = json!({"grant": {"operations": ["read"], "confidentiality": "secret"}, "fields": [named]});
        let contract: Contract = serde_json::from_value(contract).unwrap();
        let key = town.core.keys.create(&Actor::System, "k", &contract).await.unwrap();
        let got = town.call_as(&key, "GET", &path, &[], "").await;
        assert_eq!(got.json().to_string().contains("Foch"), shown, "{named}");
    }
}
