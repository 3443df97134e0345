//! The ground on which a daemon stands: folders that take its files. Tried for `voxea check` and `voxea run` alone, since
//! other commands, such as the verification of the audit trail, may be run by a user who may only read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use voxea_core::base::settings::Section;

/// Whether the ground is tried, and which folders were found wanting already: one wrong folder is one problem, however much
/// is to lie in it.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    tried: bool,
    told: RefCell<BTreeSet<PathBuf>>,
}

impl Ground {
    /// It will be tried.
    pub(crate) fn tried() -> Self {
        Self {
            tried: true,
            ..Self::default()
        }
    }

    /// Whether it is.
    pub(super) const fn is_tried(&self) -> bool {
        self.tried
    }

    /// Notes a problem with a key of a section when files cannot be made in a folder, or in the nearest one that there is
    /// above it. `what` is to lie there.
    pub(super) fn folder(&self, section: &Section<'_>, key: &'static str, folder: &Path, what: &str) {
        let there = folder.ancestors().find(|folder| folder.is_dir());
        if let Some(there) = there {
            self.writable(section, key, there, AccessFlags::W_OK | AccessFlags::X_OK, what);
        }
    }

    /// The same for a file that is there.
    pub(super) fn file(&self, section: &Section<'_>, key: &'static str, file: &Path, what: &str) {
        if file.is_file() {
            self.writable(section, key, file, AccessFlags::R_OK | AccessFlags::W_OK, what);
        }
    }

    fn writable(&self, section: &Section<'_>, key: &'static str, path: &Path, flags: AccessFlags, what: &str) {
        if !self.tried || access(path, flags).is_ok() || !self.told.borrow_mut().insert(path.to_path_buf()) {
            return;
        }
        let message = format!(
            "{}: user {} may not write here, where {what} must lie; give it to the daemon's user (chown), name another place, or \
             check as the daemon's user",
            path.display(),
            geteuid()
        );
        section.problem(key, message);
    }
}
