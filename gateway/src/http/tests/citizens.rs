//! Citizens as a back office uses them.

use serde_json::{Value, json};

use super::town::{Got, Town};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn send(town: &Town, method: &str, path: &str, tag: Option<&str>, body: Value) -> Got {
    let mut headers = vec![JSON];
    headers.extend(tag.map(|tag| ("if-match", tag)));
    town.call(method, path, &headers, body.to_string()).await
}

fn path(citizen: &Value) -> String {
    citizen["links"]["self"].as_str().unwrap().to_owned()
}

fn tag(got: &Got) -> String {
    got.headers["etag"].to_str().unwrap().to_owned()
}

/// A citizen with one number.
async fn marie(town: &Town) -> Got {
    let body = json!({
        "kind": "person", "given_name": "Marie", "family_name": "Durand", "language": "fr",
        "contact_points": [{"kind": "phone", "value": "06 12 34 56 78", "label": "mobile"}],
    });
    let made = town.post("/v1/citizens", &[], body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    made
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_is_made_found_again_and_told_of_their_requests() {
    let town = Town::new().await;
    let earlier = town.visit("avant").await;
    assert_eq!(earlier["citizen"], Value::Null);
    let made = marie(&town).await;
    let citizen = made.json();
    assert_eq!(made.headers["location"], path(&citizen).as_str());
    assert_eq!((tag(&made).as_str(), &citizen["status"]), ("\"1\"", &json!("active")));
    let point = &citizen["contact_points"][0];
    assert_eq!(
        (&point["value"], &point["normalised"]),
        (&json!("06 12 34 56 78"), &json!("+33612345678"))
    );
    assert_eq!(town.get(&path(&citizen)).await.json(), citizen);

    let later = town.visit("après").await;
    assert_eq!(later["citizen"], citizen["id"]);
    let adopted = town.get(earlier["links"]["self"].as_str().unwrap()).await.json();
    assert_eq!((&adopted["citizen"], &adopted["version"]), (&citizen["id"], &json!(2)));
    let requests = format!("{}/requests", path(&citizen));
    let page = town.get(&format!("{requests}?limit=1")).await.json();
    assert_eq!(ids(&page), [earlier["id"].as_str().unwrap()]);
    let rest = town
        .get(&format!("{requests}?after={}", page["next"].as_str().unwrap()))
        .await
        .json();
    assert_eq!((ids(&rest), &rest["next"]), (vec![later["id"].as_str().unwrap()], &Value::Null));
    town.get("/v1/citizens/x/requests").await.is_problem(404, "not-found");
    town.get("/v1/citizens/x").await.is_problem(404, "not-found");

    for spelling in ["0612345678", "%2B33612345678", "0033612345678", "06%2012%2034%2056%2078"] {
        let found = town.get(&format!("/v1/citizens:lookup?phone={spelling}")).await;
        assert_eq!(found.status, 200);
        let found = found.json();
        assert_eq!(found["items"], json!([citizen]), "{spelling}");
        assert_eq!(found["address"], json!({"kind": "phone", "normalised": "+33612345678"}));
        assert_eq!(found["opted_out"], false);
    }
    for nobody in [
        "phone=0698765432",
        "phone=061234567",
        "email=marie@example.fr",
        "postal=12+rue+Foch",
        "phone=0612345678&status=merged",
    ] {
        let found = town.get(&format!("/v1/citizens:lookup?{nobody}")).await;
        assert_eq!((found.status.as_u16(), &found.json()["items"]), (200, &json!([])), "{nobody}");
    }
    for wrong in [
        "",
        "phone=06&email=a@b.fr",
        "phone=anonymous",
        "phone=",
        "email=a",
        "phone=06%00",
        "phone=06&status=dead",
    ] {
        town.get(&format!("/v1/citizens:lookup?{wrong}")).await.is_problem(422, "invalid");
    }
    let listed = town.get("/v1/citizens?limit=1").await.json();
    assert_eq!(
        (ids(&listed), &listed["next"]),
        (vec![citizen["id"].as_str().unwrap()], &Value::Null)
    );
    assert_eq!(town.get("/v1/citizens?status=restricted").await.json()["items"], json!([]));
    town.get("/v1/citizens?status=dead").await.is_problem(422, "invalid");
    town.get("/v1/citizens?after=x").await.is_problem(400, "bad-cursor");
    // Nothing of a citizen goes into the feed but the request's id and version.
    let feed = town.get("/v1/changes").await.json().to_string();
    assert!(
        !feed.contains("Marie") && !feed.contains("612345678") && !feed.contains("citizen."),
        "{feed}"
    );
}

#[tokio::test]
async fn one_key_makes_one_citizen() {
    let town = Town::new().await;
    let body = json!({"kind": "person", "family_name": "Durand"});
    let key = [("idempotency-key", "c-1")];
    let first = town.post("/v1/citizens", &key, body.clone()).await;
    let again = town.post("/v1/citizens", &key, body.clone()).await;
    assert_eq!((first.status, again.status), (201.try_into().unwrap(), 201.try_into().unwrap()));
    assert_eq!(first.json(), again.json());
    for name in ["location", "etag", "content-type"] {
        assert_eq!(first.headers[name], again.headers[name], "{name}");
    }
    let other = json!({"kind": "person", "family_name": "Martin"});
    town.post("/v1/citizens", &key, other)
        .await
        .is_problem(422, "idempotency-key-reused");
    // What was refused leaves its key free.
    let key = [("idempotency-key", "c-2")];
    town.post("/v1/citizens", &key, json!({"kind": "organisation"}))
        .await
        .is_problem(422, "invalid");
    assert_eq!(town.post("/v1/citizens", &key, body).await.status, 201);
    assert_eq!(town.get("/v1/citizens").await.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_names_the_version_that_was_read() {
    let town = Town::new().await;
    let made = marie(&town).await;
    let (citizen, old) = (made.json(), tag(&made));
    let place = path(&citizen);
    send(&town, "PATCH", &place, None, json!({}))
        .await
        .is_problem(428, "precondition-required");
    let change = json!({"given_name": null, "needs": "gros caractères", "identity_level": 2});
    let changed = send(&town, "PATCH", &place, Some(&old), change).await;
    assert_eq!((changed.status.as_u16(), tag(&changed).as_str()), (200, "\"2\""));
    let now = changed.json();
    assert_eq!((&now["given_name"], &now["family_name"]), (&Value::Null, &json!("Durand")));
    assert_eq!((&now["needs"], &now["identity_level"]), (&json!("gros caractères"), &json!(2)));
    let history = town.get(&format!("{place}/history")).await.json();
    let actions: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|step| &step["action"]).collect();
    assert_eq!(actions, ["created", "changed"]);
    assert_eq!(history["items"][1]["detail"]["given_name"], json!({"from": "Marie", "to": null}));
    town.get("/v1/citizens/x/history").await.is_problem(404, "not-found");
    send(&town, "PATCH", &place, Some(&old), json!({"note": "x"}))
        .await
        .is_problem(412, "stale");
    assert_eq!(
        send(&town, "PATCH", &place, Some("*"), json!({"status": "restricted"}))
            .await
            .status,
        200
    );
    for (body, pointer) in [
        (json!({"kind": null}), "/kind"),
        (json!({"kind": "robot"}), "/kind"),
        (json!({"kind": "organisation"}), "/organisation"),
        (json!({"status": "merged"}), "/status"),
        (json!({"identity_level": 4}), "/identity_level"),
        (json!({"given_name": "a\u{0}b"}), "/given_name"),
        (json!({"given_name": "a\nb"}), "/given_name"),
        (json!({"given_name": "é".repeat(201)}), "/given_name"),
        (json!({"language": "français"}), "/language"),
    ] {
        let refused = send(&town, "PATCH", &place, Some("*"), body.clone()).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let point = json!({"kind": "phone", "value": "masqué"});
    for (body, pointer) in [
        (json!({"kind": "person", "contact_points": [point]}), "/contact_points/0/value"),
        (
            json!({"kind": "person", "contact_points": vec![json!({"kind": "other", "value": "x"}); 51]}),
            "/contact_points",
        ),
        (json!({"family_name": "Durand"}), ""),
    ] {
        let refused = town.post("/v1/citizens", &[], body).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn addresses_come_and_go_with_their_citizens_version() {
    let town = Town::new().await;
    let citizen = marie(&town).await.json();
    let points = format!("{}/contact-points", path(&citizen));
    let mail = json!({"kind": "email", "value": "Marie@Example.FR"});
    let added = town.post(&points, &[], mail.clone()).await;
    assert_eq!((added.status.as_u16(), tag(&added).as_str()), (201, "\"2\""));
    let shown = added.json()["contact_points"][1].clone();
    assert_eq!(
        (&shown["normalised"], &shown["verified"]),
        (&json!("marie@example.fr"), &Value::Null)
    );
    let again = town.post(&points, &[], mail).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, added.json()));
    let one = format!("{points}/{}", shown["id"].as_str().unwrap());
    send(&town, "PATCH", &one, None, json!({}))
        .await
        .is_problem(428, "precondition-required");
    let verified = send(&town, "PATCH", &one, Some("\"2\""), json!({"verified_how": "link in a mail"})).await;
    assert_eq!((verified.status.as_u16(), tag(&verified).as_str()), (200, "\"3\""));
    assert_eq!(verified.json()["contact_points"][1]["verified"]["how"], "link in a mail");
    send(&town, "PATCH", &one, Some("\"2\""), json!({"label": "x"}))
        .await
        .is_problem(412, "stale");
    send(&town, "PATCH", &one, Some("*"), json!({"value": "x"}))
        .await
        .is_problem(422, "invalid");
    send(&town, "DELETE", &one, None, json!({}))
        .await
        .is_problem(428, "precondition-required");
    let gone = send(&town, "DELETE", &one, Some("\"3\""), json!({})).await;
    assert_eq!(
        (gone.status.as_u16(), gone.json()["contact_points"].as_array().unwrap().len()),
        (200, 1)
    );
    send(&town, "DELETE", &one, Some("*"), json!({})).await.is_problem(404, "not-found");
    send(
        &town,
        "POST",
        "/v1/citizens/x/contact-points",
        None,
        json!({"kind": "other", "value": "x"}),
    )
    .await
    .is_problem(404, "not-found");
    let found = town.get("/v1/citizens:lookup?email=MARIE@example.fr").await.json();
    assert_eq!(found["items"], json!([]));
}

#[tokio::test]
async fn a_request_is_linked_by_hand() {
    let town = Town::new().await;
    let citizen = town
        .post("/v1/citizens", &[], json!({"kind": "organisation", "organisation": "Amicale"}))
        .await
        .json();
    let request = town.visit("bonjour").await;
    let place = path(&request);
    let linked = send(&town, "PATCH", &place, Some("\"1\""), json!({"citizen": citizen["id"]})).await;
    assert_eq!((linked.status.as_u16(), &linked.json()["citizen"]), (200, &citizen["id"]));
    let refused = send(&town, "PATCH", &place, Some("*"), json!({"citizen": "nobody"})).await;
    refused.is_problem(422, "invalid");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/citizen");
    let history = town.get(&format!("{place}/history")).await.json();
    assert_eq!(history["items"][1]["detail"]["citizen"], json!({"from": null, "to": citizen["id"]}));
    let events = town.get("/v1/changes").await.json();
    let last = events["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["type"], &last["data"]["version"]),
        (&json!("fr.voxea.request.updated"), &json!(2))
    );
    let unlinked = send(&town, "PATCH", &place, Some("\"2\""), json!({"citizen": null})).await;
    assert_eq!(unlinked.json()["citizen"], Value::Null);
    // And stays so, whoever turns out to have the number.
    marie(&town).await;
    assert_eq!(town.get(&place).await.json(), unlinked.json());
}

#[tokio::test]
async fn who_wants_no_campaigns_is_an_address() {
    let town = Town::new().await;
    let put = async |body: Value| send(&town, "PUT", "/v1/opt-outs", None, body).await;
    let stop = json!({"channel": "sms", "address": "06 12 34 56 78", "how": "STOP"});
    let noted = put(stop.clone()).await;
    assert_eq!((noted.status.as_u16(), &noted.json()["address"]), (201, &json!("+33612345678")));
    let again = put(stop).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, noted.json()));
    put(json!({"channel": "email", "address": "A@b.fr"})).await;
    for (body, pointer) in [
        (json!({"channel": "sms", "address": "anonymous"}), "/address"),
        (json!({"channel": "email", "address": "0612345678"}), "/address"),
        (json!({"channel": "fax", "address": "0612345678"}), "/channel"),
        (json!({"channel": "sms", "address": "0612345678", "how": ""}), "/how"),
    ] {
        let refused = put(body).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    assert_eq!(town.get("/v1/citizens:lookup?phone=0612345678").await.json()["opted_out"], true);
    let citizen = marie(&town).await.json();
    assert_eq!(citizen["contact_points"][0]["opted_out"]["how"], "STOP");
    let page = town.get("/v1/opt-outs?limit=1").await.json();
    assert_eq!(page["items"], json!([noted.json()]));
    let next = town
        .get(&format!("/v1/opt-outs?after={}", page["next"].as_str().unwrap()))
        .await
        .json();
    assert_eq!((&next["items"][0]["channel"], &next["next"]), (&json!("email"), &Value::Null));
    for (query, count) in [
        ("channel=sms", 1),
        ("address=0612345678", 1),
        ("address=a@B.fr&channel=sms", 0),
        ("address=0698765432", 0),
    ] {
        let found = town.get(&format!("/v1/opt-outs?{query}")).await.json();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
    town.get("/v1/opt-outs?channel=fax").await.is_problem(422, "invalid");
    town.get("/v1/opt-outs?address=").await.is_problem(422, "invalid");
    let one = format!("/v1/opt-outs/{}", noted.json()["id"].as_str().unwrap());
    assert_eq!(town.call("DELETE", &one, &[], "").await.status, 204);
    town.call("DELETE", &one, &[], "").await.is_problem(404, "not-found");
    assert_eq!(
        town.get(&path(&citizen)).await.json()["contact_points"][0]["opted_out"],
        Value::Null
    );
}

#[tokio::test]
async fn readers_read_and_only_who_answers_changes() {
    let town = Town::new().await;
    let citizen = path(&marie(&town).await.json());
    let (reader, agent, form) = (
        town.key_with(&["read"]).await,
        town.key_with(&["reply"]).await,
        town.key_with(&["intake"]).await,
    );
    let points = format!("{citizen}/contact-points");
    let changes = [
        ("POST", "/v1/citizens"),
        ("PATCH", citizen.as_str()),
        ("POST", points.as_str()),
        ("PUT", "/v1/opt-outs"),
        ("DELETE", "/v1/opt-outs/x"),
    ];
    for (method, path) in changes {
        let refused = town.call_as(&reader, method, path, &[JSON, ("if-match", "*")], "{}").await;
        refused.is_problem(403, "forbidden");
        assert_eq!(refused.json()["scope"], "reply", "{method} {path}");
    }
    for path in [
        "/v1/citizens",
        citizen.as_str(),
        "/v1/citizens:lookup?phone=0612345678",
        "/v1/opt-outs",
    ] {
        assert_eq!(town.call_as(&reader, "GET", path, &[], "").await.status, 200, "{path}");
        for key in [&agent, &form] {
            town.call_as(key, "GET", path, &[], "").await.is_problem(403, "forbidden");
        }
    }
}
