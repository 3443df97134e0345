//! What is right key by key and cannot work together: found here, before a peer or the kernel finds it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use voxea_core::base::settings::Section;

use super::line::Line;
use super::listen::Listen;
use crate::flow::Transport;
use crate::keeper::Settings;
use crate::policy::Network;
use crate::srtp::Policy;

impl Listen {
    /// Whether it and a socket of another kind cannot both be had: TLS is TCP to the kernel, and each family has its own
    /// sockets, so that `[::]` leaves IPv4 alone. The kernel gives each port 0 another one.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        self.transport.is_reliable() == other.transport.is_reliable() && overlap(self.address, other.address)
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let family = one.is_ipv4() == other.is_ipv4();
    let same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    family && same && one.port() != 0 && one.port() == other.port()
}

/// Addresses of `listen` that take each other's port.
pub(super) fn listeners(section: &Section<'_>, listen: &[Listen]) {
    for (at, one) in listen.iter().enumerate() {
        for other in listen.iter().skip(at + 1).filter(|other| one.collides(other)) {
            section.problem(
                "listen",
                format!(
                    "has {}:{} and {}:{}, which are one port to this machine, so that the second could not be had; keep one of the \
                     two, or give it another port",
                    one.transport, one.address, other.transport, other.address
                ),
            );
        }
    }
}

/// Ports of sound that a UDP address of ours has already.
pub(super) fn media_ports(section: &Section<'_>, listen: &[Listen], ports: &RangeInclusive<u16>) {
    let within = |listen: &&Listen| listen.transport == Transport::Udp && ports.contains(&listen.address.port());
    if let Some(taken) = listen.iter().find(within) {
        section.problem(
            "media_ports",
            format!(
                "has port {} of udp:{}, where calls come in; choose a range beside it, such as \"40000-49999\"",
                taken.address.port(),
                taken.address
            ),
        );
    }
}

/// An address that nobody could send to, or of a family in which we do not listen.
pub(super) fn advertise(section: &Section<'_>, listen: &[Listen], advertise: Option<IpAddr>) {
    let Some(ip) = advertise else { return };
    let nowhere = ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if nowhere {
        section.problem(
            "advertise",
            format!("{ip} is no address that a peer can send to; name the one under which the PBX reaches us: advertise = \"192.0.2.10\""),
        );
    } else if !listen.is_empty() && !listen.iter().any(|listen| listen.address.is_ipv4() == ip.is_ipv4()) {
        let (family, example) = if ip.is_ipv4() { ("IPv4", "0.0.0.0") } else { ("IPv6", "[::]") };
        section.problem(
            "advertise",
            format!("{ip} is {family}, and [sip] does not listen there: it would never be used; take it away, or add \"udp:{example}:5060\" to listen"),
        );
    }
}

/// A trunk that is reached by what we do not listen to: its requests back, and those in a call of ours, would find nobody.
pub(super) fn way_back(trunk: &Section<'_>, listen: &[Listen], peer: &Settings) {
    let peer_ip = peer.host.parse::<IpAddr>().ok();
    let fits = |listen: &&Listen| listen.transport == peer.transport && peer_ip.is_none_or(|ip| ip.is_ipv4() == listen.address.is_ipv4());
    if listen.iter().any(|one| fits(&one)) {
        return;
    }
    let port = peer.transport.default_port();
    let (family, any) = match peer_ip {
        Some(IpAddr::V6(_)) => (" over IPv6", "[::]"),
        Some(IpAddr::V4(_)) => (" over IPv4", "0.0.0.0"),
        None => ("", "0.0.0.0"),
    };
    trunk.problem(
        "address",
        format!(
            "is reached by {0}{family}, and [sip] does not listen there, where its own requests come back to; an example: listen = \
             [\"{0}:{any}:{port}\"]{1}",
            peer.transport,
            if peer.transport == Transport::Tls { ", with [sip] tls" } else { "" }
        ),
    );
}

