//! The feed as its readers ask for it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use voxea_core::base::actor::Actor;
use voxea_core::base::time;
use voxea_core::feed::new_epoch;

use super::town::{Got, Town};
use crate::http::cursor;

const PATIENCE: Duration = Duration::from_secs(20);

impl Town {
    async fn change(&self, request: &Value, patch: Value) {
        let path = format!("/v1/requests/{}", request["id"].as_str().unwrap());
        let headers = [("if-match", "*"), ("content-type", "application/json")];
        let got = self.call("PATCH", &path, &headers, patch.to_string()).await;
        assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
    }

    async fn asked(&self, path: &str, headers: &[(&str, &str)]) -> Got {
        self.call("GET", path, headers, Body::empty()).await
    }

    async fn listen(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let response = self.open(path, headers).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Stream {
            body: response.into_body().into_data_stream(),
            read: String::new(),
        }
    }
}

struct Stream {
    body: BodyDataStream,
    read: String,
}

impl Stream {
    /// The next event: its id, its type and its data.
    async fn event(&mut self) -> (String, String, Value) {
        loop {
            if let Some((frame, rest)) = self.read.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let (Some(id), Some(kind), Some(data)) = (field("id: "), field("event: "), field("data: ")) {
                    return (id, kind, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let more = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("a piece in time");
            self.read
                .push_str(std::str::from_utf8(&more.expect("it goes on").unwrap()).unwrap());
        }
    }
}

fn told(page: &Value) -> Vec<(&str, &str)> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|event| (event["type"].as_str().unwrap(), event["subject"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_reader_of_a_theme_learns_what_comes_and_goes() {
    let town = Town::new().await;
    let request = town.visit("un").await;
    let id = request["id"].as_str().unwrap();
    let begun = town.get("/v1/changes").await.json();
    let next = begun["next"].as_str().unwrap();
    assert_eq!(begun["items"][0]["data"]["theme"], Value::Null);
    town.change(&request, json!({"theme": "voirie"})).await;
    town.change(&request, json!({"status": "open"})).await;
    town.change(&request, json!({"theme": "proprete"})).await;
    let whole = town.get(&format!("/v1/changes?after={next}")).await.json();
    let page = town
        .get(&format!("/v1/changes?after={next}&theme=voirie&type=fr.voxea.request.*"))
        .await
        .json();
    let kinds = [
        "fr.voxea.request.updated",
        "fr.voxea.request.status_changed",
        "fr.voxea.request.deleted",
    ];
    assert_eq!(told(&page), kinds.map(|kind| (kind, id)));
    assert_eq!(page["items"][0]["data"]["reason"], "entered");
    assert_eq!(page["items"][1]["data"]["theme"], "voirie");
    assert_eq!(page["items"][2]["data"], json!({"request_id": id, "reason": "left"}));
    for at in 0..3 {
        assert_eq!(page["items"][at]["id"], whole["items"][at]["id"]);
        assert_eq!(page["items"][at]["sequence"], whole["items"][at]["sequence"]);
    }
    let latest = town
        .get(&format!("/v1/changes?after={next}&theme=voirie,proprete&mode=latest"))
        .await
        .json();
    assert_eq!(told(&latest), [("fr.voxea.request.updated", id)]);
    let unthemed = town.get("/v1/changes?theme=_none&type=fr.voxea.request.created").await.json();
    assert_eq!(
        told(&unthemed),
        [("fr.voxea.request.created", id), ("fr.voxea.request.deleted", id)]
    );
    for wrong in [
        "theme=vorie",
        "theme=",
        "type=request.created",
        "mode=newest",
        "type=fr.voxea.request.made",
    ] {
        town.get(&format!("/v1/changes?{wrong}")).await.is_problem(422, "invalid");
    }
    let listed = |theme: &'static str| {
        let town = &town;
        async move {
            town.get(&format!("/v1/requests?theme={theme}")).await.json()["items"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    assert_eq!(
        (listed("proprete").await, listed("voirie").await, listed("_none,proprete").await),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn who_cannot_go_on_is_shown_the_way_back() {
    let town = Town::new().await;
    town.visit("un").await;
    let next = town.get("/v1/changes").await.json()["next"].as_str().unwrap().to_owned();
    let epoch = new_epoch(&town.core.store, &Actor::System, time::now()).await.unwrap();
    for path in ["/v1/changes", "/v1/changes/stream", "/v1/requests"] {
        let refused = town.get(&format!("{path}?after={next}")).await;
        refused.is_problem(409, "feed-epoch");
        assert_eq!(
            (&refused.json()["epoch"], &refused.json()["snapshot"]),
            (&json!(epoch), &json!("/v1/requests?snapshot=true"))
        );
    }
    town.asked("/v1/changes/stream", &[("last-event-id", &next)])
        .await
        .is_problem(409, "feed-epoch");
    town.asked("/v1/changes/stream", &[("last-event-id", "17")])
        .await
        .is_problem(400, "bad-cursor");
    // A cursor that a backup does not reach, and one from before what is kept.
    let state = town.core.feed.state().await.unwrap();
    let beyond = cursor::of_feed(&epoch, state.head + 1);
    town.get(&format!("/v1/changes?after={beyond}")).await.is_problem(409, "feed-epoch");
    town.get(&format!("/v1/changes/stream?after={beyond}"))
        .await
        .is_problem(409, "feed-epoch");
    let early = cursor::of_feed(&epoch, 0);
    assert_eq!(town.get(&format!("/v1/changes?after={early}")).await.status, 200);
    assert!(!town.core.feed.forget(time::now() + 1000).await.unwrap());
    let refused = town.get(&format!("/v1/changes?after={early}")).await;
    refused.is_problem(410, "feed-gone");
    assert_eq!(refused.json()["snapshot"], "/v1/requests?snapshot=true");
    assert_eq!(town.get("/v1/changes").await.status, 200, "who begins, begins with what there is");
}

#[tokio::test]
async fn a_long_poll_answers_when_something_happens() {
    let town = Town::new().await;
    let next = town.get("/v1/changes").await.json()["next"].as_str().unwrap().to_owned();
    let path = format!("/v1/changes?after={next}&type=fr.voxea.request.created");
    let began = Instant::now();
    let empty = town.asked(&path, &[("prefer", "wait=1")]).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(
        (told(&empty.json()).len(), &empty.headers["preference-applied"]),
        (0, &"wait=1".parse().unwrap())
    );
    let poll = async {
        let got = town.asked(&path, &[("prefer", "wait=60")]).await;
        assert_eq!(got.headers["preference-applied"], "wait=25");
        (got.json(), Instant::now())
    };
    let visit = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (town.visit("un").await, Instant::now())
    };
    let ((page, woken), (request, committed)) = tokio::join!(poll, visit);
    assert_eq!(told(&page), [("fr.voxea.request.created", request["id"].as_str().unwrap())]);
    // It may be woken before its visitor has the answer. The bound is for a machine that does much else.
    assert!(woken.saturating_duration_since(committed) < Duration::from_secs(1));
    // What is there already is not waited for.
    let at_once = tokio::time::timeout(Duration::from_secs(5), town.asked(&path, &[("prefer", "wait=25")])).await;
    assert_eq!(told(&at_once.unwrap().json()).len(), 1);
}

#[tokio::test]
async fn a_stream_goes_on_from_the_last_event_that_was_seen() {
    let town = Town::new().await;
    let first = town.visit("un").await;
    let mut stream = town.listen("/v1/changes/stream", &[]).await;
    let mut ids = Vec::new();
    for kind in ["fr.voxea.request.created", "fr.voxea.interaction.received"] {
        let (id, told, data) = stream.event().await;
        assert_eq!((told.as_str(), &data["subject"], &data["type"]), (kind, &first["id"], &json!(kind)));
        ids.push(id);
    }
    let second = town.visit("deux").await;
    for kind in ["fr.voxea.request.created", "fr.voxea.interaction.received"] {
        let (_, told, data) = stream.event().await;
        assert_eq!((told.as_str(), &data["subject"]), (kind, &second["id"]));
    }
    // By Accept too, with a filter, from an id.
    let accept = [("accept", "text/event-stream"), ("last-event-id", ids[0].as_str())];
    let mut filtered = town.listen("/v1/changes?type=fr.voxea.interaction.*", &accept).await;
    assert_eq!(filtered.event().await.2["subject"], first["id"]);
    assert_eq!(filtered.event().await.2["subject"], second["id"]);
    // The ids are cursors of the pages.
    let page = town.get(&format!("/v1/changes?after={}", ids[1])).await.json();
    assert_eq!(page["items"][0]["subject"], second["id"]);
    // There are so many places, and one that is left is free again.
    let third = town.listen("/v1/changes/stream", &[]).await;
    let fourth = town.listen("/v1/changes/stream", &[]).await;
    town.get("/v1/changes/stream").await.is_problem(503, "unavailable");
    drop((third, fourth));
    town.listen("/v1/changes/stream", &[]).await.event().await;
}

#[tokio::test]
async fn an_atom_reader_follows_next() {
    let town = Town::new().await;
    for text in ["un", "deux"] {
        town.visit(text).await;
    }
    let accept = [("accept", "application/atom+xml")];
    let (mut path, mut seen) = ("/v1/changes?limit=3".to_owned(), BTreeSet::new());
    for entries in [3, 1, 0] {
        let got = town.asked(&path, &accept).await;
        assert_eq!(got.headers["content-type"], "application/atom+xml;charset=utf-8");
        let text = String::from_utf8(got.body).unwrap();
        assert_eq!(text.matches("<entry>").count(), entries, "{text}");
        seen.extend(
            text.split("<id>urn:uuid:")
                .skip(1)
                .map(|rest| rest.split('<').next().unwrap().to_owned()),
        );
        let (_, next) = text.split_once("<link rel=\"next\" href=\"").unwrap();
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    let page = town.get("/v1/changes").await.json();
    let ids = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned());
    assert_eq!(seen, ids.collect());
}

#[tokio::test]
async fn a_snapshot_and_the_changes_after_it_have_no_hole() {
    let town = Town::new().await;
    for number in 0..5 {
        town.visit(&number.to_string()).await;
    }
    let first = town.get("/v1/requests?snapshot=true&limit=2").await.json();
    let late = town.visit("six").await;
    town.change(&first["items"][0], json!({"subject": "changé"})).await;
    let (mut next, mut listed) = (
        first["next"].as_str().map(str::to_owned),
        first["items"].as_array().unwrap().clone(),
    );
    while let Some(after) = next {
        let page = town.get(&format!("/v1/requests?limit=2&after={after}")).await.json();
        assert_eq!(page["changes"], first["changes"], "on every page");
        listed.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
    }
    assert!(listed.len() >= 5);
    let changes = town
        .get(&format!("/v1/changes?after={}", first["changes"].as_str().unwrap()))
        .await
        .json();
    let told: Vec<&Value> = changes["items"].as_array().unwrap().iter().map(|event| &event["subject"]).collect();
    assert!(told.contains(&&late["id"]) && told.contains(&&first["items"][0]["id"]));
    assert!(!told.contains(&&listed[1]["id"]), "what was listed as it is comes no second time");
    let plain = town.get("/v1/requests?limit=2").await.json();
    assert!(plain.get("changes").is_none());
    let wrong = format!("/v1/requests?snapshot=true&after={}", plain["next"].as_str().unwrap());
    town.get(&wrong).await.is_problem(400, "bad-request");
    town.get("/v1/requests?snapshot=yes").await.is_problem(400, "bad-request");
}
