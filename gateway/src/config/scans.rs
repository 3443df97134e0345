//! The watched folders together: no two look at the same one, or at what another moves away.

use std::collections::BTreeSet;
use std::path::PathBuf;

use voxea_core::base::settings::Section;
use voxea_imap::scan::config::{After, Folder};

use super::Ground;

/// Folders that are taken.
#[derive(Debug, Default)]
pub(super) struct Folders {
    watched: BTreeSet<PathBuf>,
    filled: BTreeSet<PathBuf>,
}

impl Folders {
    /// Notes what is wrong with a folder beside those before it, and with the ground it stands on where the daemon moves files.
    pub(super) fn stand(&mut self, section: &Section<'_>, folder: &Folder, ground: &Ground) {
        let plain = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let path = plain(&folder.path);
        let filled: Vec<PathBuf> = match &folder.after {
            After::Move { done, failed } => vec![plain(done), plain(failed)],
            After::Keep => Vec::new(),
        };
        if self.filled.contains(&path) || !self.watched.insert(path) {
            section.problem(
                "folder",
                "is watched, or filled, by another [[scan]] above; each needs a folder of its own",
            );
        }
        if filled.iter().any(|path| self.watched.contains(path)) {
            section.problem("after", "moves documents into a folder that is watched; name another one");
        }
        self.filled.extend(filled);
        // A share that is away says nothing about who may write there.
        if folder.after != After::Keep && folder.path.is_dir() {
            ground.folder(section, "folder", &folder.path, "documents that were taken in");
        }
    }
}
