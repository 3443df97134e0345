//! The API's certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use voxea_sip::config::Certificate;

/// How the API speaks TLS.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// For every connection.
    pub(crate) config: Arc<ServerConfig>,
    /// What it shows, and renews.
    pub(crate) certificate: Arc<Certificate>,
}

/// Reads a PEM certificate chain and its key, and checks that they belong together.
///
/// # Errors
/// What is wrong with them, for an operator.
pub(crate) fn server(certificate: &Path, key: &Path) -> Result<Tls, String> {
    let certificate = Arc::new(Certificate::read(certificate, key)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let resolver: Arc<Certificate> = Arc::clone(&certificate);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls {
        config: Arc::new(config),
        certificate,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::{TlsAcceptor, TlsConnector};
    use voxea_sip::config::Renewal;

    use super::*;

    /// Puts a new certificate there, and gives it.
    fn issue(folder: &Path) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        let key = folder.join("key.pem");
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
    }

    /// Whether a client that believes this certificate, and no other, comes in.
    async fn believes(tls: &Tls, certificate: &CertificateDer<'static>) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let (_, seen) = tokio::join!(
            TlsAcceptor::from(Arc::clone(&tls.config)).accept(ours),
            TlsConnector::from(Arc::new(client)).connect(name, theirs)
        );
        seen.is_ok()
    }

    #[tokio::test]
    async fn new_connections_see_the_new_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let first = issue(folder.path());
        let tls = server(&folder.path().join("cert.pem"), &folder.path().join("key.pem")).unwrap();
        assert!(believes(&tls, &first).await);
        let second = issue(folder.path());
        assert!(!believes(&tls, &second).await, "nobody has looked yet");
        assert_eq!(tls.certificate.renew(), Renewal::Renewed);
        assert!(believes(&tls, &second).await && !believes(&tls, &first).await);
    }
}
