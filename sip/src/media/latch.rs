//! Whose packets are listened to: the address of the SDP, or, behind a NAT
//! that renumbers ports, one other port of the same host (symmetric RTP,
//! RFC 4961). Everything else is counted and dropped, and is sent nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long another port must be alone before it is believed: the negotiated
/// one always wins, so that an injector on the same host gets nothing while
/// the peer itself sends.
const ALONE: Duration = Duration::from_millis(300);

/// The source of one leg.
#[derive(Debug)]
pub(super) struct Latch {
    negotiated: SocketAddr,
    source: Option<SocketAddr>,
    other: Option<(SocketAddr, Instant)>,
}

impl Latch {
    pub(super) fn new(negotiated: SocketAddr) -> Self {
        Self {
            negotiated,
            source: None,
            other: None,
        }
    }

    /// Whether a packet from there may be the peer's: worth being looked at. Changes nothing.
    pub(super) fn considers(&self, from: SocketAddr) -> bool {
        from.ip() == self.negotiated.ip()
    }

    /// Is a packet from there, which came then, the peer's? To be asked of authentic packets alone: that another port is
    /// believed must not come of what anybody can send.
    pub(super) fn accepts(&mut self, from: SocketAddr, arrival: Instant) -> bool {
        if from == self.negotiated {
            self.source = Some(from);
            return true;
        }
        if !self.considers(from) {
            return false;
        }
        if let Some(source) = self.source {
            return source == from;
        }
        match self.other {
            Some((other, since)) if other == from => {
                let alone = arrival.saturating_duration_since(since) >= ALONE;
                if alone {
                    self.source = Some(from);
                }
                alone
            }
            // Two strangers at once: neither is believed until one is alone.
            _ => {
                self.other = Some((from, arrival));
                false
            }
        }
    }

    /// Where our packets go; nowhere while the peer holds us with `0.0.0.0`,
    /// which the system would take for this host.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let target = self.source.unwrap_or(self.negotiated);
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_negotiated_address_is_believed_at_once_and_alone() {
        let now = Instant::now();
        let mut latch = Latch::new(at("192.0.2.1:4000"));
        assert!(!latch.accepts(at("192.0.2.9:4000"), now));
        assert!(latch.accepts(at("192.0.2.1:4000"), now));
        assert!(!latch.accepts(at("192.0.2.1:4002"), now + Duration::from_secs(9)));
        assert_eq!(latch.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn another_port_of_the_host_is_believed_when_it_stays_alone() {
        let now = Instant::now();
        let mut latch = Latch::new(at("192.0.2.1:4000"));
        let other = at("192.0.2.1:61234");
        assert!(!latch.accepts(other, now));
        assert_eq!(latch.target(), Some(at("192.0.2.1:4000")), "nothing is sent there yet");
        assert!(!latch.accepts(other, now + Duration::from_millis(299)));
        assert!(latch.accepts(other, now + Duration::from_millis(300)));
        assert_eq!(latch.target(), Some(other));
        assert!(!latch.accepts(at("192.0.2.1:7"), now + Duration::from_secs(5)));
        assert!(
            latch.accepts(at("192.0.2.1:4000"), now + Duration::from_secs(5)),
            "the negotiated one wins"
        );
        assert!(!latch.accepts(other, now + Duration::from_secs(5)));
    }

    #[test]
    fn another_host_is_never_believed() {
        let now = Instant::now();
        let mut latch = Latch::new(at("192.0.2.1:4000"));
        for second in 0..60 {
            assert!(!latch.accepts(at("192.0.2.66:4000"), now + Duration::from_secs(second)));
        }
        assert_eq!(latch.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn nothing_is_sent_to_a_peer_on_hold() {
        for held in ["0.0.0.0:4000", "[::]:4000", "192.0.2.1:0"] {
            assert_eq!(Latch::new(at(held)).target(), None);
        }
    }
}
