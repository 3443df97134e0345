//! Files on their way out, a bounded piece at a time.

use bytes::Bytes;
use futures_util::Stream;
use voxea_core::artefact::BlobReader;

use super::problem::{Kind, Problem};

/// The largest content that is held in memory at once, in bytes: a mail with its files is no larger.
const WHOLE_BYTES: u64 = 64 * 1024 * 1024;

/// The length of some content, and its pieces. A file that is not what its row promises ends the answer with an error, so
/// that the client does not take it for whole.
pub(crate) fn stream(content: BlobReader) -> (u64, impl Stream<Item = std::io::Result<Bytes>> + Send + use<>) {
    let length = content.remaining();
    let pieces = futures_util::stream::try_unfold(content, |mut content| async move {
        let piece = content.next().await.inspect_err(|error| {
            tracing::error!(%error, "a stored file cannot be read to its end");
        })?;
        Ok(piece.map(|piece| (piece, content)))
    });
    (length, pieces)
}

/// All of some content of at most [`WHOLE_BYTES`]; `None` of a larger one.
///
/// # Errors
/// When it cannot be read to its end.
pub(crate) async fn whole(mut content: BlobReader) -> Result<Option<Vec<u8>>, Problem> {
    if content.remaining() > WHOLE_BYTES {
        return Ok(None);
    }
    let mut all = Vec::new();
    while let Some(piece) = content.next().await.map_err(|error| {
        tracing::error!(%error, "a stored file cannot be read to its end");
        Problem::new(Kind::INTERNAL, "a stored file cannot be read to its end; the daemon's log says why")
    })? {
        all.extend_from_slice(&piece);
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use voxea_core::artefact::Blobs;
    use voxea_core::vault::Vault;

    #[tokio::test]
    async fn a_file_comes_whole_and_a_short_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_path_buf(), Vault::off()).unwrap();
        let content: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let stored = blobs.put(content.clone().into()).await.unwrap();
        let (length, pieces) = stream(blobs.read(&stored.sha256, stored.size).await.unwrap());
        assert_eq!(length, 200_000);
        assert_eq!(pieces.try_collect::<Vec<Bytes>>().await.unwrap().concat(), content);
        let (_, pieces) = stream(blobs.read(&stored.sha256, stored.size + 1).await.unwrap());
        assert!(pieces.try_collect::<Vec<Bytes>>().await.is_err());
        let all = whole(blobs.read(&stored.sha256, stored.size).await.unwrap()).await.unwrap();
        assert_eq!(all.as_deref(), Some(content.as_slice()));
        assert!(whole(blobs.read(&stored.sha256, stored.size + 1).await.unwrap()).await.is_err());
    }
}
