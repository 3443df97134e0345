//! Open311 over the town's doors.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::town::{Got, Town};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn town() -> Town {
    Town::settled(|settings| {
        settings.open311.enabled = true;
        settings.open311.jurisdiction = Some("example.fr".to_owned());
        settings.open311.base_url = Some("https://voxea.example.fr".to_owned());
        settings.open311.contact = Some("Mairie <&>".to_owned());
    })
    .await
}

/// Somebody without a key.
async fn anybody(town: &Town, path: &str) -> Got {
    town.send(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn report(town: &Town, form: &str) -> Got {
    let form = form.replace("KEY", &town.key);
    town.send(
        Request::post("/open311/v2/requests.json")
            .header(FORM.0, FORM.1)
            .body(Body::from(form))
            .unwrap(),
    )
    .await
}

fn text(got: &Got) -> String {
    String::from_utf8(got.body.clone()).unwrap()
}

const FULL: &str = "api_key=KEY&jurisdiction_id=example.fr&service_code=voirie&lat=48.8566&long=2.3522&address_string=12+rue+Foch\
    &description=Un+trou+%26+de+l%27eau&email=zoe%40example.fr&phone=0612345678&first_name=Zo%C3%A9&last_name=Durand&media_url=https%3A%2F%2Fphotos.example%2F1.jpg";

#[tokio::test]
async fn a_report_is_made_and_followed_without_anything_personal() {
    let town = town().await;
    let made = report(&town, FULL).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let reference = made.json()[0]["service_request_id"].as_str().unwrap().to_owned();
    assert!(reference.starts_with("20") && made.json()[0]["token"].is_null());
    // The town has all of it.
    let request = town.get("/v1/requests").await.json()["items"][0].clone();
    assert_eq!(
        (&request["channel"], &request["theme"], &request["from"], &request["from_name"]),
        (&json!("open311"), &json!("voirie"), &json!("zoe@example.fr"), &json!("Zoé Durand"))
    );
    let id = request["id"].as_str().unwrap();
    let contact = town.get(&format!("/v1/requests/{id}/interactions")).await.json()["items"][0].clone();
    assert_eq!(
        contact["text"],
        "Un trou & de l'eau\nLieu : 12 rue Foch ; 48.8566, 2.3522\nPhoto : https://photos.example/1.jpg\nTéléphone : 0612345678"
    );
    let raw = text(&town.get(&format!("/v1/interactions/{}/raw", contact["id"].as_str().unwrap())).await);
    assert!(
        raw.contains("description=") && !raw.contains(&town.key) && !raw.contains("api_key"),
        "{raw}"
    );
    // Anybody sees how far it is.
    let one = anybody(&town, &format!("/open311/v2/requests/{reference}.json")).await;
    let shown = one.json()[0].clone();
    assert_eq!(
        (&shown["service_request_id"], &shown["status"], &shown["service_code"]),
        (&json!(reference), &json!("open"), &json!("voirie"))
    );
    let patch = json!({"status": "closed"}).to_string();
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    assert_eq!(town.call("PATCH", &format!("/v1/requests/{id}"), &merge, patch).await.status, 200);
    let closed = anybody(&town, &format!("/open311/v2/requests/{reference}.xml")).await;
    assert_eq!(closed.header("content-type"), "text/xml; charset=utf-8");
    assert!(
        text(&closed).contains("<service_requests><request>") && text(&closed).contains("<status>closed</status>"),
        "{}",
        text(&closed)
    );
    let updates = anybody(&town, &format!("/open311/v2/requests/{reference}/updates.json"))
        .await
        .json();
    assert_eq!((updates.as_array().unwrap().len(), &updates[0]["status"]), (1, &json!("closed")));
    let token = anybody(&town, &format!("/open311/v2/tokens/{reference}.json")).await.json();
    assert_eq!(token[0]["service_request_id"], json!(reference));
    for path in [
        format!("/open311/v2/requests/{reference}.json"),
        format!("/open311/v2/requests/{reference}.xml"),
        format!("/open311/v2/requests/{reference}/updates.xml"),
        "/open311/v2/requests.json".to_owned(),
        "/open311/v2/requests.xml".to_owned(),
        format!("/open311/v2/tokens/{reference}.xml"),
    ] {
        let seen = text(&anybody(&town, &path).await);
        assert!(seen.contains(&reference), "{path} {seen}");
        for personal in ["zoe", "Durand", "0612345678", "+336", "Foch", "48.85", "trou", "photos", id] {
            assert!(!seen.contains(personal), "{path} shows {personal}: {seen}");
        }
    }
}

#[tokio::test]
async fn only_public_themes_are_there() {
    let town = town().await;
    let services = anybody(&town, "/open311/v2/services.json").await.json();
    let codes: Vec<&str> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["service_code"].as_str().unwrap())
        .collect();
    assert!(
        codes.contains(&"voirie") && !codes.contains(&"aides") && !codes.contains(&"salubrite"),
        "{codes:?}"
    );
    assert_eq!(
        (&services[0]["type"], &services[0]["metadata"]),
        (&json!("realtime"), &json!(false))
    );
    let listed = text(&anybody(&town, "/open311/v2/services.xml?jurisdiction_id=example.fr").await);
    assert!(
        listed.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<services><service><"),
        "{listed}"
    );
    let definition = anybody(&town, "/open311/v2/services/voirie.json").await.json();
    assert_eq!(definition, json!({"service_code": "voirie", "attributes": []}));
    for code in ["aides", "nothing"] {
        let missing = anybody(&town, &format!("/open311/v2/services/{code}.json")).await;
        assert_eq!(
            (missing.status.as_u16(), missing.json()),
            (404, json!([{"code": 404, "description": "service_code provided was not found"}]))
        );
    }
    // Requests of other themes, of none, and unwanted ones are nobody's business.
    let contact = |theme: Value| json!({"text": "a", "theme": theme});
    for theme in [json!("aides"), json!("salubrite"), Value::Null] {
        assert_eq!(town.post("/v1/intake/counter", &[], contact(theme)).await.status, 201);
    }
    let spam = town.post("/v1/intake/counter", &[], contact(json!("voirie"))).await.json();
    let patch = json!({"status": "spam"}).to_string();
    let merge = [("if-match", "*"), ("content-type", "application/json")];
    let path = format!("/v1/requests/{}", spam["id"].as_str().unwrap());
    assert_eq!(town.call("PATCH", &path, &merge, patch).await.status, 200);
    assert_eq!(anybody(&town, "/open311/v2/requests.json").await.json(), json!([]));
    for request in town.get("/v1/requests").await.json()["items"].as_array().unwrap() {
        let path = format!("/open311/v2/requests/{}.json", request["ref"].as_str().unwrap());
        assert_eq!(anybody(&town, &path).await.status, 404);
    }
}

#[tokio::test]
async fn lists_are_narrowed() {
    let town = town().await;
    let mut references = Vec::new();
    for theme in ["voirie", "voirie", "dechets"] {
        let made = report(&town, &format!("api_key=KEY&service_code={theme}&address_id=1")).await;
        references.push(made.json()[0]["service_request_id"].as_str().unwrap().to_owned());
    }
    let count = async |query: &str| {
        let got = anybody(&town, &format!("/open311/v2/requests.json?{query}")).await;
        assert_eq!(got.status, 200, "{}", text(&got));
        got.json().as_array().unwrap().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("service_code=voirie").await, 2);
    assert_eq!(count("service_code=voirie,dechets&status=open").await, 3);
    assert_eq!(count("status=closed").await, 0);
    assert_eq!(count(&format!("service_request_id={},{}", references[0], references[2])).await, 2);
    let overridden = "status=closed&end_date=2001-01-01T00:00:00Z";
    assert_eq!(count(&format!("{overridden}&service_request_id={}", references[0])).await, 1);
    assert_eq!(count(overridden).await, 0);
    assert_eq!(count("start_date=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("end_date=2020-01-01T00:00:00Z").await, 0);
    assert_eq!(
        count("start_date=2020-01-01T00:00:00Z&end_date=2100-01-01T00:00:00%2B01:00").await,
        3
    );
    for bad in ["status=lost", "start_date=yesterday"] {
        assert_eq!(
            anybody(&town, &format!("/open311/v2/requests.json?{bad}")).await.status,
            400,
            "{bad}"
        );
    }
    assert_eq!(anybody(&town, "/open311/v2/requests.json?service_code=aides").await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_geo_reports_words() {
    let town = town().await;
    let intake = town.key_with(&["read"]).await;
    for (form, status) in [
        ("service_code=voirie&address_id=1".to_owned(), 403),
        ("api_key=vx_wrong&service_code=voirie&address_id=1".to_owned(), 403),
        (format!("api_key={intake}&service_code=voirie&address_id=1"), 403),
        ("api_key=KEY&address_id=1".to_owned(), 400),
        ("api_key=KEY&service_code=aides&address_id=1".to_owned(), 404),
        ("api_key=KEY&service_code=voirie".to_owned(), 400),
        ("api_key=KEY&service_code=voirie&lat=100&long=0".to_owned(), 400),
        (
            "api_key=KEY&service_code=voirie&address_id=1&media_url=javascript:x".to_owned(),
            400,
        ),
        ("api_key=KEY&jurisdiction_id=other&service_code=voirie&address_id=1".to_owned(), 404),
        (
            format!("api_key=KEY&service_code=voirie&address_id=1&description={}", "a".repeat(4001)),
            400,
        ),
    ] {
        let refused = report(&town, &form).await;
        assert_eq!(refused.status, status, "{form} {}", text(&refused));
        assert_eq!(refused.json()[0]["code"], status);
        assert!(!refused.json()[0]["description"].as_str().unwrap().is_empty());
    }
    let xml = anybody(&town, "/open311/v2/requests/nothing.xml").await;
    assert_eq!(xml.status, 404);
    assert!(
        text(&xml).contains("<errors><error><code>404</code><description>"),
        "{}",
        text(&xml)
    );
    assert_eq!(anybody(&town, "/open311/v2/services.json?jurisdiction_id=other").await.status, 404);
    assert_eq!(anybody(&town, "/open311/v2/services/voirie").await.status, 404);
    assert_eq!(town.get("/v1/requests").await.json()["items"], json!([]), "nothing was taken in");
    let discovery = anybody(&town, "/open311/discovery.json").await.json();
    assert_eq!(discovery["endpoints"][0]["url"], "https://voxea.example.fr/open311/v2");
    assert!(text(&anybody(&town, "/open311/discovery.xml").await).contains("<contact>Mairie &lt;&amp;&gt;</contact>"));
    // Off unless somebody says so.
    let closed = Town::new().await;
    anybody(&closed, "/open311/v2/services.json").await.is_problem(404, "not-found");
}
