//! The operator's master keys: the file that holds them, and new ones.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::keys::{Root, no_random};
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::time;

/// The longest id of a key.
const LONGEST_ID: usize = 64;
const KEY: usize = 32;

/// Master keys, the current one first.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKeys(Vec<Master>);

/// One of them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) id: String,
    key: [u8; KEY],
}

/// A line with a new key, for the first place in the file: an id that tells its day, a space, the key.
///
/// # Errors
/// [`CoreError::Unavailable`] when the system gives no random bytes.
pub fn new_line() -> Result<String> {
    let mut bytes = [0; KEY + 4];
    SystemRandom::new().fill(&mut bytes).map_err(|_| no_random())?;
    let (key, suffix) = bytes.split_at(KEY);
    let time = time::rfc3339(time::now());
    let day = time.get(..10).unwrap_or_default();
    Ok(format!("{day}-{} {}", hex::encode(suffix), BASE64.encode(key)))
}

impl MasterKeys {
    /// Reads a file: a line a key, `ID BASE64`, the current one first; older ones are there so that what they wrapped still
    /// opens. Empty lines, and lines that begin with `#`, say nothing.
    ///
    /// # Errors
    /// What is wrong, with its line and a remedy, and nothing of the content.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut keys: Vec<Master> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let master = one(line).map_err(|what| format!("line {number} {what}; `voxea vault new-key` prints a right one"))?;
            if keys.iter().any(|known| known.id == master.id) {
                return Err(format!("line {number} has the id of an earlier line; each key has its own"));
            }
            keys.push(master);
        }
        if keys.is_empty() {
            return Err("there is no key; `voxea vault new-key` prints one".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key that wraps from now on.
    pub(super) fn current(&self) -> Option<&Master> {
        self.0.first()
    }

    /// The key of an id.
    pub(super) fn find(&self, id: &str) -> Option<&Master> {
        self.0.iter().find(|master| master.id == id)
    }

    /// The ids, for people.
    #[must_use]
    pub fn ids(&self) -> String {
        self.0.iter().map(|master| master.id.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn one(line: &str) -> std::result::Result<Master, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(id), Some(key), None) = (words.next(), words.next(), words.next()) else {
        return Err("is not an id, a space and a key");
    };
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if id.len() > LONGEST_ID || !id.chars().all(plain) {
        return Err("begins with an id of other characters than a-z A-Z 0-9 - _ . or of more than 64");
    }
    let key = BASE64.decode(key).ok().and_then(|key| <[u8; KEY]>::try_from(key).ok());
    Ok(Master {
        id: id.to_owned(),
        key: key.ok_or("has a key that is not the base64 of 32 bytes")?,
    })
}

impl Master {
    fn sealing(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.key).map_err(|_| CoreError::Store("the master key has a wrong length".to_owned()))?;
        Ok(LessSafeKey::new(key))
    }

    /// A root key as it is stored in the row of an id.
    pub(super) fn wrap(&self, id: &str, root: &Root) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| no_random())?;
        let mut body = root.to_vec();
        self.sealing()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.bound(id), &mut body)
            .map_err(|_| CoreError::Store("the root key cannot be wrapped".to_owned()))?;
        Ok(BASE64.encode([&nonce[..], &body].concat()))
    }

    /// The root key of a row; `None` when another key wrapped it.
    pub(super) fn unwrap(&self, id: &str, wrapped: &str) -> Option<Root> {
        let mut bytes = BASE64.decode(wrapped).ok()?;
        let (nonce, body) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let plain = self
            .sealing()
            .ok()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), self.bound(id), body)
            .ok()?;
        Root::try_from(&*plain).ok()
    }

    fn bound(&self, id: &str) -> Aad<Vec<u8>> {
        Aad::from([b"vault.wrapped\0", id.as_bytes(), b"\0", self.id.as_bytes()].concat())
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeys({})", self.ids())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_the_current_key_and_older_ones() {
        let (new, old) = (new_line().unwrap(), new_line().unwrap());
        let keys = MasterKeys::parse(&format!("# since the move\n\n{new}\r\n{old}\n")).unwrap();
        let id = |line: &str| line.split(' ').next().unwrap().to_owned();
        assert_eq!(keys.current().unwrap().id, id(&new));
        assert!(keys.find(&id(&old)).is_some() && keys.find("none").is_none());
        let shown = format!("{keys:?}");
        assert!(
            shown.contains(&id(&new)) && !shown.contains(new.split(' ').nth(1).unwrap()),
            "{shown}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_its_content() {
        let good = new_line().unwrap();
        let same = good.split(' ').next().unwrap();
        let secret = BASE64.encode([7; 31]);
        let table = [
            (String::new(), "there is no key"),
            ("# nothing\n".to_owned(), "there is no key"),
            (secret.clone(), "line 1 is not an id"),
            (
                format!("{good}\nold {secret}"),
                "line 2 has a key that is not the base64 of 32 bytes",
            ),
            (format!("é {secret}"), "line 1 begins with an id"),
            (format!("a {secret} b"), "line 1 is not an id"),
            (
                format!("{good}\n{same} {}", BASE64.encode([1; 32])),
                "line 2 has the id of an earlier line",
            ),
        ];
        for (text, expected) in table {
            let said = MasterKeys::parse(&text).unwrap_err();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains(&secret), "{said}");
        }
    }

    #[test]
    fn a_wrapped_key_opens_with_its_master_alone() {
        let keys = MasterKeys::parse(&format!("{}\n{}", new_line().unwrap(), new_line().unwrap())).unwrap();
        let (one, two) = (&keys.0[0], &keys.0[1]);
        let wrapped = one.wrap("root", &[9; 32]).unwrap();
        assert_eq!(one.unwrap("root", &wrapped), Some([9; 32]));
        assert_eq!(one.unwrap("other", &wrapped), None);
        assert_eq!(two.unwrap("root", &wrapped), None);
        assert_eq!(one.unwrap("root", &wrapped[..20]), None);
        let renamed = Master {
            id: two.id.clone(),
            key: one.key,
        };
        assert_eq!(renamed.unwrap("root", &wrapped), None);
    }
}
