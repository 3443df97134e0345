//! Files on their way out, a bounded piece at a time.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::problem::{Kind, Problem};

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// Opens a file whose row says that it has `size` bytes; its length, and its content.
///
/// # Errors
/// 500: the row promised a file, so its absence is ours to explain.
pub(crate) async fn open(path: &Path, size: i64) -> Result<(u64, impl Stream<Item = std::io::Result<Bytes>> + Send + use<>), Problem> {
    let file = File::open(path).await.map_err(|error| {
        tracing::error!(error = %error, path = %path.display(), "a stored file cannot be opened");
        Problem::new(Kind::INTERNAL, "the file cannot be read; the daemon's log says more")
    })?;
    let length = u64::try_from(size).unwrap_or(0);
    Ok((length, stream(file, length)))
}

/// The next `length` bytes of a file. A file that is shorter ends the answer with an error, so that the client does
/// not take it for whole.
fn stream(file: File, length: u64) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    futures_util::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut piece = BytesMut::zeroed(wanted);
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(Some((piece.freeze(), (file, left - read as u64))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    #[tokio::test]
    async fn a_file_comes_whole_and_a_short_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let pieces: Vec<Bytes> = stream(File::open(&path).await.unwrap(), 200_000).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), content);
        let short: Result<Vec<Bytes>, _> = stream(File::open(&path).await.unwrap(), 200_001).try_collect().await;
        assert!(short.is_err());
    }
}
