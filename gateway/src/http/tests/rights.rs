//! The whole matrix of rights, from the OpenAPI document: every route × every id × every kind of caller, and not one byte
//! of a foreign request.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use voxea_core::artefact::{CallEnd, Ending, RecordingOutcome};
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::id;
use voxea_core::citizen::{CitizenKind, NewCitizen, NewPoint, PointKind};
use voxea_core::contact::{Contact, Dedup, NewAttachment, NewRecording, Raw};
use voxea_core::outbox::{NewReply, Sender};
use voxea_recorder::codec::Codec;
use voxea_recorder::writer::{Channel as Leg, Writer};

use super::town::{Got, Town};

/// 2026-11-24T08:00:00Z.
const EIGHT: i64 = 1_795_507_200_000;

/// What agents must say before they hear a recording.
const PURPOSE: [(&str, &str); 1] = [("voxea-purpose", "instruction")];

/// A request, and all by which it would be known in an answer.
struct Known {
    theme: Option<&'static str>,
    channel: Channel,
    /// Ids of it and of what belongs to it.
    ids: Vec<String>,
    /// Texts that stand nowhere else.
    marks: Vec<String>,
}

/// Whoever calls, and which requests they reach by this test's own reckoning.
struct Caller {
    name: String,
    token: String,
    scopes: &'static [&'static str],
    reaches: fn(Channel, Option<&str>) -> bool,
}

impl Caller {
    /// What is not about requests is changed by those alone whom nothing restricts.
    fn may(&self, scope: &str) -> bool {
        let admin = self.scopes.contains(&"admin");
        if scope == "admin" {
            admin && self.name.ends_with("everything")
        } else {
            admin || self.scopes.contains(&scope)
        }
    }

    /// Citizens and opt-outs are for whom neither themes nor channels restrict.
    fn whole(&self) -> bool {
        ["everything", "normal", "restricted"]
            .iter()
            .any(|reach| self.name.ends_with(&format!("on {reach}")))
    }

    /// Whether the scopes of an operation let the caller in.
    fn granted(&self, operation: &Operation) -> bool {
        let town = ["/v1/citizens", "/v1/opt-outs"].iter().any(|path| operation.path.starts_with(path));
        // What names no scope is everybody's who is known, or gives a token itself.
        (operation.scopes.is_empty() || operation.scopes.iter().any(|scope| self.may(scope))) && (!town || self.whole())
    }

    fn reaches(&self, known: &Known) -> bool {
        (self.reaches)(known.channel, known.theme)
    }
}

