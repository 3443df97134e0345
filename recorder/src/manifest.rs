//! What is signed of a recording when it is closed, in a file beside it.
//!
//! A line of JSON: `manifest` has the members; `digests` has the SHA-256 of each of them, so that the one that was changed
//! can be named; the Ed25519 signature is over the digests and the name of the key. What the members say of the file is in
//! its [`Segment`]. A call does not outlive the daemon, so a recording has one segment; the format has room for several.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::RATE;
use crate::error::Error;
use crate::fault::Fault;
use crate::format::sha256;
use crate::hex;
use crate::paths::{path_of, sync_folder};
use crate::segment::Sealed;
pub use crate::segment::Segment;
use crate::timeline::Gap;

/// The file name's ending.
pub const EXTENSION: &str = "vman";

/// Octets of a manifest at most: that of nine days of sound is shorter.
pub const LARGEST: u64 = 32 * 1024 * 1024;

const FORMAT: &str = "voxea recording manifest 1";

/// What signs. The key is somebody else's.
pub trait Sign: Send + Sync + std::fmt::Debug {
    /// The public half, Ed25519 (RFC 8032).
    fn public(&self) -> [u8; 32];
    /// A signature.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// What a recording's file does not tell of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// When sample 0 was heard, milliseconds UTC, as it was measured.
    pub started_at: Option<i64>,
    /// How long the announcement was played before it, in milliseconds, as it was measured.
    pub announced_ms: Option<u64>,
    /// Where nothing was received; none when nobody knows.
    pub gaps: Option<Vec<Gap>>,
    /// Where nothing was to be recorded; none when nobody knows.
    pub pauses: Option<Vec<Gap>>,
    /// When the recording was closed, milliseconds UTC.
    pub sealed_at: i64,
    /// Why it is not whole, when it is not.
    pub partial: Option<String>,
}

/// A stretch of the recording: its first sample, and how many.
type Stretch = (u64, u64);

/// What is said of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Which format this is.
    pub format: String,
    /// The recording's.
    pub id: String,
    /// `sealed`, or `partial` when its end is missing.
    pub state: String,
    /// Why it is partial.
    pub reason: Option<String>,
    /// `pcma` or `pcmu`.
    pub codec: String,
    /// Samples a second.
    pub rate: u32,
    /// 0 is the caller, 1 is us.
    pub channels: u8,
    /// Samples of each channel.
    pub samples: u64,
    /// When sample 0 was heard, milliseconds UTC.
    pub started_at: Option<i64>,
    /// When it was closed, milliseconds UTC.
    pub sealed_at: i64,
    /// For how many milliseconds the announcement was played.
    pub announced_ms: Option<u64>,
    /// Where nothing was received.
    pub gaps: Option<Vec<Stretch>>,
    /// Where nothing was to be recorded: there is silence.
    pub pauses: Option<Vec<Stretch>>,
    /// Its files, in order.
    pub segments: Vec<Segment>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    manifest: Manifest,
    digests: BTreeMap<String, String>,
    key_id: String,
    signature: String,
}

impl Manifest {
    /// Of a recording that was closed.
    #[must_use]
    pub fn new(id: &str, sealed: &Sealed, facts: &Facts) -> Self {
        let stretches = |gaps: &[Gap]| gaps.iter().map(|gap| (gap.offset, gap.samples)).collect();
        Self {
            format: FORMAT.to_owned(),
            id: id.to_owned(),
            state: if facts.partial.is_some() { "partial" } else { "sealed" }.to_owned(),
            reason: facts.partial.clone(),
            codec: sealed.codec.as_str().to_owned(),
            rate: RATE,
            channels: 2,
            samples: sealed.samples,
            started_at: facts.started_at,
            sealed_at: facts.sealed_at,
            announced_ms: facts.announced_ms,
            gaps: facts.gaps.as_deref().map(stretches),
            pauses: facts.pauses.as_deref().map(stretches),
            segments: vec![sealed.segment.clone()],
        }
    }

    /// The file's content.
    #[must_use]
    pub fn sign(&self, signer: &dyn Sign) -> Vec<u8> {
        let (digests, key_id) = (self.digests(), key_id(&signer.public()));
        let signature = hex::encode(&signer.sign(&message(&digests, &key_id)));
        written(&Document {
            manifest: self.clone(),
            digests,
            key_id,
            signature,
        })
    }

