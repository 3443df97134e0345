//! Where a request of ours in a dialog goes (RFC 3261 §12.2.1.1 and §18.1.1, RFC 3263 §4 for addresses).
//!
//! Names are not looked up between a call and its BYE: then it goes where the INVITE came from.

use std::net::SocketAddr;

use crate::flow::{Flow, Transport};
use crate::wire::list;
use crate::wire::uri::Uri;

/// Where we listen: a stream that we open says this in its Via, so that the peer can come back.
pub(crate) type Listening = [(Transport, SocketAddr)];

/// A way, and another one for when it turns out to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) flow: Flow,
    /// Of the same transport, so that the message need not change.
    pub(crate) otherwise: Option<Flow>,
}

impl Hop {
    /// One without another.
    pub(crate) const fn only(flow: Flow) -> Self {
        Self { flow, otherwise: None }
    }
}

/// The way to `uri`, the first route or the peer's Contact. `came` is how the INVITE came; `translated` says that it came
/// through an address translation that its Via did not know of: an address behind that cannot be reached.
pub(crate) fn next(uri: &Uri, came: Flow, translated: bool, listening: &Listening) -> Hop {
    let Some(sip) = uri.sip() else { return Hop::only(came) };
    let named = list::param(&sip.params, "transport");
    let transport = match (named.map(Transport::named), sip.secure) {
        // Another transport than ours, or a contradiction.
        (Some(None), _) | (Some(Some(Transport::Udp)), true) => return Hop::only(came),
        (Some(Some(transport)), false) => transport,
        (Some(Some(_)) | None, true) => Transport::Tls,
        // RFC 3263 §4.1 takes UDP here; but who came over a stream and names nothing means the stream.
        (None, false) => came.transport,
    };
    let port = sip.port.unwrap_or_else(|| transport.default_port());
    let Some(remote) = sip.ip().map(|ip| SocketAddr::new(ip, port)) else {
        return Hop::only(came);
    };
    if translated || remote.is_ipv4() != came.local.is_ipv4() {
        return Hop::only(came);
    }
    let local = if transport == came.transport {
        Some(came.local)
    } else {
        own(transport, came.local, listening)
    };
    let Some(local) = local else { return Hop::only(came) };
    let there = Flow { remote, local, transport };
    // A connection of the peer's comes from a port on which it does not listen, and is the surest way back (RFC 5923 §1).
    if transport.is_reliable() && transport == came.transport && remote.ip() == came.remote.ip() {
        let otherwise = (remote != came.remote).then_some(there);
        return Hop { flow: came, otherwise };
    }
    Hop::only(there)
}

/// Our address on another transport. Without a listener a stream can still be opened; a datagram has no way back.
fn own(transport: Transport, local: SocketAddr, listening: &Listening) -> Option<SocketAddr> {
    let fits = |(other, address): &&(Transport, SocketAddr)| {
        *other == transport && address.is_ipv4() == local.is_ipv4() && (address.ip().is_unspecified() || address.ip() == local.ip())
    };
    let found = listening
        .iter()
        .find(fits)
        .map(|(_, address)| SocketAddr::new(local.ip(), address.port()));
    found.or_else(|| transport.is_reliable().then_some(local))
}

