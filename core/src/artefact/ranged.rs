//! Octets of an object for who reads them as a file's: fetched in windows that grow as long as reading goes on, so that a
//! player that seeks costs little and one that plays on does not ask for every piece.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::bucket::Bucket;

/// Octets that are asked for where nobody has read before: four seconds of sound.
const FIRST: usize = 64 * 1024;
/// Octets at most at once.
const MOST: usize = 1024 * 1024;
/// Windows that are kept: a file's header, its end, and where it is read.
const KEPT: usize = 4;

/// An object that was there when this was made. It reads for threads that may block, never on the runtime's own.
#[derive(Debug)]
pub struct Ranged {
    bucket: Bucket,
    relative: String,
    length: u64,
    runtime: Handle,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    /// From which octet, and what is there; the latest first.
    kept: VecDeque<(u64, Bytes)>,
    /// Where reading has come to, and how much was asked for last.
    reached: u64,
    asked: usize,
}

impl Ranged {
    /// On the current runtime.
    pub(super) fn new(bucket: Bucket, relative: &str, length: u64) -> Self {
        Self {
            bucket,
            relative: relative.to_owned(),
            length,
            runtime: Handle::current(),
            windows: Mutex::default(),
        }
    }

    /// Its octets.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buf` with its octets from `at` on. Blocks: for `spawn_blocking` alone.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are not so many; the object storage's.
    pub fn read_exact_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<()> {
        let read = self.runtime.block_on(self.octets(at, buf.len()))?;
        buf.copy_from_slice(&read);
        Ok(())
    }

    /// `count` of its octets from `at` on, where the runtime's threads wait for nothing.
    ///
    /// # Errors
    /// As [`Ranged::read_exact_at`].
    pub(super) async fn octets(&self, at: u64, count: usize) -> std::io::Result<Vec<u8>> {
        let end = at.checked_add(count as u64).filter(|end| *end <= self.length);
        end.ok_or(ErrorKind::UnexpectedEof)?;
        let mut read = Vec::with_capacity(count);
        let mut windows = self.windows.lock().await;
        while read.len() < count {
            let (at, left) = (at + read.len() as u64, count - read.len());
            if windows.take(at, left, &mut read) {
                continue;
            }
            let until = (at + windows.next(at, left) as u64).min(self.length);
            let fetched = self.bucket.read(&self.relative, at..until).await;
            windows.keep(at, fetched.map_err(Error::other)?);
        }
        Ok(read)
    }
}

impl Windows {
    /// Adds what is kept from `at` on, `most` octets of it; whether there was any.
    fn take(&self, at: u64, most: usize, read: &mut Vec<u8>) -> bool {
        for (from, bytes) in &self.kept {
            let within = at.checked_sub(*from).and_then(|within| usize::try_from(within).ok());
            if let Some(there) = within.and_then(|within| bytes.get(within..)).filter(|there| !there.is_empty()) {
                read.extend_from_slice(&there[..there.len().min(most)]);
                return true;
            }
        }
        false
    }

    /// How much to ask for from `at` on, where `wanted` octets are needed.
    fn next(&mut self, at: u64, wanted: usize) -> usize {
        let goes_on = self.reached == at && at > 0;
        self.asked = if goes_on { (self.asked * 4).min(MOST) } else { FIRST };
        self.asked.max(wanted.min(MOST))
    }

    fn keep(&mut self, from: u64, bytes: Bytes) {
        self.reached = from + bytes.len() as u64;
        self.kept.push_front((from, bytes));
        self.kept.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    const SIZE: usize = 3 * MOST + 777;

    fn octets() -> Vec<u8> {
        (0..SIZE).map(|n| (n / 7 + n / 1_000) as u8).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_stretch_is_that_of_the_whole_and_little_is_asked_for() {
        let bucket = Bucket::new(Arc::new(InMemory::new()), "memory", "");
        bucket.put("a", octets().into()).await.unwrap();
        let ranged = Ranged::new(bucket, "a", SIZE as u64);
        let reading = tokio::task::spawn_blocking(move || {
            let whole = octets();
            let read = |at: usize, length: usize| {
                let mut buf = vec![0; length];
                ranged.read_exact_at(&mut buf, at as u64).unwrap();
                assert_eq!(buf, whole[at..at + length], "{at} {length}");
            };
            let held = || {
                ranged
                    .windows
                    .blocking_lock()
                    .kept
                    .iter()
                    .map(|(_, bytes)| bytes.len())
                    .sum::<usize>()
            };
            read(0, 64);
            read(SIZE - 100, 100);
            assert_eq!(held(), FIRST + 100, "a header and an end");
            read(1_000_000, 4_112);
            assert_eq!(held(), 2 * FIRST + 100);
            for at in (1_004_112..1_900_000).step_by(4_112) {
                read(at, 4_112);
            }
            assert!(ranged.windows.blocking_lock().asked > FIRST, "reading went on");
            read(0, SIZE);
            read(5, 0);
            read(SIZE, 0);
            for (at, length) in [(SIZE, 1), (SIZE - 1, 2), (usize::MAX, 1)] {
                let short = ranged.read_exact_at(&mut vec![0; length], at as u64);
                assert_eq!(short.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            }
        });
        reading.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_that_is_gone_is_an_error() {
        let bucket = Bucket::new(Arc::new(InMemory::new()), "memory", "");
        let ranged = Ranged::new(bucket, "a", 10);
        let reading = tokio::task::spawn_blocking(move || ranged.read_exact_at(&mut [0; 5], 0).unwrap_err().to_string());
        let said = reading.await.unwrap();
        assert!(said.contains("object storage memory") && said.contains("not there"), "{said}");
    }
}
