//! The bounded range of media ports: RTP on an even one, RTCP on the next
//! (RFC 3550 §11).

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

/// No pair of ports is free; the caller is to be told 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no media port is free")]
pub struct NoPort;

/// All pairs of the range, those in use, and where to look next. A port that
/// was given back is used again last, so that a late packet of the call before
/// finds nobody.
#[derive(Debug)]
pub(super) struct Ports {
    bind: IpAddr,
    first: u16,
    pairs: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u16,
    used: HashSet<u16>,
}

/// A pair of bound sockets; dropping it closes them and gives the ports back.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: UdpSocket,
    // Bound also when reports share the port of sound, so that those of a peer that does not know meet no ICMP error. The
    // kernel drops what does not fit its small buffer.
    pub(super) rtcp: UdpSocket,
    /// Whether they are of IPv6.
    pub(super) v6: bool,
    // Last, so that the sockets are closed before the ports are free.
    lease: Lease,
}

#[derive(Debug)]
struct Lease {
    ports: Arc<Ports>,
    pair: u16,
}

impl Ports {
    pub(super) fn new(bind: IpAddr, range: &RangeInclusive<u16>) -> Self {
        let first = range.start().saturating_add(range.start() % 2);
        let count = u32::from(*range.end()) + 1;
        let pairs = (count.saturating_sub(u32::from(first)) / 2) as u16;
        Self {
            bind,
            first,
            pairs,
            state: Mutex::default(),
        }
    }

    /// How many calls fit.
    pub(super) fn pairs(&self) -> usize {
        usize::from(self.pairs)
    }

    /// Pairs in use now.
    pub(super) fn used(&self) -> usize {
        self.lock().used.len()
    }

    /// Binds the next free pair; ports that somebody else holds are passed by.
    pub(super) fn bind(self: &Arc<Self>) -> Result<Pair, NoPort> {
        self.bind_on(self.bind)
    }

    /// The same on another address.
    pub(super) fn bind_on(self: &Arc<Self>, address: IpAddr) -> Result<Pair, NoPort> {
        for _ in 0..self.pairs {
            let Some(lease) = self.lease() else { break };
            let port = lease.port();
            // A failure gives the lease back at the end of the turn.
            if let (Ok(rtp), Ok(rtcp)) = (
                socket((address, port).into(), None),
                socket((address, port + 1).into(), Some(4_096)),
            ) {
                let v6 = address.is_ipv6();
                return Ok(Pair { rtp, rtcp, v6, lease });
            }
        }
        Err(NoPort)
    }

    fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.lock();
        for _ in 0..self.pairs {
            let pair = state.next;
            state.next = (pair + 1) % self.pairs;
            if state.used.insert(pair) {
                return Some(Lease {
                    ports: Arc::clone(self),
                    pair,
                });
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn socket(address: SocketAddr, buffer: Option<usize>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // An IPv4 peer would be written as ::ffff:192.0.2.1 and sent to in vain; it gets a socket of its own family.
        socket.set_only_v6(true)?;
    }
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer)?;
    }
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl Pair {
    /// The even port, for the SDP.
    pub(super) fn port(&self) -> u16 {
        self.lease.port()
    }
}

impl Lease {
    fn port(&self) -> u16 {
        self.ports.first + 2 * self.pair
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ports.lock().used.remove(&self.pair);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ports(range: RangeInclusive<u16>) -> Arc<Ports> {
        Arc::new(Ports::new(Ipv4Addr::LOCALHOST.into(), &range))
    }

    #[test]
    fn pairs_are_whole_and_even() {
        assert_eq!(ports(40_000..=40_003).pairs(), 2);
        assert_eq!(ports(40_001..=40_003).pairs(), 1);
        assert_eq!(ports(40_000..=40_000).pairs(), 0);
        assert_eq!(ports(65_534..=65_535).pairs(), 1);
        assert!(ports(40_000..=40_000).bind().is_err());
    }

    #[test]
    fn bounded_and_given_back() {
        let ports = ports(27_100..=27_105);
        let pairs: Vec<Pair> = std::iter::from_fn(|| ports.bind().ok()).collect();
        assert!(!pairs.is_empty() && pairs.iter().all(|pair| pair.port() % 2 == 0));
        assert_eq!(ports.used(), pairs.len());
        drop(pairs);
        assert_eq!(ports.used(), 0);
        assert!(ports.bind().is_ok());
    }

    #[test]
    fn passes_by_what_somebody_else_holds() {
        let ports = ports(27_110..=27_113);
        let _other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 27_111)).unwrap();
        assert_eq!(ports.bind().unwrap().port(), 27_112);
    }
}
