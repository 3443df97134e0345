//! Questions to an identity provider: HTTPS, or HTTP on this machine; one at a time, no redirects, bounded in time and size.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, HOST, USER_AGENT};
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For a whole question and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes; a key set with a dozen certificates has a tenth of it.
const LARGEST: usize = 256 * 1024;

/// Why there is no answer. It names no secret: what was sent is not in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The URL may not be asked.
    #[error("{0}")]
    Url(String),
    /// It did not come in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// The connection.
    #[error("{0}")]
    Broken(String),
    /// It came, and is not a 200.
    #[error("the answer was {0}")]
    Status(StatusCode),
}

/// TLS of a client that trusts the machine's own roots, and a private authority.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}; it must be a PEM file of certificates", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

/// The client.
#[derive(Clone)]
pub(crate) struct Fetch {
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetch")
    }
}

impl Fetch {
    /// Trusts the machine's own roots, and a private authority.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        Ok(Self {
            tls: Arc::new(tls(ca_file)?),
        })
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// There is no 200.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        self.ask(Method::GET, url, &[], Body::empty()).await
    }

    /// POSTs a form, its fields escaped already.
    ///
    /// # Errors
    /// There is no 200.
    pub(crate) async fn post(&self, url: &str, authorization: Option<HeaderValue>, form: String) -> Result<Bytes, FetchError> {
        let mut headers = vec![("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"))];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.ask(Method::POST, url, &headers, Body::from(form)).await
    }

    async fn ask(&self, method: Method, url: &str, headers: &[(&'static str, HeaderValue)], body: Body) -> Result<Bytes, FetchError> {
        let target = Target::of(url).map_err(FetchError::Url)?;
        let mut request = Request::builder()
            .method(method)
            .uri(target.path.as_str())
            .header(HOST, target.authority.as_str())
            .header(USER_AGENT, "voxea")
            .header(ACCEPT, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(broken)?;
        tokio::time::timeout(PATIENCE, self.exchange(&target, request))
            .await
            .map_err(|_| FetchError::Late)?
    }

    async fn exchange(&self, target: &Target, request: Request<Body>) -> Result<Bytes, FetchError> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((target.host.as_str(), target.port))
            .await
            .map_err(broken)?
            // What travels in clear stays on this machine, whatever the name was made to mean.
            .filter(|address| target.tls || address.ip().is_loopback())
            .collect();
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(broken)?;
        if !target.tls {
            return speak(stream, request).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(broken)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .map_err(broken)?;
        speak(stream, request).await
    }
}

async fn speak<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T, request: Request<Body>) -> Result<Bytes, FetchError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        axum::body::to_bytes(Body::new(response.into_body()), LARGEST).await.map_err(broken)
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

fn broken(error: impl std::fmt::Display) -> FetchError {
    FetchError::Broken(error.to_string())
}

/// A URL that may be asked.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    tls: bool,
    /// Without the brackets of IPv6.
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, String> {
        let wrong = "must be an https:// URL, such as https://id.example.fr/realms/town; http:// on this machine only";
        let uri: Uri = url.parse().map_err(|_| wrong.to_owned())?;
        let authority = uri.authority().ok_or(wrong)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_here(&host) => false,
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
        })
    }
}

/// Whether a URL may be asked.
///
/// # Errors
/// What is wrong, and what would be right.
pub(crate) fn check(url: &str) -> Result<(), String> {
    Target::of(url).map(drop)
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_travels_in_clear_stays_here() {
        for good in [
            "https://id.example",
            "https://id.example:8443/a?b",
            "http://127.0.0.1:80/",
            "http://[::1]/",
            "http://localhost/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://id.example",
            "ftp://localhost",
            "localhost",
            "",
            "https://u:p@id.example/",
            "https://id.example/#a",
            "http://127.0.0.1.example/",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    /// Answers one question with these bytes; its URL.
    async fn one(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?a=b", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /keys?a=b HTTP/1.1\r\n"));
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        url
    }

    #[tokio::test]
    async fn only_a_200_of_bounded_size_is_an_answer() {
        let fetch = Fetch::new(None).unwrap();
        let with = async |answer: String| fetch.get(&one(answer).await).await;
        let good = with("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned()).await;
        assert_eq!(good.unwrap(), "{}");
        let closed = with("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}".to_owned()).await;
        assert_eq!(closed.unwrap(), "{}");
        let moved = with("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        assert!(matches!(moved, Err(FetchError::Status(status)) if status == 302));
        let large = "x".repeat(LARGEST + 1);
        let large = with(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{large}", large.len())).await;
        assert!(matches!(large, Err(FetchError::Broken(_))));
        assert!(matches!(with("nonsense\r\n\r\n".to_owned()).await, Err(FetchError::Broken(_))));
    }
}
