//! Who may call, and which numbers are answered.

use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use voxea_rules::network::{BadNetwork, Network};

use crate::auth::{Login, Realm};
use crate::flow::Transport;
use crate::srtp::Policy;

/// Whose an address is: the trunk's that names the narrowest range around it, so that a trunk with a password inside a wider
/// one without is asked for it wherever it stands in the configuration.
#[must_use]
pub(crate) fn trunk_of(trunks: &[Trunk], address: IpAddr) -> Option<usize> {
    let narrowest = |trunk: &Trunk| {
        let around = trunk.allow.iter().filter(|network| network.contains(address));
        around.map(Network::bits).max()
    };
    let found = trunks.iter().enumerate().filter_map(|(at, trunk)| Some((narrowest(trunk)?, at)));
    // Of two alike the first; the configuration refuses them.
    found.max_by_key(|&(bits, at)| (bits, std::cmp::Reverse(at))).map(|(_, at)| at)
}

/// A peer that may call.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Its name in the configuration.
    pub name: String,
    /// Where it calls from; empty means nobody.
    pub allow: Vec<Network>,
    /// What its calls must prove; `None`: its address is enough.
    pub realm: Option<Realm>,
    /// Our account with it, for requests of ours that it challenges.
    pub login: Option<Login>,
    /// Whether it is believed who calls and over whom: P-Asserted-Identity, Diversion and the like (RFC 3325 §5).
    pub trusted: bool,
    /// Its calls that may go on at once.
    pub max_calls: usize,
    /// Its new calls a second; 0 for as many as come.
    pub calls_per_second: u32,
    /// Whether its sound must be encrypted; `None`: it must where the call came over TLS, and may elsewhere.
    pub srtp: Option<Policy>,
    /// What it hears when a call cannot be taken in now, so that it can fall back elsewhere.
    pub failure: u16,
}

impl Trunk {
    /// A trunk that calls from these addresses; everything else is as it is when the configuration says nothing.
    #[must_use]
    pub fn new(name: &str, allow: Vec<Network>) -> Self {
        Self {
            name: name.to_owned(),
            allow,
            realm: None,
            login: None,
            trusted: true,
            max_calls: 2_000,
            calls_per_second: 0,
            srtp: None,
            failure: 503,
        }
    }
}

impl Trunk {
    /// Whether the sound of a call that came this way must be encrypted. Keys that anybody on the way can read protect from
    /// nobody, so that only TLS asks for them by itself.
    #[must_use]
    pub fn sound(&self, transport: Transport) -> Policy {
        let usual = if transport == Transport::Tls {
            Policy::Required
        } else {
            Policy::Optional
        };
        self.srtp.unwrap_or(usual)
    }
}

/// At most so many a second, with a second's worth saved up.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            tokens: f64::from(per_second),
            filled: None,
        }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = self.filled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.filled = Some(now);
        let rate = f64::from(self.per_second);
        self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(rate);
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// What is held against a trunk's limits.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) calls: usize,
    pub(crate) rate: Option<Bucket>,
}

impl Gate {
    pub(crate) fn new(trunk: &Trunk) -> Self {
        Self {
            calls: 0,
            rate: (trunk.calls_per_second > 0).then(|| Bucket::new(trunk.calls_per_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_range_says_whose_an_address_is() {
        let trunk = |name, range: &str| Trunk::new(name, vec![range.parse().unwrap()]);
        let trunks = [trunk("wide", "10.0.0.0/8"), trunk("one", "10.0.0.7"), trunk("six", "::/0")];
        let of = |address: &str| trunk_of(&trunks, address.parse().unwrap());
        assert_eq!(
            [of("10.0.0.8"), of("10.0.0.7"), of("2001:db8::1"), of("192.0.2.1")],
            [Some(0), Some(1), Some(2), None]
        );
    }

    #[test]
    fn ranges() {
        let range = |text: &str| text.parse::<Network>();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(range("127.0.0.0/8").unwrap().contains(ip("127.9.9.9")));
        assert!(!range("127.0.0.0/8").unwrap().contains(ip("128.0.0.1")));
        assert!(range("0.0.0.0/0").unwrap().contains(ip("8.8.8.8")));
        assert!(!range("0.0.0.0/0").unwrap().contains(ip("::1")));
        assert!(range("192.0.2.1").unwrap().contains(ip("::ffff:192.0.2.1")));
        assert!(range("2001:db8::/33").unwrap().contains(ip("2001:db8:7fff::1")));
        assert!(!range("2001:db8::/33").unwrap().contains(ip("2001:db8:8000::1")));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x"] {
            assert_eq!(range(bad), Err(BadNetwork), "{bad}");
        }
    }

    #[test]
    fn a_bucket_refills_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2);
        assert_eq!([bucket.take(start), bucket.take(start), bucket.take(start)], [true, true, false]);
        let later = start + Duration::from_millis(500);
        assert_eq!([bucket.take(later), bucket.take(later)], [true, false]);
    }
}
