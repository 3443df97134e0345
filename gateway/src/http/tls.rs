//! The API's certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What is wrong with a certificate or its key, and in which file.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub(crate) struct TlsError {
    file: String,
    reason: String,
    /// Whether the key is at fault, and not the certificate.
    pub(crate) in_key: bool,
}

/// Reads a PEM certificate chain and its key, and checks that they belong together.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it.
pub(crate) fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let at = |file: &Path, reason: String| TlsError {
        file: file.display().to_string(),
        reason,
        in_key: file == key,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| at(certificate, format!("no PEM certificate can be read: {error}")))?;
    if chain.is_empty() {
        return Err(at(certificate, "it holds no PEM certificate".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| at(key, format!("no PEM private key can be read: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| at(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| at(key, format!("the key does not belong to the certificate: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
