//! A manifest that somebody else wrote: nothing is taken for signed that was not; and one that was signed over whatever
//! members, held against whatever file: verification ends, and finds sound only what fits.
//!
//! The first line is the manifest, or its members; the rest is the file.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair};
use voxea_fuzz::{bounded, folder};
use voxea_recorder::Key;
use voxea_recorder::manifest::{Manifest, Sign, keep, manifest_path};
use voxea_recorder::verify::verify;
use voxea_recorder::writer::path_of;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("recording-manifest"));

#[derive(Debug)]
struct Signer(Ed25519KeyPair);

impl Sign for Signer {
    fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().expect("32 octets")
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().expect("64 octets")
    }
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer(Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("a seed")));

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

fn play(data: &[u8]) {
    let end = data.iter().position(|&octet| octet == b'\n').map_or(data.len(), |at| at + 1);
    let (line, file) = data.split_at(end);
    let trusted = [SIGNER.public()];
    if let Ok(manifest) = Manifest::open(line, &trusted) {
        assert_eq!(manifest.sign(&*SIGNER), line, "one text alone is what was signed");
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(line) else {
        return;
    };
    let content = manifest.sign(&*SIGNER);
    keep(&manifest_path(&FOLDER, "r").expect("a plain name"), &content, true).expect("the folder takes files");
    std::fs::write(path_of(&FOLDER, "r").expect("a plain name"), file).expect("the folder takes files");
    for key in [None, Some(Key::new([1; 32]))] {
        if let Ok(sound) = verify(&FOLDER, "r", key.as_ref(), &trusted) {
            assert_eq!(sound.manifest, manifest);
            assert!(manifest.samples * 2 < file.len() as u64, "more is said than there is");
        }
    }
}
