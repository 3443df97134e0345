//! Connections of our own making: when a request of ours has none, or an answer's is gone.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::arrival::Intakes;
use super::connections::{Connections, Seat, Unsent, is_response};
use super::handshake;
use super::serve::{self, Life};
use super::tls::Clients;
use crate::flow::{Flow, Transport};

/// Connections of our own making.
const OUTGOING: usize = 64;
/// A peer is there within this time, its TLS included, or the request has failed. Less than the four seconds in which
/// `voxea doctor` wants an answer.
const CONNECT: Duration = Duration::from_secs(3);

/// A connection of our own making.
enum Dialled {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// Who opens them. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Dialler {
    connections: Connections,
    outgoing: Arc<Semaphore>,
    clients: Arc<Clients>,
    /// Why the last attempts failed that nobody has asked about yet.
    failures: Arc<Mutex<HashMap<(Transport, SocketAddr), String>>>,
}

impl Dialler {
    pub(super) fn new(connections: Connections, clients: Clients) -> Self {
        Self {
            connections,
            outgoing: Arc::new(Semaphore::new(OUTGOING)),
            clients: Arc::new(clients),
            failures: Arc::default(),
        }
    }

    /// Queues a message, on a new connection when there is none. False when that cannot be: then nothing more happens; else
    /// a failure is told through [`Intakes::lost`].
    pub(super) fn send(&self, flow: &Flow, bytes: Bytes, intakes: &Intakes) -> bool {
        let bytes = match self.connections.queue(flow, bytes) {
            Ok(()) => return true,
            Err(Unsent::Refused) => return false,
            Err(Unsent::Absent(bytes)) => bytes,
        };
        // Nobody makes us connect but by a request of ours or as somebody who may call.
        if is_response(&bytes) && !intakes.knows(flow.remote.ip()) {
            return false;
        }
        let Ok(permit) = Arc::clone(&self.outgoing).try_acquire_owned() else {
            intakes.count("connections_exhausted");
            return false;
        };
        let seat = self.connections.enter(flow);
        let queued = seat.queue.try_send(bytes).is_ok();
        let (dialler, intakes) = (self.clone(), intakes.clone());
        intakes.tasks.clone().spawn(async move {
            dialler.connect(seat, &intakes).await;
            drop(permit);
        });
        queued
    }

    /// Why no connection to a peer could be opened, once for each failure.
    pub(super) fn why(&self, flow: &Flow) -> Option<String> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&(flow.transport, flow.remote))
    }

    fn failed(&self, flow: &Flow, words: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= OUTGOING {
            failures.clear();
        }
        failures.insert((flow.transport, flow.remote), words);
    }

    async fn connect(&self, seat: Seat, intakes: &Intakes) {
        let flow = seat.flow;
        let connected = tokio::select! {
            connected = timeout(CONNECT, self.dial(flow)) => connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            () = intakes.stop.cancelled() => return self.connections.forget(&seat),
            () = seat.cut.cancelled() => Err(io::Error::other("more waits for it than is kept")),
        };
        match connected {
            Ok(Dialled::Plain(stream)) => serve::serve(stream, seat, Life::ours(), &self.connections, intakes).await,
            Ok(Dialled::Secured(stream)) => serve::serve(stream, seat, Life::ours(), &self.connections, intakes).await,
            Err(error) => {
                intakes.count("connect_failed");
                let words = handshake::ours(&error);
                if let Some(times) = intakes.often(words.cause) {
                    tracing::warn!(to = %format_args!("{}:{}", flow.transport, flow.remote), times, "a connection could not be opened: {words}");
                }
                self.failed(&flow, words.to_string());
                self.connections.forget(&seat);
                let _ = intakes.lost.send(flow).await;
            }
        }
    }

    async fn dial(&self, flow: Flow) -> io::Result<Dialled> {
        let stream = TcpStream::connect(flow.remote).await?;
        let _ = stream.set_nodelay(true);
        Ok(if flow.transport == Transport::Tls {
            Dialled::Secured(Box::new(self.clients.connect(flow.remote.ip(), stream).await?))
        } else {
            Dialled::Plain(stream)
        })
    }
}
