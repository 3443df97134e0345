//! Where the octets of a recording's file come from: the disk, or whatever else gives any stretch of them when it is asked.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// A recording's file, wherever it is. It does not change any more, or only grows.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its octets.
    ///
    /// # Errors
    /// Whatever keeps it from being asked.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buf` with its octets from `at` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are not so many; whatever keeps them from being read.
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()>;
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, at)
    }
}

/// A source from its beginning to its end, as it was long when this was made.
#[derive(Debug)]
pub(crate) struct Walk<'s> {
    source: &'s dyn Source,
    at: u64,
    left: u64,
}

impl<'s> Walk<'s> {
    pub(crate) fn of(source: &'s dyn Source) -> io::Result<Self> {
        let left = source.length()?;
        Ok(Self { source, at: 0, left })
    }
}

impl Read for Walk<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        self.source.read_exact_at(&mut buf[..count], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_walk_ends_where_the_source_ended() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one two three").unwrap();
        let mut read = Vec::new();
        Walk::of(&file).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"one two three");
        let mut walk = Walk::of(&file).unwrap();
        file.set_len(3).unwrap();
        assert_eq!(walk.read_to_end(&mut read).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut some = [0; 3];
        Source::read_exact_at(&file, &mut some, 0).unwrap();
        assert_eq!((&some, file.length().unwrap()), (b"one", 3));
        assert!(Source::read_exact_at(&file, &mut some, 1).is_err());
    }
}