/// A trunk that may not call from where it is reached.
pub(super) fn both_ways(trunk: &Section<'_>, allow: &[Network], peer: &Settings) {
    let Ok(ip) = peer.host.parse::<IpAddr>() else { return };
    if !allow.is_empty() && !allow.iter().any(|network| network.contains(ip)) {
        trunk.warning(
            "allow",
            format!("does not hold {ip}, the trunk's own address: what it sends from there, calls and OPTIONS, hears 403; add \"{ip}\" unless its calls come from elsewhere"),
        );
    }
}

/// A trunk whose sound must be encrypted, by keys that everybody on the way can read.
pub(super) fn readable_keys(trunk: &Section<'_>, srtp: Option<Policy>, listen: &[Listen], peer: Option<&Settings>) {
    if srtp != Some(Policy::Required) {
        return;
    }
    let by = match peer {
        Some(peer) if peer.transport == Transport::Tls => return,
        Some(peer) => format!("the trunk is reached by {}", peer.transport),
        None if trunk.has("address") || listen.is_empty() || listen.iter().any(|listen| listen.transport == Transport::Tls) => return,
        None => "listen has no tls: address".to_owned(),
    };
    trunk.warning(
        "srtp",
        format!(
            "its keys are in the signalling, and {by}: who reads that hears the calls all the same; use TLS (transport = \"tls\" \
             beside the address, \"tls:…\" in [sip] listen), unless the way to the trunk is a tunnel"
        ),
    );
}

/// Keys of TLS where no TLS is spoken.
pub(super) fn tls_keys(trunk: &Section<'_>, listen: &[Listen], peer: Option<&Settings>) {
    let by = match peer {
        Some(peer) if peer.transport == Transport::Tls => return,
        Some(peer) => format!("is reached by {}", peer.transport),
        None if trunk.has("address") || listen.iter().any(|listen| listen.transport == Transport::Tls) => return,
        None => "calls without TLS, since listen has no tls: address".to_owned(),
    };
    for key in ["ca_file", "tls_name"] {
        if trunk.has(key) {
            trunk.problem(
                key,
                format!("is for TLS, and the trunk {by}; transport = \"tls\" beside its address, or take the key away"),
            );
        }
    }
}

