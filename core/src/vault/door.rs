//! Sealing and opening values.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};

use super::keys::{Keys, Root, today};
use super::place::{Index, Place};
use crate::base::error::{CoreError, Result};
use crate::base::hex;

/// What every sealed text begins with: then base64 of what sealed bytes have behind their beginning. Short, since rows are
/// many and what is in them is not long.
const TEXT: &str = "v1:";
/// What sealed bytes begin with: then the day of their key (16 bits, big-endian), nonce, ciphertext and tag.
const BYTES: &[u8] = b"\0v1:";
const DAY: usize = size_of::<u16>();
/// Bytes of a blind index; as many that no two texts of a town share one.
const INDEX_BYTES: usize = 16;

/// Seals and opens, or, when it is off, hands everything through. Clones share the keys.
#[derive(Debug, Clone)]
pub struct Vault(Option<Arc<Keys>>);

impl Vault {
    /// Seals nothing: what comes goes as it is.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Under a root key.
    pub(super) fn on(root: &Root) -> Result<Self> {
        Ok(Self(Some(Arc::new(Keys::new(root)?))))
    }

    /// Whether it seals.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn keys(&self) -> Option<&Arc<Keys>> {
        self.0.as_ref()
    }

    /// A text as it is stored at a place, in the row of this id.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when the system gives no random bytes; the text must not be stored then.
    pub fn seal<'a>(&self, place: Place, id: &str, text: &'a str) -> Result<Cow<'a, str>> {
        let Some(keys) = &self.0 else { return Ok(Cow::Borrowed(text)) };
        let body = encrypt(keys, place, id, &[], text.as_bytes())?;
        let mut sealed = String::with_capacity(TEXT.len() + body.len().div_ceil(3) * 4);
        sealed.push_str(TEXT);
        BASE64.encode_string(body, &mut sealed);
        Ok(Cow::Owned(sealed))
    }

    /// The same of a text that may be absent; that it is absent shows.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal_some<'a>(&self, place: Place, id: &str, text: Option<&'a str>) -> Result<Option<Cow<'a, str>>> {
        text.map(|text| self.seal(place, id, text)).transpose()
    }

    /// The same of bytes.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal_bytes<'a>(&self, place: Place, id: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let Some(keys) = &self.0 else { return Ok(Cow::Borrowed(bytes)) };
        Ok(Cow::Owned(encrypt(keys, place, id, BYTES, bytes)?))
    }

    /// What was sealed at a place, in the row of this id.
    ///
    /// # Errors
    /// [`CoreError::Sealed`] when it was changed, moved, never sealed, or sealed under another key.
    pub fn open(&self, place: Place, id: &str, stored: String) -> Result<String> {
        let Some(keys) = &self.0 else { return Ok(stored) };
        let opened = stored.strip_prefix(TEXT).and_then(|body| {
            let mut body = BASE64.decode(body).ok()?;
            let plain = decrypt(keys, place, id, &mut body)?;
            std::str::from_utf8(plain).ok().map(str::to_owned)
        });
        opened.ok_or_else(|| broken(place, id))
    }

    /// The same of a text that may be absent.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_some(&self, place: Place, id: &str, stored: Option<String>) -> Result<Option<String>> {
        stored.map(|stored| self.open(place, id, stored)).transpose()
    }

    /// The same of bytes.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_bytes(&self, place: Place, id: &str, mut stored: Vec<u8>) -> Result<Vec<u8>> {
        let Some(keys) = &self.0 else { return Ok(stored) };
        let opened = if stored.starts_with(BYTES) {
            decrypt(keys, place, id, &mut stored[BYTES.len()..]).map(|plain| plain.len())
        } else {
            None
        };
        let length = opened.ok_or_else(|| broken(place, id))?;
        stored.drain(..BYTES.len() + DAY + NONCE_LEN);
        stored.truncate(length);
        Ok(stored)
    }

    /// By what a text is looked up that is stored sealed: equal for equal texts of a kind, and tells nothing else to who
    /// lacks the key. The caller normalises, since case and spelling count. When the vault is off, the text itself.
    #[must_use]
    pub fn index(&self, kind: Index, normalised: &str) -> String {
        match &self.0 {
            Some(keys) => hex::encode(&keys.index(kind.as_str(), normalised).as_ref()[..INDEX_BYTES]),
            None => normalised.to_owned(),
        }
    }

    /// The index of somebody's number or address, whose case does not count; of nobody's, when it was withheld, nothing.
    #[must_use]
    pub fn address(&self, address: &str) -> String {
        if address.is_empty() {
            return String::new();
        }
        self.index(Index::Address, &address.to_ascii_lowercase())
    }

    /// What the values of a part of a long text are bound to, whose `whole` is a blind index already.
    #[must_use]
    pub fn part_id(account: &str, whole: &str, generation: i64, number: i64) -> String {
        format!("{account}/{whole}/{generation}/{number}")
    }

    /// Under which name the file of some content is kept, which is known by its SHA-256: 64 hexadecimal digits that
    /// confirm nobody's guess at the content.
    #[must_use]
    pub fn file_name(&self, sha256: &str) -> String {
        match &self.0 {
            Some(keys) => hex::encode(keys.name(sha256).as_ref()),
            None => sha256.to_owned(),
        }
    }
}

