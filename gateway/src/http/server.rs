//! The connection loop: bounded connections, timeouts that a slow client cannot stretch, a polite end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use voxea_core::base::stop::Stop;

use super::auth::Peer;
use super::call::{Answer, Asked, Call, Waiting};
use super::places::{Place, Places};
use crate::run::pulse::Pulse;

/// How long a connection may say nothing.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Time for the whole of a request's headers, the first ones from the first byte on; also how long an HTTP/1
    /// connection is kept between two requests.
    head: Duration,
    /// How long any connection is kept without a call at work.
    idle: Duration,
}

const LIMITS: Limits = Limits {
    head: Duration::from_secs(15),
    idle: Duration::from_secs(60),
};
/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Requests that one HTTP/2 connection may have in flight.
const STREAMS: u32 = 64;
/// How long who must leave has for a farewell.
const FAREWELL: Duration = Duration::from_millis(250);
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
    serve_within(listener, tls, router, connections, pulse, stop, LIMITS).await;
}

async fn serve_within(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    connections: usize,
    pulse: Pulse,
    stop: Stop,
    limits: Limits,
) {
    let places = Places::new(connections);
    let tracker = TaskTracker::new();
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        pulse.beat();
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
        // One waits here while all places are taken by calls at work; those behind it do in the kernel's bounded backlog.
        let mut taking = pin!(places.take(address.ip()));
        let place = loop {
            tokio::select! {
                () = stop.soft.cancelled() => break None,
                taken = tokio::time::timeout(TURN, taking.as_mut()) => match taken {
                    Ok(place) => break Some(place),
                    Err(_still_full) => pulse.beat(),
                },
            }
        };
        let Some(place) = place else { break };
        let (router, acceptor, stop) = (router.clone(), acceptor.clone(), stop.clone());
        tracker.spawn(connection(stream, address, acceptor, router, Arc::new(place), stop, limits));
    }
    drop(listener);
    tracker.close();
    tokio::select! {
        () = tracker.wait() => {}
        () = stop.hard.cancelled() => {}
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    place: Arc<Place>,
    stop: Stop,
    limits: Limits,
) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return exchange(stream, address, router, place, stop, limits).await;
    };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)) => shaken,
        () = place.needed() => return tracing::debug!("a TLS handshake made room for another connection"),
        () = stop.soft.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => exchange(stream, address, router, place, stop, limits).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Returns once no call came within `limits.head`, or none was at work for `limits.idle` after the last one; says
/// whether there was any.
///
/// hyper's own timers do not see a connection before it has shown which HTTP it speaks, nor HTTP/2 without streams.
async fn silence(mut calls: watch::Receiver<usize>, limits: Limits) -> bool {
    let (mut limit, mut any) = (limits.head, false);
    loop {
        let working = *calls.borrow_and_update() > 0;
        // A change also shows a call that came and went between two looks.
        let changed = calls.changed();
        let heard = if working {
            changed.await.is_ok()
        } else {
            tokio::time::timeout(limit, changed).await.is_ok_and(|changed| changed.is_ok())
        };
        if !heard {
            return any;
        }
        (limit, any) = (limits.idle, true);
    }
}

