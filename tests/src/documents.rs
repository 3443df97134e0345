//! Faxes and scans, made by other people's programs: pages that show a reference, and files that no reader should survive.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Documents that show the reference.
pub const SHOWN: [&str; 16] = [
    "page.png",
    "colour.pdf",
    "worn.jpg",
    "bars.png",
    "upside-down.png",
    "sideways.png",
    "g4.tif",
    "g3.tif",
    "g3-2d.tif",
    "huffman.tif",
    "coarse.tif",
    "g4.pdf",
    "lzw.tif",
    "second-page.tif",
    "palette.png",
    "palette.pdf",
];

/// Documents that show none, and can be read.
pub const PLAIN: [&str; 3] = ["plain.pdf", "foreign.png", "wrong-digit.png"];

/// Files that cannot be read.
pub const BROKEN: [&str; 2] = ["letter.docx", "half.pdf"];

/// A folder of them.
#[derive(Debug)]
pub struct Documents(TempDir);

impl Documents {
    /// Pages that show a reference, and some that show none.
    ///
    /// # Errors
    /// When Python or its packages are missing.
    pub fn of(reference: &str) -> Result<Self> {
        Self::made(reference)
    }

    /// What is made to bring a reader down.
    ///
    /// # Errors
    /// As for [`Documents::of`].
    pub fn bombs() -> Result<Self> {
        Self::made("--bombs")
    }

    fn made(what: &str) -> Result<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/documents");
        let python = peers.join(".venv/bin/python");
        let folder = tempfile::Builder::new().prefix("documents").tempdir()?;
        let mut command = Command::new(&python);
        command.arg(peers.join("make.py")).arg(folder.path()).arg(what);
        let made = command
            .output()
            .with_context(|| format!("{}: scripts/install-peers installs it", python.display()))?;
        ensure!(made.status.success(), "make.py: {}", String::from_utf8_lossy(&made.stderr));
        Ok(Self(folder))
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The bytes of one.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.0.path().join(name)).with_context(|| name.to_owned())
    }

    /// The names of all of them, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(self.0.path())?;
        let mut names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort();
        Ok(names)
    }
}
