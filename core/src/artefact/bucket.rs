//! Object storage: the files of the blob folder under their relative paths, below a prefix of one bucket.
//!
//! Whoever starts the daemon makes the client; this names objects, bounds every question in time, and tells what went wrong
//! in words for the operator.

use std::error::Error as _;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};

use crate::base::error::{CoreError, Result};
use crate::base::id;

/// Octets of a part of an upload, and of one read while what was sent is verified. S3 takes no smaller parts.
pub(super) const PIECE: usize = 5 * 1024 * 1024;
/// For one question with its repetitions; the client's own limits are shorter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Characters of somebody else's words in an error.
const WORDS: usize = 300;

/// One bucket and a prefix in it. Clones share the client. Its `Debug` shows the name alone.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: Arc<str>,
    prefix: Key,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.name)
    }
}

/// Equal when they are the same place.
impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.prefix) == (&other.name, &other.prefix)
    }
}

impl Eq for Bucket {}

/// Parts of an object on their way; nothing is there before the last one was taken.
pub(super) type Parts = Box<dyn MultipartUpload>;

impl Bucket {
    /// A bucket that operators call `name` (`s3://town/voxea`), with the client that speaks to it, and the prefix.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, name: &str, prefix: &str) -> Self {
        Self {
            store,
            name: name.into(),
            prefix: Key::from(prefix),
        }
    }

    /// As operators call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps, reads and removes a small object. For `voxea doctor`.
    ///
    /// # Errors
    /// [`CoreError::Away`], with what could not be done.
    pub async fn probe(&self) -> Result<()> {
        let name = format!(".doctor-{}", id::new());
        let content = Bytes::from_static(b"voxea doctor");
        self.put(&name, content.clone()).await?;
        let read = self.read(&name, 0..content.len() as u64).await;
        // Removed whatever came of reading it.
        self.erase(&name).await?;
        if read? != content {
            return Err(self.failed("reading", &name, "what it gives is not what was kept"));
        }
        Ok(())
    }

    /// Octets of an object; `None` when there is none.
    pub(super) async fn length(&self, relative: &str) -> Result<Option<u64>> {
        let key = self.key(relative);
        match self.within(relative, "asking for", self.store.head(&key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Failed::Absent) => Ok(None),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    /// Some octets of an object, all that are asked for.
    pub(super) async fn read(&self, relative: &str, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let (key, wanted) = (self.key(relative), range.end - range.start);
        let read = self.within(relative, "reading", self.store.get_range(&key, range)).await;
        match read {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
            Ok(bytes) => {
                let words = format!("it gave {} octets of {wanted}", bytes.len());
                Err(self.failed("reading", relative, &words))
            }
            Err(Failed::Absent) => Err(self.failed("reading", relative, "it is not there")),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    /// Keeps a small object, whole or not at all; one that is there is replaced.
    pub(super) async fn put(&self, relative: &str, content: Bytes) -> Result<()> {
        let (key, payload) = (self.key(relative), PutPayload::from(content));
        self.there(relative, self.within(relative, "sending", self.store.put(&key, payload)).await)?;
        Ok(())
    }

    /// Begins one that comes in parts.
    pub(super) async fn begin(&self, relative: &str) -> Result<Parts> {
        let key = self.key(relative);
        let begun = self.within(relative, "beginning to send", self.store.put_multipart(&key)).await;
        self.there(relative, begun)
    }

    /// The next part; all but the last have [`PIECE`] octets.
    pub(super) async fn part(&self, relative: &str, parts: &mut Parts, content: Bytes) -> Result<()> {
        let sent = self.within(relative, "sending a part of", parts.put_part(content.into())).await;
        self.there(relative, sent)
    }

    /// Makes one object of all parts.
    pub(super) async fn complete(&self, relative: &str, parts: &mut Parts) -> Result<()> {
        let done = self.within(relative, "completing", parts.complete()).await;
        self.there(relative, done).map(|_| ())
    }

    /// Lets the parts go that were sent. What cannot be said to the server now, its own rule for incomplete uploads clears.
    pub(super) async fn abort(&self, relative: &str, mut parts: Parts) {
        if let Err(Failed::Other(error)) = self.within(relative, "giving up", parts.abort()).await {
            tracing::debug!(%error, "parts of an object are left behind");
        }
    }

    /// Removes an object; one that is gone is no error.
    pub(super) async fn erase(&self, relative: &str) -> Result<()> {
        let key = self.key(relative);
        match self.within(relative, "removing", self.store.delete(&key)).await {
            Ok(()) | Err(Failed::Absent) => Ok(()),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    /// What to say when something is not as it should be with an object.
    pub(super) fn failed(&self, doing: &str, relative: &str, words: &str) -> CoreError {
        CoreError::Away(format!("object storage {}, {doing} {relative}: {words}", self.name))
    }

    fn key(&self, relative: &str) -> Key {
        relative.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    async fn within<T>(
        &self,
        relative: &str,
        doing: &str,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> std::result::Result<T, Failed> {
        let other = |words: &str| Failed::Other(self.failed(doing, relative, words));
        match tokio::time::timeout(PATIENCE, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Error::NotFound { source, .. })) if is_bucket(&source.to_string()) => {
                Err(other("there is no such bucket; make it, or name another one: [store] blobs"))
            }
            Ok(Err(Error::NotFound { .. })) => Err(Failed::Absent),
            Ok(Err(error)) => Err(other(&words(&error))),
            Err(_) => Err(other(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    fn there<T>(&self, relative: &str, sent: std::result::Result<T, Failed>) -> Result<T> {
        sent.map_err(|failed| match failed {
            Failed::Absent => self.failed("sending", relative, "the bucket is not there, or the upload was given up meanwhile"),
            Failed::Other(error) => error,
        })
    }
}

/// Why there is no answer.
enum Failed {
    Absent,
    Other(CoreError),
}

fn is_bucket(answer: &str) -> bool {
    answer.contains("NoSuchBucket")
}

/// The library's words on one line: of a server's XML its code alone, of a broken connection the innermost reason.
fn words(error: &Error) -> String {
    let hint = match error {
        Error::PermissionDenied { .. } => "; the keys must be right, and may read, write and delete there",
        Error::Unauthenticated { .. } => "; the keys are not known there",
        _ => "",
    };
    let said = error.to_string();
    let (before, xml) = said.split_once('<').unwrap_or((&said, ""));
    let code = xml.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let mut innermost = error.source();
    while let Some(next) = innermost.and_then(|inner| inner.source()) {
        innermost = Some(next);
    }
    let mut line = before.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((code, _)) = code {
        line = format!("{line} {code}");
    } else if let Some(inner) = innermost.map(ToString::to_string).filter(|inner| !said.contains(inner.as_str())) {
        line = format!("{line}: {inner}");
    }
    let line: String = line.chars().filter(|char| !char.is_control()).take(WORDS).collect();
    line + hint
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn bucket(prefix: &str) -> (Arc<InMemory>, Bucket) {
        let store = Arc::new(InMemory::new());
        let shared: Arc<dyn ObjectStore> = Arc::clone(&store) as Arc<dyn ObjectStore>;
        (store, Bucket::new(shared, "s3://town/voxea", prefix))
    }

    #[tokio::test]
    async fn objects_lie_below_the_prefix() {
        for (prefix, at) in [("", "recordings/a.vrec"), ("voxea/x", "voxea/x/recordings/a.vrec")] {
            let (store, bucket) = bucket(prefix);
            assert_eq!(bucket.length("recordings/a.vrec").await.unwrap(), None);
            bucket.put("recordings/a.vrec", Bytes::from_static(b"sound")).await.unwrap();
            assert_eq!(store.head(&Key::from(at)).await.unwrap().size, 5);
            assert_eq!(bucket.length("recordings/a.vrec").await.unwrap(), Some(5));
            assert_eq!(bucket.read("recordings/a.vrec", 1..3).await.unwrap(), "ou");
            assert_eq!(bucket.read("recordings/a.vrec", 5..5).await.unwrap(), "");
            assert!(bucket.read("recordings/a.vrec", 1..9).await.is_err(), "less than was asked for");
            assert!(bucket.read("recordings/b.vrec", 0..1).await.is_err());
            bucket.erase("recordings/a.vrec").await.unwrap();
            bucket.erase("recordings/a.vrec").await.unwrap();
            bucket.probe().await.unwrap();
        }
    }

    #[test]
    fn words_are_one_line_and_short() {
        let xml = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
                   <StringToSign>AKIA</StringToSign></Error>";
        let error = Error::PermissionDenied {
            path: "a".to_owned(),
            source: xml.into(),
        };
        let said = words(&error);
        assert!(
            said.contains("SignatureDoesNotMatch") && said.contains("the keys must be right"),
            "{said}"
        );
        assert!(!said.contains("AKIA") && !said.contains('\n'), "{said}");
        let long = Error::Generic {
            store: "S3",
            source: "x".repeat(5_000).into(),
        };
        assert!(words(&long).len() <= WORDS);
    }

    #[test]
    fn debug_shows_the_name_alone() {
        assert_eq!(format!("{:?}", bucket("").1), "Bucket(s3://town/voxea)");
    }
}