async fn request(town: &Town, number: usize, channel: Channel, theme: Option<&'static str>) -> Known {
    let mark = format!("marque{number:03}");
    let (kind, from, to) = match channel {
        Channel::Sms => (Kind::Smpp, format!("+336120{number:05}"), "36123"),
        Channel::Voicemail => (Kind::Sip, format!("+336120{number:05}"), "3000"),
        _ => (Kind::Mailbox, format!("{mark}@example.fr"), "mairie@example.fr"),
    };
    let account = Account::new(kind, "x");
    let epoch = town.core.intake.register(&account).await.unwrap();
    let mut contact = Contact::new(
        account.clone(),
        epoch,
        channel,
        Dedup::Key(mark.clone()),
        from.clone(),
        to.to_owned(),
        EIGHT,
    );
    contact.from_name = Some(format!("Nom {mark}"));
    contact.subject = Some(format!("Objet {mark}"));
    contact.text = Some(format!("Texte {mark}"));
    contact.theme = theme.map(str::to_owned);
    contact.raw = Some(Raw::Inline {
        media_type: "message/rfc822",
        bytes: Bytes::from(format!("Content-Type: text/html\n\n<p>brut {mark}</p>")),
    });
    let blob = town.core.blobs.put(Bytes::from(format!("fichier {mark}"))).await.unwrap();
    contact.attachments = vec![NewAttachment {
        name: format!("{mark}.txt"),
        media_type: "text/plain".to_owned(),
        blob,
        inline: false,
        content_id: None,
    }];
    let mut citizen = NewCitizen::new(CitizenKind::Person);
    citizen.family_name = Some(format!("Famille {mark}"));
    citizen.points = vec![NewPoint {
        kind: if from.contains('@') { PointKind::Email } else { PointKind::Phone },
        raw: from.clone(),
        label: None,
        verified_how: None,
    }];
    let citizen = town.core.citizens.create(&Actor::System, &citizen, None).await.unwrap().citizen;
    let mut ids = vec![citizen.id, citizen.points[0].id.clone()];
    if channel == Channel::Voicemail {
        let recording = id::new();
        ids.push(recording.clone());
        let folder = town.core.blobs.recordings_folder();
        let mut writer = Writer::create(&folder, &recording, Codec::Pcma, EIGHT).unwrap();
        writer.push(Leg::Caller, mark.as_bytes());
        writer.push_silence(Leg::Us, mark.len() as u64);
        let file = writer.path().file_name().unwrap().to_str().unwrap().to_owned();
        writer.finish(mark.len() as u64).unwrap();
        contact.recording = Some(NewRecording {
            id: recording,
            path: format!("recordings/{file}"),
            codec: "pcma".into(),
            rate: 8000,
            key: None,
            keep_days: 90,
        });
    }
    let accepted = town.core.intake.accept(contact).await.unwrap();
    if channel == Channel::Voicemail {
        let sealed = RecordingOutcome::Sealed {
            samples: mark.len() as u64,
        };
        let ending = Ending::new(CallEnd::Caller, EIGHT);
        let ended = town.core.recordings.ended(&accepted.interaction_id, &ending, Some(EIGHT), &sealed);
        ended.await.unwrap();
    } else {
        town.core.outbox.register(Sender {
            channel,
            account,
            from: to.to_owned(),
        });
        let reply = NewReply {
            channel: Some(channel),
            text: format!("Reponse {mark}"),
            subject: None,
        };
        let reply = town.core.outbox.reply(&Actor::System, &accepted.request_id, &reply).await.unwrap();
        ids.push(reply.id);
    }
    let shown = town
        .core
        .interactions
        .of_request(&Actor::System, &accepted.request_id)
        .await
        .unwrap();
    for one in &shown {
        ids.push(one.row.id.clone());
        ids.extend(one.attachments.iter().map(|attachment| attachment.id.clone()));
    }
    ids.push(accepted.request_id);
    let marks = ids.iter().cloned().chain([mark, from, accepted.reference]).collect();
    Known {
        theme,
        channel,
        ids,
        marks,
    }
}

/// Every kind of key: what it may do × what it reaches.
async fn keys(town: &Town) -> Vec<Caller> {
    const SCOPES: [&[&str]; 5] = [&["read"], &["reply"], &["intake"], &["read", "reply", "intake"], &["admin"]];
    type Reaches = fn(Channel, Option<&str>) -> bool;
    let reaches: [(&str, Value, Reaches); 7] = [
        ("everything", json!({"confidentiality": "secret"}), |_, _| true),
        ("normal", json!({}), |_, theme| !matches!(theme, Some("aides" | "salubrite"))),
        ("restricted", json!({"confidentiality": "restricted"}), |_, theme| {
            theme != Some("aides")
        }),
        ("one service", json!({"services": ["service-technique"]}), |_, theme| {
            theme == Some("voirie")
        }),
        (
            "one theme, secret, or none",
            json!({"themes": ["aides"], "unthemed": true, "confidentiality": "secret"}),
            |_, theme| matches!(theme, Some("aides") | None),
        ),
        ("a secret theme at level normal", json!({"themes": ["aides"]}), |_, _| false),
        (
            "texts of one theme",
            json!({"themes": ["voirie"], "channels": ["sms"]}),
            |channel, theme| channel == Channel::Sms && theme == Some("voirie"),
        ),
    ];
    let mut callers = Vec::new();
    for scopes in SCOPES {
        for (name, grant, reaches) in &reaches {
            let mut grant = grant.clone();
            grant["operations"] = json!(scopes);
            let contract: Contract = serde_json::from_value(json!({ "grant": grant })).unwrap();
            callers.push(Caller {
                name: format!("key {} on {name}", scopes.join("+")),
                token: town.core.keys.create(&Actor::System, name, &contract).await.unwrap(),
                scopes,
                reaches: *reaches,
            });
        }
    }
    callers
}

