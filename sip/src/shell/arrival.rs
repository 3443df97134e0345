//! What the reading tasks of all sockets share.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use voxea_core::base::account::Account;
use voxea_core::base::count::Counters;

use super::notices::Notices;
use crate::config::Config;
use crate::flow::Flow;

/// A message that came.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    pub(super) at: Instant,
}

/// What the reading tasks share.
#[derive(Debug, Clone)]
pub(super) struct Intakes {
    pub(super) config: Arc<Config>,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    /// Connections that broke or could not be opened, with something of ours on them.
    pub(super) lost: mpsc::Sender<Flow>,
    pub(super) counters: Counters,
    /// What of connections stood in the log, and how often it happened since.
    pub(super) notices: Notices,
    pub(super) account: Account,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Intakes {
    /// Whether somebody may call from this address.
    pub(super) fn knows(&self, address: IpAddr) -> bool {
        let mut networks = self.config.trunks.iter().flat_map(|trunk| &trunk.allow);
        networks.any(|network| network.contains(address))
    }

    pub(super) fn count(&self, event: &'static str) {
        self.counters.add(&self.account, event, 1);
    }

    /// Counts an event of a peer, and says so in the log, once a minute.
    pub(super) fn say(&self, event: &'static str, from: IpAddr) {
        self.count(event);
        if let Some((words, times)) = self.notices.note(event, Instant::now()) {
            tracing::warn!(event, times, %from, "{words}");
        }
    }

    /// How often something happened that is to be told now; `None` when it was told less than a minute ago. Who can open
    /// connections could else fill the disk with lines.
    pub(super) fn often(&self, cause: &'static str) -> Option<u64> {
        self.notices.often(cause, Instant::now())
    }
}

/// Our address as a peer sees it.
#[derive(Debug)]
pub(super) struct Locals {
    bound: SocketAddr,
    advertise: Option<IpAddr>,
    /// Of a socket that is bound to every address; asked once for each peer.
    known: HashMap<IpAddr, IpAddr>,
}

impl Locals {
    pub(super) fn new(config: &Config, bound: SocketAddr) -> Self {
        Self {
            bound,
            advertise: config.advertise.filter(|ip| ip.is_ipv4() == bound.is_ipv4()),
            known: HashMap::new(),
        }
    }

    pub(super) fn towards(&mut self, remote: IpAddr) -> SocketAddr {
        let ip = match self.advertise {
            Some(ip) => ip,
            None if !self.bound.ip().is_unspecified() => self.bound.ip(),
            None => {
                if self.known.len() > 1_024 {
                    self.known.clear();
                }
                *self.known.entry(remote).or_insert_with(|| route(remote).unwrap_or(self.bound.ip()))
            }
        };
        SocketAddr::new(ip, self.bound.port())
    }
}

/// The address from which the kernel would send to this one. Sends nothing.
pub(super) fn route(remote: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect((remote, 5060))?;
    Ok(socket.local_addr()?.ip())
}
