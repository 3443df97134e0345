//! Several blobs at once: each is flushed, as one alone is, and each shelf once for all that came to stand on it.
//!
//! A flush waits for the disk and for nothing else, and what is flushed at the same moment shares one commit of the file
//! system's journal.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::blobs::{Blobs, StoredBlob};
use crate::base::error::{CoreError, Result};

/// Files and folders that are flushed at the same time.
const FLUSHES: usize = 16;

impl Blobs {
    /// Keeps some contents, in their order. When this returns all of them are on disk.
    ///
    /// # Errors
    /// [`CoreError::File`]; nothing may then be acknowledged that depends on any of them.
    pub async fn put_all(&self, contents: Vec<Bytes>) -> Result<Vec<StoredBlob>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let writing = contents.into_iter().map(|content| {
            let blobs = self.clone();
            beside(move || blobs.write(&content))
        });
        let mut written: Vec<_> = stream::iter(writing).buffered(FLUSHES).try_collect().await?;
        let blobs = self.clone();
        let (stored, shelves) = beside(move || {
            let shelves = blobs.shelve(&mut written)?;
            Ok((written.iter().map(|one| one.stored.clone()).collect(), shelves))
        })
        .await?;
        let flushing = shelves.into_iter().map(|shelf| {
            let blobs = self.clone();
            beside(move || blobs.flush(&shelf))
        });
        stream::iter(flushing).buffer_unordered(FLUSHES).try_collect::<()>().await?;
        Ok(stored)
    }
}

/// Work that waits for the disk.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CoreError::Store(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Vault;

    #[tokio::test]
    async fn many_are_kept_as_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
        let first = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
        // One that is there, one that comes twice, an empty one, and more than are flushed at the same time.
        let mut contents = vec![
            Bytes::from_static(b"abc"),
            Bytes::from_static(b"twice"),
            Bytes::from_static(b"twice"),
            Bytes::new(),
        ];
        contents.extend((0..40).map(|number| Bytes::from(format!("content {number}"))));
        let stored = blobs.put_all(contents.clone()).await.unwrap();
        assert_eq!((stored.len(), &stored[0], &stored[1]), (44, &first, &stored[2]));
        for (content, blob) in contents.iter().zip(&stored) {
            assert_eq!((Blobs::hash(content), content.len() as u64), (blob.sha256.clone(), blob.size));
            let kept = folder.path().join("sha256").join(&blob.sha256[..2]).join(&blob.sha256);
            assert_eq!(std::fs::read(kept).unwrap(), content.to_vec());
        }
        assert!(std::fs::read_dir(folder.path().join("new")).unwrap().next().is_none());
        assert!(blobs.put_all(Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_that_cannot_be_kept_is_an_error_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
        let in_the_way = Blobs::hash(b"abc");
        std::fs::write(folder.path().join("sha256").join(&in_the_way[..2]), b"").unwrap();
        let refused = blobs.put_all(vec![Bytes::from_static(b"x"), Bytes::from_static(b"abc")]).await;
        assert!(matches!(refused, Err(CoreError::File { .. })), "{refused:?}");
        assert!(std::fs::read_dir(folder.path().join("new")).unwrap().next().is_none());
    }
}
