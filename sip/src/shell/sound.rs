//! On which address a call's sound is received, and which one its SDP shows: of the family that the offer speaks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::arrival;
use crate::config::Config;

/// Where sound can be received, by family; nowhere in a family in which nothing is listened to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    advertise: Option<IpAddr>,
}

/// One call's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The socket's.
    pub(super) bind: IpAddr,
    /// The SDP's.
    pub(super) shown: IpAddr,
}

impl Sound {
    /// Sound comes in where calls come in; everywhere, when calls come in on several addresses of a family.
    pub(super) fn new(config: &Config) -> Self {
        let of = |v4: bool, everywhere: IpAddr| {
            let mut addresses = config
                .listen
                .iter()
                .map(|listen| listen.address.ip())
                .filter(|ip| ip.is_ipv4() == v4);
            let first = addresses.next()?;
            Some(if addresses.all(|other| other == first) { first } else { everywhere })
        };
        Self {
            v4: of(true, Ipv4Addr::UNSPECIFIED.into()),
            v6: of(false, Ipv6Addr::UNSPECIFIED.into()),
            advertise: config.advertise,
        }
    }

    /// Where sound may be received.
    pub(super) fn all(&self) -> Vec<IpAddr> {
        [self.v4, self.v6].into_iter().flatten().collect()
    }

    /// Any of the addresses, for what needs one before the first call.
    pub(super) fn any(&self) -> IpAddr {
        self.v4.or(self.v6).unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// For a call that came to `local` and offers to receive sound at `peer`; `None` when that is of a family that we do not
    /// have, or cannot reach.
    pub(super) fn place(&self, local: IpAddr, peer: Option<IpAddr>) -> Option<Place> {
        let v4 = peer.unwrap_or(local).is_ipv4();
        let bind = if v4 { self.v4 } else { self.v6 }?;
        let same = |ip: &IpAddr| ip.is_ipv4() == v4;
        let named = Some(local).filter(same).or_else(|| self.advertise.filter(same));
        let named = named.or_else(|| Some(bind).filter(|ip| !ip.is_unspecified()));
        let shown = match (named, peer) {
            (Some(shown), _) => shown,
            (None, Some(peer)) => arrival::route(peer).ok()?,
            (None, None) => return None,
        };
        Some(Place { bind, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn place(sound: &Sound, local: &str, peer: Option<&str>) -> Option<(String, String)> {
        let found = sound.place(ip(local), peer.map(ip))?;
        Some((found.bind.to_string(), found.shown.to_string()))
    }

    fn pair(bind: &str, shown: &str) -> Option<(String, String)> {
        Some((bind.to_owned(), shown.to_owned()))
    }

    #[test]
    fn the_offer_decides_the_family() {
        let both = Sound {
            v4: Some(ip("0.0.0.0")),
            v6: Some(ip("::")),
            advertise: None,
        };
        assert_eq!(place(&both, "192.0.2.1", None), pair("0.0.0.0", "192.0.2.1"));
        assert_eq!(place(&both, "192.0.2.1", Some("192.0.2.9")), pair("0.0.0.0", "192.0.2.1"));
        assert_eq!(place(&both, "2001:db8::1", Some("2001:db8::9")), pair("::", "2001:db8::1"));
        // Signalled over IPv4, spoken over IPv6: our address there is the one from which the kernel would send.
        assert_eq!(place(&both, "127.0.0.1", Some("::1")), pair("::", "::1"));
        let advertised = Sound {
            advertise: Some(ip("198.51.100.1")),
            ..both
        };
        assert_eq!(
            place(&advertised, "2001:db8::1", Some("192.0.2.9")),
            pair("0.0.0.0", "198.51.100.1")
        );
    }

    #[test]
    fn a_family_that_is_not_there_is_refused() {
        let old = Sound {
            v4: Some(ip("192.0.2.1")),
            v6: None,
            advertise: None,
        };
        assert_eq!(place(&old, "192.0.2.1", Some("2001:db8::9")), None);
        assert_eq!(place(&old, "192.0.2.1", Some("0.0.0.0")), pair("192.0.2.1", "192.0.2.1"));
    }
}
