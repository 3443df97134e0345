//! Encrypting a recording that began plain.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::cipher::Key;
use crate::error::Error;
use crate::fault::Fault;
use crate::format::FRAME;
use crate::manifest::{self, EXTENSION, Sign, manifest_path};
use crate::paths::{path_of, sync_folder};
use crate::reader::{Reader, inspect};
use crate::sink::Sink;
use crate::verify::verify;

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// There is no file.
    Absent,
    /// It is encrypted; its manifest, if it has one, says so.
    Encrypted,
    /// It is encrypted, and its manifest was left as it is: it did not fit before, and must not be made to fit now.
    Unsound(Fault),
}

/// Octets of audio that are taken at once.
const PIECE: usize = 64 * 1024;

/// Encrypts the file of an id under its data key, and signs a manifest that says so, if the one before was sound; `trusted`
/// are the keys that may have signed that. Whatever moment it is interrupted at, running it again ends it.
///
/// # Errors
/// [`Error::File`]; [`Error::NotARecording`]; [`Error::NoRandom`]; [`Error::BadId`].
pub fn encrypt(folder: &Path, id: &str, key: &Key, signer: &dyn Sign, trusted: &[[u8; 32]]) -> Result<Done, Error> {
    let (path, manifest) = (path_of(folder, id)?, manifest_path(folder, id)?);
    let failed = |doing| {
        let path = &path;
        move |source| Error::file(path, doing, source)
    };
    let (file_draft, manifest_draft) = (path.with_extension("vrec-new"), manifest.with_extension("vman-next"));
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Done::Absent),
        Err(error) => return Err(failed("open")(error)),
    };
    let (header, _) = inspect(&file, &path)?;
    if header.salt.is_some() {
        // Interrupted between the two renames, or long over.
        return settle(&manifest_draft, &manifest).map(|()| Done::Encrypted);
    }
    remove(&file_draft)?;
    remove(&manifest_draft)?;
    let judged = match manifest.exists() {
        true => Some(verify(folder, id, None, trusted)),
        false => None,
    };
    let reader = Reader::open(&path, None)?;
    let mut sink = Sink::new(file_draft.clone(), reader.codec(), reader.started());
    sink.seal_under(Some(key.clone()));
    let (mut at, mut piece) = (0, vec![0; PIECE]);
    while at < reader.samples() {
        let room = sink.settle()?.min(PIECE / FRAME as usize);
        let count = reader.read_frames(at, &mut piece[..room * FRAME as usize])?;
        sink.take(&piece[..(count * FRAME) as usize])?;
        at += count;
    }
    let mut segment = sink.finish(at)?;
    segment.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let judged = match judged {
        Some(Ok(sound)) => {
            let mut said = sound.manifest;
            said.segments = vec![segment];
            manifest::keep(&manifest_draft, &said.sign(signer), true)?;
            Done::Encrypted
        }
        Some(Err(fault)) => Done::Unsound(fault),
        None => Done::Encrypted,
    };
    fs::rename(&file_draft, &path).map_err(failed("replace"))?;
    sync_folder(&path)?;
    settle(&manifest_draft, &manifest)?;
    Ok(judged)
}

/// Puts the new manifest, if there is one, in the old one's place.
fn settle(draft: &Path, manifest: &Path) -> Result<(), Error> {
    debug_assert_eq!(manifest.extension().and_then(|ending| ending.to_str()), Some(EXTENSION));
    match fs::rename(draft, manifest) {
        Ok(()) => sync_folder(manifest),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file(manifest, "replace", error)),
    }
}

fn remove(draft: &Path) -> Result<(), Error> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(draft, "remove", error)),
        _ => Ok(()),
    }
}
