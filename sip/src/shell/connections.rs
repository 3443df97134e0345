//! The connections that are open, and those that we open: bounded, and with a bounded queue each.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::arrival::Intakes;
use super::serve::{self, Seat, TRUNK_IDLE};
use super::tls::Clients;
use crate::flow::{Flow, Transport};

/// Messages that may wait to be written.
const QUEUE: usize = 64;
/// Connections of our own making.
const OUTGOING: usize = 64;
/// A peer is there within this time, its TLS included, or the request has failed. Less than the four seconds in which
/// `voxea doctor` wants an answer.
const CONNECT: Duration = Duration::from_secs(3);

/// What names a connection: the peer, and our port as the machine knows it.
type Key = (Transport, SocketAddr, u16);

fn key(flow: &Flow) -> Key {
    (flow.transport, flow.remote, flow.local.port())
}

/// All of them. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    open: Arc<Mutex<HashMap<Key, Open>>>,
    outgoing: Arc<Semaphore>,
    clients: Arc<Clients>,
}

/// One that is open, or being opened.
#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Bytes>,
    /// Ends it, what waits included.
    cut: CancellationToken,
    /// The peer has ended its side: it gets its answers, but requests of ours would have no answer there.
    half_closed: bool,
}

/// A connection of our own making.
enum Dialled {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// Why a message was not queued.
enum Unsent {
    Absent(Bytes),
    Refused,
}

impl Connections {
    pub(super) fn new(clients: Clients) -> Self {
        Self {
            open: Arc::default(),
            outgoing: Arc::new(Semaphore::new(OUTGOING)),
            clients: Arc::new(clients),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection; gives its end of the queue.
    pub(super) fn enter(&self, flow: &Flow) -> Seat {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let cut = CancellationToken::new();
        let open = Open {
            queue: queue.clone(),
            cut: cut.clone(),
            half_closed: false,
        };
        self.lock().insert(key(flow), open);
        Seat {
            flow: *flow,
            queue,
            waiting,
            cut,
        }
    }

    /// Takes a connection out, unless another one has its place by now.
    pub(super) fn forget(&self, seat: &Seat) {
        let mut connections = self.lock();
        let key = key(&seat.flow);
        if connections.get(&key).is_some_and(|open| open.queue.same_channel(&seat.queue)) {
            connections.remove(&key);
        }
    }

    /// The peer has ended its side of a connection.
    pub(super) fn half_closed(&self, flow: &Flow) {
        if let Some(open) = self.lock().get_mut(&key(flow)) {
            open.half_closed = true;
        }
    }

    fn queue(&self, flow: &Flow, bytes: Bytes) -> Result<(), Unsent> {
        let connections = self.lock();
        let Some(open) = connections.get(&key(flow)) else {
            return Err(Unsent::Absent(bytes));
        };
        if open.half_closed && !serve::is_response(&bytes) {
            return Err(Unsent::Refused);
        }
        open.queue.try_send(bytes).map_err(|_| {
            // A peer that does not read is cut off.
            open.cut.cancel();
            Unsent::Refused
        })
    }

    /// Queues a message, on a new connection when there is none. False when that cannot be: then nothing more happens; else
    /// a failure is told through [`Intakes::lost`].
    pub(super) fn send(&self, flow: &Flow, bytes: Bytes, intakes: &Intakes) -> bool {
        let bytes = match self.queue(flow, bytes) {
            Ok(()) => return true,
            Err(Unsent::Refused) => return false,
            Err(Unsent::Absent(bytes)) => bytes,
        };
        // Nobody makes us connect but by a request of ours or as somebody who may call.
        if serve::is_response(&bytes) && !intakes.knows(flow.remote.ip()) {
            return false;
        }
        let Ok(permit) = Arc::clone(&self.outgoing).try_acquire_owned() else {
            intakes.count("connections_exhausted");
            return false;
        };
        let seat = self.enter(flow);
        let queued = seat.queue.try_send(bytes).is_ok();
        let (connections, intakes) = (self.clone(), intakes.clone());
        intakes.tasks.clone().spawn(async move {
            connections.connect(seat, &intakes).await;
            drop(permit);
        });
        queued
    }

    async fn connect(&self, seat: Seat, intakes: &Intakes) {
        let flow = seat.flow;
        let connected = tokio::select! {
            connected = timeout(CONNECT, self.dial(flow)) => connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            () = intakes.stop.cancelled() => return self.forget(&seat),
            () = seat.cut.cancelled() => Err(io::Error::other("more waits for it than is kept")),
        };
        match connected {
            Ok(Dialled::Plain(stream)) => serve::serve(stream, seat, TRUNK_IDLE, self, intakes).await,
            Ok(Dialled::Secured(stream)) => serve::serve(stream, seat, TRUNK_IDLE, self, intakes).await,
            Err(error) => {
                intakes.count("connect_failed");
                tracing::warn!(%error, to = %format_args!("{}:{}", flow.transport, flow.remote), "a connection could not be opened");
                self.forget(&seat);
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
