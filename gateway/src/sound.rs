//! Recordings opened wherever their file is: in the local folder, or in object storage.

use std::io;
use std::path::Path;
use std::sync::Arc;

use voxea_core::artefact::{Found, RecordingRow, Shelf};
use voxea_core::base::error::{CoreError, Result};
use voxea_recorder::Key;
use voxea_recorder::manifest::{EXTENSION, LARGEST};
use voxea_recorder::reader::Source;
use voxea_recorder::verify::{Fault, Sound, hold};

/// An object as the recorder reads it, on threads that may block.
#[derive(Debug)]
struct Object(voxea_core::artefact::Ranged);

impl Source for Object {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.length())
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, at)
    }
}

/// The file of a recording, for threads that may block.
///
/// # Errors
/// [`CoreError::File`] when it is nowhere; [`CoreError::Unavailable`] when the object storage does not answer.
pub(crate) async fn source(shelf: &Shelf, path: &str) -> Result<Box<dyn Source>> {
    match shelf.find(path).await? {
        Some(Found::Here(file)) => Ok(Box::new(file)),
        Some(Found::There(object)) => Ok(Box::new(Object(object))),
        None => Err(CoreError::File {
            what: format!("opening {}", shelf.path(path).display()),
            source: io::ErrorKind::NotFound.into(),
        }),
    }
}

/// Holds a recording against its manifest, wherever they are.
///
/// # Errors
/// The first thing that is wrong; of what cannot be had, why.
pub(crate) async fn verify(
    shelf: &Shelf,
    row: &RecordingRow,
    key: Option<Key>,
    trusted: Arc<[[u8; 32]]>,
) -> std::result::Result<Sound, String> {
    let manifest = Path::new(&row.path).with_extension(EXTENSION);
    let manifest = shelf
        .whole(&manifest.to_string_lossy(), LARGEST)
        .await
        .map_err(|error| error.to_string())?;
    let file = match source(shelf, &row.path).await {
        // The recorder says in which words a file is missing.
        Err(CoreError::File { source, .. }) => Err(source),
        other => Ok(other.map_err(|error| error.to_string())?),
    };
    let id = row.id.clone();
    let held = tokio::task::spawn_blocking(move || hold(&id, manifest.as_deref(), || file, key.as_ref(), &trusted));
    let held = held.await.map_err(|error| error.to_string())?;
    held.map_err(|fault: Fault| fault.to_string())
}