/// Where a response goes when the connection that brought the request is gone (RFC 3261 §18.2.2): to the port of Via.
pub(crate) fn answer(flow: Flow, sent_by: Option<u16>) -> Option<Flow> {
    let port = sent_by.unwrap_or_else(|| flow.transport.default_port());
    let remote = SocketAddr::new(flow.remote.ip(), port);
    (flow.transport.is_reliable() && remote != flow.remote).then_some(Flow { remote, ..flow })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn came(transport: Transport) -> Flow {
        Flow {
            remote: at("192.0.2.1:33333"),
            local: at("192.0.2.10:5060"),
            transport,
        }
    }

    fn hop(uri: &str, transport: Transport, translated: bool) -> (String, Option<SocketAddr>) {
        let listening = [(Transport::Udp, at("0.0.0.0:5060")), (Transport::Tls, at("0.0.0.0:5071"))];
        let found = next(&Uri::parse(uri).unwrap(), came(transport), translated, &listening);
        let Flow { remote, local, transport } = found.flow;
        if let Some(otherwise) = found.otherwise {
            assert_eq!(otherwise.transport, transport, "the message need not change");
        }
        (
            format!("{transport}:{remote} {}", local.port()),
            found.otherwise.map(|flow| flow.remote),
        )
    }

    #[test]
    fn addresses_are_followed_with_their_transport() {
        use Transport::{Tcp, Tls, Udp};
        let from_here = Some(at("192.0.2.1:5070"));
        for (uri, transport, expected, otherwise) in [
            ("sip:192.0.2.7", Udp, "udp:192.0.2.7:5060 5060", None),
            ("sip:192.0.2.7:5070;transport=TCP", Udp, "tcp:192.0.2.7:5070 5060", None),
            ("sip:192.0.2.7;transport=tls", Udp, "tls:192.0.2.7:5061 5071", None),
            ("sips:192.0.2.7", Udp, "tls:192.0.2.7:5061 5071", None),
            ("sips:192.0.2.7;transport=tcp", Tcp, "tls:192.0.2.7:5061 5071", None),
            ("sip:192.0.2.7;transport=udp", Tcp, "udp:192.0.2.7:5060 5060", None),
            ("sip:192.0.2.1:5070;transport=tcp", Tcp, "tcp:192.0.2.1:33333 5060", from_here),
            ("sip:192.0.2.1:5070", Tls, "tls:192.0.2.1:33333 5060", from_here),
            ("sip:192.0.2.7:5070", Tcp, "tcp:192.0.2.7:5070 5060", None),
            // Where nothing can be followed, it goes back where it came from.
            ("sip:pbx.example", Udp, "udp:192.0.2.1:33333 5060", None),
            ("sip:192.0.2.7;transport=sctp", Tcp, "tcp:192.0.2.1:33333 5060", None),
            ("sips:192.0.2.7;transport=udp", Tls, "tls:192.0.2.1:33333 5060", None),
            ("sip:[2001:db8::1]", Udp, "udp:192.0.2.1:33333 5060", None),
            ("tel:+33612345678", Tcp, "tcp:192.0.2.1:33333 5060", None),
        ] {
            assert_eq!(hop(uri, transport, false), (expected.to_owned(), otherwise), "{uri} {transport}");
        }
        assert_eq!(hop("sip:10.0.0.7", Udp, true).0, "udp:192.0.2.1:33333 5060");
        assert_eq!(hop("sip:192.0.2.1:5070;transport=tcp", Tcp, true).1, None);
    }

    #[test]
    fn without_a_socket_of_the_transport() {
        let uri = |text| Uri::parse(text).unwrap();
        let stream = next(&uri("sip:192.0.2.7;transport=tcp"), came(Transport::Udp), false, &[]).flow;
        assert_eq!((stream.transport, stream.local), (Transport::Tcp, at("192.0.2.10:5060")));
        let datagram = next(&uri("sip:192.0.2.7;transport=udp"), came(Transport::Tcp), false, &[]).flow;
        assert_eq!(datagram, came(Transport::Tcp));
    }

    #[test]
    fn answers_find_the_port_of_via() {
        assert_eq!(answer(came(Transport::Tcp), Some(5070)).unwrap().remote, at("192.0.2.1:5070"));
        assert_eq!(answer(came(Transport::Tls), None).unwrap().remote, at("192.0.2.1:5061"));
        assert_eq!(answer(came(Transport::Tcp), Some(33_333)), None);
        assert_eq!(answer(came(Transport::Udp), Some(5070)), None);
    }
}
