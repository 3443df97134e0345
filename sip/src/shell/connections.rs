//! The connections that are open or being opened, with a bounded queue each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, Transport};

/// Messages that may wait to be written.
const QUEUE: usize = 64;
/// What names a connection: the peer, and our port as the machine knows it.
type Key = (Transport, SocketAddr, u16);

fn key(flow: &Flow) -> Key {
    (flow.transport, flow.remote, flow.local.port())
}

/// All of them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<Key, Open>>>);

/// One that is open, or being opened.
#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Bytes>,
    /// Ends it, what waits included.
    cut: CancellationToken,
    /// The peer has ended its side: it gets its answers, but requests of ours would have no answer there.
    half_closed: bool,
}

/// A connection's place among the others.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) flow: Flow,
    pub(super) queue: mpsc::Sender<Bytes>,
    pub(super) waiting: mpsc::Receiver<Bytes>,
    /// Ends it, what waits included.
    pub(super) cut: CancellationToken,
}

/// Why a message was not queued.
pub(super) enum Unsent {
    /// There is no connection; the message comes back.
    Absent(Bytes),
    /// There is one, and it takes nothing more.
    Refused,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Queues a message.
    pub(super) fn queue(&self, flow: &Flow, bytes: Bytes) -> Result<(), Unsent> {
        let connections = self.lock();
        let Some(open) = connections.get(&key(flow)) else {
            return Err(Unsent::Absent(bytes));
        };
        if open.half_closed && !is_response(&bytes) {
            return Err(Unsent::Refused);
        }
        open.queue.try_send(bytes).map_err(|_| {
            // A peer that does not read is cut off.
            open.cut.cancel();
            Unsent::Refused
        })
    }
}

/// Whether a message is a response: told by its first bytes, which are the version (RFC 3261 §7.2).
pub(super) fn is_response(bytes: &[u8]) -> bool {
    bytes.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/2.0 "))
}
