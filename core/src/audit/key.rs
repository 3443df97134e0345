//! The key that signs the trail: Ed25519, PKCS#8 in PEM, as `voxea audit new-key` and `openssl genpkey` write it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::id;
use crate::base::secret::Secret;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Far longer than any such file, in bytes.
const LARGEST: u64 = 4096;

/// What signs. Its `Debug` shows the public half only.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, as PEM.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Secret> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| CoreError::Store("the system gives no random bytes".to_owned()))?;
        let text = STANDARD.encode(made.as_ref());
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        Ok(Secret::new(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))))
    }

    /// Reads PEM.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn from_pem(text: &str) -> std::result::Result<Self, String> {
        let body = text
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END))
            .map(|(body, _)| body);
        let body: String = body
            .ok_or("holds no private key in PEM; `voxea audit new-key` makes one")?
            .split_whitespace()
            .collect();
        let bytes = STANDARD.decode(body).map_err(|_| "is no PEM: its base64 cannot be read")?;
        // OpenSSL writes the form without the public half.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes).map_err(|_| "holds a key that is not Ed25519")?;
        Ok(Self(pair))
    }

    /// Reads the file of a key.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn read(path: &Path) -> std::result::Result<Self, String> {
        let said = |error: std::io::Error| error.to_string();
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{error}; make one: voxea audit new-key > {}", path.display()),
            _ => said(error),
        })?;
        if file.metadata().map_err(said)?.permissions().mode() & 0o007 != 0 {
            return Err("everybody on this machine may read it; run chmod o-rwx on it".to_owned());
        }
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text).map_err(said)?;
        Self::from_pem(&text)
    }

    /// Reads the file of a key, after making it where there is none. Says whether it was made.
    ///
    /// # Errors
    /// [`CoreError::File`] when it can be neither read nor made.
    pub fn open(path: &Path) -> Result<(Self, bool)> {
        let made = make(path).map_err(|source| CoreError::File {
            what: format!("making the key of the audit trail, {}", path.display()),
            source,
        })?;
        let key = Self::read(path).map_err(|reason| CoreError::File {
            what: format!("the key of the audit trail, {}", path.display()),
            source: std::io::Error::new(ErrorKind::InvalidData, reason),
        })?;
        Ok((key, made))
    }

    /// The half that verifies.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// A signature, base64.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.signature(message))
    }

    /// A signature.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> [u8; 64] {
        let mut octets = [0; 64];
        octets.copy_from_slice(self.0.sign(message).as_ref());
        octets
    }
}

/// Writes a new key under another name first, so that a key is there whole or not at all; one that is there stays.
fn make(path: &Path) -> std::io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let pem = SigningKey::generate().map_err(std::io::Error::other)?;
    let draft = path.with_file_name(format!(".audit-key-{}", id::new()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(pem.reveal().as_bytes())?;
            file.sync_all()
        })
        // Unlike a rename, a link does not replace the key that another process has made meanwhile.
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        });
    let _ = fs::remove_file(&draft);
    let made = written?;
    if let Some(folder) = path.parent().filter(|_| made) {
        File::open(folder)?.sync_all()?;
    }
    Ok(made)
}

/// What verifies; base64 as text. The town keeps it apart from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key itself (RFC 8032).
    #[must_use]
    pub const fn octets(&self) -> [u8; 32] {
        self.0
    }

    /// What a checkpoint calls it: the beginning of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&digest::digest(&digest::SHA256, &self.0).as_ref()[..8])
    }

    /// Whether a signature in base64 is one of this key over a message.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD
            .decode(signature)
            .is_ok_and(|bytes| UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &bytes).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| "is no public key: 44 characters of base64, as `voxea audit key` prints it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        let (made, fresh) = SigningKey::open(&path).unwrap();
        assert!(fresh);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, fresh) = SigningKey::open(&path).unwrap();
        assert!(!fresh);
        assert_eq!(made.public(), again.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        assert_eq!(made.public().to_string().parse(), Ok(made.public()));
        let signature = made.sign(b"a");
        assert!(again.public().verifies(b"a", &signature));
        assert!(!again.public().verifies(b"b", &signature) && !again.public().verifies(b"a", "AAAA"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(SigningKey::open(&path).unwrap_err().to_string().contains("chmod"));
    }

    #[test]
    fn what_openssl_makes_is_a_key_and_other_texts_are_none() {
        // RFC 8410 §10.3.
        let pem = format!("{BEGIN}\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n{END}\n");
        let key = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(key.public().to_string(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        for bad in ["", "hunter2", &pem.replace("MC4C", "MC5C"), &format!("{BEGIN}\nhunter2\n{END}")] {
            let said = SigningKey::from_pem(bad).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!("AAAA".parse::<PublicKey>().is_err());
    }
}
