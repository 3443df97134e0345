//! One POST to an address that somebody has named: guarded, pinned, bounded in time and size, and without redirects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::guard::Guard;
use super::url::Target;

/// Of an answer so much is read, so that a receiver that writes one is not cut off; nothing of it is kept.
const READ: usize = 16 * 1024;
/// And for how long.
const DRAIN: Duration = Duration::from_secs(1);
/// The media type of an event (CloudEvents 1.0, HTTP binding §3.2).
const EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// What a name means.
pub(crate) type Resolve = Arc<dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The client.
#[derive(Clone)]
pub(crate) struct Post {
    tls: Arc<ClientConfig>,
    guard: Guard,
    patience: Duration,
    resolve: Resolve,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    /// One that takes at most `patience` for a POST.
    pub(crate) fn new(tls: ClientConfig, guard: Guard, patience: Duration) -> Self {
        let resolve: Resolve = Arc::new(|host, port| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((host, port)).await?;
                Ok(found.collect())
            })
        });
        Self {
            tls: Arc::new(tls),
            guard,
            patience,
            resolve,
        }
    }

    /// Sends JSON with these headers; the status and the headers of the answer.
    ///
    /// # Errors
    /// Why there is no answer, in words that hold neither the address nor anything that was received.
    pub(crate) async fn send(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<(StatusCode, HeaderMap), String> {
        // The rule may have changed since it was taken.
        let target = Target::of(url, &self.guard)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target.path.as_str())
            .header(HOST, target.authority.as_str())
            .header(USER_AGENT, "voxea")
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, EVENT)
            .header(CONTENT_LENGTH, body.len());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| "a header cannot be written".to_owned())?;
            request = request.header(*name, value);
        }
        let request = request
            .body(Body::from(body.to_owned()))
            .map_err(|_| "the address cannot be asked".to_owned())?;
        tokio::time::timeout(self.patience, self.exchange(&target, request))
            .await
            .map_err(|_| format!("no answer within {} s", self.patience.as_secs()))?
    }

    async fn exchange(&self, target: &Target, request: Request<Body>) -> Result<(StatusCode, HeaderMap), String> {
        let stream = TcpStream::connect(self.addresses(target).await?.as_slice())
            .await
            .map_err(|error| format!("no connection: {}", kind(&error)))?;
        if !target.tls {
            return speak(stream, request).await;
        }
        let name =
            ServerName::try_from(target.host.clone()).map_err(|_| "the host has no name that a certificate could have".to_owned())?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS failed: {}", tls_words(&error)))?;
        speak(stream, request).await
    }

    /// What may be connected, and nothing else is: the name is resolved once.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, String> {
        let found = (self.resolve)(target.host.clone(), target.port).await;
        let found = found.map_err(|_| "the name cannot be resolved".to_owned())?;
        let (mut passed, mut refused) = (Vec::new(), None);
        for address in found {
            match self.guard.check(address.ip(), !target.tls) {
                // A resolver is not asked for ports.
                Ok(()) => passed.push(SocketAddr::new(address.ip(), target.port)),
                Err(why) => refused = Some(why),
            }
        }
        if passed.is_empty() {
            return Err(refused.unwrap_or_else(|| "the name has no address".to_owned()));
        }
        Ok(passed)
    }
}

async fn speak<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    request: Request<Body>,
) -> Result<(StatusCode, HeaderMap), String> {
    let broken = |_| "the connection broke, or the answer is no HTTP".to_owned();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, mut body) = response.into_parts();
        // What comes behind the head changes nothing: the status was said, and a body that stalls does not unsay it.
        let drained = async {
            let mut read = 0;
            while read < READ {
                let Some(Ok(frame)) = body.frame().await else { break };
                read += frame.data_ref().map_or(0, bytes::Bytes::len);
            }
        };
        let _ = tokio::time::timeout(DRAIN, drained).await;
        Ok((parts.status, parts.headers))
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

/// The operating system's word without an address.
fn kind(error: &std::io::Error) -> String {
    error.kind().to_string()
}

