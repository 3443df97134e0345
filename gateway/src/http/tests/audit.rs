//! The audit trail as a client meets it: every read is entered before its answer leaves.

use axum::body::Body;
use serde_json::{Value, json};
use voxea_core::artefact::{CallEnd, Ending, RecordingOutcome};
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::grant::Scopes;
use voxea_core::base::id;
use voxea_core::contact::{Contact, Dedup, NewRecording};
use voxea_recorder::codec::Codec;
use voxea_recorder::writer::{Channel as Leg, Writer};

use super::town::Town;

/// 2026-11-24T08:00:00Z.
const EIGHT: i64 = 1_795_507_200_000;

impl Town {
    /// Rows of the trail about an object: actor, action, purpose, detail.
    async fn trail(&self, object: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/audit?limit=500&object={object}")).await.json();
        let rows = page["items"].as_array().unwrap().iter();
        rows.map(|row| json!([row["actor"], row["action"], row["purpose"], row["detail"]]))
            .collect()
    }

    async fn get_for(&self, purpose: &str, path: &str) -> super::town::Got {
        self.call("GET", path, &[("voxea-purpose", purpose)], Body::empty()).await
    }

    fn actor(&self) -> String {
        format!("key:{}", self.key.split('_').nth(1).unwrap())
    }

    /// A deposited message of two seconds; its id.
    async fn recording(&self) -> String {
        let recording = id::new();
        let mut writer = Writer::create(&self.core.blobs.recordings_folder(), &recording, Codec::Pcma, EIGHT).unwrap();
        let file = writer.path().file_name().unwrap().to_str().unwrap().to_owned();
        let account = Account::new(Kind::Sip, "x");
        let epoch = self.core.intake.register(&account).await.unwrap();
        let (from, to) = ("+33612345678".to_owned(), "3000".to_owned());
        let mut contact = Contact::new(account, epoch, Channel::Voicemail, Dedup::Key(id::new()), from, to, EIGHT);
        contact.recording = Some(NewRecording {
            id: recording.clone(),
            path: format!("recordings/{file}"),
            codec: "pcma".into(),
            rate: 8000,
            key: None,
            keep_days: 90,
        });
        let accepted = self.core.intake.accept(contact).await.unwrap();
        writer.push(Leg::Caller, &[7; 16_000]);
        writer.push_silence(Leg::Us, 16_000);
        writer.finish(16_000).unwrap();
        let sealed = RecordingOutcome::Sealed { samples: 16_000 };
        let recordings = &self.core.recordings;
        recordings
            .ended(
                &accepted.interaction_id,
                &Ending::new(CallEnd::Caller, EIGHT + 2_000),
                Some(EIGHT),
                &sealed,
            )
            .await
            .unwrap();
        recording
    }
}

#[tokio::test]
async fn a_read_is_entered_with_who_and_why() {
    let town = Town::new().await;
    let made = town.visit("Un trou").await;
    let (id, me) = (made["id"].as_str().unwrap(), town.actor());
    let path = format!("/v1/requests/{id}");
    assert_eq!(town.get_for("réclamation 12", &path).await.status, 200);
    town.get(&format!("{path}/interactions")).await;
    town.get(&format!("{path}/history")).await;
    let rows = town.trail(&format!("request/{id}")).await;
    let interaction = rows[0][3]["interaction_id"].clone();
    assert_eq!(
        rows,
        [
            json!([me, "taken_in", null, {"interaction_id": interaction, "channel": "counter"}]),
            json!([me, "read", "réclamation 12", {}]),
            json!([me, "read_interactions", null, {}]),
            json!([me, "read_history", null, {}]),
        ]
    );
    // An artefact as it came.
    let raw = format!("/v1/interactions/{}/raw", interaction.as_str().unwrap());
    town.get(&raw).await;
    assert_eq!(town.trail(&format!("interaction/{}", interaction.as_str().unwrap())).await.len(), 1);
    // An id written another way is the same request.
    let escaped = path.replace("/v1/requests/0", "/v1/requests/%30");
    assert_ne!(escaped, path);
    assert_eq!(town.get(&escaped).await.status, 200);
    assert_eq!(town.trail(&format!("request/{id}")).await.len(), 5);
    // What shows nobody is not entered, and neither is what was refused.
    let before = town.core.audit.status().await.unwrap().rows;
    for path in [
        "/v1/changes",
        "/v1/themes",
        "/v1/jobs",
        "/v1/channels",
        "/v1/requests/x",
        "/v1/requests?limit=0",
    ] {
        town.get(path).await;
    }
    assert_eq!(town.call("HEAD", &path, &[], Body::empty()).await.status, 200);
    town.send(axum::http::Request::get(&path).body(Body::empty()).unwrap())
        .await
        .is_problem(401, "unauthenticated");
    assert_eq!(town.core.audit.status().await.unwrap().rows, before);
}

