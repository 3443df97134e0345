//! Recordings that are being made are paused, stopped and discarded, by whoever may change their request.

use std::sync::Arc;

use tokio::sync::mpsc;
use voxea_core::artefact::{Blobs, CallEnd, Ending, Pause, RecordingOutcome, RecordingRow};
use voxea_core::base::actor::{Actor, Client, Contract};
use voxea_core::base::error::CoreError;
use voxea_core::base::grant::Scopes;
use voxea_core::base::time;
use voxea_core::contact::{Accepted, Done, Order, Recordings, Wish};

use crate::calls::{call, door};
use crate::place::{NOW, Place, agent, mailbox};

/// The call of number 0, whose recording is `r0`.
async fn taken_in(place: &Place) -> Accepted {
    place.intake.register(&mailbox()).await.unwrap();
    let mut contact = call(0);
    let recording = contact.recording.as_mut().unwrap();
    recording.key = place.vault.new_data_key().unwrap();
    recording.path = "recordings/r0.vrec".to_owned();
    place.intake.accept(contact).await.unwrap()
}

/// Whoever makes the recording answers every order so, until it is dropped.
fn maker(recordings: &Recordings, mut answer: impl FnMut(&Order) -> Option<Done> + Send + 'static) -> impl Sized {
    let (orders, mut taken) = mpsc::channel::<Order>(8);
    tokio::spawn(async move {
        while let Some(order) = taken.recv().await {
            if let Some(done) = answer(&order) {
                let _ = order.answer.send(done);
            }
        }
    });
    recordings.enter("r0", orders)
}

fn in_force(number: u32, first: u64, samples: Option<u64>) -> Done {
    Done::InForce(Some(Pause { number, first, samples }))
}

async fn trail(place: &Place) -> i64 {
    let sql = "SELECT COUNT(*) FROM audit WHERE object = 'recording/r0' AND action IN ('paused', 'resumed', 'stopped', 'discarded')";
    place.number(sql).await
}

fn shown(row: &RecordingRow) -> Vec<(i64, Option<i64>, bool, bool)> {
    let pauses = row.pauses.iter();
    let shown = pauses.map(|pause| {
        (
            pause.first_sample,
            pause.samples,
            pause.paused_by.is_some(),
            pause.resumed_by.is_some(),
        )
    });
    shown.collect()
}

pub(crate) async fn a_pause_is_entered_once_whatever_comes_twice(place: &Place) {
    let taken = taken_in(place).await;
    let recordings = door(place);
    let refused = recordings.pause(&agent(), "r0").await;
    assert!(
        matches!(refused, Err(CoreError::Unanswered(_))),
        "nobody here makes it: {refused:?}"
    );
    assert_eq!(trail(place).await, 0);
    let entered = maker(&recordings, |order| {
        Some(match order.wish {
            Wish::Pause => in_force(0, 8_000, None),
            _ => in_force(0, 8_000, Some(4_000)),
        })
    });
    for _ in 0..2 {
        let row = recordings.pause(&agent(), "r0").await.unwrap();
        assert_eq!((shown(&row), row.is_paused()), (vec![(8_000, None, true, false)], true));
        assert_eq!(trail(place).await, 1);
    }
    for _ in 0..2 {
        let row = recordings.resume(&agent(), "r0").await.unwrap();
        assert_eq!((shown(&row), row.is_paused()), (vec![(8_000, Some(4_000), true, true)], false));
        assert_eq!((trail(place).await, row.millis(4_000)), (2, 500));
    }
    drop(entered);
    // The second lasted when the call ended, and of the third nothing could be written before.
    let entered = maker(&recordings, |_| Some(in_force(1, 16_000, None)));
    recordings.pause(&agent(), "r0").await.unwrap();
    drop(entered);
    let pause = |number, first, samples| Pause {
        number,
        first,
        samples: Some(samples),
    };
    let ending = Ending {
        pauses: vec![pause(0, 8_000, 4_000), pause(1, 16_000, 80), pause(2, 20_000, 7)],
        ..Ending::new(CallEnd::Caller, NOW + 3)
    };
    let outcome = RecordingOutcome::Sealed { samples: 24_000 };
    recordings.ended(&taken.interaction_id, &ending, Some(NOW), &outcome).await.unwrap();
    let row = recordings.get(&agent(), "r0").await.unwrap();
    let expected = [
        (8_000, Some(4_000), true, true),
        (16_000, Some(80), true, false),
        (20_000, Some(7), false, false),
    ];
    assert_eq!((shown(&row), row.is_paused()), (expected.to_vec(), false));
    for over in [recordings.pause(&agent(), "r0").await, recordings.stop(&agent(), "r0").await] {
        assert!(matches!(&over, Err(CoreError::Conflict(why)) if why.contains("sealed")), "{over:?}");
    }
}

