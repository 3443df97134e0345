//! TCP: bounded connections, bounded queues, and nobody may hold one open for nothing.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::arrival::{Arrival, Intakes, Locals};
use crate::flow::{Flow, Transport};
use crate::wire::stream::{Frame, Framer};

/// Connections of trunks.
const TRUNK_CONNECTIONS: usize = 256;
/// Connections of strangers, who get a 403 and little time.
const STRANGER_CONNECTIONS: usize = 16;
/// Messages that may wait to be written.
const QUEUE: usize = 64;
/// A trunk's connection may be silent this long; its calls last longer than its keep-alives.
const TRUNK_IDLE: Duration = Duration::from_secs(600);
/// A stranger's.
const STRANGER_IDLE: Duration = Duration::from_secs(5);
/// A peer that does not read for this long has gone.
const WRITE: Duration = Duration::from_secs(10);

type Key = (SocketAddr, u16);

/// The connections that are open, by the peer's address and our port.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<Key, Open>>>);

/// One that is open.
#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Bytes>,
    /// Ends it, what waits included.
    cut: CancellationToken,
}

/// The connection's side of an [`Open`].
struct Entered {
    queue: mpsc::Sender<Bytes>,
    waiting: mpsc::Receiver<Bytes>,
    cut: CancellationToken,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message; false when the connection is gone or does not take any more.
    pub(super) fn send(&self, flow: &Flow, bytes: Bytes) -> bool {
        let key = (flow.remote, flow.local.port());
        let connections = self.lock();
        let Some(open) = connections.get(&key) else { return false };
        let queued = open.queue.try_send(bytes).is_ok();
        if !queued {
            // A peer that does not read is cut off.
            open.cut.cancel();
        }
        queued
    }

    /// Whether one is open between these two.
    pub(super) fn is_open(&self, flow: &Flow) -> bool {
        self.lock().contains_key(&(flow.remote, flow.local.port()))
    }

    /// Enters a connection; what is sent from now on waits for it.
    fn enter(&self, flow: &Flow) -> Entered {
        let (queue, waiting) = mpsc::channel::<Bytes>(QUEUE);
        let cut = CancellationToken::new();
        let open = Open {
            queue: queue.clone(),
            cut: cut.clone(),
        };
        self.lock().insert((flow.remote, flow.local.port()), open);
        Entered { queue, waiting, cut }
    }

    /// Takes a connection out, unless another one has its place by now.
    fn forget(&self, key: &Key, queue: &mpsc::Sender<Bytes>) {
        let mut connections = self.lock();
        if connections.get(key).is_some_and(|open| open.queue.same_channel(queue)) {
            connections.remove(key);
        }
    }
}

pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(256)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn listen(listener: TcpListener, connections: Connections, intakes: Intakes) {
    let trunks = Arc::new(Semaphore::new(TRUNK_CONNECTIONS));
    let strangers = Arc::new(Semaphore::new(STRANGER_CONNECTIONS));
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
        let known = intakes
            .config
            .trunks
            .iter()
            .flat_map(|trunk| &trunk.allow)
            .any(|network| network.contains(remote.ip()));
        let (seats, idle) = if known {
            (&trunks, TRUNK_IDLE)
        } else {
            (&strangers, STRANGER_IDLE)
        };
        let Ok(seat) = Arc::clone(seats).try_acquire_owned() else {
            intakes.count("connection_refused");
            continue;
        };
        let (connections, intakes) = (connections.clone(), intakes.clone());
        intakes.tasks.clone().spawn(async move {
            if let Ok(bound) = stream.local_addr() {
                let local = Locals::new(&intakes.config, bound).towards(remote.ip());
                let flow = Flow {
                    remote,
                    local,
                    transport: Transport::Tcp,
                };
                let entered = connections.enter(&flow);
                serve(stream, flow, idle, entered, connections, intakes).await;
            }
            drop(seat);
        });
    }
}

/// Opens a connection to a trunk and serves it like one that came. `listening` is where we take connections: what Via
/// and Contact say, since nobody could connect to the port that this one has.
pub(super) async fn connect(
    remote: SocketAddr,
    listening: Option<SocketAddr>,
    connections: &Connections,
    intakes: &Intakes,
) -> io::Result<Flow> {
    let stream = TcpStream::connect(remote).await?;
    let bound = listening.map_or_else(|| stream.local_addr(), Ok)?;
    let flow = Flow {
        remote,
        local: Locals::new(&intakes.config, bound).towards(remote.ip()),
        transport: Transport::Tcp,
    };
    let entered = connections.enter(&flow);
    let serving = serve(stream, flow, TRUNK_IDLE, entered, connections.clone(), intakes.clone());
    intakes.tasks.spawn(serving);
    Ok(flow)
}

async fn serve(stream: TcpStream, flow: Flow, idle: Duration, entered: Entered, connections: Connections, intakes: Intakes) {
    let _ = stream.set_nodelay(true);
    let key = (flow.remote, flow.local.port());
    let Entered { queue, mut waiting, cut } = entered;
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        while let Some(bytes) = waiting.recv().await {
            if !matches!(timeout(WRITE, writer.write_all(&bytes)).await, Ok(Ok(()))) {
                break;
            }
        }
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut framer = Framer::default();
        let mut buffer = vec![0; 16 * 1024];
        // The idle time counts whole messages: byte after byte keeps nobody alive.
        let mut heard = tokio::time::Instant::now();
        loop {
            let length = match tokio::time::timeout_at(heard + idle, reader.read(&mut buffer)).await {
                Ok(Ok(length)) if length > 0 => length,
                _ => return,
            };
            framer.push(buffer.get(..length).unwrap_or_default());
            while let Some(frame) = framer.next() {
                heard = tokio::time::Instant::now();
                let (bytes, last) = match frame {
                    Frame::KeepAlive => {
                        let _ = queue.try_send(Bytes::from_static(b"\r\n"));
                        continue;
                    }
                    Frame::Message(bytes) => (bytes, false),
                    Frame::Broken(head) => (head, true),
                };
                // A full queue stops the reading, and so the peer.
                if intakes
                    .arrivals
                    .send(Arrival {
                        flow,
                        bytes,
                        at: Instant::now(),
                    })
                    .await
                    .is_err()
                {
                    return;
                }
                if last {
                    // The endpoint answers a broken message at once; then nothing more can be understood.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
        () = intakes.stop.cancelled() => {}
        () = cut.cancelled() => {}
    }
    connections.forget(&key, &queue);
    if cut.is_cancelled() {
        return;
    }
    // What is queued already goes out: the last 200 of a call among it.
    while let Ok(bytes) = waiting.try_recv() {
        if !matches!(timeout(Duration::from_millis(500), writer.write_all(&bytes)).await, Ok(Ok(()))) {
            return;
        }
    }
}
