//! Whatever is changed of a recording or its manifest is found, and named.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::encrypt::{Done, encrypt};
use voxea_recorder::manifest::{self, Facts, Manifest, Sign, keep, manifest_path};
use voxea_recorder::reader::Reader;
use voxea_recorder::repair::{Closed, close};
use voxea_recorder::timeline::Gap;
use voxea_recorder::verify::{Fault, verify};
use voxea_recorder::writer::{Channel, Sealed, Writer, path_of};

#[derive(Debug)]
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Sign for Signer {
    fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

fn facts() -> Facts {
    Facts {
        started_at: Some(1_795_507_200_000),
        announced_ms: Some(4_200),
        gaps: Some(vec![Gap { offset: 160, samples: 320 }]),
        pauses: Some(vec![Gap { offset: 9, samples: 3 }]),
        sealed_at: 1_795_507_201_000,
        partial: None,
    }
}

fn write(folder: &Path, id: &str, key: Option<&Key>, samples: u64, end: u64) -> Sealed {
    let mut writer = Writer::create(folder, id, Codec::Pcma, 7).unwrap().under(key.cloned());
    let caller: Vec<u8> = (0..samples).map(|n| (n % 251) as u8).collect();
    for now in caller.chunks(777) {
        writer.push(Channel::Caller, now);
        writer.push_silence(Channel::Us, now.len() as u64);
        writer.flush().unwrap();
    }
    writer.finish(end).unwrap()
}

fn attest(folder: &Path, id: &str, sealed: &Sealed, facts: &Facts) {
    manifest::attest(folder, id, sealed, facts, &Signer::new(1)).unwrap();
}

fn trusted() -> [[u8; 32]; 1] {
    [Signer::new(1).public()]
}

/// Samples of the small recording: one whole chunk and a short one.
const SAMPLES: u64 = 2_100;

/// Every octet of both files, changed in a bit.
fn flipped_everywhere(key: Option<&Key>) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sealed = write(folder, "r", key, SAMPLES, SAMPLES);
    attest(folder, "r", &sealed, &facts());
    let judge = |key| verify(folder, "r", key, &trusted());
    assert_eq!(judge(key).unwrap().manifest.samples, SAMPLES);
    assert!(
        judge(key).unwrap().opened == key.is_some() && judge(None).is_ok(),
        "the chain needs no key"
    );

    let (header, stride) = if key.is_some() { (64, 4_112) } else { (32, 4_096) };
    let original = std::fs::read(&sealed.path).unwrap();
    for at in 0..original.len() {
        let mut changed = original.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&sealed.path, &changed).unwrap();
        // The key tells no more than the chain does, which is what is looked at first.
        let key = if at % 2 == 0 { key } else { None };
        match judge(key) {
            Err(Fault::Header { .. }) => assert!(at < header, "octet {at}"),
            Err(Fault::Chunk { number, .. }) => assert_eq!(number, ((at - header) / stride) as u64, "octet {at}"),
            other => panic!("octet {at}: {other:?}"),
        }
    }
    for length in [0, header - 1, header, header + stride, original.len() - 1] {
        std::fs::write(&sealed.path, &original[..length]).unwrap();
        assert!(judge(key).is_err(), "cut to {length}");
    }
    std::fs::write(&sealed.path, [&original[..], &[0]].concat()).unwrap();
    assert!(judge(key).is_err(), "lengthened");
    let mut turned = original.clone();
    turned[header..].rotate_left(stride);
    std::fs::write(&sealed.path, &turned).unwrap();
    assert!(matches!(judge(key), Err(Fault::Chunk { number: 0, .. })), "another order");
    std::fs::write(&sealed.path, &original).unwrap();

    let path = manifest_path(folder, "r").unwrap();
    let original = std::fs::read(&path).unwrap();
    let text = String::from_utf8(original.clone()).unwrap();
    for at in 0..original.len() {
        for bits in [1, 1 << (at % 8), 0x20, 0xFF] {
            let mut changed = original.clone();
            changed[at] ^= bits;
            std::fs::write(&path, &changed).unwrap();
            assert!(matches!(judge(key), Err(Fault::Member { .. })), "octet {at}, {bits:#x}");
        }
    }
    // What it is that was changed is said by its name.
    for (member, from, to) in [
        ("samples", "\"samples\":2100,\"started_at\"", "\"samples\":2101,\"started_at\""),
        ("gaps", "[160,320]", "[160,321]"),
        ("pauses", "[9,3]", "[9,4]"),
        ("announced_ms", "4200", "4201"),
        ("started_at", "1795507200000", "1795507200001"),
        ("state", "\"sealed\"", "\"partial\""),
        ("segments", "\"chunks\":2", "\"chunks\":1"),
        ("id", "\"id\":\"r\"", "\"id\":\"s\""),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let Err(Fault::Member { member: named, .. }) = judge(key) else {
            panic!()
        };
        assert_eq!(named, member);
    }
    std::fs::write(&path, &original).unwrap();
    assert!(judge(key).is_ok());
}

