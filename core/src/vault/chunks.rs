//! Files, sealed in chunks, so that a large one is written and read a bounded piece at a time.
//!
//! A header (8 bytes that say what it is, 16 of salt) and chunks of [`CHUNK`] bytes, each followed by its tag; the last one
//! may be shorter, and an empty file has one, empty. The salt gives the file a key of its own, so a chunk's nonce is its
//! number, and whether it is the last: a file that was cut, lengthened or put in another order does not open. Each chunk is
//! bound to the hash of the whole content, so that two files cannot change places.

use ring::aead::{Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce};

use super::door::Vault;
use crate::base::error::{CoreError, Result};

/// Bytes of content in a chunk.
pub const CHUNK: usize = 64 * 1024;
const TAG: usize = MAX_TAG_LEN;
const MAGIC: &[u8; 8] = b"vaultf1\n";
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + SALT;

/// Writes one file.
#[derive(Debug)]
pub struct ChunkSealer {
    key: LessSafeKey,
    content: String,
    header: [u8; HEADER],
    number: u32,
}

/// Reads one file.
#[derive(Debug)]
pub struct ChunkOpener {
    key: LessSafeKey,
    content: String,
    number: u32,
    /// Bytes that the file still has.
    left: u64,
}

/// The length of the sealed file of content of this length.
#[must_use]
pub const fn sealed_size(size: u64) -> u64 {
    let full = size.div_ceil(CHUNK as u64);
    let chunks = if full == 0 { 1 } else { full };
    HEADER as u64 + size + chunks * TAG as u64
}

/// The length of the content of a sealed file of this length; `None` when there is no such file.
const fn plain_size(sealed: u64) -> Option<u64> {
    let Some(body) = sealed.checked_sub(HEADER as u64) else {
        return None;
    };
    let chunks = body.div_ceil((CHUNK + TAG) as u64);
    match body.checked_sub(chunks * TAG as u64) {
        Some(size) if sealed_size(size) == sealed => Some(size),
        _ => None,
    }
}

impl Vault {
    /// A new file, for content of this SHA-256; `None` when the vault is off.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when the system gives no random bytes.
    pub fn seal_file(&self, sha256: &str) -> Result<Option<ChunkSealer>> {
        let Some(keys) = self.keys() else { return Ok(None) };
        let mut header = [0; HEADER];
        header[..MAGIC.len()].copy_from_slice(MAGIC);
        keys.random(&mut header[MAGIC.len()..])?;
        Ok(Some(ChunkSealer {
            key: keys.file(&header[MAGIC.len()..])?,
            content: sha256.to_owned(),
            header,
            number: 0,
        }))
    }

    /// A file that begins with `header` ([`ChunkOpener::HEADER`] bytes) and has `length` bytes in all; `None` when the
    /// vault is off.
    ///
    /// # Errors
    /// [`CoreError::Sealed`] when it is no sealed file.
    pub fn open_file(&self, sha256: &str, header: &[u8], length: u64) -> Result<Option<ChunkOpener>> {
        let Some(keys) = self.keys() else { return Ok(None) };
        let salt = header.strip_prefix(MAGIC).filter(|salt| salt.len() == SALT);
        let (Some(salt), Some(_)) = (salt, plain_size(length)) else {
            return Err(broken(sha256));
        };
        Ok(Some(ChunkOpener {
            key: keys.file(salt)?,
            content: sha256.to_owned(),
            number: 0,
            left: length - HEADER as u64,
        }))
    }
}

impl ChunkSealer {
    /// What the file begins with.
    #[must_use]
    pub const fn header(&self) -> &[u8] {
        &self.header
    }

    /// Seals the next chunk where it stands, and appends its tag. All but the last have [`CHUNK`] bytes.
    ///
    /// # Errors
    /// [`CoreError::Store`] for a file of more than 2^32 chunks.
    pub fn chunk(&mut self, plain: &mut Vec<u8>, last: bool) -> Result<()> {
        let too_large = || CoreError::Store("a file is too large to be sealed".to_owned());
        self.key
            .seal_in_place_append_tag(nonce(self.number, last), Aad::from(self.content.as_bytes()), plain)
            .map_err(|_| too_large())?;
        self.number = self.number.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }
}

impl ChunkOpener {
    /// Bytes that a file begins with.
    pub const HEADER: usize = HEADER;