    /// Reads a file's content, and says what in it was changed since a key of these signed it.
    ///
    /// # Errors
    /// The first member that is wrong.
    pub fn open(content: &[u8], trusted: &[[u8; 32]]) -> Result<Self, Fault> {
        if content.is_empty() {
            return Err(Fault::member("text", "the file is empty"));
        }
        let unreadable = |error| Fault::member("text", format!("it is not as it was written: {error}"));
        let document: Document = serde_json::from_slice(content).map_err(unreadable)?;
        // One spelling only: what is not as we write it was written by somebody else.
        let ours = written(&document);
        if ours != content {
            let at = ours.iter().zip(content).take_while(|(ours, theirs)| ours == theirs).count();
            return Err(Fault::member("text", format!("octet {at} is not what was written")));
        }
        let Document {
            manifest,
            mut digests,
            key_id: named,
            signature,
        } = document;
        for (member, digest) in manifest.digests() {
            if digests.get(&member) != Some(&digest) {
                return Err(Fault::member(&member, "it, or its digest, was changed"));
            }
            digests.remove(&member);
        }
        if let Some((other, _)) = digests.pop_first() {
            return Err(Fault::member(&other, "there is a digest of it, and no such member"));
        }
        let Some(key) = trusted.iter().find(|key| key_id(key) == named) else {
            return Err(Fault::member(
                "key_id",
                format!("it is signed by the key {named}, which is none of those given"),
            ));
        };
        let valid = hex::decode::<64>(&signature).is_some_and(|signature| {
            let message = message(&manifest.digests(), &named);
            UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok()
        });
        if !valid {
            return Err(Fault::member("signature", "it is none of the key over the members"));
        }
        if manifest.format != FORMAT {
            return Err(Fault::member("format", "it is none that this version knows"));
        }
        Ok(manifest)
    }

    fn digests(&self) -> BTreeMap<String, String> {
        // Every member is taken apart here, so that a new one cannot be forgotten.
        let Self {
            format,
            id,
            state,
            reason,
            codec,
            rate,
            channels,
            samples,
            started_at,
            sealed_at,
            announced_ms,
            gaps,
            pauses,
            segments,
        } = self;
        BTreeMap::from([
            digest("format", format),
            digest("id", id),
            digest("state", state),
            digest("reason", reason),
            digest("codec", codec),
            digest("rate", rate),
            digest("channels", channels),
            digest("samples", samples),
            digest("started_at", started_at),
            digest("sealed_at", sealed_at),
            digest("announced_ms", announced_ms),
            digest("gaps", gaps),
            digest("pauses", pauses),
            digest("segments", segments),
        ])
    }
}

/// Signs what is said of a recording that was closed, and keeps it beside the file.
///
/// # Errors
/// [`Error::File`], also when there is a manifest already; [`Error::BadId`].
pub fn attest(folder: &Path, id: &str, sealed: &Sealed, facts: &Facts, signer: &dyn Sign) -> Result<(), Error> {
    let content = Manifest::new(id, sealed, facts).sign(signer);
    keep(&manifest_path(folder, id)?, &content, false)
}

fn digest(name: &str, value: &impl Serialize) -> (String, String) {
    // No member can fail to be written as JSON.
    let value = serde_json::to_vec(value).unwrap_or_default();
    let hash = sha256(&[name.as_bytes(), &[0], &value].concat());
    (name.to_owned(), hex::encode(&hash))
}

fn message(digests: &BTreeMap<String, String>, key_id: &str) -> Vec<u8> {
    let signed = serde_json::to_vec(&(digests, key_id)).unwrap_or_default();
    [FORMAT.as_bytes(), &[0], &signed].concat()
}

fn written(document: &Document) -> Vec<u8> {
    let mut content = serde_json::to_vec(document).unwrap_or_default();
    content.push(b'\n');
    content
}

/// What a key is called: the beginning of the SHA-256 of its public half.
#[must_use]
pub fn key_id(public: &[u8; 32]) -> String {
    hex::encode(&sha256(public)[..8])
}

/// The manifest of the recording of this id in a folder.
///
/// # Errors
/// [`Error::BadId`].
pub fn manifest_path(folder: &Path, id: &str) -> Result<PathBuf, Error> {
    Ok(path_of(folder, id)?.with_extension(EXTENSION))
}

/// Reads a manifest's file; none when there is none.
///
/// # Errors
/// [`Error::File`], also when it is far longer than any manifest.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::file(path, "read", source);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.len() > LARGEST {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content).map_err(failed)?;
    Ok(Some(content))
}

fn draft(path: &Path) -> PathBuf {
    path.with_extension("vman-new")
}

/// Takes away what a crash left of the draft of a manifest that is there.
pub(crate) fn sweep(path: &Path) {
    // It is only there after a crash at one moment, and harmless.
    let _ = fs::remove_file(draft(path));
}

/// Keeps a manifest: it is there whole or not at all, and replaces none unless it is told to.
///
/// # Errors
/// [`Error::File`], also when there is one already.
pub fn keep(path: &Path, content: &[u8], replaces: bool) -> Result<(), Error> {
    let failed = |doing| move |source| Error::file(path, doing, source);
    let draft = draft(path);
    let done = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .map_err(failed("write"))
        .and_then(|()| {
            if replaces {
                return fs::rename(&draft, path).map_err(failed("replace"));
            }
            // Unlike a rename, a link does not replace.
            fs::hard_link(&draft, path).map_err(failed("create"))
        });
    if !replaces || done.is_err() {
        let _ = fs::remove_file(&draft);
    }
    done?;
    sync_folder(path)
}