/// Agents, logged in: with the roles that are shipped, one of their own, and two at once.
async fn agents(town: &Town) -> Vec<Caller> {
    type Reaches = fn(Channel, Option<&str>) -> bool;
    type Kind = (&'static str, &'static [&'static str], &'static [&'static str], Reaches);
    let normal: Reaches = |_, theme| !matches!(theme, Some("aides" | "salubrite"));
    let kinds: [Kind; 5] = [
        ("administrator on everything", &["administrator"], &["admin"], |_, _| true),
        ("agent on normal", &["agent"], &["read", "reply", "intake"], normal),
        ("reader on normal", &["reader"], &["read"], normal),
        ("of one service", &["technique"], &["read", "reply"], |_, theme| {
            theme == Some("voirie")
        }),
        ("of two roles", &["technique", "aides"], &["read", "reply"], |_, theme| {
            matches!(theme, Some("voirie" | "aides"))
        }),
    ];
    let json = ("content-type", "application/json");
    let put = async |path: String, body: Value| {
        let got = town.call("PUT", &path, &[("if-none-match", "*"), json], body.to_string()).await;
        assert!(got.status.is_success(), "{path} {}", got.json());
    };
    let grant = json!({"operations": ["read", "reply"], "services": ["service-technique"]});
    put("/v1/roles/technique".to_owned(), json!({"label": "T", "grants": [grant]})).await;
    let grant = json!({"operations": ["read", "reply"], "themes": ["aides"], "confidentiality": "secret"});
    put("/v1/roles/aides".to_owned(), json!({"label": "A", "grants": [grant]})).await;
    let mut callers = Vec::new();
    for (number, (name, roles, scopes, reaches)) in kinds.into_iter().enumerate() {
        let (login, password) = (format!("agent{number}"), "cheval rouge tasse");
        put(format!("/v1/agents/{login}"), json!({"name": "A", "roles": roles})).await;
        put(format!("/v1/agents/{login}/password"), json!({"password": password})).await;
        let entered = town.post("/v1/sessions", &[], json!({"login": login, "password": password})).await;
        callers.push(Caller {
            name: format!("agent {name}"),
            token: entered.json()["token"].as_str().unwrap().to_owned(),
            scopes,
            reaches,
        });
    }
    callers
}

fn foreign<'a>(caller: &Caller, town: &'a [Known], got: &Got) -> Vec<&'a str> {
    let text = String::from_utf8_lossy(&got.body);
    let headers = format!("{:?}", got.headers);
    let unreached = town.iter().filter(|known| !(caller.may("read") && caller.reaches(known)));
    let marks = unreached.flat_map(|known| &known.marks).map(String::as_str);
    marks.filter(|mark| text.contains(*mark) || headers.contains(*mark)).collect()
}

/// A path with an id in the place of every variable.
fn filled(path: &str, id: &str) -> String {
    let mut pieces = path.split('{');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |path, piece| format!("{path}{id}{}", piece.split_once('}').unwrap().1))
}

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    scopes: Vec<String>,
}

async fn operations(town: &Town) -> Vec<Operation> {
    let document = town.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let ways = operation["security"].as_array().cloned().unwrap_or_default();
            let scopes = ways.iter().flat_map(|way| way["key"].as_array().cloned().unwrap_or_default());
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                scopes: scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect(),
            });
        }
    }
    operations
}

async fn everything(town: &Town) -> Vec<Known> {
    let mut all = Vec::new();
    for theme in [Some("voirie"), Some("cantine-inscription"), Some("salubrite"), Some("aides"), None] {
        for channel in [Channel::Sms, Channel::Email, Channel::Voicemail] {
            all.push(request(town, all.len() + 1, channel, theme).await);
        }
    }
    all
}

