//! TLS towards peers: whom we believe, and who we say we are.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Config;

/// What each trunk is believed by; read when the first connection needs it, because the machine's roots are many.
#[derive(Debug)]
pub(super) struct Clients {
    config: Arc<Config>,
    trunks: Vec<OnceLock<Result<Arc<ClientConfig>, String>>>,
    /// Hops that are nobody's trunk.
    others: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Clients {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            trunks: config.trunks.iter().map(|_| OnceLock::new()).collect(),
            others: OnceLock::new(),
        }
    }

    /// The handshake. The name is the trunk's `tls_name`, or the host of its `address`; else the certificate must carry the
    /// address itself (RFC 5922 §7.1 matches what the URI said, and that is an address here).
    ///
    /// # Errors
    /// The handshake's; files that cannot be read any more.
    pub(super) async fn connect(&self, remote: IpAddr, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let allows = |trunk: &crate::policy::Trunk| trunk.allow.iter().any(|network| network.contains(remote));
        let trunk = self.config.trunks.iter().position(allows);
        let settings = trunk.and_then(|at| self.config.trunk_tls.get(at));
        let place = trunk.and_then(|at| self.trunks.get(at)).unwrap_or(&self.others);
        let made = place
            .get_or_init(|| crate::config::tls::client(settings.and_then(|settings| settings.roots.as_ref()), self.config.tls.as_deref()));
        let config = made.as_ref().map_err(|problem| io::Error::other(problem.clone()))?;
        let name = settings.and_then(|settings| settings.name.clone());
        let name = name.unwrap_or_else(|| ServerName::from(remote.to_canonical()));
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}
