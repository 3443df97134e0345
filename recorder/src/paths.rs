//! Names of files, and folders brought to the disk.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file name's ending.
pub const EXTENSION: &str = "vrec";

/// The file a recording of this id has in a folder.
///
/// # Errors
/// [`Error::BadId`] for an id that could leave the folder.
pub fn path_of(folder: &Path, id: &str) -> Result<PathBuf, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
        return Err(Error::BadId(id.to_owned()));
    }
    Ok(folder.join(format!("{id}.{EXTENSION}")))
}

/// Brings the entries of a file's folder to the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::file(folder, "bring to the disk", source))
}
