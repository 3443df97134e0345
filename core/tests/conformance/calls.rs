//! What is noted of calls, many at once: each has one answer, one end and one pair of events.

use std::collections::BTreeMap;

use voxea_core::artefact::{Blobs, CallEnd, Ending, Quality, RecordingOutcome};
use voxea_core::base::error::CoreError;
use voxea_core::base::time::{self, Millis};
use voxea_core::contact::{Contact, NewCall, NewRecording, Recordings, evidence};
use voxea_core::request::{Patch, Status};

use crate::place::{HOUR, NOW, Place, agent, mail, mailbox};

const CALLS: usize = 150;

pub(crate) async fn many_calls_end_at_once(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let recordings = door(place);
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let contact = call(number);
        calls.push(place.intake.accept(contact).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, call) in calls.iter().enumerate() {
        let (recordings, interaction) = (recordings.clone(), call.interaction_id.clone());
        tasks.spawn(async move {
            // Every other caller had left the codec open.
            let codec = (number % 2 == 0).then_some("g722");
            recordings.answered(&interaction, NOW + 1, codec).await.unwrap();
            recordings.answered(&interaction, NOW + 2, None).await.unwrap();
            let outcome = match number % 3 {
                0 => RecordingOutcome::Sealed { samples: 8_000 },
                1 => RecordingOutcome::Partial {
                    samples: 80,
                    reason: "cut".to_owned(),
                    signed: true,
                },
                _ => RecordingOutcome::Failed {
                    reason: "nothing".to_owned(),
                },
            };
            let twice = [(CallEnd::Caller, NOW + 3), (CallEnd::Crash, NOW + 4)];
            for (end, at) in twice {
                let quality = Quality {
                    received: at.unsigned_abs(),
                    mos: Some(441),
                    ..Quality::default()
                };
                let ending = Ending {
                    quality: Some(quality),
                    ..Ending::new(end, at)
                };
                recordings.ended(&interaction, &ending, Some(NOW + 2), &outcome).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for (number, call) in calls.iter().enumerate() {
        let shown = place.interactions.of_request(&agent(), &call.request_id).await.unwrap();
        let (detail, recording) = (shown[0].call.as_ref().unwrap(), shown[0].recording.as_ref().unwrap());
        assert_eq!(
            (detail.answered_at, detail.ended_at, detail.ended_by.as_deref()),
            (Some(NOW + 1), Some(NOW + 3), Some("caller")),
            "the first word stays"
        );
        let quality = detail.quality().unwrap();
        assert_eq!((quality.received, quality.mos), ((NOW + 3).unsigned_abs(), Some(441)));
        assert_eq!(recording.state, ["sealed", "partial", "failed"][number % 3]);
        let codec = recordings.get(&agent(), &recording.id).await.unwrap().codec;
        assert_eq!(codec, if number % 2 == 0 { "g722" } else { "pcma" });
        assert_eq!(place.desk.get(&agent(), &call.request_id).await.unwrap().version, 2);
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for event in place.events().await {
        *kinds.entry(event.kind).or_default() += 1;
    }
    let count = |kind: &str| kinds.get(kind).copied().unwrap_or_default();
    let seen = ["recording.available", "recording.failed", "request.updated", "request.created"].map(count);
    assert_eq!(seen, [CALLS / 3 * 2, CALLS / 3, CALLS, CALLS]);
}

pub(crate) fn call(number: usize) -> Contact {
    let mut contact = mail(&format!("c{number}@example.fr"), &number.to_string(), NOW);
    contact.call = Some(NewCall {
        dialled: "3000".to_owned(),
        diverted_from: Vec::new(),
        signalling: None,
    });
    contact.recording = Some(NewRecording {
        id: format!("r{number}"),
        path: format!("recordings/r{number}"),
        codec: "pcma".to_owned(),
        rate: 8_000,
        keep_days: 90,
        key: None,
    });
    contact
}

pub(crate) async fn a_recording_goes_when_its_time_is_over(place: &Place) {
    const DAYS: Millis = 90 * 24 * HOUR;
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path().to_path_buf(), place.vault.clone()).unwrap();
    std::fs::create_dir_all(blobs.recordings_folder()).unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let recordings = door(place);
    let mut requests = Vec::new();
    for number in 0..3 {
        let taken = place.intake.accept(call(number)).await.unwrap();
        std::fs::write(blobs.recordings_folder().join(format!("r{number}")), b"sound").unwrap();
        let outcome = match number {
            2 => RecordingOutcome::Failed { reason: "cut".to_owned() },
            _ => RecordingOutcome::Sealed { samples: 8_000 },
        };
        let ending = Ending::new(CallEnd::Caller, NOW + 3);
        recordings.ended(&taken.interaction_id, &ending, Some(NOW), &outcome).await.unwrap();
        requests.push(taken.request_id);
    }
    let moved = async |request: &str, status| {
        let version = place.desk.get(&agent(), request).await.unwrap().version;
        let patch = Patch {
            status: Some(status),
            ..Patch::default()
        };
        place.desk.patch(&agent(), request, version, &patch).await.unwrap().updated_at
    };
    let shown = async |id: &str| recordings.get(&agent(), id).await.unwrap();
    let files = || std::fs::read_dir(blobs.recordings_folder()).unwrap().count();
    let far = time::now() + 100 * DAYS;
    assert_eq!(shown("r0").await.keep_until, None);
    assert_eq!(recordings.purge(&blobs, far).await.unwrap(), 0, "its request is open");
    let closed = moved(&requests[0], Status::Closed).await;
    assert_eq!(shown("r0").await.keep_until, Some(closed + DAYS));
    let closed = moved(&requests[0], Status::Archived).await.min(closed);
    assert_eq!(shown("r0").await.keep_until, Some(closed + DAYS), "what is closed stays closed");
    // Another request needs the second recording as well.
    moved(&requests[1], Status::Spam).await;
    let link = format!(
        "INSERT INTO request_interaction (request_id, interaction_id, position) \
         SELECT '{}', interaction_id, 1000000 FROM recording WHERE id = 'r1'",
        requests[2]
    );
    place.change(&link).await;
    moved(&requests[2], Status::InProgress).await;
    assert_eq!(shown("r1").await.keep_until, None);
    let closed_last = moved(&requests[2], Status::Closed).await;
    assert_eq!(shown("r1").await.keep_until, Some(closed_last + DAYS));
    moved(&requests[2], Status::Reopened).await;
    assert_eq!(shown("r1").await.keep_until, None);

    let held = recordings.hold(&agent(), "r0", "contentieux").await.unwrap();
    assert_eq!(held.hold_reason.as_deref(), Some("contentieux"));
    assert!(held.held_at.is_some() && held.held_by == Some(agent().to_string()));
    assert!(matches!(recordings.hold(&agent(), "r0", " ").await, Err(CoreError::Invalid { .. })));
    assert_eq!(recordings.purge(&blobs, far).await.unwrap(), 0, "it is held");
    assert_eq!(recordings.release(&agent(), "r0").await.unwrap().held_at, None);
    assert_eq!(recordings.purge(&blobs, closed + DAYS - 1).await.unwrap(), 0, "not a moment before");
    assert_eq!((files(), shown("r0").await.state.as_str()), (3, "sealed"));
    assert_eq!(recordings.purge(&blobs, closed + DAYS).await.unwrap(), 1);
    assert_eq!((files(), shown("r0").await.state.as_str()), (2, "purged"));
    assert!(matches!(
        recordings.hold(&agent(), "r0", "zu spät").await,
        Err(CoreError::Conflict(_))
    ));
    assert_eq!(recordings.purge(&blobs, far).await.unwrap(), 0, "once");
    // What failed has no event, and its file goes all the same.
    moved(&requests[2], Status::Closed).await;
    assert_eq!(recordings.purge(&blobs, far).await.unwrap(), 1);
    assert_eq!((files(), shown("r2").await.state.as_str()), (0, "failed"));
    let events = place.events().await;
    let purged: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == "recording.purged")
        .map(|event| event.subject.as_str())
        .collect();
    assert_eq!(purged, [&requests[0], &requests[1]]);
    let kept = "SELECT COUNT(*) FROM audit WHERE action IN ('held', 'released', 'purged') AND object LIKE 'recording/%'";
    assert_eq!(place.number(kept).await, 4);
}

/// The key stands sealed in the row, and nowhere once the recording is erased; then its files go.
pub(crate) async fn an_erased_recording_has_no_key(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path().to_path_buf(), place.vault.clone()).unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let recordings = door(place);
    let key = place.vault.new_data_key().unwrap();
    assert_eq!(key.is_some(), place.vault.is_on());
    let mut contact = call(0);
    let recording = contact.recording.as_mut().unwrap();
    recording.key.clone_from(&key);
    recording.path = "recordings/r0.vrec".to_owned();
    let taken = place.intake.accept(contact).await.unwrap();
    for ending in ["vrec", "vman"] {
        std::fs::write(blobs.recordings_folder().join(format!("r0.{ending}")), b"sound").unwrap();
    }
    let (ending, outcome) = (Ending::new(CallEnd::Caller, NOW), RecordingOutcome::Sealed { samples: 8_000 });
    recordings.ended(&taken.interaction_id, &ending, None, &outcome).await.unwrap();
    let row = recordings.get(&agent(), "r0").await.unwrap();
    assert_eq!(recordings.key(&row).unwrap(), key);
    assert_eq!(row.data_key.is_some(), key.is_some());
    assert_eq!(evidence::audible(&place.store, "").await.unwrap().len(), 1);

    let version = place.desk.get(&agent(), &taken.request_id).await.unwrap().version;
    let patch = Patch {
        status: Some(Status::Closed),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &taken.request_id, version, &patch).await.unwrap();
    let far = time::now() + 100 * 24 * HOUR;
    assert_eq!(recordings.purge(&blobs, far).await.unwrap(), 1);
    let row = recordings.get(&agent(), "r0").await.unwrap();
    assert_eq!((row.state.as_str(), row.data_key.as_ref()), ("purged", None));
    assert_eq!(recordings.key(&row).is_err(), place.vault.is_on());
    assert!(evidence::audible(&place.store, "").await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(blobs.recordings_folder()).unwrap().count(), 0, "a file is left");
}

pub(crate) fn door(place: &Place) -> Recordings {
    Recordings::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
    )
}
