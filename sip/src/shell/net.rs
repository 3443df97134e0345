//! Sockets: UDP here, streams in [`super::tcp`] and [`super::dial`]. Nothing that is sent waits, and nothing that comes is queued without bound.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use voxea_core::base::account::Account;
use voxea_core::base::count::Counters;

use super::arrival::{Arrival, Intakes, Locals};
use super::connections::Connections;
use super::dial::Dialler;
use super::notices::Notices;
use super::outgoing::Ways;
use super::renewal::renewals;
use super::tcp;
use super::tls::Clients;
use crate::config::Config;
use crate::flow::{Flow, Transport};
use crate::wire::MAX_MESSAGE;

/// Messages that may wait for the endpoint. Datagrams beyond are dropped, and repeated by their senders.
const ARRIVALS: usize = 2_048;

/// What the kernel keeps of datagrams while we are busy: a stall with a small buffer becomes a storm of repetitions.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Connections whose loss the endpoint has not heard of yet.
const LOST: usize = 256;

/// Peers whose socket is remembered; see [`Sources`].
const SOURCES: usize = 4_096;

/// By which socket a peer's datagrams come, where the address that is advertised hides it: several sockets of one port
/// and family. An answer must leave by the socket to which the request came.
#[derive(Debug, Default)]
struct Sources(Mutex<HashMap<SocketAddr, SocketAddr>>);

impl Sources {
    fn note(&self, remote: SocketAddr, bound: SocketAddr) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SOURCES {
            known.clear();
        }
        known.insert(remote, bound);
    }

    fn of(&self, remote: &SocketAddr) -> Option<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(remote).copied()
    }
}

/// All sockets of the endpoint.
#[derive(Debug)]
pub(super) struct Net {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    /// Addresses really bound.
    bound: Vec<(Transport, SocketAddr)>,
    connections: Connections,
    dialler: Dialler,
    sources: Arc<Sources>,
    /// Streams on which something of ours is lost.
    pub(super) lost: mpsc::Receiver<Flow>,
    /// Where we listen, as peers know it.
    pub(super) listening: Vec<(Transport, SocketAddr)>,
    /// As `/v1/channels` shows them: `udp:127.0.0.1:5060`.
    pub(super) addresses: Vec<String>,
    intakes: Intakes,
}

impl Net {
    /// What stood in the log.
    pub(super) fn notices(&self) -> Notices {
        self.intakes.notices.clone()
    }

    /// Binds everything and starts reading.
    pub(super) async fn open(
        config: &Arc<Config>,
        counters: Counters,
        account: Account,
    ) -> Result<(Self, mpsc::Receiver<Arrival>), String> {
        let (arrivals, receiver) = mpsc::channel(ARRIVALS);
        let (lost, lost_ones) = mpsc::channel(LOST);
        let intakes = Intakes {
            config: Arc::clone(config),
            arrivals,
            lost,
            counters,
            notices: Notices::default(),
            account,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let connections = Connections::default();
        let mut net = Self {
            udp: Vec::new(),
            dialler: Dialler::new(connections.clone(), Clients::new(config)),
            connections,
            sources: Arc::default(),
            lost: lost_ones,
            listening: Vec::new(),
            bound: Vec::new(),
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
                Transport::Tcp | Transport::Tls => {
                    let listener = tcp::bind(listen.address).map_err(failed)?;
                    let bound = listener.local_addr().map_err(failed)?;
                    let acceptor = match (listen.transport, &config.tls) {
                        (Transport::Tls, Some(tls)) => Some(TlsAcceptor::from(Arc::clone(&tls.server))),
                        (Transport::Tls, None) => return Err(format!("tls:{bound} has no certificate; add [sip] tls")),
                        (Transport::Tcp | Transport::Udp, _) => None,
                    };
                    listeners.push((listener, acceptor));
                    bound
                }
            };
            let known = config.advertise.filter(|ip| ip.is_ipv4() == bound.is_ipv4()).unwrap_or(bound.ip());
            net.listening.push((listen.transport, SocketAddr::new(known, bound.port())));
            net.bound.push((listen.transport, bound));
            net.addresses.push(format!("{}:{bound}", listen.transport));
        }
        for (bound, socket) in &net.udp {
            let twins = net.udp.iter().filter(|(other, _)| same_door(other, bound)).count();
            let sources = (config.advertise.is_some() && twins > 1).then(|| Arc::clone(&net.sources));
            let read = read(Arc::clone(socket), *bound, sources, net.intakes.clone());
            net.intakes.tasks.spawn(read);
        }
        if let Some(tls) = &config.tls {
            net.intakes
                .tasks
                .spawn(renewals(Arc::clone(&tls.certificate), net.intakes.stop.clone()));
        }
        for (listener, acceptor) in listeners {
            net.intakes
                .tasks
                .spawn(tcp::listen(listener, acceptor, net.connections.clone(), net.intakes.clone()));
        }
        Ok((net, receiver))
    }