#[tokio::test]
async fn a_list_says_how_much_was_seen_and_not_what_for_whom() {
    let town = Town::new().await;
    let ids: Vec<Value> = [town.visit("a").await, town.visit("b").await]
        .map(|made| made["id"].clone())
        .to_vec();
    let got = town.get("/v1/requests?channel=counter&limit=10").await.json();
    assert_eq!(got["items"].as_array().unwrap().len(), 2);
    town.get("/v1/requests?channel=sms").await;
    let rows = town.trail("requests?channel=counter%26limit=10").await;
    assert_eq!(
        rows,
        [json!([town.actor(), "listed", null, {"count": 2, "first": ids[0], "last": ids[1]}])]
    );
    assert_eq!(town.trail("requests?channel=sms").await[0][3], json!({"count": 0}));
}

#[tokio::test]
async fn a_recording_fetched_in_pieces_is_one_listening() {
    let town = Town::new().await;
    let (recording, me) = (town.recording().await, town.actor());
    let (path, object) = (format!("/v1/recordings/{recording}/audio"), format!("recording/{recording}"));
    let piece = async |range: &'static str, purpose: &'static str| {
        let headers = [("range", range), ("voxea-purpose", purpose)];
        let got = town.call("GET", &path, &headers, Body::empty()).await;
        assert_eq!(got.status, 206);
    };
    for range in ["bytes=0-", "bytes=100-", "bytes=9000-9999", "bytes=-58"] {
        piece(range, "plainte").await;
    }
    assert_eq!(town.trail(&object).await, [json!([me, "listened", "plainte", {}])]);
    piece("bytes=100-", "autre chose").await;
    piece("bytes=0-", "plainte").await;
    let purposes: Vec<Value> = town.trail(&object).await.into_iter().map(|row| row[2].clone()).collect();
    assert_eq!(
        purposes,
        ["plainte", "autre chose", "plainte"],
        "another purpose is another listening, and so is a new start"
    );
    // One that begins in the middle is entered too.
    let other = town.recording().await;
    let got = town
        .call(
            "GET",
            &format!("/v1/recordings/{other}/audio"),
            &[("range", "bytes=100-")],
            Body::empty(),
        )
        .await;
    assert_eq!(got.status, 206);
    assert_eq!(town.trail(&format!("recording/{other}")).await, [json!([me, "listened", null, {}])]);
    town.get(&format!("/v1/recordings/{other}/waveform")).await;
    town.get(&format!("/v1/recordings/{other}")).await;
    let actions: Vec<Value> = town
        .trail(&format!("recording/{other}"))
        .await
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    assert_eq!(actions, ["listened", "read_waveform", "read"]);
}

