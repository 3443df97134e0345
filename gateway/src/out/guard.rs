//! Where nothing of ours is sent, whatever a name was made to mean: our own network, and what is nobody's.
//!
//! An address that a stranger names must not make the daemon knock at doors that only it can reach (server-side request
//! forgery). It is judged as an address, after the name was resolved and before anything is connected, and exactly what was
//! judged is connected: a name that means something else a moment later (rebinding) is not asked again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use voxea_rules::network::Network;

/// Ranges that are no public host, with what they are: the registries of RFC 6890, and what clouds answer for themselves.
const REFUSED_V4: [([u8; 4], u8, &str); 16] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "a provider's own (CGNAT)"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([169, 254, 0, 0], 16, "link-local, where clouds keep their metadata"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 88, 99, 0], 24, "a relay of 6to4"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
    // Public by its number, and the host of every machine in Azure.
    ([168, 63, 129, 16], 32, "a cloud's own service"),
];

/// The same of what is public in IPv6, which is 2000::/3 and nothing else.
const REFUSED_V6: [([u16; 8], u8, &str); 6] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "reserved"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "for documentation"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "for documentation"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "reserved"),
    ([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, "given back"),
];

/// Ports below 1024 that speak HTTP.
const WELL_KNOWN: [u16; 2] = [80, 443];
/// Ports from 1024 on at which something else listens that could take a request for its own language.
const OTHERS: [u16; 22] = [
    1433, 1521, 2049, 2375, 2379, 3306, 3389, 4369, 5060, 5061, 5432, 5672, 5984, 6000, 6379, 6660, 6667, 9042, 9092, 10_250, 11_211,
    27_017,
];

/// The ranges that are excepted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    allow: Arc<[Network]>,
}

impl Guard {
    /// Excepts ranges of a town's own network.
    pub(crate) fn new(allow: Vec<Network>) -> Self {
        Self { allow: allow.into() }
    }

    /// Whether a range was excepted that holds it.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(address))
    }

    /// Whether any was.
    pub(crate) fn excepts_any(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Passes an address that may be connected. What travels in clear goes to excepted ones alone.
    ///
    /// # Errors
    /// What the address is.
    pub(crate) fn check(&self, address: IpAddr, clear: bool) -> Result<(), String> {
        if self.allows(address) {
            return Ok(());
        }
        if let Some(what) = refused(address) {
            return Err(format!(
                "the address is {what}; the operator excepts it with [webhooks] allow, if it is meant"
            ));
        }
        if clear {
            return Err("http:// would show what is sent to everybody on the way: use https://".to_owned());
        }
        Ok(())
    }
}

/// Passes a port.
///
/// # Errors
/// What would be right.
pub(crate) fn port(port: u16) -> Result<(), String> {
    if WELL_KNOWN.contains(&port) || (port >= 1024 && !OTHERS.contains(&port)) {
        return Ok(());
    }
    Err(format!(
        "port {port} is another service's; use 443, 80, or one from 1024 on that no other service is known by"
    ))
}

/// What an address is, if nothing may be sent there.
fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => refused_v6(address),
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |range: &[u8; 4], bits: u8| (address.to_bits() ^ u32::from_be_bytes(*range)) >> (32 - u32::from(bits)) == 0;
    // No range has a length of 0, so that the shift is always less than 32.
    let found = REFUSED_V4.iter().find(|(range, bits, _)| within(range, *bits));
    found.map(|(_, _, what)| *what)
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    // An IPv4 address inside is where it ends up, by whichever way.
    if let Some(inner) = embedded(address) {
        return refused_v4(inner).or(Some("an IPv4 address in disguise"));
    }
    let within = |range: &[u16; 8], bits: u8| (address.to_bits() ^ Ipv6Addr::from(*range).to_bits()) >> (128 - u32::from(bits)) == 0;
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some("nobody's"),
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some("this machine"),
        [first, ..] if first & 0xffc0 == 0xfe80 => return Some("link-local"),
        [first, ..] if first & 0xfe00 == 0xfc00 => return Some("private"),
        [first, ..] if first & 0xff00 == 0xff00 => return Some("multicast"),
        [first, ..] if first & 0xe000 != 0x2000 => return Some("not public"),
        _ => {}
    }
    let found = REFUSED_V6.iter().find(|(range, bits, _)| within(range, *bits));
    found.map(|(_, _, what)| *what)
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 6052,
/// RFC 8215, RFC 2765), 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => of(high, low),
        [0x64, 0xff9b, 0 | 1, .., high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> bool {
        Guard::default().check(text.parse().unwrap(), false).is_ok()
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "223.255.255.255",
            "168.63.129.17",
            "2606:4700::1111",
            "2a01:e0a::1",
            "2001:4860:4860::8888",
            "2001:200::1",
        ] {
            assert!(open(address), "{address}");
        }
    }

    #[test]
    fn what_is_no_public_host_is_refused_in_every_disguise() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
        ] {
            assert!(!open(address), "{address}");
            for disguise in ["::ffff:", "::", "64:ff9b::", "64:ff9b:1::", "::ffff:0:"] {
                assert!(!open(&format!("{disguise}{address}")), "{disguise}{address}");
            }
            let Ok(IpAddr::V4(plain)) = address.parse() else { continue };
            let [a, b, c, d] = plain.octets();
            assert!(!open(&format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1")), "6to4 of {address}");
        }
        for address in [
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "64:ff9b::1.1.1.1",
            "2002:0101:0101::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(!open(address), "{address}");
        }
    }

    #[test]
    fn what_the_operator_excepts_passes_also_in_clear() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "::1".parse().unwrap()]);
        let check = |text: &str, clear| guard.check(text.parse().unwrap(), clear).is_ok();
        assert!(check("10.1.2.3", false) && check("10.1.2.3", true) && check("::1", true) && check("::ffff:10.1.2.3", false));
        assert!(!check("10.2.0.1", false) && !check("127.0.0.1", true) && !check("64:ff9b::10.1.2.3", false));
        assert!(
            check("1.1.1.1", false) && !check("1.1.1.1", true),
            "what travels in clear stays in the town"
        );
    }

    #[test]
    fn ports_of_other_services_are_refused() {
        for right in [80, 443, 1024, 8080, 8443, 65_535] {
            assert!(port(right).is_ok(), "{right}");
        }
        for wrong in [0, 1, 22, 25, 110, 143, 389, 587, 1023, 3306, 5432, 6379, 11_211] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }
}
