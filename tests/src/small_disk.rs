//! A disk that can be full: a tmpfs of so many octets. It takes root.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Mounted; gone when this is dropped.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty one at this folder.
    ///
    /// # Errors
    /// When nothing can be mounted: not root.
    pub fn mount(at: &Path, octets: usize) -> Result<Self> {
        let size = format!("size={octets}");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).context("a small disk takes root")?;
        Ok(Self { at: at.to_owned() })
    }

    /// Fills it up, to the last octet.
    ///
    /// # Errors
    /// When something else is wrong with it than that it is full.
    pub fn fill(&self) -> Result<()> {
        let mut filler = std::fs::OpenOptions::new().create(true).append(true).open(self.filler())?;
        for step in [65_536, 4_096, 1] {
            loop {
                match filler.write_all(&vec![0; step]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Takes away what filled it.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while somebody who failed still holds a file.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_and_has_room_again() {
        let at = tempfile::tempdir().unwrap();
        let disk = SmallDisk::mount(at.path(), 1 << 20).unwrap();
        let file = at.path().join("a");
        std::fs::write(&file, [1; 100]).unwrap();
        disk.fill().unwrap();
        let refused = std::fs::write(&file, [2; 9_000]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.free().unwrap();
        std::fs::write(&file, [2; 9_000]).unwrap();
        drop(disk);
        assert!(!file.exists(), "it is gone");
    }
}
