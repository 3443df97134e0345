//! Ways to peers: names are looked up anew each time, datagrams leave by the sockets that calls come in by, and a
//! connection that is open is used again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::arrival::{Intakes, Locals};
use super::tcp::{self, Connections};
use crate::flow::{Flow, Transport};

/// A name or a connection that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(4);

/// The sockets that are open, and what connections of ours need.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// Addresses really bound.
    pub(super) udp: Vec<SocketAddr>,
    pub(super) tcp: Vec<SocketAddr>,
    pub(super) connections: Connections,
    pub(super) intakes: Intakes,
}

impl Ways {
    /// A flow to a peer.
    ///
    /// # Errors
    /// Why there is none, for an operator.
    pub(super) async fn reach(&self, host: &str, port: u16, transport: Transport) -> Result<Flow, String> {
        let all = lookup(host, port).await?;
        let ours = match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        };
        // Of several addresses the first that we can speak to: an IPv4 socket reaches no IPv6 peer.
        let fitting = |remote: &SocketAddr| ours.iter().find(|bound| bound.is_ipv4() == remote.is_ipv4()).copied();
        let found = all.iter().find_map(|remote| Some((*remote, fitting(remote)?)));
        let Some((remote, bound)) = found else {
            return Err(format!(
                "no {transport} address of ours is of its kind; an example: listen = [\"{transport}:{}\"]",
                if all.iter().any(SocketAddr::is_ipv6) {
                    "[::]:5060"
                } else {
                    "0.0.0.0:5060"
                }
            ));
        };
        let flow = Flow {
            remote,
            local: Locals::new(&self.intakes.config, bound).towards(remote.ip()),
            transport,
        };
        if transport == Transport::Udp || self.connections.is_open(&flow) {
            return Ok(flow);
        }
        let connecting = tcp::connect(remote, Some(bound), &self.connections, &self.intakes);
        match timeout(PATIENCE, connecting).await {
            Ok(Ok(flow)) => Ok(flow),
            Ok(Err(error)) => Err(format!("takes no connection: {error}")),
            Err(_) => Err(format!("takes no connection within {} s", PATIENCE.as_secs())),
        }
    }
}

/// The addresses behind a name, one at least.
pub(super) async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("nobody says within {} s where its name is", PATIENCE.as_secs()))?;
    let all: Vec<SocketAddr> = found.map_err(|error| format!("its name is not known: {error}"))?.collect();
    if all.is_empty() {
        return Err("its name has no address".to_owned());
    }
    Ok(all)
}
