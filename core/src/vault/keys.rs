//! The keys that come from the root key.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hkdf, hmac};

use crate::base::error::{CoreError, Result};
use crate::base::time::{self, Millis};

/// Days whose keys are kept at hand; a page of a list rarely looks back further.
const DAYS: usize = 512;
const DAY: Millis = 24 * 3600 * 1000;

/// A root key.
pub(super) type Root = [u8; 32];

/// Everything that is derived from a root key.
pub(super) struct Keys {
    root: hkdf::Prk,
    index: hmac::Key,
    names: hmac::Key,
    days: RwLock<HashMap<u16, Arc<LessSafeKey>>>,
    random: SystemRandom,
}

impl Keys {
    pub(super) fn new(root: &Root) -> Result<Self> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"voxea vault 1").extract(root);
        let keyed = |purpose: &[u8]| {
            let purpose = [purpose];
            let key = root.expand(&purpose, hmac::HMAC_SHA256).map(hmac::Key::from);
            key.map_err(|_| underivable())
        };
        Ok(Self {
            index: keyed(b"index")?,
            names: keyed(b"file name")?,
            root,
            days: RwLock::default(),
            random: SystemRandom::new(),
        })
    }

    /// Fills with random bytes.
    pub(super) fn random(&self, bytes: &mut [u8]) -> Result<()> {
        self.random.fill(bytes).map_err(|_| no_random())
    }

    /// A nonce that is used once: 96 random bits. A key of a day may seal 2^32 values before a repetition gets likelier
    /// than 2^-33, which is fifty thousand a second around the clock.
    pub(super) fn nonce(&self) -> Result<[u8; NONCE_LEN]> {
        let mut nonce = [0; NONCE_LEN];
        self.random(&mut nonce)?;
        Ok(nonce)
    }

    /// The key that seals on a day, counted from 1970-01-01 UTC.
    pub(super) fn day(&self, day: u16) -> Result<Arc<LessSafeKey>> {
        if let Some(key) = self.days.read().unwrap_or_else(PoisonError::into_inner).get(&day) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.sealing(&[b"day", &day.to_be_bytes()])?);
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        // The days of stored values are whatever the database says, so their number is bounded here.
        if days.len() >= DAYS {
            days.clear();
        }
        days.insert(day, Arc::clone(&key));
        Ok(key)
    }

    /// The key that seals one file.
    pub(super) fn file(&self, salt: &[u8]) -> Result<LessSafeKey> {
        self.sealing(&[b"file", salt])
    }

    fn sealing(&self, purpose: &[&[u8]]) -> Result<LessSafeKey> {
        let okm = self.root.expand(purpose, &AES_256_GCM).map_err(|_| underivable())?;
        Ok(LessSafeKey::new(UnboundKey::from(okm)))
    }

    /// The keyed hash of a text of a kind.
    pub(super) fn index(&self, kind: &str, text: &str) -> hmac::Tag {
        tag(&self.index, kind, text)
    }

    /// The keyed hash by which a file is named.
    pub(super) fn name(&self, sha256: &str) -> hmac::Tag {
        tag(&self.names, "", sha256)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

fn tag(key: &hmac::Key, kind: &str, text: &str) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(kind.as_bytes());
    // No kind holds a NUL, so that kind and text cannot be mistaken for another pair.
    context.update(&[0]);
    context.update(text.as_bytes());
    context.sign()
}

/// The day of the present, counted from 1970-01-01 UTC; sixteen bits are enough until 2149.
pub(super) fn today() -> u16 {
    u16::try_from(time::now() / DAY).unwrap_or(u16::MAX)
}

fn underivable() -> CoreError {
    CoreError::Store("a key of the vault cannot be derived".to_owned())
}

pub(super) fn no_random() -> CoreError {
    CoreError::Unavailable("the system gives no random bytes, so nothing can be sealed".to_owned())
}
