//! Keys that this crate hands out: what they seal is not its own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::door::Vault;
use super::place::Place;
use crate::base::error::{CoreError, Result};

/// The key of one recording, 256 bits. It stands sealed in the recording's row and nowhere else: who takes it out of there has
/// erased the recording, wherever copies of its file are. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey([u8; 32]);

impl DataKey {
    /// The octets, for what encrypts.
    #[must_use]
    pub const fn octets(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl Vault {
    /// A key for a new recording; `None` when the vault is off, and nothing is encrypted.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when the system gives no random bytes.
    pub fn new_data_key(&self) -> Result<Option<DataKey>> {
        let Some(keys) = self.keys() else { return Ok(None) };
        let mut octets = [0; 32];
        keys.random(&mut octets)?;
        Ok(Some(DataKey(octets)))
    }

    /// The key as it stands in the row of a recording.
    ///
    /// # Errors
    /// As [`Vault::seal`]; [`CoreError::Store`] when the vault is off, since a key must not stand in the open.
    pub(crate) fn seal_data_key(&self, recording: &str, key: &DataKey) -> Result<String> {
        if !self.is_on() {
            return Err(CoreError::Store("a key can only be kept in an encrypted database".to_owned()));
        }
        Ok(self.seal(Place::RecordingKey, recording, &BASE64.encode(key.0))?.into_owned())
    }

    /// The key that stands in the row of a recording; `None` when the vault is off, and the recording plain.
    ///
    /// # Errors
    /// [`CoreError::Sealed`] when it was changed or moved, or taken out: then the recording is erased.
    pub fn open_data_key(&self, recording: &str, stored: Option<&str>) -> Result<Option<DataKey>> {
        let broken = || CoreError::Sealed {
            place: Place::RecordingKey.as_str(),
            id: recording.to_owned(),
        };
        let stored = match (self.is_on(), stored) {
            (false, None) => return Ok(None),
            (false, Some(_)) | (true, None) => return Err(broken()),
            (true, Some(stored)) => stored,
        };
        let text = self.open(Place::RecordingKey, recording, stored.to_owned())?;
        let octets = BASE64.decode(text).ok().and_then(|octets| octets.try_into().ok());
        octets.map(|octets| Some(DataKey(octets))).ok_or_else(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_in_its_row_alone() {
        let vault = Vault::on(&[1; 32]).unwrap();
        let key = vault.new_data_key().unwrap().unwrap();
        assert_ne!(vault.new_data_key().unwrap().unwrap(), key);
        let stored = vault.seal_data_key("r", &key).unwrap();
        assert_eq!(vault.open_data_key("r", Some(&stored)).unwrap().unwrap(), key);
        for (vault, id, stored) in [
            (&vault, "s", Some(stored.as_str())),
            (&vault, "r", None),
            (&Vault::on(&[2; 32]).unwrap(), "r", Some(stored.as_str())),
            (&Vault::off(), "r", Some(stored.as_str())),
        ] {
            assert!(matches!(vault.open_data_key(id, stored), Err(CoreError::Sealed { .. })));
        }
        assert!(Vault::off().new_data_key().unwrap().is_none() && Vault::off().open_data_key("r", None).unwrap().is_none());
        assert!(Vault::off().seal_data_key("r", &key).is_err());
    }
}
