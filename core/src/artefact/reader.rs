//! Reading a blob a bounded piece at a time, sealed or not, from the local folder or from object storage.

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::ranged::Ranged;
use super::shelf::Found;
use crate::base::error::{CoreError, Result};
use crate::vault::{CHUNK, ChunkOpener, Vault};

/// The content of one blob, on its way out.
#[derive(Debug)]
pub struct BlobReader {
    octets: Octets,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// As it is; so many bytes are still to come.
    Plain(u64),
    Sealed(Box<ChunkOpener>),
}

/// The file, from its beginning to its end.
#[derive(Debug)]
enum Octets {
    Here(File),
    /// And where reading has come to.
    There(Ranged, u64),
}

impl Octets {
    async fn length(&self) -> std::io::Result<u64> {
        match self {
            Self::Here(file) => Ok(file.metadata().await?.len()),
            Self::There(object, _) => Ok(object.length()),
        }
    }

    /// The next octets, so many of them.
    async fn take(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Here(file) => {
                let mut octets = vec![0; count];
                file.read_exact(&mut octets).await?;
                Ok(octets)
            }
            Self::There(object, at) => {
                let octets = object.octets(*at, count).await?;
                *at += count as u64;
                Ok(octets)
            }
        }
    }
}

impl BlobReader {
    pub(super) async fn open(found: Found, vault: &Vault, sha256: &str, size: u64) -> Result<Self> {
        let failed = |source| CoreError::File {
            what: "opening a blob".to_owned(),
            source,
        };
        let mut octets = match found {
            Found::Here(file) => Octets::Here(File::from_std(file)),
            Found::There(object) => Octets::There(object, 0),
        };
        if !vault.is_on() {
            let content = Content::Plain(size);
            return Ok(Self { octets, content });
        }
        let length = octets.length().await.map_err(failed)?;
        let begin = usize::try_from(length).unwrap_or(usize::MAX).min(ChunkOpener::HEADER);
        let header = octets.take(begin).await.map_err(failed)?;
        let content = match vault.open_file(sha256, &header, length)? {
            // The row would promise more or less than there is.
            Some(opener) if opener.remaining() != size => return Err(opener.broken()),
            Some(opener) => Content::Sealed(Box::new(opener)),
            None => Content::Plain(size),
        };
        Ok(Self { octets, content })
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        match &self.content {
            Content::Plain(left) => *left,
            Content::Sealed(opener) => opener.remaining(),
        }
    }

    /// The next piece, of 64 KiB at most; `None` at the end. A file that ends too soon, or of which a piece was changed, is
    /// an error, so that nobody takes it for whole.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof`; what [`ChunkOpener::chunk`] says.
    pub async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        match &mut self.content {
            Content::Plain(0) => Ok(None),
            Content::Plain(left) => {
                let piece = self.octets.take(usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK)).await?;
                *left -= piece.len() as u64;
                Ok(Some(piece.into()))
            }
            Content::Sealed(opener) => {
                if opener.next() == 0 {
                    return Ok(None);
                }
                let mut piece = self.octets.take(opener.next()).await?;
                opener.chunk(&mut piece).map_err(std::io::Error::other)?;
                Ok(Some(piece.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::artefact::Blobs;
    use crate::store::Store;
    use crate::vault::MasterKeys;

    async fn sealed(folder: &Path) -> Vault {
        let store = Store::open(&format!("sqlite:{}", folder.join("v.db").display())).await.unwrap();
        store.migrate().await.unwrap();
        let keys = MasterKeys::parse(&crate::vault::new_line().unwrap()).unwrap();
        Vault::of(&store, Some(&keys)).await.unwrap()
    }

    async fn whole(blobs: &Blobs, sha256: &str, size: u64) -> std::io::Result<Vec<u8>> {
        let mut reader = blobs.read(sha256, size).await.map_err(std::io::Error::other)?;
        let mut content = Vec::new();
        while let Some(piece) = reader.next().await? {
            assert!(piece.len() <= CHUNK);
            content.extend_from_slice(&piece);
        }
        assert_eq!(reader.remaining(), 0);
        Ok(content)
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => found.extend(files(&entry)),
                false => found.push(entry),
            }
        }
        found
    }

    #[tokio::test]
    async fn content_comes_whole_and_a_file_that_was_changed_is_an_error() {
        for on in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let vault = if on { sealed(folder.path()).await } else { Vault::off() };
            let blobs = Blobs::open(folder.path().join("blobs"), vault).unwrap();
            for size in [0, 1, CHUNK, 3 * CHUNK + 5] {
                let content: Vec<u8> = (0..size).map(|n| (n / 3) as u8).collect();
                let stored = blobs.put(content.clone().into()).await.unwrap();
                assert_eq!(blobs.put(content.clone().into()).await.unwrap(), stored);
                assert_eq!(whole(&blobs, &stored.sha256, stored.size).await.unwrap(), content);
                assert!(
                    whole(&blobs, &stored.sha256, stored.size + 1).await.is_err(),
                    "a file that is short"
                );
            }
            assert!(blobs.read("../../etc/passwd", 1).await.is_err());
            let stored = blobs.put(Bytes::from(vec![b'x'; 2 * CHUNK])).await.unwrap();
            let of = |file: &std::path::PathBuf| std::fs::metadata(file).unwrap().len();
            let mut there = files(&folder.path().join("blobs"));
            there.retain(|file| (2 * CHUNK as u64..2 * CHUNK as u64 + 100).contains(&of(file)));
            let [file] = &there[..] else { panic!("{there:?}") };
            let bytes = std::fs::read(file).unwrap();
            assert_eq!(bytes.windows(16).any(|some| some == [b'x'; 16]), !on);
            assert_eq!(file.to_string_lossy().contains(&stored.sha256), !on);
            std::fs::write(file, &bytes[..bytes.len() - CHUNK]).unwrap();
            assert!(whole(&blobs, &stored.sha256, stored.size).await.is_err());
        }
    }
}