fn tls_words(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            rustls::CertificateError::UnknownIssuer => "its certificate is of an authority that nobody here knows".to_owned(),
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => "its certificate is over".to_owned(),
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "its certificate is of another name".to_owned()
            }
            _ => "its certificate is not right".to_owned(),
        },
        Some(_) => "the two sides do not agree".to_owned(),
        None => kind(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::trust::fetch;

    fn here() -> Guard {
        Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
    }

    fn post(guard: Guard, patience: u64) -> Post {
        Post::new(fetch::tls(None).unwrap(), guard, Duration::from_millis(patience))
    }

    /// Answers one connection with these bytes; where, and what it was sent.
    async fn one(answer: String) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 8192];
            let read = stream.read(&mut asked).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
            String::from_utf8(asked[..read].to_vec()).unwrap()
        });
        (address, heard)
    }

    #[tokio::test]
    async fn an_event_is_sent_and_its_answer_heard() {
        let (address, heard) = one("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}".to_owned()).await;
        let headers = [("webhook-id", "e".to_owned())];
        let url = format!("http://{address}/hook?a=b");
        let (status, headers) = post(here(), 5000).send(&url, &headers, "{\"id\":\"e\"}").await.unwrap();
        assert_eq!((status.as_u16(), headers["retry-after"].to_str().unwrap()), (503, "7"));
        let heard = heard.await.unwrap();
        assert!(
            heard.starts_with("POST /hook?a=b HTTP/1.1\r\n") && heard.ends_with("\r\n\r\n{\"id\":\"e\"}"),
            "{heard}"
        );
        assert!(
            heard.contains("webhook-id: e\r\n") && heard.contains("content-type: application/cloudevents+json"),
            "{heard}"
        );
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_no_way() {
        let (address, _) = one("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        let (status, _) = post(here(), 5000).send(&format!("http://{address}/"), &[], "{}").await.unwrap();
        assert_eq!(status, 302);
    }

    #[tokio::test]
    async fn an_endless_answer_is_read_to_its_bound_and_a_silent_one_to_its_time() {
        let (address, _) = one(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}",
            "x".repeat(64 * 1024)
        ))
        .await;
        let (status, _) = post(here(), 5000).send(&format!("http://{address}/"), &[], "{}").await.unwrap();
        assert_eq!(status, 200);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = post(here(), 100)
            .send(&format!("http://{}/", listener.local_addr().unwrap()), &[], "{}")
            .await;
        assert_eq!(silent.unwrap_err(), "no answer within 0 s");
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_and_what_was_judged_is_connected() {
        let (address, heard) = one("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        // It means what is allowed when it is asked first, and another machine of the town ever after.
        let answers: Arc<Mutex<Vec<IpAddr>>> = Arc::new(Mutex::new(vec!["10.0.0.1".parse().unwrap(), address.ip()]));
        let asked = Arc::new(Mutex::new(0));
        let mut client = post(here(), 5000);
        let (rebinding, count) = (Arc::clone(&answers), Arc::clone(&asked));
        client.resolve = Arc::new(move |_, port| {
            *count.lock().unwrap() += 1;
            let meant = rebinding
                .lock()
                .unwrap()
                .pop()
                .into_iter()
                .map(|ip| SocketAddr::new(ip, port))
                .collect();
            Box::pin(async move { Ok(meant) })
        });
        let url = format!("http://rebinds.example:{}/", address.port());
        let (status, _) = client.send(&url, &[], "{}").await.unwrap();
        assert_eq!((status.as_u16(), *asked.lock().unwrap()), (200, 1));
        assert!(
            heard
                .await
                .unwrap()
                .contains(&format!("host: rebinds.example:{}\r\n", address.port()))
        );
        let refused = client.send(&url, &[], "{}").await.unwrap_err();
        assert!(
            refused.contains("private") && refused.contains("[webhooks] allow") && !refused.contains("10.0.0.1"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn of_several_addresses_only_those_that_pass_are_tried() {
        let (address, heard) = one("HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await;
        let mut client = post(here(), 5000);
        client.resolve = Arc::new(move |_, port| {
            let meant = ["10.0.0.1", "169.254.169.254", "127.0.0.1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            Box::pin(async move { Ok(meant.to_vec()) })
        });
        let (status, _) = client
            .send(&format!("http://mixed.example:{}/", address.port()), &[], "{}")
            .await
            .unwrap();
        assert_eq!(status, 204);
        drop(heard);
        client.resolve = Arc::new(|_, port| Box::pin(async move { Ok(vec![SocketAddr::new("127.0.0.1".parse().unwrap(), port)]) }));
        client.guard = Guard::default();
        let refused = client
            .send(&format!("https://loops.example:{}/", address.port()), &[], "{}")
            .await
            .unwrap_err();
        assert!(refused.contains("this machine"), "{refused}");
    }
}