#[test]
fn one_octet_flipped_anywhere_of_a_plain_recording_is_named() {
    flipped_everywhere(None);
}

#[test]
fn one_octet_flipped_anywhere_of_an_encrypted_recording_is_named() {
    flipped_everywhere(Some(&Key::new([1; 32])));
}

#[test]
fn what_belongs_to_another_recording_or_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = Key::new([1; 32]);
    for id in ["one", "two"] {
        let sealed = write(folder, id, Some(&key), 3_000, 3_000);
        attest(folder, id, &sealed, &facts());
    }
    let member = |fault: Result<_, Fault>| match fault {
        Err(Fault::Member { member, .. }) => member,
        other => panic!("{other:?}"),
    };
    assert_eq!(member(verify(folder, "one", Some(&key), &[Signer::new(2).public()])), "key_id");
    assert_eq!(member(verify(folder, "none", Some(&key), &trusted())), "file");
    let other = verify(folder, "one", Some(&Key::new([2; 32])), &trusted());
    assert!(matches!(other, Err(Fault::Chunk { number: 0, .. })), "{other:?}");
    // File and manifest of another recording, each sound.
    std::fs::copy(path_of(folder, "two").unwrap(), path_of(folder, "one").unwrap()).unwrap();
    assert!(matches!(verify(folder, "one", Some(&key), &trusted()), Err(Fault::Header { .. })));
    std::fs::copy(manifest_path(folder, "two").unwrap(), manifest_path(folder, "one").unwrap()).unwrap();
    assert_eq!(member(verify(folder, "one", Some(&key), &trusted())), "id");
    std::fs::remove_file(path_of(folder, "two").unwrap()).unwrap();
    assert!(matches!(verify(folder, "two", Some(&key), &trusted()), Err(Fault::File { .. })));
}

#[test]
fn a_plain_file_is_not_taken_for_an_encrypted_one() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = write(folder.path(), "r", None, 3_000, 3_000);
    attest(folder.path(), "r", &sealed, &facts());
    let judged = verify(folder.path(), "r", Some(&Key::new([1; 32])), &trusted());
    assert!(matches!(judged, Err(Fault::Header { .. })), "{judged:?}");
}