    /// How many bytes of the file the next chunk has; 0 at the end.
    #[must_use]
    pub fn next(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK + TAG)
    }

    /// Bytes of content that are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.left - self.left.div_ceil((CHUNK + TAG) as u64) * TAG as u64
    }

    /// What to say when the file is not what a row promises.
    #[must_use]
    pub fn broken(&self) -> CoreError {
        broken(&self.content)
    }

    /// Opens the next chunk where it stands, and cuts its tag off.
    ///
    /// # Errors
    /// [`CoreError::Sealed`] when it was changed, or stands in the wrong place.
    pub fn chunk(&mut self, sealed: &mut Vec<u8>) -> Result<()> {
        let length = sealed.len() as u64;
        let Some(left) = self.left.checked_sub(length).filter(|_| sealed.len() == self.next()) else {
            return Err(broken(&self.content));
        };
        let opened = self
            .key
            .open_in_place(nonce(self.number, left == 0), Aad::from(self.content.as_bytes()), sealed)
            .map(|plain| plain.len())
            .map_err(|_| broken(&self.content))?;
        sealed.truncate(opened);
        self.left = left;
        self.number = self.number.checked_add(1).ok_or_else(|| broken(&self.content))?;
        Ok(())
    }
}

/// Used once: the key is the file's own.
fn nonce(number: u32, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    nonce[NONCE_LEN - 1] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// The hash of the content names the file to whoever can read rows, and to nobody else.
fn broken(sha256: &str) -> CoreError {
    CoreError::Sealed {
        place: "blob",
        id: sha256.get(..12).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::on(&[1; 32]).unwrap()
    }

    fn seal(content: &[u8], sha256: &str) -> Vec<u8> {
        let mut sealer = vault().seal_file(sha256).unwrap().unwrap();
        let mut file = sealer.header().to_vec();
        let mut rest = content;
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
            let mut chunk = chunk.to_vec();
            sealer.chunk(&mut chunk, after.is_empty()).unwrap();
            file.extend_from_slice(&chunk);
            rest = after;
            if rest.is_empty() {
                return file;
            }
        }
    }

    fn open(vault: &Vault, file: &[u8], sha256: &str) -> Result<Vec<u8>> {
        let header = &file[..file.len().min(HEADER)];
        let mut opener = vault.open_file(sha256, header, file.len() as u64)?.unwrap();
        let (mut rest, mut content) = (&file[HEADER..], Vec::new());
        let promised = opener.remaining();
        while opener.next() > 0 {
            let (chunk, after) = rest.split_at(opener.next());
            let mut chunk = chunk.to_vec();
            opener.chunk(&mut chunk)?;
            content.extend_from_slice(&chunk);
            rest = after;
        }
        assert_eq!(promised, content.len() as u64);
        Ok(content)
    }

    #[test]
    fn every_length_comes_back() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7] {
            let content: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let file = seal(&content, "ab");
            assert_eq!(file.len() as u64, sealed_size(length as u64));
            assert_eq!(plain_size(file.len() as u64), Some(length as u64));
            assert_eq!(open(&vault(), &file, "ab").unwrap(), content);
        }
    }

    #[test]
    fn a_file_that_was_cut_turned_or_changed_does_not_open() {
        let content = vec![7; 3 * CHUNK];
        let file = seal(&content, "ab");
        let block = CHUNK + TAG;
        assert!(open(&vault(), &file, "cd").is_err(), "another content's name");
        assert!(open(&Vault::on(&[2; 32]).unwrap(), &file, "ab").is_err(), "another key");
        for cut in [
            0,
            HEADER - 1,
            HEADER,
            HEADER + 5,
            HEADER + block,
            HEADER + 2 * block,
            file.len() - 1,
        ] {
            assert!(open(&vault(), &file[..cut], "ab").is_err(), "cut to {cut}");
        }
        let mut longer = file.clone();
        longer.extend_from_slice(&file[HEADER..HEADER + block]);
        assert!(open(&vault(), &longer, "ab").is_err(), "lengthened");
        let mut turned = file.clone();
        turned[HEADER..HEADER + 2 * block].rotate_left(block);
        assert!(open(&vault(), &turned, "ab").is_err(), "another order");
        for at in [0, MAGIC.len(), HEADER, HEADER + CHUNK, file.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(open(&vault(), &changed, "ab").is_err(), "changed at {at}");
        }
    }

    #[test]
    fn off_it_is_no_business_of_the_vault() {
        assert!(Vault::off().seal_file("ab").unwrap().is_none());
        assert!(Vault::off().open_file("ab", &[], 0).unwrap().is_none());
    }
}
