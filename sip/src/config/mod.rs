//! The `[sip]` section.

mod announce;
mod certificate;
mod greeting;
mod line;
mod listen;
mod peer;
mod sense;
pub(crate) mod tls;
mod trunk;
mod validity;

pub use self::announce::Closed;
pub use self::certificate::{Certificate, Renewal};
pub use self::greeting::Greeting;
pub use self::line::{KEEP_DAYS, Line};
pub use self::listen::Listen;
pub use self::tls::{Identity, TrunkTls};

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use voxea_core::base::settings::{Section, Written};

use crate::flow::Transport;
use crate::keeper::Settings;
use crate::policy::Trunk;

const LISTEN: &str = "udp:127.0.0.1:5060";
const PORTS: RangeInclusive<u16> = 40_000..=49_999;

/// How calls come in, from whom, and what they hear.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where we listen.
    pub listen: Vec<Listen>,
    /// Our certificate, for `tls:` addresses and for peers that ask for one.
    pub tls: Option<Arc<Identity>>,
    /// Ports of sound, inclusive; RTP on the even ones.
    pub media_ports: RangeInclusive<u16>,
    /// Our address in SDP and Contact, when it is not the bound one.
    pub advertise: Option<IpAddr>,
    /// Who may call.
    pub trunks: Vec<Trunk>,
    /// Whom we believe to be a trunk, in the order of `trunks`.
    pub trunk_tls: Vec<TrunkTls>,
    /// The trunks that have an address, and how they are reached.
    pub peers: Vec<Settings>,
    /// Which numbers are answered.
    pub lines: Vec<Line>,
    /// The themes that lines name; whether there are such, only the catalogue knows.
    pub themes: Vec<Written>,
    /// The prompts of menus; whether a key chooses anything, only the catalogue knows.
    pub menus: Vec<Written>,
}

impl Config {
    /// Reads the section. What is wrong is noted in its problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let mut listen = Vec::new();
        for text in section.strings("listen").unwrap_or_else(|| vec![LISTEN.to_owned()]) {
            match listen::parse(&text) {
                Some(found) if found.address.port() != 0 && listen.contains(&found) => {
                    section.problem("listen", format!("names {text:?} twice; keep one of the two"));
                }
                Some(found) => listen.push(found),
                None => section.problem("listen", format!("{text:?} is no address to listen on; an example: {LISTEN:?}")),
            }
        }
        if listen.is_empty() {
            section.problem("listen", format!("names no address; an example: listen = [{LISTEN:?}]"));
        }
        sense::listeners(section, &listen);
        let tls = section.sub("tls").and_then(|section| tls::server(&section));
        let listens = listen.iter().any(|listen| listen.transport == Transport::Tls);
        if listens && !section.has("tls") {
            section.problem(
                "listen",
                "has a tls: address, but there is no certificate; add tls = { certificate = \"cert.pem\", key_file = \"key.pem\" }",
            );
        }
        let media_ports = section.string("media_ports").map_or(PORTS, |text| {
            parse_ports(&text).unwrap_or_else(|| {
                section.problem("media_ports", "must be a range of ports such as \"40000-49999\", two at least");
                PORTS
            })
        });
        sense::media_ports(section, &listen, &media_ports);
        let advertise = section.parsed::<IpAddr>("advertise", "192.0.2.10");
        sense::advertise(section, &listen, advertise);
        let (mut lines, mut themes, mut menus) = (Vec::<Line>::new(), Vec::new(), Vec::new());
        for mut entry in section.list("line") {
            let found = line::read(&mut entry);
            if lines.iter().any(|other| other.number == found.number) {
                entry.problem("number", format!("{:?} is the number of another line too", found.number));
            }
            themes.extend(entry.written("theme"));
            menus.extend(found.menu.as_ref().and_then(|_| entry.written("menu_prompt")));
            lines.push(found);
        }
        let (mut trunks, mut peers, mut trunk_tls) = (Vec::new(), Vec::new(), Vec::new());
        for mut entry in section.list("trunk") {
            let (found, peer) = trunk::read(&mut entry);
            trunk_tls.push(tls::trunk(&entry, peer.as_ref().map(Settings::address).as_deref()));
            if trunks.iter().any(|other: &Trunk| other.name == found.name) {
                entry.problem("name", format!("{:?} is the name of another trunk too", found.name));
            }
            sense::tls_keys(&entry, &listen, peer.as_ref());
            sense::readable_keys(&entry, found.srtp, &listen, peer.as_ref());
            if let Some(peer) = peer {
                sense::way_back(&entry, &listen, &peer);
                sense::both_ways(&entry, &found.allow, &peer);
                sense::reached(&entry, &lines, peer.registers_as());
                peers.push(peer);
            }
            let twin = |other: &&Trunk| other.allow.iter().any(|network| found.allow.contains(network));
            if let Some(other) = trunks.iter().find(twin) {
                entry.problem(
                    "allow",
                    format!(
                        "has a range of trunk {:?} too, so that nobody knows whose a call from there is; leave it to one of them",
                        other.name
                    ),
                );
            }
            trunks.push(found);
        }
        if !section.has("trunk") {
            section.warning(
                "trunk",
                "is missing: nobody could call; an example: [[sip.trunk]] with name = \"pbx\" and allow = [\"192.0.2.1\"]",
            );
        }
        if !section.has("line") {
            section.warning(
                "line",
                "is missing: no number would be answered; an example: [[sip.line]] with number = \"3000\"",
            );
        }
        Self {
            listen,
            tls,
            media_ports,
            advertise,
            trunks,
            trunk_tls,
            peers,
            lines,
            themes,
            menus,
        }
    }

    /// The line of this number, as an incoming call names it.
    #[must_use]
    pub fn line(&self, number: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}