    /// How peers are reached through these sockets.
    pub(super) fn ways(&self) -> Ways {
        Ways {
            bound: self.bound.clone(),
            config: Arc::clone(&self.intakes.config),
        }
    }

    /// Sends, or drops and counts; says whether it was taken. A datagram's transaction repeats what matters, and also what
    /// is longer than 1,300 bytes goes back by UDP to who came by UDP (RFC 3261 §18.1.1 would have a request of ours change
    /// to TCP; the PBX that sent a long INVITE in a datagram takes a long BYE in one).
    pub(super) fn send(&self, flow: &Flow, bytes: Bytes) -> bool {
        let sent = match flow.transport {
            Transport::Tcp | Transport::Tls => self.dialler.send(flow, bytes, &self.intakes),
            Transport::Udp => {
                let socket = self.socket(flow);
                socket.is_some_and(|socket| socket.try_send_to(&bytes, flow.remote).is_ok())
            }
        };
        if !sent {
            self.intakes.count("unsent");
        }
        sent
    }

    /// Why no connection to a peer could be opened, once for each failure.
    pub(super) fn why(&self, flow: &Flow) -> Option<String> {
        self.dialler.why(flow)
    }

    /// The socket to which what is answered came: the one that is bound to our side of the flow, or to every address.
    fn socket(&self, flow: &Flow) -> Option<&UdpSocket> {
        let family = |(bound, _): &&(SocketAddr, Arc<UdpSocket>)| bound.is_ipv4() == flow.remote.is_ipv4();
        let bound_to = |address: SocketAddr| self.udp.iter().find(|(bound, _)| *bound == address);
        let everywhere = |(bound, _): &&(SocketAddr, _)| bound.port() == flow.local.port() && bound.ip().is_unspecified();
        let port = |(bound, _): &&(SocketAddr, _)| bound.port() == flow.local.port();
        let noted = self.sources.of(&flow.remote).filter(|bound| bound.port() == flow.local.port());
        let found = noted
            .and_then(bound_to)
            .or_else(|| bound_to(flow.local))
            .or_else(|| self.udp.iter().filter(family).find(everywhere))
            .or_else(|| self.udp.iter().filter(family).find(port))
            .or_else(|| self.udp.iter().find(family))?;
        Some(&found.1)
    }

    /// Closes everything; what is queued on connections is written first.
    pub(super) async fn close(self) {
        self.intakes.stop.cancel();
        self.intakes.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.intakes.tasks.wait()).await;
    }
}

/// Whether two sockets are told apart by nothing but their address.
fn same_door(one: &SocketAddr, other: &SocketAddr) -> bool {
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4()
}

pub(super) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The system may grant less; that is no reason not to answer the telephone.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
    if address.is_ipv6() {
        // As for streams: a socket for each family.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn read(socket: Arc<UdpSocket>, bound: SocketAddr, sources: Option<Arc<Sources>>, intakes: Intakes) {
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
        if let Some(sources) = &sources {
            sources.note(remote, bound);
        }
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