#[tokio::test]
async fn nobody_is_shown_a_byte_of_what_they_do_not_reach() {
    let town = Town::new().await;
    let all = everything(&town).await;
    let callers = [keys(&town).await, agents(&town).await].into_iter().flatten().collect::<Vec<_>>();
    let operations = operations(&town).await;
    let reading: Vec<&Operation> = operations.iter().filter(|operation| operation.method == "GET").collect();
    let (mut calls, mut bytes, mut denied, mut shown) = (0_usize, 0_usize, 0_usize, BTreeMap::<&str, usize>::new());
    for caller in &callers {
        for operation in &reading {
            let granted = caller.granted(operation);
            if !operation.path.contains('{') {
                let got = town.call_as(&caller.token, "GET", &operation.path, &PURPOSE, "").await;
                assert_eq!(got.status == 403, !granted, "{} {} {}", caller.name, operation.path, got.status);
                assert_eq!(
                    foreign(caller, &all, &got),
                    Vec::<&str>::new(),
                    "{} {}",
                    caller.name,
                    operation.path
                );
                (calls, bytes) = (calls + 1, bytes + got.body.len());
                continue;
            }
            let unknown = town
                .call_as(&caller.token, "GET", &filled(&operation.path, &id::new()), &PURPOSE, "")
                .await;
            for known in &all {
                for id in &known.ids {
                    let path = filled(&operation.path, id);
                    let got = town.call_as(&caller.token, "GET", &path, &PURPOSE, "").await;
                    assert_eq!(foreign(caller, &all, &got), Vec::<&str>::new(), "{} {path}", caller.name);
                    if got.status == 200 {
                        assert!(granted && caller.reaches(known), "{} {path}", caller.name);
                        *shown.entry(&operation.path).or_default() += 1;
                    } else {
                        assert_eq!(got.status == 403, !granted, "{} {path} {}", caller.name, got.status);
                        assert_eq!((got.status, &got.body), (unknown.status, &unknown.body), "{} {path}", caller.name);
                        denied += 1;
                    }
                    (calls, bytes) = (calls + 1, bytes + got.body.len());
                }
            }
        }
    }
    println!(
        "{} reading routes x {} callers x {} requests: {calls} calls, {denied} refused as if unknown, {bytes} bytes read, 0 of them foreign",
        reading.len(),
        callers.len(),
        all.len()
    );
    for (path, times) in &shown {
        println!("{path}: shown {times} times, each to who reaches it");
    }
    // That the routes show anything at all, and that the same eye finds what is foreign.
    for path in [
        "/v1/requests/{id}",
        "/v1/requests/{id}/interactions",
        "/v1/requests/{id}/history",
        "/v1/interactions/{id}/raw",
        "/v1/interactions/{id}/html",
        "/v1/replies/{id}",
        "/v1/recordings/{id}",
        "/v1/recordings/{id}/audio",
        "/v1/recordings/{id}/waveform",
        "/v1/attachments/{id}",
        "/v1/citizens/{id}",
        "/v1/citizens/{id}/history",
        "/v1/citizens/{id}/requests",
    ] {
        assert!(shown.contains_key(path), "{path}");
    }
    let list = town.get("/v1/requests").await;
    let narrow = callers.iter().find(|caller| caller.name == "key read on one service").unwrap();
    assert!(foreign(narrow, &all, &list).len() > 12 * 3);
}

#[tokio::test]
async fn nobody_changes_what_they_do_not_reach() {
    let town = Town::new().await;
    let all = everything(&town).await;
    let callers = [keys(&town).await, agents(&town).await].into_iter().flatten().collect::<Vec<_>>();
    let json = ("content-type", "application/json");
    let (mut tried, mut made) = (0, 0);
    // Whoever logs out would be nobody for the rest.
    let operations = operations(&town).await;
    let writing = operations
        .iter()
        .filter(|operation| operation.method != "GET" && operation.path != "/v1/sessions/current");
    for operation in writing {
        for caller in &callers {
            let granted = caller.granted(operation);
            let known_ids = all.iter().map(|known| (Some(known), known.ids.last().unwrap().as_str()));
            for (known, id) in known_ids.chain([(None, "unknown")]) {
                let path = filled(&operation.path, id);
                let body = match (operation.method.as_str(), operation.path.as_str()) {
                    ("PATCH", "/v1/requests/{id}") => json!({"subject": format!("changed by {}", caller.name)}),
                    ("POST", "/v1/requests/{id}/replies") => json!({"text": format!("answer by {}", caller.name)}),
                    _ => json!({}),
                };
                let got = town
                    .call_as(
                        &caller.token,
                        &operation.method,
                        &path,
                        &[("if-match", "*"), json],
                        body.to_string(),
                    )
                    .await;
                tried += 1;
                assert_eq!(
                    got.status == 403,
                    !granted,
                    "{} {} {path} {}",
                    caller.name,
                    operation.method,
                    got.status
                );
                if got.status.is_success() && operation.path.starts_with("/v1/requests") {
                    let known = known.unwrap();
                    assert!(caller.reaches(known) && caller.may("reply"), "{} {path}", caller.name);
                    made += 1;
                }
            }
        }
    }
    println!("{tried} writing calls, {made} made, each by who reaches the request");
    assert!(made > 100, "{made}");
}
