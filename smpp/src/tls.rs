//! TLS to an SMSC: rustls with ring, the machine's own roots, and a private authority where the configuration names one.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// What `[[smpp]]` says about TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file of a private authority, beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The name that the SMSC's certificate must carry.
    pub name: String,
    /// Our own certificate and its key, PEM, for an SMSC that wants one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// A connector and the name that the SMSC's certificate must carry. The files are read anew each time: certificates
    /// are renewed while we run.
    ///
    /// # Errors
    /// The key whose value is wrong, and what is wrong with it.
    pub(crate) fn connector(&self) -> Result<(TlsConnector, ServerName<'static>), (&'static str, String)> {
        let mut roots = RootCertStore::empty();
        let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca_file {
            let unreadable = |error: &dyn std::fmt::Display| {
                (
                    "ca_file",
                    format!("{}: {error}; it must be a PEM file of certificates", path.display()),
                )
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                roots
                    .add(certificate.map_err(|error| unreadable(&error))?)
                    .map_err(|error| unreadable(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ("security", error.to_string()))?
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let wrong = |error: &dyn std::fmt::Display| ("certificate", format!("{}: {error}", chain.display()));
                let certificates = CertificateDer::pem_file_iter(chain).map_err(|error| wrong(&error))?;
                let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| ("key_file", format!("{}: {error}", key.display())))?;
                builder
                    .with_client_auth_cert(certificates, private)
                    .map_err(|error| wrong(&error))?
            }
        };
        let name = ServerName::try_from(self.name.clone())
            .map_err(|_| ("address", format!("{:?} is no name that a certificate can carry", self.name)))?;
        Ok((TlsConnector::from(Arc::new(config)), name))
    }
}
