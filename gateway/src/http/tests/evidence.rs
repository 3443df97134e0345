//! Sound, files and replies.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Value, json};
use voxea_core::artefact::{CallEnd, Ending, Quality, RecordingOutcome};
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::id;
use voxea_core::contact::{Accepted, Contact, Dedup, NewAttachment, NewCall, NewRecording, RAW_INLINE_BYTES, Raw};
use voxea_core::outbox::Sender;
use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::writer::{Channel as Leg, Writer};

use super::town::Town;

/// 2026-11-24T08:00:00Z.
const EIGHT: i64 = 1_795_507_200_000;

async fn contact(town: &Town, kind: Kind, channel: Channel, from: &str, fill: impl FnOnce(&mut Contact)) -> Accepted {
    let account = Account::new(kind, "x");
    let epoch = town.core.intake.register(&account).await.unwrap();
    let mut contact = Contact::new(
        account,
        epoch,
        channel,
        Dedup::Key(id::new()),
        from.to_owned(),
        "3000".to_owned(),
        EIGHT,
    );
    fill(&mut contact);
    town.core.intake.accept(contact).await.unwrap()
}

#[tokio::test]
async fn a_recording_plays_from_anywhere_once_it_is_closed() {
    let town = Town::new().await;
    let recording = id::new();
    let folder = town.core.blobs.recordings_folder();
    let mut writer = Writer::create(&folder, &recording, Codec::Pcma, EIGHT).unwrap();
    let file = writer.path().file_name().unwrap().to_str().unwrap().to_owned();
    let accepted = contact(&town, Kind::Sip, Channel::Voicemail, "+33612345678", |contact| {
        contact.call = Some(NewCall {
            dialled: "3000".into(),
            diverted_from: vec!["0140000000".into()],
            signalling: Some(json!({"trusted": true, "session_id": "47755a9de7794ba387653f2099600ef2"})),
        });
        contact.recording = Some(NewRecording {
            id: recording.clone(),
            path: format!("recordings/{file}"),
            codec: "pcma".into(),
            rate: 8000,
            key: None,
            keep_days: 90,
        });
    })
    .await;
    let audio = format!("/v1/recordings/{recording}/audio");
    town.get(&audio).await.is_problem(409, "conflict");
    town.get(&format!("/v1/recordings/{recording}/waveform"))
        .await
        .is_problem(409, "conflict");

    let caller: Vec<u8> = (0..16_000_u32).map(|n| (n % 251) as u8).collect();
    writer.push(Leg::Caller, &caller);
    writer.push_silence(Leg::Us, 16_000);
    writer.finish(16_000).unwrap();
    let sealed = RecordingOutcome::Sealed { samples: 16_000 };
    let quality = Quality {
        received: 100,
        lost: 2,
        jitter_us: 1_234,
        mos: Some(441),
        ..Quality::default()
    };
    let ending = Ending {
        quality: Some(quality),
        ..Ending::new(CallEnd::Caller, EIGHT + 2_000)
    };
    town.core
        .recordings
        .ended(&accepted.interaction_id, &ending, Some(EIGHT), &sealed)
        .await
        .unwrap();

    let known = town.get(&format!("/v1/recordings/{recording}")).await.json();
    assert_eq!(
        (known["state"].as_str(), known["duration_ms"].as_i64(), known["audio"].as_str()),
        (Some("sealed"), Some(2_000), Some(audio.as_str()))
    );
    let shown = town.get(&format!("/v1/requests/{}/interactions", accepted.request_id)).await.json()["items"][0].clone();
    assert_eq!(shown["recording"], json!({"id": recording, "state": "sealed", "duration_ms": 2000}));
    assert_eq!(
        (shown["call"]["end"].as_str(), &shown["call"]["diverted_from"]),
        (Some("caller"), &json!(["0140000000"]))
    );
    assert_eq!(
        shown["call"]["quality"],
        json!({"received": 100, "lost": 2, "duplicated": 0, "reordered": 0, "late": 0, "jitter_ms": 1.23, "round_trip_ms": null,
            "remote_lost": null, "remote_jitter_ms": null, "mos": 4.41})
    );
    assert_eq!(shown["call"]["signalling"]["session_id"], "47755a9de7794ba387653f2099600ef2");

    let whole = town.get(&audio).await;
    assert_eq!(whole.status, 200);
    let header = |name: &str| whole.headers[name].to_str().unwrap();
    assert_eq!(
        (header("content-type"), header("accept-ranges"), header("content-length")),
        ("audio/wav", "bytes", "32058")
    );
    assert_eq!((&whole.body[..4], whole.body.len()), (&b"RIFF"[..], 32_058));
    // Frames are caller, us, caller, us…
    assert!(whole.body[58..].iter().step_by(2).copied().eq(caller.iter().copied()));

    for (range, from, to) in [
        ("bytes=0-", 0, 32_058),
        ("bytes=100-", 100, 32_058),
        ("bytes=-58", 32_000, 32_058),
        ("bytes=56-99", 56, 100),
    ] {
        let part = town.call("GET", &audio, &[("range", range)], axum::body::Body::empty()).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(part.headers["content-range"], format!("bytes {from}-{}/32058", to - 1));
        assert_eq!(part.body, whole.body[from..to], "{range}");
    }
    let hold = format!("/v1/recordings/{recording}/hold");
    let json = [("content-type", "application/json")];
    let held = town.call("PUT", &hold, &json, r#"{"reason":"contentieux"}"#).await.json();
    assert_eq!(
        (&held["hold"]["reason"], &held["keep_until"]),
        (&json!("contentieux"), &json!(null))
    );
    assert!(
        held["hold"]["by"].as_str().unwrap().starts_with("key:") && held["hold"]["since"].is_string(),
        "{held}"
    );
    town.call("PUT", &hold, &json, r#"{"reason":""}"#).await.is_problem(422, "invalid");
    town.call("PUT", "/v1/recordings/unknown/hold", &json, r#"{"reason":"x"}"#)
        .await
        .is_problem(404, "not-found");
    let free = town.call("DELETE", &hold, &[], axum::body::Body::empty()).await.json();
    assert_eq!(free["hold"], json!(null));

    let outside = town
        .call("GET", &audio, &[("range", "bytes=32058-")], axum::body::Body::empty())
        .await;
    outside.is_problem(416, "range");
    assert_eq!(outside.headers["content-range"], "bytes */32058");
    let other = town
        .call(
            "GET",
            &audio,
            &[("range", "bytes=0-9"), ("if-range", "\"other\"")],
            axum::body::Body::empty(),
        )
        .await;
    assert_eq!((other.status.as_u16(), other.body.len()), (200, 32_058));
    let head = town.call("HEAD", &audio, &[], axum::body::Body::empty()).await;
    assert_eq!((head.headers["content-length"].to_str().unwrap(), head.body.len()), ("32058", 0));

    let outline = town.get(&format!("/v1/recordings/{recording}/waveform?points=10")).await.json();
    assert_eq!(
        (
            outline["version"].as_u64(),
            outline["length"].as_u64(),
            outline["data"].as_array().unwrap().len()
        ),
        (Some(2), Some(10), 40)
    );
    town.get(&format!("/v1/recordings/{recording}/waveform?points=0"))
        .await
        .is_problem(400, "bad-request");
}

/// A call with a closed recording of 6,000 samples; the recording's id, its file's path and what the caller said.
async fn recorded(town: &Town) -> (String, std::path::PathBuf, Vec<u8>) {
    let recording = id::new();
    let key = town.core.vault.new_data_key().unwrap();
    let writer = Writer::create(&town.core.blobs.recordings_folder(), &recording, Codec::Pcma, EIGHT).unwrap();
    let mut writer = writer.under(key.as_ref().map(|key| Key::new(key.octets())));
    let path = writer.path().to_path_buf();
    let accepted = contact(town, Kind::Sip, Channel::Voicemail, "+33612345678", |contact| {
        contact.recording = Some(NewRecording {
            id: recording.clone(),
            path: format!("recordings/{recording}.vrec"),
            codec: "pcma".into(),
            rate: 8000,
            keep_days: 90,
            key,
        });
    })
    .await;
    let caller: Vec<u8> = (0..6_000_u32).map(|n| (n % 251) as u8).collect();
    writer.push(Leg::Caller, &caller);
    writer.push_silence(Leg::Us, 6_000);
    writer.finish(6_000).unwrap();
    let (ending, sealed) = (Ending::new(CallEnd::Caller, EIGHT), RecordingOutcome::Sealed { samples: 6_000 });
    let ended = town.core.recordings.ended(&accepted.interaction_id, &ending, Some(EIGHT), &sealed);
    ended.await.unwrap();
    (recording, path, caller)
}

#[tokio::test]
async fn every_form_has_ranges_also_of_an_encrypted_recording() {
    for town in [Town::new().await, Town::sealed().await] {
        let (recording, path, caller) = recorded(&town).await;
        let readable = std::fs::read(&path)
            .unwrap()
            .windows(64)
            .any(|octets| octets == caller.iter().take(32).flat_map(|&octet| [octet, 0xD5]).collect::<Vec<_>>());
        assert_eq!(readable, !town.core.vault.is_on());
        let mut tags = std::collections::BTreeSet::new();
        for (form, media_type, length) in [
            ("wav", "audio/wav", Some(12_058)),
            ("pcm16", "audio/wav", Some(24_044)),
            ("flac", "audio/flac", None),
        ] {
            let audio = format!("/v1/recordings/{recording}/audio?format={form}");
            let whole = town.get(&audio).await;
            assert_eq!(
                (whole.status.as_u16(), whole.headers["content-type"].to_str().unwrap()),
                (200, media_type)
            );
            assert_eq!(whole.headers["content-length"], whole.body.len().to_string());
            assert!(
                length.is_none_or(|length| whole.body.len() == length),
                "{form}: {}",
                whole.body.len()
            );
            assert!(tags.insert(whole.headers["etag"].clone()), "each form has a tag of its own");
            assert_eq!(&whole.body[..4], if form == "flac" { b"fLaC" } else { b"RIFF" });
            let size = whole.body.len();
            for (range, from, to) in [("bytes=0-", 0, size), ("bytes=43-4200", 43, 4_201), ("bytes=-7", size - 7, size)] {
                let part = town.call("GET", &audio, &[("range", range)], axum::body::Body::empty()).await;
                assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{form} {range}");
                assert_eq!(part.body, whole.body[from..to], "{form} {range}");
            }
        }
        let bad = format!("/v1/recordings/{recording}/audio?format=mp3");
        town.get(&bad).await.is_problem(400, "bad-request");
        let outline = town.get(&format!("/v1/recordings/{recording}/waveform?points=10")).await.json();
        assert_eq!(outline["length"], 10);
        // What was sealed whole and is not whole any more is not played as if it were.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 2).unwrap();
        town.get(&format!("/v1/recordings/{recording}/audio"))
            .await
            .is_problem(500, "internal");
    }
}

#[tokio::test]
async fn the_html_of_a_mail_runs_and_fetches_nothing() {
    let town = Town::new().await;
    let page = "From: a@b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>alert(1)</script><p>Un <b>trou</b><img src=\"cid:plan@x\"><img src=\"https://traceur.example/1.gif\">";
    let large = format!("{page}<!--{}-->", " ".repeat(300 * 1024));
    for raw in [page.to_owned(), large] {
        let bytes = Bytes::from(raw);
        let blob = town.core.blobs.put(bytes.clone()).await.unwrap();
        let accepted = contact(&town, Kind::Mailbox, Channel::Email, "x@example.fr", |contact| {
            let media_type = "message/rfc822";
            contact.raw = Some(if bytes.len() > RAW_INLINE_BYTES {
                Raw::Stored { media_type, blob }
            } else {
                Raw::Inline { media_type, bytes }
            });
            contact.authenticity =
                Some(json!({"by": "mx.example.fr", "spf": {"result": "pass", "domain": "b"}, "dkim": [], "dmarc": null}).to_string());
        })
        .await;
        let got = town.get(&format!("/v1/interactions/{}/html", accepted.interaction_id)).await.json();
        assert_eq!(got["id"], accepted.interaction_id);
        assert_eq!(
            got["html"].as_str().unwrap().trim(),
            "<p>Un <b>trou</b><img src=\"cid:plan@x\"><img></p>"
        );
        assert_eq!(got["blocked"], 1);
        let shown = town.get(&format!("/v1/requests/{}/interactions", accepted.request_id)).await.json();
        assert_eq!(shown["items"][0]["authenticity"]["spf"], json!({"result": "pass", "domain": "b"}));
    }
    let visit = town.visit("Bonjour").await;
    let shown = town
        .get(&format!("/v1/requests/{}/interactions", visit["id"].as_str().unwrap()))
        .await
        .json();
    let form = shown["items"][0]["id"].as_str().unwrap();
    town.get(&format!("/v1/interactions/{form}/html"))
        .await
        .is_problem(404, "not-found");
    town.get("/v1/interactions/x/html").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn an_attachment_is_a_download_and_never_a_page() {
    let town = Town::new().await;
    let content = Bytes::from_static(b"<script>alert(1)</script>");
    let blob = town.core.blobs.put(content.clone()).await.unwrap();
    let accepted = contact(&town, Kind::Mailbox, Channel::Email, "x@example.fr", |contact| {
        contact.attachments = vec![NewAttachment {
            name: "relevé.html".into(),
            media_type: "text/html".into(),
            blob: blob.clone(),
            inline: false,
            content_id: None,
        }];
    })
    .await;
    let shown = town.get(&format!("/v1/requests/{}/interactions", accepted.request_id)).await.json()["items"][0].clone();
    let listed = &shown["attachments"][0];
    assert_eq!(
        (listed["type"].as_str(), listed["size"].as_u64(), listed["sha256"].as_str()),
        (Some("text/html"), Some(25), Some(blob.sha256.as_str()))
    );
    let got = town.get(&format!("/v1/attachments/{}", listed["id"].as_str().unwrap())).await;
    assert_eq!((got.status.as_u16(), got.body.as_slice()), (200, content.as_ref()));
    assert_eq!(
        got.headers["content-disposition"],
        "attachment; filename=\"relev_.html\"; filename*=UTF-8''relev%C3%A9.html"
    );
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    assert_eq!(got.headers["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(got.headers["content-length"], "25");
    town.get(&format!("/v1/interactions/{}/raw", accepted.interaction_id))
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn a_reply_is_queued_or_refused_with_what_would_fit() {
    let town = Town::new().await;
    let sender = Sender {
        channel: Channel::Sms,
        account: Account::new(Kind::Smpp, "x"),
        from: "36123".into(),
    };
    let request = contact(&town, Kind::Smpp, Channel::Sms, "+33612345678", |contact| {
        contact.text = Some("Un trou".into())
    })
    .await
    .request_id;
    let path = format!("/v1/requests/{request}/replies");
    town.post(&path, &[], json!({"channel": "sms", "text": "a"}))
        .await
        .is_problem(409, "conflict");
    town.core.outbox.register(sender);

    let queued = town.post(&path, &[], json!({"text": "Merci, c'est noté."})).await;
    assert_eq!(queued.status, 202);
    let reply = queued.json();
    assert_eq!(
        (reply["state"].as_str(), reply["channel"].as_str(), reply["to"].as_str()),
        (Some("queued"), Some("sms"), Some("+33612345678"))
    );
    assert_eq!(town.get(queued.headers["location"].to_str().unwrap()).await.json(), reply);

    let long = town.post(&path, &[], json!({"channel": "sms", "text": "ê".repeat(71)})).await;
    long.is_problem(422, "text-too-long");
    let body = long.json();
    assert_eq!(
        (
            body["coding"].as_str(),
            body["units"].as_u64(),
            body["limit"].as_u64(),
            body["segments"].as_u64()
        ),
        (Some("ucs2"), Some(71), Some(70), Some(2))
    );
    assert!(body["offending"].is_array() && body.get("suggestion").is_some());
    for (body, status) in [
        (json!({"channel": "pigeon", "text": "a"}), 422),
        (json!({"channel": "email", "text": "a"}), 422),
        (json!({"text": " "}), 422),
        (json!({"texte": "a"}), 422),
        (Value::Null, 422),
    ] {
        assert_eq!(town.post(&path, &[], body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_long_letter_keeps_its_artefact_in_a_file() {
    let town = Town::new().await;
    let body = json!({"text": "é".repeat(100_000), "subject": "s".repeat(500), "name": "é".repeat(500)});
    // Escaped, the same letter is six times as long.
    let escaped = body.to_string().replace('é', "\\u00e9");
    let got = town
        .call(
            "POST",
            "/v1/intake/letters",
            &[("content-type", "application/json")],
            escaped.clone(),
        )
        .await;
    assert_eq!(got.status, 201, "{}", String::from_utf8_lossy(&got.body));
    let request = got.json();
    let shown = town.get(request["links"]["interactions"].as_str().unwrap()).await.json();
    let raw = town
        .get(&format!("/v1/interactions/{}/raw", shown["items"][0]["id"].as_str().unwrap()))
        .await;
    assert_eq!(raw.body, escaped.as_bytes());
}
