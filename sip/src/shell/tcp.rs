//! Streams that others open: bounded connections, and nobody may hold one open for nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::arrival::{Intakes, Locals};
use super::connections::Connections;
use super::handshake::{self, Words};
use super::serve::{self, Life};
use super::streams::{Made, Room, Stay, Streams};
use crate::flow::{Flow, Transport};

/// Connections of trunks: of one address a quarter, more than a telephone system opens.
const TRUNKS: Room = Room { all: 256, of_one: 64 };
/// Connections of strangers, who get a 403 and little time.
const STRANGER_CONNECTIONS: usize = 16;
/// Handshakes at once: each is a signature of ours.
const HANDSHAKES: usize = 32;
/// A handshake ends within this time, waiting for its turn included.
const HANDSHAKE: Duration = Duration::from_secs(5);

pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Each family has its own socket, so that `[::]` and `0.0.0.0` share a port whatever the system's default is.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(256)?;
    TcpListener::from_std(socket.into())
}

/// Takes connections; with an acceptor they speak TLS.
pub(super) async fn listen(listener: TcpListener, acceptor: Option<TlsAcceptor>, connections: Connections, intakes: Intakes) {
    let trunks = Streams::new(TRUNKS);
    let strangers = Arc::new(Semaphore::new(STRANGER_CONNECTIONS));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = intakes.stop.cancelled() => return,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of descriptors, most likely: give those that are open a moment to end.
            intakes.count("accept_error");
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let known = intakes.knows(remote.ip());
        if !known && acceptor.is_some() {
            // A stranger is worth no handshake.
            intakes.count("forbidden");
            continue;
        }
        let place = if known {
            let (stay, made) = trunks.take(remote.ip());
            if made == Made::Another {
                intakes.say("connection_replaced", remote.ip());
            }
            Place::Trunk(stay)
        } else if let Ok(seat) = Arc::clone(&strangers).try_acquire_owned() {
            Place::Stranger(seat)
        } else {
            intakes.say("connection_refused", remote.ip());
            continue;
        };
        let (connections, intakes) = (connections.clone(), intakes.clone());
        let (acceptor, handshakes) = (acceptor.clone(), Arc::clone(&handshakes));
        intakes.tasks.clone().spawn(async move {
            match (acceptor, place) {
                (Some(acceptor), Place::Trunk(stay)) => secured(stream, &acceptor, remote, &handshakes, stay, &connections, &intakes).await,
                (_, Place::Trunk(stay)) => taken(stream, remote, Life::trunk(stay), &connections, &intakes).await,
                (_, Place::Stranger(seat)) => {
                    taken(stream, remote, Life::stranger(), &connections, &intakes).await;
                    drop(seat);
                }
            }
        });
    }
}

/// What a connection takes of what there is.
enum Place {
    Trunk(Stay),
    Stranger(OwnedSemaphorePermit),
}

async fn taken(stream: TcpStream, remote: SocketAddr, life: Life, connections: &Connections, intakes: &Intakes) {
    let Some(flow) = flow(&stream, Transport::Tcp, remote, intakes) else {
        return;
    };
    serve::serve(stream, connections.enter(&flow), life, connections, intakes).await;
}

async fn secured(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    remote: SocketAddr,
    handshakes: &Semaphore,
    stay: Stay,
    connections: &Connections,
    intakes: &Intakes,
) {
    let Some(flow) = flow(&stream, Transport::Tls, remote, intakes) else {
        return;
    };
    let shaking = async {
        let _turn = handshakes.acquire().await;
        acceptor.accept(stream).await
    };
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE, shaking) => shaken,
        () = intakes.stop.cancelled() => return,
        () = stay.leave.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve::serve(stream, connections.enter(&flow), Life::trunk(stay), connections, intakes).await,
        Ok(Err(error)) => failed(&handshake::theirs(&error), remote, intakes),
        Err(_) => failed(&handshake::late(), remote, intakes),
    }
}

fn failed(words: &Words, remote: SocketAddr, intakes: &Intakes) {
    intakes.count("handshake_failed");
    if let Some(times) = intakes.often(words.cause) {
        tracing::warn!(from = %remote.ip(), times, "a TLS handshake failed: {words}");
    }
}

fn flow(stream: &TcpStream, transport: Transport, remote: SocketAddr, intakes: &Intakes) -> Option<Flow> {
    let bound = stream.local_addr().ok()?;
    let _ = stream.set_nodelay(true);
    let local = Locals::new(&intakes.config, bound).towards(remote.ip());
    Some(Flow { remote, local, transport })
}
