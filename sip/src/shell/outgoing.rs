//! Ways to peers: names are looked up anew each time, and we are reached where calls come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::arrival::Locals;
use crate::config::Config;
use crate::flow::{Flow, Transport};

/// A name that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where we listen, and so how we are reached.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// Addresses really bound.
    pub(super) bound: Vec<(Transport, SocketAddr)>,
    pub(super) config: Arc<Config>,
}

impl Ways {
    /// A flow to a peer. A stream is opened by the first message for it; its end here is where we listen, since nobody
    /// could connect to the port that it has: Via and Contact say so.
    ///
    /// # Errors
    /// Why there is none, for an operator.
    pub(super) async fn reach(&self, host: &str, port: u16, transport: Transport) -> Result<Flow, String> {
        let all = lookup(host, port).await?;
        let ours = || self.bound.iter().filter(|(known, _)| *known == transport).map(|(_, bound)| *bound);
        // Of several addresses the first that we can speak to: an IPv4 socket reaches no IPv6 peer.
        let fitting = |remote: &SocketAddr| ours().find(|bound| bound.is_ipv4() == remote.is_ipv4());
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
        Ok(Flow {
            remote,
            local: Locals::new(&self.config, bound).towards(remote.ip()),
            transport,
        })
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