#[test]
fn what_began_plain_is_encrypted_and_stays_evidence_wherever_it_is_interrupted() {
    let (key, signer) = (Key::new([3; 32]), Signer::new(1));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let encrypt = || encrypt(folder.path(), "r", &key, &signer, &trusted()).unwrap();
    assert_eq!(encrypt(), Done::Absent);
    let plain = write(folder.path(), "r", None, 9_000, 9_000);
    attest(folder.path(), "r", &plain, &facts());
    let wav = |key| {
        let reader = Reader::open(&plain.path, key).unwrap();
        let mut wav = vec![0; reader.wav_len() as usize];
        reader.read_at(0, &mut wav).unwrap();
        wav
    };
    let before = (wav(None), std::fs::read(&plain.path).unwrap(), std::fs::read(at("r.vman")).unwrap());
    // Drafts of an earlier try.
    std::fs::write(at("r.vrec-new"), b"x").unwrap();
    std::fs::write(at("r.vman-next"), b"x").unwrap();
    assert_eq!(encrypt(), Done::Encrypted);
    let sound = verify(folder.path(), "r", Some(&key), &trusted()).unwrap();
    assert!(sound.manifest.segments[0].encrypted && sound.manifest.announced_ms == Some(4_200));
    assert_eq!(wav(Some(&key)), before.0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    // Between the two renames.
    std::fs::rename(at("r.vman"), at("r.vman-next")).unwrap();
    std::fs::write(at("r.vman"), &before.2).unwrap();
    assert!(verify(folder.path(), "r", Some(&key), &trusted()).is_err());
    assert_eq!(encrypt(), Done::Encrypted);
    assert!(verify(folder.path(), "r", Some(&key), &trusted()).is_ok());
    // What was changed before is not signed as if it had not been.
    let mut changed = before.1;
    changed[100] ^= 1;
    std::fs::write(&plain.path, changed).unwrap();
    std::fs::write(at("r.vman"), &before.2).unwrap();
    assert!(matches!(encrypt(), Done::Unsound(Fault::Chunk { number: 0, .. })));
    assert!(verify(folder.path(), "r", Some(&key), &trusted()).is_err());
    assert_eq!(wav(Some(&key)).len(), before.0.len());
}

#[test]
fn a_manifest_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = manifest_path(folder.path(), "r").unwrap();
    keep(&path, b"one", false).unwrap();
    assert!(keep(&path, b"two", false).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    keep(&path, b"two", true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn one_that_was_closed_before_the_crash_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = write(folder.path(), "r", None, 3_000, 3_000);
    attest(folder.path(), "r", &sealed, &facts());
    let close = || close(folder.path(), "r", None, Some(&Signer::new(1)), "the daemon died", 9, 0);
    let whole = Closed {
        samples: 3_000,
        partial: None,
    };
    std::fs::write(folder.path().join("r.vman-new"), b"x").unwrap();
    assert_eq!(close().unwrap(), whole);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    let file = std::fs::OpenOptions::new().write(true).open(&sealed.path).unwrap();
    file.set_len(5_000).unwrap();
    assert!(close().is_err(), "its manifest says more than there is");
    assert_eq!(file.metadata().unwrap().len(), 5_000, "evidence is not touched");
}

/// Run once, with a folder; what it writes is committed as fuzz/seeds.
#[test]
#[ignore = "writes the seeds of the fuzz targets: VOXEA_SEEDS=fuzz/seeds cargo test -p voxea-recorder seeds -- --ignored"]
fn the_seeds_of_the_fuzz_targets() {
    let seeds = std::path::PathBuf::from(std::env::var("VOXEA_SEEDS").unwrap());
    let put = |target: &str, name: &str, content: &[u8]| {
        std::fs::create_dir_all(seeds.join(target)).unwrap();
        std::fs::write(seeds.join(target).join(name), content).unwrap();
    };
    let key = Key::new([1; 32]);
    for (name, key, samples) in [
        ("plain", None, 300),
        ("sealed", Some(&key), 300),
        ("chunks", Some(&key), 4_500),
        ("empty", Some(&key), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sealed = write(folder.path(), "r", key, samples, samples);
        let file = std::fs::read(&sealed.path).unwrap();
        put("recording_file", name, &file);
        put("recording_file", &format!("{name}-cut"), &file[..file.len() * 2 / 3]);
        let said = Manifest::new("r", &sealed, &facts());
        let members = serde_json::to_vec(&said).unwrap();
        put(
            "recording_manifest",
            &format!("{name}-signed"),
            &[&said.sign(&Signer::new(1))[..], &file].concat(),
        );
        put("recording_manifest", name, &[&members[..], b"\n", &file].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_written_and_cut_is_sound(samples in 0u64..9_000, end in 0u64..12_000, encrypted: bool) {
        let folder = tempfile::tempdir().unwrap();
        let key = encrypted.then(|| Key::new([9; 32]));
        let sealed = write(folder.path(), "r", key.as_ref(), samples, end);
        prop_assert_eq!(sealed.samples, end);
        attest(folder.path(), "r", &sealed, &facts());
        let sound = verify(folder.path(), "r", key.as_ref(), &trusted()).unwrap();
        prop_assert_eq!((sound.manifest.samples, sound.manifest.state.as_str()), (end, "sealed"));
    }

    #[test]
    fn what_a_crash_left_is_sound_as_far_as_it_goes(cut in 64u64..40_000, encrypted: bool) {
        let folder = tempfile::tempdir().unwrap();
        let key = encrypted.then(|| Key::new([9; 32]));
        let path = write(folder.path(), "r", key.as_ref(), 16_000, 16_000).path;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut.min(file.metadata().unwrap().len())).unwrap();
        let close = || close(folder.path(), "r", key.as_ref(), Some(&Signer::new(1)), "the daemon died", 9, 0);
        let left = close().unwrap();
        prop_assert_eq!(left.partial.as_deref(), Some("the daemon died"));
        let judged = verify(folder.path(), "r", key.as_ref(), &trusted());
        if left.samples == 0 {
            prop_assert!(judged.is_err() && !manifest_path(folder.path(), "r").unwrap().exists());
        } else {
            let said = judged.unwrap().manifest;
            prop_assert_eq!((said.samples, said.state.as_str(), said.gaps), (left.samples, "partial", None));
            // A second crash, before the store knew: what was said stays.
            prop_assert_eq!(close().unwrap(), left);
        }
    }
}
