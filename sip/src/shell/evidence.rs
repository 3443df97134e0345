//! What the core lends the media: the key of a recording's file, and the one that signs its manifest.

use std::sync::Arc;

use voxea_core::Core;
use voxea_core::audit::Notary;
use voxea_core::vault::DataKey;
use voxea_recorder::Key;
use voxea_recorder::manifest::Sign;

use crate::media::Kept;

/// The trail's key, as the recorder knows it.
#[derive(Debug)]
struct Signer(Notary);

impl Sign for Signer {
    fn public(&self) -> [u8; 32] {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message)
    }
}

/// A key of the vault, as the recorder knows it.
pub(super) fn key(key: &DataKey) -> Key {
    Key::new(key.octets())
}

/// Where and how the recording of an id is kept.
pub(super) fn kept(core: &Core, recording: &str, key: Option<Key>) -> Kept {
    Kept {
        folder: core.blobs.recordings_folder(),
        recording: recording.to_owned(),
        key,
        signer: Some(Arc::new(Signer(core.audit.notary()))),
    }
}