#[tokio::test]
async fn where_a_purpose_is_required_nobody_listens_without() {
    let town = Town::strict().await;
    let recording = town.recording().await;
    let path = format!("/v1/recordings/{recording}/audio");
    town.get(&path).await.is_problem(400, "purpose-required");
    town.get(&format!("/v1/recordings/{recording}/waveform"))
        .await
        .is_problem(400, "purpose-required");
    town.get_for("", &path).await.is_problem(400, "bad-request");
    assert_eq!(town.get_for("plainte", &path).await.status, 200);
    assert_eq!(
        town.get(&format!("/v1/recordings/{recording}")).await.status,
        200,
        "what is known of it is no sound"
    );
    // The contract of a key says it for every call.
    let contract = Contract {
        purpose: Some("qualité".to_owned()),
        ..Contract::everything(Scopes::from_names(["read"]).unwrap())
    };
    let key = town.core.keys.create(&Actor::System, "quality", &contract).await.unwrap();
    assert_eq!(town.call_as(&key, "GET", &path, &[], Body::empty()).await.status, 200);
    let purposes: Vec<Value> = town
        .trail(&format!("recording/{recording}"))
        .await
        .into_iter()
        .map(|row| row[2].clone())
        .collect();
    assert_eq!(purposes, [json!("plainte"), Value::Null, json!("qualité")]);
    // Whoever may not know that there is such a recording does not learn it by being asked for a purpose.
    town.get("/v1/recordings/x/audio").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn what_cannot_be_entered_is_not_shown() {
    let town = Town::new().await;
    let made = town.visit("Un trou").await;
    let path = format!("/v1/requests/{}", made["id"].as_str().unwrap());
    // Somebody else writes for longer than a read waits.
    let writing = town.core.store.begin().await.unwrap();
    let refused = town.get(&path).await;
    refused.is_problem(503, "unavailable");
    assert!(!String::from_utf8_lossy(&refused.body).contains("33612345678"));
    assert_eq!(town.get("/v1/changes").await.status, 200, "what shows nobody is not held up");
    assert_eq!(town.core.audit.status().await.unwrap().failures, 1);
    drop(writing);
    assert_eq!(town.get(&path).await.status, 200);
}

#[tokio::test]
async fn the_trail_is_read_by_administrators_and_written_by_nobody() {
    let town = Town::new().await;
    let reader = town.key_with(&["read", "reply", "intake"]).await;
    town.call_as(&reader, "GET", "/v1/audit", &[], Body::empty())
        .await
        .is_problem(403, "forbidden");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        town.call(method, "/v1/audit", &[("content-type", "application/json")], "{}")
            .await
            .is_problem(405, "method-not-allowed");
    }
    // Two keys were made; then this page, which does not show itself, and the next one, which shows it.
    let first = town.get("/v1/audit?limit=1").await.json();
    assert_eq!(first["items"][0]["action"], "created");
    let next = first["next"].as_str().unwrap();
    let rest = town.get(&format!("/v1/audit?after={next}")).await.json();
    let rows = rest["items"].as_array().unwrap();
    assert_eq!((rows.len(), &rest["next"]), (2, &Value::Null));
    let told = (&rows[1]["action"], &rows[1]["object"], &rows[1]["detail"]);
    assert_eq!(
        told,
        (
            &json!("listed"),
            &json!("audit?limit=1"),
            &json!({"count": 1, "first": 1, "last": 1})
        )
    );
    assert_eq!(rows[1]["actor"], town.actor());
    assert_eq!(
        town.get("/v1/audit?actor=system").await.json()["items"].as_array().unwrap().len(),
        2
    );
    town.get("/v1/audit?object=%00").await.is_problem(400, "bad-request");
    town.get("/v1/audit?after=x").await.is_problem(400, "bad-cursor");
    let document = town.get("/openapi.json").await.json();
    for path in ["/v1/requests", "/v1/recordings/{id}/audio"] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        assert!(
            parameters.iter().any(|one| one["name"] == "Voxea-Purpose" && one["in"] == "header"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_theme_that_is_changed_is_entered() {
    let town = Town::new().await;
    let body = json!({"label": "Voirie", "service": "service-technique"}).to_string();
    let headers = [("if-match", "*"), ("content-type", "application/json")];
    let got = town.call("PUT", "/v1/themes/voirie", &headers, body).await;
    assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
    let rows = town.trail("theme/voirie").await;
    assert_eq!((rows.len(), &rows[0][0], &rows[0][1]), (1, &json!(town.actor()), &json!("put")));
    let detail = &rows[0][3];
    assert_eq!(detail["made"], false);
    let members: Vec<&str> = detail["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert!(members.contains(&"keywords") && !members.contains(&"service"), "{detail}");
}
