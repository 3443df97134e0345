//! The hash chain over a file's chunks as they stand there.
//!
//! Each link is the SHA-256 of the one before it and of the chunk; the first
//! is of the header. The last is the head, which the manifest signs. Four
//! octets of every link are kept, so that the first chunk that does not fit
//! can be named; what proves is the head.

use ring::digest::{Context, SHA256};

use crate::format::{Header, sha256};
use crate::hex;

/// Octets kept of each link.
const MARK: usize = 4;

/// A chain that grows as its file does.
#[derive(Clone)]
pub(crate) struct Chain {
    stride: usize,
    link: [u8; 32],
    open: Context,
    /// Octets in `open`.
    filled: usize,
    marks: Vec<[u8; MARK]>,
}

impl Chain {
    /// Over a file of this header, and nothing else yet.
    pub(crate) fn new(header: &Header) -> Self {
        let link = sha256(&[&b"voxea recording chain 1\0"[..], &header.to_bytes()].concat());
        Self {
            stride: header.stride(),
            link,
            open: after(&link),
            filled: 0,
            marks: Vec::new(),
        }
    }

    /// The next octets of the file.
    pub(crate) fn push(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let (now, later) = octets.split_at(octets.len().min(self.stride - self.filled));
            self.open.update(now);
            self.filled += now.len();
            octets = later;
            if self.filled == self.stride {
                self.close();
            }
        }
    }

    /// The last chunk ends here, however long it is.
    pub(crate) fn end(&mut self) {
        if self.filled > 0 {
            self.close();
        }
    }

    /// Chunks that are closed.
    pub(crate) fn chunks(&self) -> u64 {
        self.marks.len() as u64
    }

    /// The link of the last closed chunk.
    pub(crate) fn head(&self) -> String {
        hex::encode(&self.link)
    }

    /// The beginning of the last link.
    pub(crate) fn last_mark(&self) -> String {
        self.marks.last().map_or_else(String::new, |mark| hex::encode(mark))
    }

    /// The beginning of every link, eight digits each.
    pub(crate) fn marks(&self) -> String {
        hex::encode(self.marks.as_flattened())
    }

    /// Whether the closed chunks of another chain are the first of this one.
    pub(crate) fn begins_with(&self, other: &Self) -> bool {
        self.marks.starts_with(&other.marks)
    }

    fn close(&mut self) {
        let open = std::mem::replace(&mut self.open, Context::new(&SHA256));
        self.link.copy_from_slice(open.finish().as_ref());
        self.open = after(&self.link);
        self.filled = 0;
        let mut mark = [0; MARK];
        mark.copy_from_slice(&self.link[..MARK]);
        self.marks.push(mark);
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("chunks", &self.marks.len()).finish_non_exhaustive()
    }
}

fn after(link: &[u8; 32]) -> Context {
    let mut context = Context::new(&SHA256);
    context.update(link);
    context
}

/// The mark of a chunk in the text that [`Chain::marks`] made.
pub(crate) fn mark(marks: &str, chunk: u64) -> Option<&str> {
    let at = usize::try_from(chunk).ok()?.checked_mul(2 * MARK)?;
    marks.get(at..at.checked_add(2 * MARK)?)
}

/// How many marks a text holds; none when it is not made of them.
pub(crate) fn count(marks: &str) -> Option<u64> {
    let whole = marks.len().is_multiple_of(2 * MARK);
    whole.then_some((marks.len() / (2 * MARK)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::format::CHUNK;
    use proptest::prelude::*;

    fn header(started: i64) -> Header {
        Header {
            codec: Codec::Pcma,
            started,
            salt: None,
        }
    }

    fn of(header: &Header, octets: &[u8]) -> Chain {
        let mut chain = Chain::new(header);
        chain.push(octets);
        chain.end();
        chain
    }

    #[test]
    fn a_chunk_that_differs_shows_from_there_on() {
        let octets = vec![1; 3 * CHUNK + 5];
        let chain = of(&header(0), &octets);
        assert_eq!((chain.chunks(), count(&chain.marks())), (4, Some(4)));
        let mut changed = octets.clone();
        changed[2 * CHUNK] = 2;
        let other = of(&header(0), &changed);
        let same = |at| mark(&chain.marks(), at) == mark(&other.marks(), at);
        assert_eq!([0, 1, 2, 3].map(same), [true, true, false, false]);
        assert!(mark(&chain.marks(), 4).is_none() && mark(&chain.marks(), u64::MAX).is_none());
        assert_ne!(of(&header(1), &octets).head(), chain.head());
        assert!(of(&header(0), &octets[..2 * CHUNK]).begins_with(&Chain::new(&header(0))));
        assert!(chain.begins_with(&of(&header(0), &octets[..2 * CHUNK])));
        assert!(!other.begins_with(&chain));
    }

    proptest! {
        #[test]
        fn how_it_was_written_does_not_matter(cuts in proptest::collection::vec(0usize..9_000, 0..6), length in 0usize..20_000) {
            let octets: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut chain = Chain::new(&header(0));
            let mut rest = &octets[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                chain.push(now);
                rest = later;
            }
            chain.push(rest);
            chain.end();
            let whole = of(&header(0), &octets);
            prop_assert_eq!((chain.head(), chain.marks()), (whole.head(), whole.marks()));
        }
    }
}
