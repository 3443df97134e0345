//! Files go to object storage: verified there before they go here, once, whatever happens between.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use voxea_core::artefact::{Blobs, Bucket, CallEnd, Ending, Found, RecordingOutcome, Uploads, Waiting, belongs};
use voxea_core::contact::Recordings;
use voxea_core::request::{Patch, Status};

use crate::calls::{call, door};
use crate::place::{NOW, Place, agent, mailbox};

const NAME: &str = "s3://town/voxea";
/// Of three parts, the last one short.
const LARGE: usize = 11 * 1024 * 1024;

struct Stage {
    folder: tempfile::TempDir,
    store: Arc<InMemory>,
    blobs: Blobs,
    uploads: Uploads,
}

fn bucket(store: &Arc<InMemory>) -> Bucket {
    Bucket::new(Arc::clone(store) as Arc<dyn ObjectStore>, NAME, "voxea")
}

fn stage(place: &Place) -> Stage {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let blobs = Blobs::open(folder.path().to_path_buf(), place.vault.clone()).unwrap();
    let blobs = blobs.with_bucket(Some(bucket(&store)));
    let uploads = Uploads::new(place.store.clone(), blobs.clone());
    Stage {
        folder,
        store,
        blobs,
        uploads,
    }
}

impl Stage {
    async fn run(&self) -> voxea_core::base::error::Result<bool> {
        self.uploads.run(Instant::now() + Duration::from_secs(60)).await
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.blobs.recordings_folder().join(format!("r0.{ending}"))
    }

    /// What is in the bucket, by name.
    async fn object(&self, name: &str) -> Option<Bytes> {
        let got = self.store.get(&Key::from(format!("voxea/{name}"))).await.ok()?;
        Some(got.bytes().await.unwrap())
    }

    fn waiting(&self) -> Waiting {
        self.uploads.waiting().unwrap()
    }
}

/// A call of which the files are there, and goes on until it is ended.
async fn recorded(place: &Place, stage: &Stage, sound: &[u8]) -> (Recordings, String, String) {
    place.intake.register(&mailbox()).await.unwrap();
    let mut contact = call(0);
    let recording = contact.recording.as_mut().unwrap();
    recording.key = place.vault.new_data_key().unwrap();
    recording.path = "recordings/r0.vrec".to_owned();
    let taken = place.intake.accept(contact).await.unwrap();
    std::fs::write(stage.file("vrec"), sound).unwrap();
    std::fs::write(stage.file("vman"), b"signed").unwrap();
    std::fs::write(stage.file("vman-new"), b"a draft").unwrap();
    (door(place), taken.interaction_id, taken.request_id)
}

async fn ended(recordings: &Recordings, interaction: &str) {
    let (ending, outcome) = (Ending::new(CallEnd::Caller, NOW), RecordingOutcome::Sealed { samples: 8_000 });
    recordings.ended(interaction, &ending, None, &outcome).await.unwrap();
}

fn sound() -> Vec<u8> {
    (0..LARGE).map(|n| (n / 251 + n) as u8).collect()
}

pub(crate) async fn a_recording_is_moved_when_it_is_closed(place: &Place) {
    let (stage, sound) = (stage(place), sound());
    let (recordings, interaction, _) = recorded(place, &stage, &sound).await;
    assert!(!stage.run().await.unwrap());
    assert!(stage.file("vrec").exists() && stage.store.is_empty().await, "its call goes on");
    belongs(&place.store, None).await.unwrap();

    ended(&recordings, &interaction).await;
    // What the disk took no manifest of will be signed yet.
    std::fs::rename(stage.file("vman"), stage.file("away")).unwrap();
    assert!(!stage.run().await.unwrap());
    assert!(stage.file("vrec").exists() && stage.store.is_empty().await, "it is not signed");
    std::fs::rename(stage.file("away"), stage.file("vman")).unwrap();
    // One piece, as when its time is over at once; the rest comes later, and is not begun anew.
    assert!(stage.uploads.run(Instant::now()).await.unwrap());
    assert_eq!(stage.waiting().files, 2);
    assert!(!stage.run().await.unwrap());
    assert_eq!((stage.waiting().files, stage.waiting().bytes, stage.waiting().moved), (0, 0, 2));
    assert_eq!(stage.object("recordings/r0.vrec").await.unwrap(), sound);
    assert_eq!(stage.object("recordings/r0.vman").await.unwrap(), "signed");
    assert!(!stage.file("vrec").exists() && !stage.file("vman").exists() && stage.file("vman-new").exists());
    assert_eq!(place.number("SELECT COUNT(*) FROM object").await, 2);

    // It is read from there, wherever a reader begins.
    let Some(Found::There(object)) = stage.blobs.shelf().find("recordings/r0.vrec").await.unwrap() else {
        panic!("not found in the object storage")
    };
    let read = tokio::task::spawn_blocking(move || {
        let mut some = vec![0; 70_000];
        object.read_exact_at(&mut some, 6_000_000).unwrap();
        (object.length(), some)
    });
    let (length, some) = read.await.unwrap();
    assert_eq!((length, &some[..]), (LARGE as u64, &sound[6_000_000..6_070_000]));
    assert_eq!(stage.blobs.shelf().whole("recordings/r0.vman", 6).await.unwrap().unwrap(), "signed");
    assert!(stage.blobs.shelf().whole("recordings/r0.vman", 5).await.is_err());
    assert_eq!(stage.blobs.shelf().whole("recordings/r1.vman", 5).await.unwrap(), None);

    // Where it is is not forgotten.
    belongs(&place.store, Some(NAME)).await.unwrap();
    for other in [None, Some("s3://town/other")] {
        let said = belongs(&place.store, other).await.unwrap_err().to_string();
        assert!(said.contains("blobs = \"s3://town/voxea\""), "{said}");
    }
}