async fn exchange<T>(stream: T, address: SocketAddr, router: Router, place: Arc<Place>, stop: Stop, limits: Limits)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (calls, heard) = watch::channel(0);
    let held = Arc::clone(&place);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(address.ip()));
        let (mut router, call) = (router.clone(), Call::begin(&calls, &held));
        let (asking, waiting) = (Waiting::new(&held), Waiting::new(&held));
        async move {
            let request = request.map(|body| Body::new(Asked::new(body, asking)));
            let response = ServiceExt::<Request>::ready(&mut router).await?.call(request).await?;
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer::new(body, waiting, call)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Some(limits.head))
        .keep_alive_timeout(limits.head);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut quiet = pin!(silence(heard.clone(), limits));
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                }
                return;
            }
            any = quiet.as_mut() => {
                // Whoever never called is owed no farewell, and whoever got one has had time for it.
                if leaving || !any {
                    tracing::debug!("a connection said nothing for too long");
                    return;
                }
                leaving = true;
                // RFC 9113 §9.1: GOAWAY first, so that the client knows which calls to send again.
                connection.as_mut().graceful_shutdown();
                quiet.set(silence(heard.clone(), limits));
            }
            () = stop.soft.cancelled(), if !leaving => {
                // Half a head is no call that could be ended politely.
                if !place.has_called() {
                    return;
                }
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = place.needed() => {
                tracing::debug!("a connection that did nothing made room for another");
                if !place.has_called() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(FAREWELL, connection.as_mut()).await;
                return;
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

    /// So short that a test can wait for it.
    const SHORT: Limits = Limits {
        head: Duration::from_millis(200),
        idle: Duration::from_millis(200),
    };
    /// How HTTP/2 begins (RFC 9113 §3.4): the preface and empty SETTINGS.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    async fn start(tls: Option<Arc<ServerConfig>>, connections: usize) -> Running {
        start_within(tls, connections, LIMITS).await
    }

    async fn start_within(tls: Option<Arc<ServerConfig>>, connections: usize, limits: Limits) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Stop::new());
        let router = Router::new()
            .route("/", get(async || "it works"))
            .route("/never", get(async || std::future::pending::<()>().await))
            .route("/endless", get(async || endless()));
        let task = tokio::spawn(serve_within(
            listener,
            tls,
            router,
            connections,
            Pulse::default(),
            stop.clone(),
            limits,
        ));
        Running { address, stop, task }
    }

    /// An answer that begins.
    fn endless() -> Body {
        use futures_util::stream::{once, pending};
        let piece = once(async { Ok::<_, std::convert::Infallible>("a") });
        Body::from_stream(futures_util::StreamExt::chain(piece, pending()))
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
    async fn calls_at_work_keep_their_places_and_others_wait() {
        let running = start(None, 1).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        first.write_all(b"GET /endless HTTP/1.1\r\nHost: voxea\r\n\r\n").await.unwrap();
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
    async fn who_does_nothing_gives_its_place_to_who_calls() {
        for beginning in [&b"GET / HTTP/1.1\r\nHos"[..], PREFACE, b"GET / HTTP/1.1\r\nHost: voxea\r\n\r\n"] {
            let running = start(None, 1).await;
            let mut held = TcpStream::connect(running.address).await.unwrap();
            held.write_all(beginning).await.unwrap();
            let mut newcomer = TcpStream::connect(running.address).await.unwrap();
            let answer = tokio::time::timeout(LIMITS.head / 2, ask(&mut newcomer))
                .await
                .expect("a place at once");
            assert!(answer.contains("it works"), "{answer}");
            running.stop.soft.cancel();
            running.ended().await;
        }
    }

    #[tokio::test]
    async fn who_says_nothing_makes_room() {
        let beginnings: [&[u8]; 5] = [b"", b"P", b"GET / HTTP/1.1\r\nHos", &PREFACE[..16], PREFACE];
        let running = start_within(None, beginnings.len(), SHORT).await;
        let mut silent = Vec::new();
        for beginning in beginnings {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            silent.push(stream);
        }
        // The kernel hands connections over in their order, so this one waits for a place.
        let mut last = TcpStream::connect(running.address).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(10), ask(&mut last))
            .await
            .expect("a place");
        assert!(answer.contains("it works"), "{answer}");
        // All of them are let go, not only the one whose place was needed.
        for (mut stream, beginning) in silent.into_iter().zip(beginnings) {
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "{}", beginning.escape_ascii());
        }
        running.stop.soft.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn who_called_once_is_not_kept_for_ever() {
        let running = start_within(None, 2, SHORT).await;
        // HEADERS of stream 1 with END_STREAM and END_HEADERS: GET, /, http (RFC 7541 appendix A).
        let call = [PREFACE, b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86"].concat();
        let goaway = b"\x07\0\0\0\0\0";
        for (call, last_words) in [
            (&b"GET / HTTP/1.1\r\nHost: voxea\r\n\r\n"[..], None),
            (call.as_slice(), Some(&goaway[..])),
        ] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(call).await.unwrap();
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "{}", call.escape_ascii());
            let has = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
            assert!(has(b"it works") && last_words.is_none_or(has), "{}", answer.escape_ascii());
        }
        running.stop.soft.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn a_call_at_work_is_no_silence() {
        let running = start_within(None, 2, SHORT).await;
        let mut working = TcpStream::connect(running.address).await.unwrap();
        working.write_all(b"GET /never HTTP/1.1\r\nHost: voxea\r\n\r\n").await.unwrap();
        let waited = tokio::time::timeout(SHORT.head * 5, working.read_u8()).await;
        assert!(waited.is_err(), "{waited:?}");
        running.stop.soft.cancel();
        running.stop.hard.cancel();
        running.ended().await;
    }

    #[tokio::test]
    async fn tls_speaks_both_versions_of_http() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let running = start(Some(super::super::tls::server(&chain, &key).unwrap().config), 8).await;

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
