//! Between whom a message goes.

use std::fmt;
use std::net::SocketAddr;

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams: lost ones are repeated by the transaction.
    Udp,
    /// A stream: nothing is repeated hop by hop.
    Tcp,
    /// The same, encrypted (RFC 3261 §26.2.1).
    Tls,
}

impl Transport {
    /// Whether retransmission is the transport's own (RFC 3261 §17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// As Via writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The transport that a `;transport=` parameter names; `None` for one that we do not speak.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(name.trim()))
    }

    /// The port where none is written (RFC 3261 §19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        if matches!(self, Self::Tls) { 5061 } else { 5060 }
    }
}

impl fmt::Display for Transport {
    /// As a listening address writes it: `udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// Two ends and a transport. On a stream the two ends name the connection, also one that is still to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The peer.
    pub remote: SocketAddr,
    /// We, as the peer reaches us: what Via and Contact say.
    pub local: SocketAddr,
    /// How.
    pub transport: Transport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_have_three_names_each() {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            assert_eq!(Transport::named(&transport.to_string()), Some(transport));
            assert_eq!(Transport::named(transport.as_str()), Some(transport));
        }
        assert_eq!(Transport::named("ws"), None);
        assert_eq!((Transport::Tls.default_port(), Transport::Tcp.default_port()), (5061, 5060));
    }
}