pub(crate) async fn what_is_no_recording_yet_is_not_paused(place: &Place) {
    taken_in(place).await;
    let recordings = door(place);
    for done in [Done::NotBegun, Done::Ending, Done::Full] {
        let entered = maker(&recordings, move |_| Some(done));
        let refused = recordings.pause(&agent(), "r0").await;
        assert!(matches!(refused, Err(CoreError::Conflict(_))), "{done:?}: {refused:?}");
        drop(entered);
    }
    // A resume of what was never paused changes nothing and is no error.
    let entered = maker(&recordings, |_| Some(Done::InForce(None)));
    let row = recordings.resume(&agent(), "r0").await.unwrap();
    assert_eq!((shown(&row), trail(place).await), (vec![], 0));
    drop(entered);
    // Whoever may only read it does not even ask.
    let scopes = Scopes::from_names(["read"]).unwrap();
    let reader = Actor::Client(Arc::new(Client::of_key("k", "k", Contract::everything(scopes))));
    let _entered = maker(&recordings, |order| panic!("{order:?}"));
    recordings.get(&reader, "r0").await.unwrap();
    for refused in [recordings.pause(&reader, "r0").await, recordings.stop(&reader, "r0").await] {
        assert!(matches!(refused, Err(CoreError::NotFound { .. })), "{refused:?}");
    }
}

pub(crate) async fn who_stopped_it_is_said(place: &Place) {
    let taken = taken_in(place).await;
    let recordings = door(place);
    let by = agent();
    let (noted, interaction) = (recordings.clone(), taken.interaction_id.clone());
    let (orders, mut ordered) = mpsc::channel::<Order>(1);
    let entered = recordings.enter("r0", orders);
    tokio::spawn(async move {
        let order = ordered.recv().await.unwrap();
        assert_eq!(order.wish, Wish::Stop);
        let ending = Ending {
            stopped_by: Some(order.by),
            ..Ending::new(CallEnd::Operator, NOW + 3)
        };
        let outcome = RecordingOutcome::Sealed { samples: 800 };
        noted.ended(&interaction, &ending, Some(NOW), &outcome).await.unwrap();
        order.answer.send(Done::Over).unwrap();
    });
    let row = recordings.stop(&by, "r0").await.unwrap();
    assert_eq!((row.state.as_str(), row.reason), ("sealed", Some(format!("stopped by {by}"))));
    assert_eq!(trail(place).await, 1);
    drop(entered);
}

/// Goes red where the files of a call that ended at the same moment stay, and where a held recording can be discarded.
pub(crate) async fn what_was_discarded_leaves_nothing(place: &Place) {
    let taken = taken_in(place).await;
    let recordings = door(place);
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path().to_path_buf(), place.vault.clone()).unwrap();
    let files = || std::fs::read_dir(blobs.recordings_folder()).unwrap().count();
    for ending in ["vrec", "vman"] {
        std::fs::write(blobs.recordings_folder().join(format!("r0.{ending}")), b"sound").unwrap();
    }
    recordings.hold(&agent(), "r0", "contentieux").await.unwrap();
    let entered = maker(&recordings, |order| panic!("{order:?}"));
    let held = recordings.discard(&agent(), "r0", &blobs).await;
    assert!(matches!(&held, Err(CoreError::Conflict(why)) if why.contains("holds")), "{held:?}");
    recordings.release(&agent(), "r0").await.unwrap();
    drop(entered);
    let elsewhere = recordings.discard(&agent(), "r0", &blobs).await;
    assert!(matches!(elsewhere, Err(CoreError::Unanswered(_))), "{elsewhere:?}");
    let row = recordings.get(&agent(), "r0").await.unwrap();
    assert_eq!(
        (row.discarded_by, row.data_key.is_some()),
        (None, place.vault.is_on()),
        "nothing has changed"
    );

    // The call ends by itself before it is told, and its recording is sealed.
    let entered = maker(&recordings, |_| None);
    let unanswered = recordings.discard(&agent(), "r0", &blobs).await;
    assert!(matches!(unanswered, Err(CoreError::Unanswered(_))), "{unanswered:?}");
    let row = recordings.get(&agent(), "r0").await.unwrap();
    assert_eq!(
        (row.discarded_by, row.data_key),
        (Some(agent().to_string()), None),
        "but that it is wanted"
    );
    assert!(matches!(
        recordings.hold(&agent(), "r0", "zu spät").await,
        Err(CoreError::Conflict(_))
    ));
    drop(entered);
    let ending = Ending::new(CallEnd::Caller, NOW + 3);
    let outcome = RecordingOutcome::Sealed { samples: 24_000 };
    recordings.ended(&taken.interaction_id, &ending, Some(NOW), &outcome).await.unwrap();
    let row = recordings.get(&agent(), "r0").await.unwrap();
    let reason = format!("discarded by {}", agent());
    assert_eq!((row.state.as_str(), row.samples, row.reason), ("failed", 0, Some(reason)));
    let events = place.events().await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event.kind.as_str())
        .filter(|kind| kind.starts_with("recording."))
        .collect();
    assert_eq!(kinds, ["recording.failed"]);
    assert_eq!((files(), trail(place).await), (2, 1));
    // The hourly job ends what the call could not.
    recordings.purge(&blobs, time::now()).await.unwrap();
    assert_eq!(files(), 0);
    assert_eq!(place.number("SELECT COUNT(*) FROM recording WHERE erased_at IS NOT NULL").await, 1);
    let over = recordings.discard(&agent(), "r0", &blobs).await;
    assert!(matches!(&over, Err(CoreError::Conflict(why)) if why.contains("failed")), "{over:?}");
}