fn parse_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // An even one and the next must fit.
    (first >= 1024 && first.checked_add(first % 2)? < last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use voxea_core::base::settings::{Problems, parse};
    use voxea_recorder::codec::Codec;

    fn read(text: &str) -> (Config, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems).sub("sip").unwrap());
        let found = problems.into_sorted().iter().map(ToString::to_string).collect();
        (config, found)
    }

    #[test]
    fn the_sample_of_the_documentation_reads() {
        let (config, problems) = read(
            "[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]\nmedia_ports = \"40000-49999\"\n\
             [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n[[sip.line]]\nnumber = \"3000\"\nmax_seconds = 30\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((config.listen.len(), config.media_ports.clone()), (2, 40_000..=49_999));
        let line = config.line("3000").unwrap();
        assert_eq!(
            (line.beep, line.max, line.silence),
            (true, Duration::from_secs(30), Duration::from_secs(10))
        );
        assert!(line.greeting.octets(Codec::Pcma).len() > 8_000, "the built-in greeting speaks");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let (_, problems) = read(
            "[sip]\nlisten = [\"sctp:1.2.3.4:5\"]\nmedia_ports = \"40001-40002\"\nadvertise = \"pbx\"\n\
             [[sip.trunk]]\nname = \"a\"\nallow = [\"10.0.0.0/40\"]\n[[sip.trunk]]\nname = \"a\"\n\
             [[sip.line]]\nnumber = \"1\"\ngreeting = \"none.wav\"\nsilence = 5\n\
             [[sip.line]]\nnumber = \"01 45\"\nbeep = false\n[[sip.trunk]]\nname = \"b\"\nallow = []\nfailure_status = 487\n\
             [[sip.trunk]]\nname = \"c\"\nallow = [\"192.0.2.1\"]\n[[sip.trunk]]\nname = \"d\"\nallow = [\"192.0.2.1\"]\n",
        );
        for expected in [
            "sip.listen",
            "sip.media_ports",
            "sip.advertise",
            "sip.trunk[0].allow",
            "sip.trunk[1].name",
            "sip.trunk[1].allow",
            "sip.line[0].greeting",
            "did you mean silence_seconds?",
            "line 15: sip.line[1].number",
            "warning: line 16: sip.line[1].beep",
            "sip.trunk[4].allow: has a range of trunk \"c\" too",
            "sip.trunk[2].failure_status: 487 says something else",
            "warning: line 19: sip.trunk[2].allow: is empty",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected} is not in {problems:#?}"
            );
        }
        let (_, problems) = read("[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]\n");
        assert_eq!(problems.len(), 3, "{problems:#?}");
        for expected in [
            "warning: line 1: sip.trunk: is missing",
            "warning: line 1: sip.line: is missing",
            "5060\" twice",
        ] {
            assert!(problems.join("\n").contains(expected), "{expected} is not in {problems:#?}");
        }
    }
}
