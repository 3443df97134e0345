//! One POST to a token server: HTTPS, or HTTP on this machine; no redirects, bounded in time and size.
//!
//! The gateway asks identity providers in the same few lines (`gateway/src/trust/fetch.rs`). They have no common place: core may know
//! no socket, a channel is not for others to build on, and a package below both would hold nothing else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use voxea_core::base::mutant;

use crate::tls;

/// For a whole question and its answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest answer, bytes.
const LARGEST: usize = 64 * 1024;

/// Where tokens are given.
#[derive(Debug, Clone)]
pub struct Endpoint {
    tls: bool,
    /// Without the brackets of IPv6.
    host: String,
    port: u16,
    authority: String,
    path: String,
    ca_file: Option<PathBuf>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

impl Endpoint {
    /// A server by its URL; `ca_file` is a private authority that is trusted besides the machine's own.
    ///
    /// # Errors
    /// What the URL must be.
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        let wrong = "must be an https:// URL, such as https://login.microsoftonline.com/TENANT/oauth2/v2.0/token; http:// on this \
                     machine only";
        let uri: Uri = url.parse().map_err(|_| wrong.to_owned())?;
        let authority = uri.authority().ok_or(wrong)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if here => false,
            _ => return Err(wrong.to_owned()),
        };
        if authority.as_str().contains('@') || url.contains('#') || host.is_empty() {
            return Err(wrong.to_owned());
        }
        Ok(Self {
            tls,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            host,
            authority: authority.to_string(),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            ca_file: ca_file.map(Path::to_path_buf),
        })
    }

    /// POSTs a form; status and body of the answer.
    ///
    /// # Errors
    /// Why there is no answer. It names no secret: what was sent is not in it.
    pub(super) async fn post(&self, form: String) -> Result<(u16, Bytes), String> {
        if mutant::active("secrets_in_log") {
            tracing::trace!(%form, "asking for a token");
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.path.as_str())
            .header(HOST, self.authority.as_str())
            .header(USER_AGENT, "voxea")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .map_err(|_| "its URL cannot be asked".to_owned())?;
        timeout(PATIENCE, self.exchange(request))
            .await
            .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| error.to_string())?
            // What travels in clear stays on this machine, whatever the name was made to mean.
            .filter(|address| self.tls || address.ip().is_loopback())
            .collect();
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|error| error.to_string())?;
        if !self.tls {
            return speak(stream, request).await;
        }
        let (connector, name) = tls::connector(&self.host, self.ca_file.as_deref())?;
        let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        speak(stream, request).await
    }
}

async fn speak<T>(stream: T, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven here, so that it ends with the question.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended.map_err(broken)?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        let of = |url: &str| Endpoint::new(url, None);
        let google = of("https://oauth2.googleapis.com/token").unwrap();
        assert_eq!((google.tls, google.port, google.path.as_str()), (true, 443, "/token"));
        assert!(of("http://127.0.0.1:8080/token").is_ok_and(|here| !here.tls && here.port == 8080));
        assert!(of("http://[::1]:8080/token").is_ok_and(|here| here.host == "::1"));
        for wrong in ["http://login.example.fr/token", "ftp://x/", "https://a@b/", "token", "https://x/#y"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
