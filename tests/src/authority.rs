//! A throw-away authority of TLS certificates, and both ends of TLS for peers that know bytes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// An authority and the folder of its files: `ca.pem`, and `NAME.pem` with `NAME.key` for each certificate.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, in a folder that is there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        Self::of_name(folder, "an authority of tests")
    }

    /// One that is called otherwise.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn of_name(folder: &Path, name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        std::fs::write(folder.join("ca.pem"), certificate.pem())?;
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Issues a certificate for a name or an address.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn issue(&self, file: &str, subject: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![subject.to_owned()])?;
        params.distinguished_name = named(file);
        let certificate = params.signed_by(&key, &self.issuer)?;
        std::fs::write(self.file(file, "pem"), certificate.pem())?;
        let secret = self.file(file, "key");
        std::fs::write(&secret, key.serialize_pem())?;
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// A file of its folder.
    #[must_use]
    pub fn file(&self, name: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{name}.{end}"))
    }

    /// A client's side of TLS over a connection, believing this authority; with a certificate or without.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn connect(&self, stream: TcpStream, certificate: Option<&str>) -> Result<client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_file_iter(self.file("ca", "pem"))? {
            roots.add(authority?)?;
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (chain, key) = self.pair(name)?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        let name = ServerName::from(stream.peer_addr()?.ip());
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.context("the TLS handshake")
    }

    /// What takes connections with one of its certificates.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn acceptor(&self, certificate: &str) -> Result<TlsAcceptor> {
        let (chain, key) = self.pair(certificate)?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A server's side of TLS over a connection.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn accept(&self, stream: TcpStream, certificate: &str) -> Result<server::TlsStream<TcpStream>> {
        self.acceptor(certificate)?.accept(stream).await.context("the TLS handshake")
    }

    /// The same of a server that wants a certificate of this authority, by these versions of TLS.
    ///
    /// # Errors
    /// The handshake's; also when none is shown, or one of another authority.
    pub async fn accept_known(
        &self,
        stream: TcpStream,
        certificate: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<server::TlsStream<TcpStream>> {
        let (chain, key) = self.pair(certificate)?;
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_file_iter(self.file("ca", "pem"))? {
            roots.add(authority?)?;
        }
        let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(known)
            .with_single_cert(chain, key)?;
        TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await
            .context("the TLS handshake")
    }

    fn pair(&self, name: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_file_iter(self.file(name, "pem"))?.collect::<Result<_, _>>()?;
        Ok((chain, PrivateKeyDer::from_pem_file(self.file(name, "key"))?))
    }
}

/// OpenSSL takes a certificate whose subject is its issuer's for one that signed itself.
fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
