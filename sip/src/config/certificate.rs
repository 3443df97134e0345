//! A certificate with its key, which new files replace while we run: authorities give certificates for weeks.
//!
//! The gateway uses it for the API too: of what both of them import, core knows no TLS.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, crypto};

/// What is shown to peers, on both sides of TLS. Its `Debug` prints no key.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    shown: Arc<CertifiedKey>,
    /// Of the files that were read last, usable or not: what cannot be used is said once.
    seen: Stamp,
}

/// What changes when one of two files is written or replaced: inode, size, and time in seconds and nanoseconds of each.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

/// What a look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// They are those that were read last.
    Same,
    /// Others, which are shown to every new connection.
    Renewed,
    /// Others that cannot be used, and why; what was shown before still is.
    Unusable(String),
}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its key, both PEM.
    ///
    /// # Errors
    /// What is wrong with them, for an operator.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, String> {
        let seen = stamp(chain, key);
        let shown = Arc::new(load(chain, key)?);
        Ok(Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            held: Mutex::new(Held { shown, seen }),
        })
    }

    /// Looks whether the files have changed, and reads them anew then. Reads files, so it may block for a moment.
    pub fn renew(&self) -> Renewal {
        // Before the reading: what is written meanwhile is found the next time.
        let now = stamp(&self.chain, &self.key);
        if self.held(|held| held.seen == now) {
            return Renewal::Same;
        }
        let read = load(&self.chain, &self.key);
        self.held(|held| {
            held.seen = now;
            match read {
                Err(problem) => Renewal::Unusable(problem),
                Ok(new) if new.cert == held.shown.cert => Renewal::Same,
                Ok(new) => {
                    held.shown = Arc::new(new);
                    Renewal::Renewed
                }
            }
        })
    }

    /// The file of the chain.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.chain
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        self.held(|held| Arc::clone(&held.shown))
    }

    fn held<T>(&self, with: impl FnOnce(&mut Held) -> T) -> T {
        with(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
}

impl ResolvesClientCert for Certificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Reads a file of certificates, one at least.
///
/// # Errors
/// What is wrong with it, with its name and the remedy.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let wrong = |what: &dyn fmt::Display| {
        format!(
            "{}: {what}; it must be a PEM file of certificates that the daemon may read",
            path.display()
        )
    };
    match read {
        Ok(chain) if chain.is_empty() => Err(wrong(&"it holds no certificate")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(&error)),
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

fn load(chain: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let certificates = certificates(chain)?;
    // A key that everybody could read was refused at the start, and is no better later.
    if std::fs::metadata(key).is_ok_and(|facts| facts.mode() & 0o007 != 0) {
        return Err(format!(
            "{}: everybody on this machine may read it; run chmod o-rwx on it",
            key.display()
        ));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("{}: {error}; it must be a PEM file of the certificate's private key", key.display()))?;
    CertifiedKey::from_der(certificates, secret, &provider())
        .map_err(|error| format!("the key does not belong to the certificate: {error}; keep the two of one order together"))
}

fn stamp(chain: &Path, key: &Path) -> Stamp {
    [chain, key].map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.ino(), facts.size(), facts.mtime(), facts.mtime_nsec()))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Replaces a file, as programs that renew certificates do.
        fn put(&self, name: &str, text: &str, mode: u32) {
            let new = self.path("new");
            std::fs::write(&new, text).unwrap();
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).unwrap();
            std::fs::rename(new, self.path(name)).unwrap();
        }

        fn put_pair(&self, (certificate, key): &(String, String)) {
            self.put("cert.pem", certificate, 0o644);
            self.put("key.pem", key, 0o600);
        }
    }

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["pbx.example.fr".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn certificate() -> (Files, Certificate) {
        let files = Files(tempfile::tempdir().unwrap());
        files.put_pair(&pair());
        let read = Certificate::read(&files.path("cert.pem"), &files.path("key.pem")).unwrap();
        (files, read)
    }

    #[test]
    fn a_new_pair_is_shown_and_an_old_one_not_read_again() {
        let (files, certificate) = certificate();
        let first = certificate.shown().cert.clone();
        assert_eq!(certificate.renew(), Renewal::Same);
        files.put_pair(&pair());
        assert_eq!(certificate.renew(), Renewal::Renewed);
        assert_ne!(certificate.shown().cert, first);
        assert_eq!(certificate.renew(), Renewal::Same);
        assert!(!format!("{certificate:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_said_once() {
        let (files, certificate) = certificate();
        let first = certificate.shown().cert.clone();
        let (chain, key) = pair();
        let half = |files: &Files| files.put("cert.pem", &chain, 0o644);
        let open = |files: &Files| files.put("key.pem", &key, 0o604);
        let gone = |files: &Files| std::fs::remove_file(files.path("key.pem")).unwrap();
        for (step, expected) in ["does not belong", "chmod o-rwx", "key.pem"].into_iter().enumerate() {
            match step {
                0 => half(&files),
                1 => open(&files),
                _ => gone(&files),
            }
            match certificate.renew() {
                Renewal::Unusable(problem) => assert!(problem.contains(expected), "{problem}"),
                other => panic!("{expected}: {other:?}"),
            }
            assert_eq!(certificate.renew(), Renewal::Same, "once");
            assert_eq!(certificate.shown().cert, first);
        }
        files.put("key.pem", &key, 0o600);
        assert_eq!(certificate.renew(), Renewal::Renewed, "the other half has come");
    }
}
