//! Recordings that are being made, as a client controls them; whoever makes one is played.

use axum::body::Body;
use serde_json::json;
use tokio::sync::mpsc;
use voxea_core::artefact::Pause;
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::id;
use voxea_core::contact::{Contact, Dedup, Done, NewRecording, Order, Wish};

use super::town::{Got, Town};

/// 2026-11-24T08:00:00Z.
const EIGHT: i64 = 1_795_507_200_000;

/// A call that goes on; its recording's id.
async fn call(town: &Town) -> String {
    let account = Account::new(Kind::Sip, "x");
    let epoch = town.core.intake.register(&account).await.unwrap();
    let (from, to) = ("+33612345678".to_owned(), "3000".to_owned());
    let mut contact = Contact::new(account, epoch, Channel::Voicemail, Dedup::Key(id::new()), from, to, EIGHT);
    let recording = id::new();
    contact.recording = Some(NewRecording {
        id: recording.clone(),
        path: format!("recordings/{recording}.vrec"),
        codec: "pcma".into(),
        rate: 8000,
        key: None,
        keep_days: 90,
    });
    town.core.intake.accept(contact).await.unwrap();
    recording
}

async fn ask(town: &Town, id: &str, what: &str) -> Got {
    let path = format!("/v1/recordings/{id}/{what}");
    town.call("POST", &path, &[], Body::empty()).await
}

#[tokio::test]
async fn who_may_change_the_request_controls_its_recording() {
    let town = Town::new().await;
    let id = call(&town).await;
    for what in ["pause", "resume", "stop", "discard"] {
        let refused = ask(&town, &id, what).await;
        refused.is_problem(503, "unavailable");
        assert_eq!(refused.headers["retry-after"], "1", "the call is nobody's here");
        ask(&town, "unknown", what).await.is_problem(404, "not-found");
        let path = format!("/v1/recordings/{id}/{what}");
        let reader = town.key_with(&["read"]).await;
        town.call_as(&reader, "POST", &path, &[], Body::empty())
            .await
            .is_problem(403, "forbidden");
    }
    let (orders, mut taken) = mpsc::channel::<Order>(1);
    let _entered = town.core.recordings.enter(&id, orders);
    tokio::spawn(async move {
        let mut pause = Pause {
            number: 0,
            first: 16_000,
            samples: None,
        };
        while let Some(order) = taken.recv().await {
            pause.samples = (order.wish == Wish::Resume).then_some(4_001);
            let done = match order.wish {
                Wish::Pause | Wish::Resume => Done::InForce(Some(pause)),
                Wish::Stop | Wish::Discard => Done::NotBegun,
            };
            let _ = order.answer.send(done);
        }
    });
    let paused = ask(&town, &id, "pause").await;
    assert_eq!(paused.status, 200);
    let me = format!("key:{}", town.key.split('_').nth(1).unwrap());
    let mut pause = json!({"offset_ms": 2_000, "duration_ms": null, "paused_by": me, "resumed_by": null});
    let shown = paused.json();
    assert_eq!((&shown["paused"], &shown["pauses"]), (&json!(true), &json!([pause])));
    assert_eq!(town.get(&format!("/v1/recordings/{id}")).await.json(), shown);
    // Whoever may change a request and not read it is answered as well.
    let writer = town.key_with(&["reply"]).await;
    let path = format!("/v1/recordings/{id}/resume");
    let resumed = town.call_as(&writer, "POST", &path, &[], Body::empty()).await;
    pause["duration_ms"] = json!(500);
    pause["resumed_by"] = json!(format!("key:{}", writer.split('_').nth(1).unwrap()));
    let shown = resumed.json();
    assert_eq!((&shown["paused"], &shown["pauses"]), (&json!(false), &json!([pause])));
    let refused = ask(&town, &id, "stop").await;
    refused.is_problem(409, "conflict");
    assert_eq!(refused.json()["state"], "recording", "it has not begun");
    // A row for each thing that was done, and none for what was refused.
    let trail = town.get(&format!("/v1/audit?limit=500&object=recording/{id}")).await.json();
    let actions: Vec<&str> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["paused", "read", "resumed"]);
}
