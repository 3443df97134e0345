//! Contacts that are moved, as a client asks for it.

use serde_json::{Value, json};
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::grant::{Grant, Scopes};
use voxea_core::contact::{Accepted, Contact, Dedup};

use super::town::{Got, Town};

/// 2026-11-24T08:00:00Z.
const EIGHT: i64 = 1_795_507_200_000;

async fn text(town: &Town, key: &str, theme: &str) -> Accepted {
    let account = Account::new(Kind::Smpp, "x");
    let epoch = town.core.intake.register(&account).await.unwrap();
    let (from, to) = ("+33612345678".to_owned(), "36123".to_owned());
    let mut contact = Contact::new(account, epoch, Channel::Sms, Dedup::Key(key.to_owned()), from, to, EIGHT);
    contact.text = Some(key.to_owned());
    contact.theme = Some(theme.to_owned());
    town.core.intake.accept(contact).await.unwrap()
}

async fn moved(town: &Town, token: &str, interaction: &str, body: Value) -> Got {
    let path = format!("/v1/interactions/{interaction}/move");
    let headers = [("if-match", "*"), ("content-type", "application/json")];
    town.call_as(token, "POST", &path, &headers, body.to_string()).await
}

#[tokio::test]
async fn a_move_says_where_the_contact_is_now() {
    let town = Town::sealed().await;
    let (one, two) = (text(&town, "un", "voirie").await, text(&town, "deux", "voirie").await);
    let joined = moved(&town, &town.key, &two.interaction_id, json!({"to": one.request_id})).await;
    assert_eq!(joined.status, 200, "{}", joined.json());
    assert_eq!(
        (joined.json()["id"].as_str(), joined.headers["etag"].to_str().unwrap()),
        (Some(one.request_id.as_str()), "\"2\"")
    );
    let left = town.get(&format!("/v1/requests/{}", two.request_id)).await.json();
    assert_eq!(left["status"], "merged");
    let opened = moved(&town, &town.key, &two.interaction_id, json!({"to": null})).await;
    assert_eq!(opened.status, 201);
    let request = opened.json();
    assert_eq!(opened.headers["location"], request["links"]["self"].as_str().unwrap());
    assert_eq!(
        (&request["theme"], &request["from"], &request["status"]),
        (&json!("voirie"), &json!("+33612345678"), &json!("received"))
    );
    for (body, status, slug) in [
        (json!({"to": null}), 409, "conflict"),
        (json!({"to": request["id"]}), 422, "invalid"),
        (json!({"to": "unknown"}), 404, "not-found"),
        (json!({"to": one.request_id, "from": two.request_id}), 422, "invalid"),
        (json!({}), 422, "invalid"),
        (json!({"to": 7}), 422, "invalid"),
        (json!({"to": null, "form": "x"}), 422, "invalid"),
    ] {
        moved(&town, &town.key, &two.interaction_id, body).await.is_problem(status, slug);
    }
    moved(&town, &town.key, "unknown", json!({"to": null}))
        .await
        .is_problem(404, "not-found");
    let path = format!("/v1/interactions/{}/move", two.interaction_id);
    town.post(&path, &[], json!({"to": null}))
        .await
        .is_problem(428, "precondition-required");
    town.post(&path, &[("if-match", "\"9\"")], json!({"to": one.request_id}))
        .await
        .is_problem(412, "stale");
}

#[tokio::test]
async fn who_moves_must_reach_both() {
    let town = Town::new().await;
    let (here, there) = (text(&town, "un", "voirie").await, text(&town, "deux", "cantine-inscription").await);
    let scopes = Scopes::from_names(["read", "reply"]).unwrap();
    let mut contract = Contract::everything(scopes);
    let grant: Grant = serde_json::from_value(json!({"operations": ["read", "reply"], "themes": ["voirie"]})).unwrap();
    contract.grant = grant;
    let narrow = town.core.keys.create(&Actor::System, "narrow", &contract).await.unwrap();
    let before = town.get("/v1/changes").await.json();
    moved(&town, &narrow, &here.interaction_id, json!({"to": there.request_id}))
        .await
        .is_problem(404, "not-found");
    moved(&town, &narrow, &there.interaction_id, json!({"to": here.request_id}))
        .await
        .is_problem(404, "not-found");
    let reader = town.key_with(&["read"]).await;
    moved(&town, &reader, &here.interaction_id, json!({"to": there.request_id}))
        .await
        .is_problem(403, "forbidden");
    assert_eq!(town.get("/v1/changes").await.json(), before, "nothing was changed");
    let trail = town.get("/v1/audit?limit=500").await.json();
    assert!(!trail.to_string().contains("moved_"), "{trail}");
    let both = town.key_with(&["reply"]).await;
    let done = moved(&town, &both, &here.interaction_id, json!({"to": there.request_id})).await;
    assert_eq!(done.status, 200);
    let trail = town.get("/v1/audit?limit=500").await.json().to_string();
    assert!(trail.contains("moved_out") && trail.contains("moved_in"), "{trail}");
}
