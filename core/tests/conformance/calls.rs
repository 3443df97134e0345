//! What is noted of calls, many at once: each has one answer, one end and one pair of events.

use std::collections::BTreeMap;

use voxea_core::artefact::{CallEnd, Ending, RecordingOutcome};
use voxea_core::contact::{NewCall, NewRecording, Recordings, evidence};

use crate::place::{NOW, Place, agent, mail, mailbox};

const CALLS: usize = 150;

pub(crate) async fn many_calls_end_at_once(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let recordings = Recordings::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
    );
    let mut calls = Vec::new();
    for number in 0..CALLS {
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
            key: None,
        });
        calls.push(place.intake.accept(contact).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, call) in calls.iter().enumerate() {
        let (recordings, interaction) = (recordings.clone(), call.interaction_id.clone());
        tasks.spawn(async move {
            recordings.answered(&interaction, NOW + 1).await.unwrap();
            recordings.answered(&interaction, NOW + 2).await.unwrap();
            let outcome = match number % 3 {
                0 => RecordingOutcome::Sealed { samples: 8_000 },
                1 => RecordingOutcome::Partial {
                    samples: 80,
                    reason: "cut".to_owned(),
                },
                _ => RecordingOutcome::Failed {
                    reason: "nothing".to_owned(),
                },
            };
            let twice = [(CallEnd::Caller, NOW + 3), (CallEnd::Crash, NOW + 4)];
            for (end, at) in twice {
                let ending = Ending::new(end, at);
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
        assert_eq!(recording.state, ["sealed", "partial", "failed"][number % 3]);
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

/// The key stands sealed in the row, and nowhere once the recording is erased.
pub(crate) async fn an_erased_recording_has_no_key(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let recordings = Recordings::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
    );
    let key = place.vault.new_data_key().unwrap();
    assert_eq!(key.is_some(), place.vault.is_on());
    let mut contact = mail("erased@example.fr", "erased", NOW);
    contact.recording = Some(NewRecording {
        id: "r-erased".to_owned(),
        path: "recordings/r-erased".to_owned(),
        codec: "pcma".to_owned(),
        rate: 8_000,
        key: key.clone(),
    });
    let call = place.intake.accept(contact).await.unwrap();
    assert!(recordings.erase(&agent(), "r-erased").await.is_err(), "it is not closed yet");
    let (ending, outcome) = (Ending::new(CallEnd::Caller, NOW), RecordingOutcome::Sealed { samples: 8_000 });
    recordings.ended(&call.interaction_id, &ending, None, &outcome).await.unwrap();
    let row = recordings.get(&agent(), "r-erased").await.unwrap();
    assert_eq!(recordings.key(&row).unwrap(), key);
    assert_eq!(row.data_key.is_some(), key.is_some());
    assert!(
        evidence::audible(&place.store, "")
            .await
            .unwrap()
            .iter()
            .any(|found| found.id == row.id)
    );

    recordings.erase(&agent(), "r-erased").await.unwrap();
    let row = recordings.get(&agent(), "r-erased").await.unwrap();
    assert_eq!((row.state.as_str(), row.data_key.as_ref()), ("purged", None));
    assert_eq!(recordings.key(&row).is_err(), place.vault.is_on());
    assert!(evidence::audible(&place.store, "").await.unwrap().is_empty());
    assert!(recordings.erase(&agent(), "r-erased").await.is_err(), "it is gone");
}
