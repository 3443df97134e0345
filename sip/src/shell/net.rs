//! Sockets: UDP here, TCP in [`super::tcp`]. Nothing that is sent waits, and nothing that comes is queued without bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use voxea_core::base::account::Account;
use voxea_core::base::count::Counters;

use super::arrival::{Arrival, Intakes, Locals};
use super::outgoing::Ways;
use super::tcp::{self, Connections};
use crate::config::Config;
use crate::flow::{Flow, Transport};
use crate::wire::MAX_MESSAGE;

/// Messages that may wait for the endpoint. Datagrams beyond are dropped, and repeated by their senders.
const ARRIVALS: usize = 2_048;

/// What the kernel keeps of datagrams while we are busy: a stall with a small buffer becomes a storm of repetitions.
const RECEIVE_BUFFER: usize = 4 << 20;

/// All sockets of the endpoint.
#[derive(Debug)]
pub(super) struct Net {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    tcp: Vec<SocketAddr>,
    connections: Connections,
    /// As `/v1/channels` shows them: `udp:127.0.0.1:5060`.
    pub(super) addresses: Vec<String>,
    intakes: Intakes,
}

impl Net {
    /// Binds everything and starts reading.
    pub(super) async fn open(
        config: &Arc<Config>,
        counters: Counters,
        account: Account,
    ) -> Result<(Self, mpsc::Receiver<Arrival>), String> {
        let (arrivals, receiver) = mpsc::channel(ARRIVALS);
        let intakes = Intakes {
            config: Arc::clone(config),
            arrivals,
            counters,
            account,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let mut net = Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            connections: Connections::default(),
            addresses: Vec::new(),
            intakes,
        };
        // Read only when all are bound: a half-open endpoint would answer some and lose others.
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let failed = |error: io::Error| format!("cannot listen on {}:{}: {error}", listen.transport, listen.address);
            let bound = match listen.transport {
                Transport::Udp => {
                    let socket = Arc::new(bind_udp(listen.address).map_err(failed)?);
                    let bound = socket.local_addr().map_err(failed)?;
                    net.udp.push((bound, socket));
                    bound
                }
                Transport::Tcp => {
                    let listener = tcp::bind(listen.address).map_err(failed)?;
                    let bound = listener.local_addr().map_err(failed)?;
                    listeners.push(listener);
                    net.tcp.push(bound);
                    bound
                }
            };
            net.addresses.push(format!("{}:{bound}", listen.transport));
        }
        for (bound, socket) in &net.udp {
            let read = read(Arc::clone(socket), *bound, net.intakes.clone());
            net.intakes.tasks.spawn(read);
        }
        for listener in listeners {
            net.intakes
                .tasks
                .spawn(tcp::listen(listener, net.connections.clone(), net.intakes.clone()));
        }
        Ok((net, receiver))
    }

    /// How peers are reached through these sockets.
    pub(super) fn ways(&self) -> Ways {
        Ways {
            udp: self.udp.iter().map(|(bound, _)| *bound).collect(),
            tcp: self.tcp.clone(),
            connections: self.connections.clone(),
            intakes: self.intakes.clone(),
        }
    }

    /// Sends, or drops and counts: the transaction repeats what matters.
    pub(super) fn send(&self, flow: &Flow, bytes: Bytes) {
        let sent = match flow.transport {
            Transport::Tcp => self.connections.send(flow, bytes),
            Transport::Udp => {
                let fits = |(bound, _): &&(SocketAddr, _)| bound.port() == flow.local.port() && bound.is_ipv4() == flow.remote.is_ipv4();
                let socket = self.udp.iter().find(fits).or_else(|| self.udp.first());
                socket.is_some_and(|(_, socket)| socket.try_send_to(&bytes, flow.remote).is_ok())
            }
        };
        if !sent {
            self.intakes.count("unsent");
        }
    }

    /// Closes everything; what is queued on connections is written first.
    pub(super) async fn close(self) {
        self.intakes.stop.cancel();
        self.intakes.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.intakes.tasks.wait()).await;
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The system may grant less; that is no reason not to answer the telephone.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn read(socket: Arc<UdpSocket>, bound: SocketAddr, intakes: Intakes) {
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    let mut locals = Locals::new(&intakes.config, bound);
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = intakes.stop.cancelled() => return,
        };
        let Ok((length, remote)) = received else {
            // Errors of other people's datagrams (ICMP) come up here; none is ours to act on.
            intakes.count("receive_error");
            tokio::task::yield_now().await;
            continue;
        };
        let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        let flow = Flow {
            remote,
            local: locals.towards(remote.ip()),
            transport: Transport::Udp,
        };
        if intakes
            .arrivals
            .try_send(Arrival {
                flow,
                bytes,
                at: Instant::now(),
            })
            .is_err()
        {
            intakes.count("shed");
        }
    }
}
