//! The connection loop: bounded connections, timeouts that a slow client cannot stretch, a polite end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use voxea_core::base::stop::Stop;

use super::auth::Peer;
use crate::run::pulse::Pulse;

/// Time for the whole of a request's headers; also how long an idle connection is kept.
const HEADER_TIME: Duration = Duration::from_secs(15);
/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Requests that one HTTP/2 connection may have in flight.
const STREAMS: u32 = 64;
/// The acceptor shows a sign of life at least this often.
const TURN: Duration = Duration::from_secs(5);

/// Serves `router` until the soft stop; then no new connections, and those at work finish until the hard stop.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    connections: usize,
    pulse: Pulse,
    stop: Stop,
) {
    let permits = Arc::new(Semaphore::new(connections));
    let tracker = TaskTracker::new();
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        pulse.beat();
        // The permit comes before the accept: beyond the limit, clients wait in the kernel's bounded backlog.
        let permit = tokio::select! {
            () = stop.soft.cancelled() => break,
            permit = tokio::time::timeout(TURN, Arc::clone(&permits).acquire_owned()) => match permit {
                Ok(Ok(permit)) => permit,
                Ok(Err(_closed)) => break,
                Err(_still_full) => continue,
            },
        };
        let accepted = tokio::select! {
            () = stop.soft.cancelled() => break,
            accepted = tokio::time::timeout(TURN, listener.accept()) => accepted,
        };
        let (stream, address) = match accepted {
            Err(_nobody) => continue,
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                // Out of descriptors, or the client is gone already: neither must spin this loop or end it.
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (router, acceptor, stop) = (router.clone(), acceptor.clone(), stop.clone());
        tracker.spawn(async move {
            let _permit = permit;
            connection(stream, address, acceptor, router, stop).await;
        });
    }
    drop(listener);
    tracker.close();
    tokio::select! {
        () = tracker.wait() => {}
        () = stop.hard.cancelled() => {}
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, acceptor: Option<TlsAcceptor>, router: Router, stop: Stop) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => exchange(stream, address, router, stop).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => exchange(stream, address, router, stop).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn exchange<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T, address: SocketAddr, router: Router, stop: Stop) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(address.ip()));
        let mut router = router.clone();
        async move {
            ServiceExt::<Request>::ready(&mut router)
                .await?
                .call(request.map(axum::body::Body::new))
                .await
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Some(HEADER_TIME))
        .keep_alive_timeout(HEADER_TIME);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                }
                return;
            }
            () = stop.soft.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = stop.hard.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: Stop,
        task: JoinHandle<()>,
    }

    async fn start(tls: Option<Arc<ServerConfig>>, connections: usize) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Stop::new());
        let router = Router::new()
            .route("/", get(async || "it works"))
            .route("/never", get(async || std::future::pending::<()>().await));
        let task = tokio::spawn(serve(listener, tls, router, connections, Pulse::default(), stop.clone()));
        Running { address, stop, task }
    }

    impl Running {
        async fn ended(self) {
            tokio::time::timeout(Duration::from_secs(10), self.task)
                .await
                .expect("it ends")
                .unwrap();
        }
    }

    /// Asks for `/` and reads the whole answer.
    async fn ask<T: AsyncRead + AsyncWrite + Unpin>(stream: &mut T) -> String {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: voxea\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        // A peer that closes TLS without a notice after `Connection: close` has said all.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_the_stop() {
        let running = start(None, 8).await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: voxea\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        running.stop.soft.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_left_at_the_hard_stop() {
        let running = start(None, 8).await;
        let mut hanging = TcpStream::connect(running.address).await.unwrap();
        hanging.write_all(b"GET /never HTTP/1.1\r\nHost: voxea\r\n\r\n").await.unwrap();
        // Whoever is answered second was accepted after the hanging one.
        assert!(
            ask(&mut TcpStream::connect(running.address).await.unwrap())
                .await
                .contains("it works")
        );
        running.stop.soft.cancel();
        running.stop.hard.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn beyond_the_limit_clients_wait_for_a_place() {
        let running = start(None, 1).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nHost: voxea\r\n\r\n").await.unwrap();
        let mut piece = [0; 12];
        first.read_exact(&mut piece).await.unwrap();
        let mut second = TcpStream::connect(running.address).await.unwrap();
        second
            .write_all(b"GET / HTTP/1.1\r\nHost: voxea\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await.is_err(),
            "no place yet"
        );
        drop(first);
        let got = tokio::time::timeout(Duration::from_secs(10), second.read_u8())
            .await
            .expect("a place");
        assert_eq!(got.unwrap(), b'H');
        running.stop.soft.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn tls_speaks_both_versions_of_http() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let running = start(Some(super::super::tls::server(&chain, &key).unwrap()), 8).await;

        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client.clone()));
        let stream = TcpStream::connect(running.address).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        assert!(ask(&mut stream).await.contains("it works"));

        client.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = TcpStream::connect(running.address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));

        // A client that speaks no TLS is let go, and the next one is served.
        let mut plain = TcpStream::connect(running.address).await.unwrap();
        assert!(!ask(&mut plain).await.contains("it works"));
        running.stop.soft.cancel();
        running.stop.hard.cancel();
        running.ended().await;
    }
}