/// A beginning, then day, nonce, ciphertext and tag.
fn encrypt(keys: &Keys, place: Place, id: &str, begin: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let (day, nonce) = (today(), keys.nonce()?);
    let mut sealed = Vec::with_capacity(begin.len() + DAY + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(begin);
    sealed.extend_from_slice(&day.to_be_bytes());
    sealed.extend_from_slice(&nonce);
    let begin = sealed.len();
    sealed.extend_from_slice(plain);
    let tag = keys
        .day(day)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound(place, id), &mut sealed[begin..])
        // Beyond 64 GiB, which no row holds.
        .map_err(|_| CoreError::Store(format!("a value of {} bytes cannot be sealed", plain.len())))?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// What day, nonce, ciphertext and tag hold, decrypted where it stands behind the nonce.
fn decrypt<'b>(keys: &Keys, place: Place, id: &str, sealed: &'b mut [u8]) -> Option<&'b [u8]> {
    let (day, sealed) = sealed.split_first_chunk_mut::<DAY>()?;
    let (nonce, body) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
    let key = keys.day(u16::from_be_bytes(*day)).ok()?;
    let plain = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), bound(place, id), body)
        .ok()?;
    Some(plain)
}

/// What a value is bound to: its column and its row.
fn bound(place: Place, id: &str) -> Aad<Vec<u8>> {
    Aad::from([place.as_str().as_bytes(), &[0], id.as_bytes()].concat())
}

fn broken(place: Place, id: &str) -> CoreError {
    CoreError::Sealed {
        place: place.as_str(),
        id: id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(seed: u8) -> Vault {
        Vault::on(&[seed; 32]).unwrap()
    }

    const ODD: [&str; 5] = ["", "l'été à Orléans 😀", "v1:AAAA", "\0v1:", "v1:"];

    #[test]
    fn what_is_sealed_opens_and_shows_nothing() {
        for vault in [vault(1), Vault::off()] {
            for text in ODD {
                let sealed = vault.seal(Place::InteractionText, "1", text).unwrap().into_owned();
                assert_eq!(sealed != text, vault.is_on(), "{text:?}");
                assert_eq!(vault.open(Place::InteractionText, "1", sealed).unwrap(), text);
                let sealed = vault.seal_bytes(Place::RawBody, "1", text.as_bytes()).unwrap().into_owned();
                assert_eq!(vault.open_bytes(Place::RawBody, "1", sealed).unwrap(), text.as_bytes());
            }
            assert_eq!(vault.seal_some(Place::RequestSubject, "1", None).unwrap(), None);
            assert_eq!(vault.open_some(Place::RequestSubject, "1", None).unwrap(), None);
        }
        let vault = vault(1);
        let (one, two) = (
            vault.seal(Place::ReplyText, "1", "Bonjour").unwrap(),
            vault.seal(Place::ReplyText, "1", "Bonjour").unwrap(),
        );
        assert!(one != two && !one.contains("Bonjour"), "equal texts do not look equal");
    }

    #[test]
    fn what_was_changed_moved_or_sealed_by_another_is_refused_by_its_place() {
        let vault = vault(1);
        let sealed = vault.seal(Place::InteractionText, "1", "Bonjour").unwrap().into_owned();
        let refused = |vault: &Vault, place, id: &str, stored: &str| vault.open(place, id, stored.to_owned()).unwrap_err().to_string();
        let said = refused(&vault, Place::InteractionText, "2", &sealed);
        assert!(said.contains("interaction.text") && said.contains(" 2 "), "{said}");
        refused(&vault, Place::InteractionSubject, "1", &sealed);
        refused(&self::vault(2), Place::InteractionText, "1", &sealed);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            refused(&vault, Place::InteractionText, "1", &String::from_utf8(changed).unwrap());
        }
        for cut in 0..sealed.len() {
            refused(&vault, Place::InteractionText, "1", &sealed[..cut]);
        }
        let said = refused(&vault, Place::InteractionText, "1", "M. Dupont, 0612345678");
        assert!(!said.contains("Dupont"), "{said}");
        let sealed = vault.seal_bytes(Place::RawBody, "1", b"Bonjour").unwrap().into_owned();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open_bytes(Place::RawBody, "1", changed).is_err(), "{at}");
            assert!(vault.open_bytes(Place::RawBody, "1", sealed[..at].to_vec()).is_err(), "{at}");
        }
    }

    #[test]
    fn an_index_is_equal_for_equals_of_a_kind_alone() {
        let vault = vault(1);
        let index = vault.index(Index::Address, "+33612345678");
        assert_eq!(index.len(), 32);
        assert_eq!(index, vault.index(Index::Address, "+33612345678"));
        assert_ne!(index, vault.index(Index::Address, "+33612345679"));
        assert_ne!(index, vault.index(Index::Sender, "+33612345678"));
        assert_ne!(index, self::vault(2).index(Index::Address, "+33612345678"));
        assert_eq!(vault.address("Zoé@Example.fr"), vault.address("zoé@example.FR"));
        assert_eq!(
            (vault.address(""), Vault::off().address("A@b.fr")),
            (String::new(), "a@b.fr".to_owned())
        );
        let names: std::collections::BTreeSet<&str> = Place::ALL
            .iter()
            .map(|place| place.as_str())
            .chain(Index::ALL.iter().map(|kind| kind.as_str()))
            .collect();
        assert_eq!(names.len(), Place::ALL.len() + Index::ALL.len());
    }
}
