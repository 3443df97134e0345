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
}

impl Transport {
    /// Whether retransmission is the transport's own (RFC 3261 §17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp)
    }

    /// As Via writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

impl fmt::Display for Transport {
    /// As a listening address writes it: `udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Two ends and a transport. On TCP the two ends name the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The peer.
    pub remote: SocketAddr,
    /// We, as the peer reaches us: what Via and Contact say.
    pub local: SocketAddr,
    /// How.
    pub transport: Transport,
}
