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
/// [`CoreError::File`] when it is nowhere; [`CoreError::Away`] when the object storage does not answer.
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

/// Why a recording was not found to be sound.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// The first thing that is wrong with it.
    Wrong(String),
    /// It cannot be had now, and nothing is known of it.
    Away(String),
}

impl From<CoreError> for Doubt {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Away(words) => Self::Away(words),
            other => Self::Wrong(other.to_string()),
        }
    }
}

/// Holds a recording against its manifest, wherever they are.
///
/// # Errors
/// [`Doubt`].
pub(crate) async fn verify(
    shelf: &Shelf,
    row: &RecordingRow,
    key: Option<Key>,
    trusted: Arc<[[u8; 32]]>,
) -> std::result::Result<Sound, Doubt> {
    let manifest = Path::new(&row.path).with_extension(EXTENSION);
    let manifest = shelf.whole(&manifest.to_string_lossy(), LARGEST).await?;
    let (file, far) = match shelf.find(&row.path).await? {
        Some(Found::Here(file)) => (Ok(Box::new(file) as Box<dyn Source>), false),
        Some(Found::There(object)) => (Ok(Box::new(Object(object)) as Box<dyn Source>), true),
        // The recorder says in which words a file is missing.
        None => (
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is missing", row.path))),
            false,
        ),
    };
    let id = row.id.clone();
    let held = tokio::task::spawn_blocking(move || hold(&id, manifest.as_deref(), || file, key.as_ref(), &trusted));
    let held = held.await.map_err(|error| Doubt::Wrong(error.to_string()))?;
    held.map_err(|fault| match fault {
        // The server went away while it was read.
        Fault::File { what } if far => Doubt::Away(what),
        fault => Doubt::Wrong(fault.to_string()),
    })
}