/// A trunk that registers us calls the number `user`; without a line for it those calls are refused.
pub(super) fn reached(trunk: &Section<'_>, lines: &[Line], user: Option<&str>) {
    let Some(user) = user else { return };
    if !lines.iter().any(|line| line.number == "*" || line.number == user) {
        trunk.warning(
            "user",
            format!(
                "{user:?} is what the trunk calls where it calls the registered telephone, and no line has this number: such calls \
                 hear 404; an example: [[sip.line]] with number = {user:?}. It is well so when the PBX puts the dialled number there"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use voxea_core::base::settings::{Problems, Section, parse};

    use crate::config::Config;

    const LINE: &str = "[[sip.line]]\nnumber = \"3000\"\n";
    const TRUNK: &str = "[[sip.trunk]]\nname = \"a\"\nallow = [\"192.0.2.1\"]\n";

    fn problems(text: &str) -> Vec<String> {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let _ = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems).sub("sip").unwrap());
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    /// `[sip]` with these keys, and a trunk with those.
    fn said(sip: &str, trunk: &str) -> Vec<String> {
        problems(&format!("[sip]\n{sip}{TRUNK}{trunk}{LINE}"))
    }

    #[test]
    fn what_fits_together_is_taken() {
        for (sip, trunk) in [
            ("listen = [\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\", \"udp:[::]:5060\"]\n", ""),
            ("listen = [\"udp:127.0.0.1:0\", \"udp:0.0.0.0:0\", \"udp:127.0.0.1:0\"]\n", ""),
            ("listen = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.2:5060\"]\n", ""),
            ("listen = [\"tcp:127.0.0.1:40000\"]\n", ""),
            ("advertise = \"192.0.2.10\"\n", ""),
            ("", "address = \"192.0.2.1\"\n"),
            ("listen = [\"udp:[::]:5060\"]\n", "address = \"pbx.example\"\n"),
            ("", "user = \"voix\"\npassword = \"s\"\n"),
            ("", "user = \"3000\"\npassword = \"s\"\naddress = \"192.0.2.1\"\n"),
        ] {
            assert_eq!(said(sip, trunk), [""; 0], "{sip}{trunk}");
        }
        let all = "[sip]\n[[sip.line]]\nnumber = \"*\"\n";
        let account = "user = \"voix\"\npassword = \"s\"\naddress = \"192.0.2.1\"\n";
        assert_eq!(problems(&format!("{all}{TRUNK}{account}")), [""; 0]);
    }

    #[test]
    fn what_cannot_work_together_has_line_key_and_remedy() {
        for (sip, trunk, expected) in [
            (
                "listen = [\"udp:127.0.0.1:5060\", \"udp:0.0.0.0:5060\"]\n",
                "",
                "line 2: sip.listen: has udp:127.0.0.1:5060 and udp:0.0.0.0:5060, which are one port",
            ),
            (
                "listen = [\"tcp:[::]:5060\", \"tcp:[::1]:5060\"]\n",
                "",
                "line 2: sip.listen: has tcp:[::]:5060 and tcp:[::1]:5060",
            ),
            (
                "listen = [\"udp:0.0.0.0:5060\"]\nmedia_ports = \"5000-6000\"\n",
                "",
                "line 3: sip.media_ports: has port 5060 of udp:0.0.0.0:5060",
            ),
            (
                "listen = [\"udp:127.0.0.1:45000\"]\n",
                "",
                "line 1: sip.media_ports: has port 45000",
            ),
            (
                "advertise = \"0.0.0.0\"\n",
                "",
                "line 2: sip.advertise: 0.0.0.0 is no address that a peer can send to",
            ),
            ("advertise = \"224.0.0.1\"\n", "", "line 2: sip.advertise: 224.0.0.1 is no address"),
            (
                "advertise = \"2001:db8::1\"\n",
                "",
                "line 2: sip.advertise: 2001:db8::1 is IPv6, and [sip] does not listen there",
            ),
            (
                "",
                "address = \"192.0.2.1\"\ntransport = \"tls\"\n",
                "line 5: sip.trunk[0].address: is reached by tls over IPv4, and [sip] does not listen there",
            ),
            (
                "listen = [\"udp:[::]:5060\"]\n",
                "address = \"192.0.2.1\"\n",
                "line 6: sip.trunk[0].address: is reached by udp over IPv4",
            ),
            (
                "",
                "address = \"192.0.2.1\"\ntls_name = \"pbx.example.fr\"\n",
                "line 6: sip.trunk[0].tls_name: is for TLS, and the trunk is reached by udp; transport = \"tls\"",
            ),
            (
                "",
                "tls_name = \"pbx.example.fr\"\n",
                "line 5: sip.trunk[0].tls_name: is for TLS, and the trunk calls without TLS",
            ),
            (
                "",
                "srtp = \"required\"\n",
                "warning: line 5: sip.trunk[0].srtp: its keys are in the signalling, and listen has no tls: address",
            ),
            (
                "",
                "address = \"192.0.2.1\"\nsrtp = \"required\"\n",
                "warning: line 6: sip.trunk[0].srtp: its keys are in the signalling, and the trunk is reached by udp: who reads",
            ),
            (
                "",
                "address = \"192.0.2.1\"\nuser = \"voix\"\npassword = \"s\"\n",
                "warning: line 6: sip.trunk[0].user: \"voix\" is what the trunk calls",
            ),
        ] {
            let found = said(sip, trunk);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:#?}");
        }
    }

    #[test]
    fn a_trunk_may_call_from_where_it_is_reached() {
        let found = said("", "address = \"192.0.2.2\"\n");
        assert!(
            found.len() == 1 && found[0].contains("allow: does not hold 192.0.2.2, the trunk's own address"),
            "{found:#?}"
        );
    }

    #[test]
    fn tls_and_tcp_are_one_port_to_the_kernel() {
        let found = said("listen = [\"tcp:127.0.0.1:5061\", \"tls:127.0.0.1:5061\"]\n", "");
        assert!(
            found
                .iter()
                .any(|one| one.contains("has tcp:127.0.0.1:5061 and tls:127.0.0.1:5061")),
            "{found:#?}"
        );
    }
}
