//! Which file is the configuration, and its text.

use std::path::{Path, PathBuf};

/// A configuration longer than this is none, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The file and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// The folder that relative paths are relative to.
    pub(crate) folder: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

/// Why there is no configuration to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// None was named and none stands in the usual places.
    #[error("no configuration: neither {} exists; name one with --config FILE", .0.join(" nor "))]
    Nowhere(Vec<String>),
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// It is no text that could be a configuration.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// What it is.
        reason: String,
    },
}

/// Finds and reads the configuration: the named file, else the first of `usual` that exists.
pub(crate) fn find(named: Option<&Path>, usual: &[&Path]) -> Result<Found, FindError> {
    match named {
        Some(path) => read(path),
        None => match usual.iter().find(|path| path.exists()) {
            Some(path) => read(path),
            None => Err(FindError::Nowhere(usual.iter().map(|path| path.display().to_string()).collect())),
        },
    }
}

fn read(path: &Path) -> Result<Found, FindError> {
    let shown = || path.display().to_string();
    let unreadable = |source| FindError::Unreadable { path: shown(), source };
    let unusable = |reason: &str| FindError::Unusable {
        path: shown(),
        reason: reason.to_owned(),
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(unusable(&format!("it has {size} bytes; a configuration has at most {LARGEST}")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        unusable(&format!("line {line}: not UTF-8; save it as UTF-8"))
    })?;
    let path = std::path::absolute(path).map_err(unreadable)?;
    let folder = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    Ok(Found { path, folder, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_file_then_the_usual_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        std::fs::write(&b, "[api]\n").unwrap();
        assert_eq!(find(None, &[&a, &b]).unwrap().path, b);
        assert_eq!(find(Some(&b), &[]).unwrap().folder, folder.path());
        assert!(matches!(find(Some(&a), &[&b]), Err(FindError::Unreadable { .. })));
        let nowhere = find(None, &[&a]).unwrap_err().to_string();
        assert!(nowhere.contains("a.toml") && nowhere.contains("--config"), "{nowhere}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, b"[api]\nlisten = \"\xe9\"\n").unwrap();
        let error = find(Some(&path), &[]).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert!(find(Some(&path), &[]).unwrap_err().to_string().contains("at most"));
    }
}