pub(crate) async fn an_interruption_at_any_moment_leaves_one_object(place: &Place) {
    let (stage, sound) = (stage(place), sound());
    let (recordings, interaction, _) = recorded(place, &stage, &sound).await;
    ended(&recordings, &interaction).await;
    // Sent, and not noted: it is sent again.
    let key = Key::from("voxea/recordings/r0.vrec");
    stage
        .store
        .put(&key, Bytes::from_static(b"what an upload left").into())
        .await
        .unwrap();
    assert!(!stage.run().await.unwrap());
    assert_eq!(stage.object("recordings/r0.vrec").await.unwrap(), sound);

    // Noted, and not removed: it is removed, and not sent again.
    std::fs::write(stage.file("vrec"), &sound).unwrap();
    let before = stage.store.head(&key).await.unwrap().e_tag;
    assert!(!stage.run().await.unwrap());
    assert!(!stage.file("vrec").exists());
    assert_eq!(stage.store.head(&key).await.unwrap().e_tag, before, "it was sent again");

    // Noted, and lost there: what is here is all there is.
    std::fs::write(stage.file("vrec"), &sound).unwrap();
    stage.store.delete(&key).await.unwrap();
    assert!(!stage.run().await.unwrap());
    assert_eq!(stage.object("recordings/r0.vrec").await.unwrap(), sound);

    // Another file of that name is not taken for it, and neither of them goes.
    let mut other = sound.clone();
    other[7] ^= 1;
    std::fs::write(stage.file("vrec"), &other).unwrap();
    let said = stage.run().await.unwrap_err().to_string();
    assert!(said.contains("recordings/r0.vrec") && stage.file("vrec").exists(), "{said}");
    assert_eq!(stage.object("recordings/r0.vrec").await.unwrap(), sound);
    assert_eq!((stage.waiting().files, stage.waiting().failures), (1, 1));

    // A new process knows nothing of what an older one began.
    std::fs::write(stage.file("vrec"), &sound).unwrap();
    let heir = Uploads::new(place.store.clone(), stage.blobs.clone());
    assert!(!heir.run(Instant::now() + Duration::from_secs(60)).await.unwrap());
    assert!(!stage.file("vrec").exists());
}

pub(crate) async fn content_is_moved_and_read_and_may_come_again(place: &Place) {
    let stage = stage(place);
    for content in [Bytes::new(), Bytes::from_static(b"letter"), Bytes::from(sound())] {
        let stored = stage.blobs.put(content.clone()).await.unwrap();
        for round in 0..3 {
            assert!(!stage.run().await.unwrap());
            assert!(files(stage.folder.path()).is_empty(), "a copy is here in round {round}");
            let mut reader = stage.blobs.read(&stored.sha256, stored.size).await.unwrap();
            let mut read = Vec::new();
            while let Some(piece) = reader.next().await.unwrap() {
                read.extend_from_slice(&piece);
            }
            assert!(read == content, "another content from there");
            // It came again, as a second attachment; sealed, its octets are others now.
            assert_eq!(stage.blobs.put(content.clone()).await.unwrap(), stored);
        }
        stage.run().await.unwrap();
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM object").await, 3);
    let hash = Blobs::hash(b"nowhere");
    assert!(stage.blobs.read(&hash, 7).await.is_err());
}

pub(crate) async fn what_is_erased_is_erased_there_too(place: &Place) {
    let (stage, sound) = (stage(place), sound());
    let (recordings, interaction, request) = recorded(place, &stage, &sound).await;
    ended(&recordings, &interaction).await;
    // Two pieces of four: what is under way is given up.
    for _ in 0..2 {
        assert!(stage.uploads.run(Instant::now()).await.unwrap());
    }
    assert!(stage.file("vrec").exists());
    let version = place.desk.get(&agent(), &request).await.unwrap().version;
    let patch = Patch {
        status: Some(Status::Closed),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &request, version, &patch).await.unwrap();
    let far = voxea_core::base::time::now() + 100 * 24 * 3_600_000;
    assert_eq!(recordings.purge(&stage.blobs, far).await.unwrap(), 1);
    assert!(stage.store.is_empty().await && !stage.file("vrec").exists());
    assert_eq!(place.number("SELECT COUNT(*) FROM object").await, 0);
    belongs(&place.store, None).await.unwrap();
    // A run that had seen its file goes on without.
    assert!(!stage.run().await.unwrap());
    assert!(stage.store.is_empty().await);
}

trait IsEmpty {
    async fn is_empty(&self) -> bool;
}

impl IsEmpty for Arc<InMemory> {
    async fn is_empty(&self) -> bool {
        let listed = self.list_with_delimiter(Some(&Key::from("voxea/recordings"))).await.unwrap();
        listed.objects.is_empty()
    }
}

/// Files that are named by their content.
fn files(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let read = std::fs::read_dir(folder).into_iter().flatten().flatten();
        read.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let shelves = ["sha256", "sealed"].iter().flat_map(|folder| entries(&root.join(folder)));
    shelves.flat_map(|shelf| entries(&shelf)).collect()
}
