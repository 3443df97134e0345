//! Where calls come in: `listen` of `[sip]`.

use std::net::SocketAddr;

use crate::flow::Transport;

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Address; port 0 is chosen by the kernel.
    pub address: SocketAddr,
}

/// Reads `udp:127.0.0.1:5060`.
pub(super) fn parse(text: &str) -> Option<Listen> {
    let (transport, address) = text.split_once(':')?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return None,
    };
    Some(Listen {
        transport,
        address: address.parse().ok()?,
    })
}
