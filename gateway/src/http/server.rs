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
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router, connections: usize, pulse: Pulse, stop: Stop) {
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
            ServiceExt::<Request>::ready(&mut router).await?.call(request.map(axum::body::Body::new)).await
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(64 * 1024);
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
