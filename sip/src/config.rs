//! The `[sip]` section.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use voxea_core::base::settings::Section;
use voxea_recorder::codec::Codec;
use voxea_recorder::greeting;
use voxea_recorder::prompt::Prompt;

use crate::flow::Transport;
use crate::policy::{Network, Trunk};

const LISTEN: &str = "udp:127.0.0.1:5060";
const PORTS: RangeInclusive<u16> = 40_000..=49_999;

/// How calls come in, from whom, and what they hear.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where we listen.
    pub listen: Vec<Listen>,
    /// Ports of sound, inclusive; RTP on the even ones.
    pub media_ports: RangeInclusive<u16>,
    /// Our address in SDP and Contact, when it is not the bound one.
    pub advertise: Option<IpAddr>,
    /// Who may call.
    pub trunks: Vec<Trunk>,
    /// Where trunks are reached, by name: `host:port` or `host`.
    pub peers: Vec<(String, String)>,
    /// Which numbers are answered.
    pub lines: Vec<Line>,
}

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// Address; port 0 is chosen by the kernel.
    pub address: SocketAddr,
}

/// A number that takes messages.
#[derive(Debug, Clone)]
pub struct Line {
    /// The dialled user part, or `*`.
    pub number: String,
    /// What the caller hears, in both codecs.
    pub greeting: Greeting,
    /// Whether a beep follows.
    pub beep: bool,
    /// The longest message.
    pub max: Duration,
    /// So much silence ends it.
    pub silence: Duration,
    /// The theme of its calls.
    pub theme: Option<String>,
}

/// A greeting, encoded once for all calls.
#[derive(Clone)]
pub struct Greeting {
    pcma: Arc<[u8]>,
    pcmu: Arc<[u8]>,
}

impl Greeting {
    fn new(prompt: &Prompt) -> Self {
        Self {
            pcma: prompt.encoded(Codec::Pcma).into(),
            pcmu: prompt.encoded(Codec::Pcmu).into(),
        }
    }

    /// Its octets in a codec.
    #[must_use]
    pub fn octets(&self, codec: Codec) -> Arc<[u8]> {
        Arc::clone(match codec {
            Codec::Pcma => &self.pcma,
            Codec::Pcmu => &self.pcmu,
        })
    }
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Greeting({} ms)", self.pcma.len() / 8)
    }
}

impl Config {
    /// Reads the section. What is wrong is noted in its problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let mut listen = Vec::new();
        for text in section.strings("listen").unwrap_or_else(|| vec![LISTEN.to_owned()]) {
            match parse_listen(&text) {
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
        let media_ports = section.string("media_ports").map_or(PORTS, |text| {
            parse_ports(&text).unwrap_or_else(|| {
                section.problem("media_ports", "must be a range of ports such as \"40000-49999\", two at least");
                PORTS
            })
        });
        let advertise = section.parsed::<IpAddr>("advertise", "192.0.2.10");
        let (mut trunks, mut peers) = (Vec::new(), Vec::new());
        for mut trunk in section.list("trunk") {
            let (found, address) = read_trunk(&mut trunk);
            if trunks.iter().any(|other: &Trunk| other.name == found.name) {
                trunk.problem("name", format!("{:?} is the name of another trunk too", found.name));
            }
            peers.extend(address.map(|address| (found.name.clone(), address)));
            trunks.push(found);
        }
        let mut lines: Vec<Line> = Vec::new();
        for mut line in section.list("line") {
            let found = read_line(&mut line);
            if lines.iter().any(|other| other.number == found.number) {
                line.problem("number", format!("{:?} is the number of another line too", found.number));
            }
            lines.push(found);
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
            media_ports,
            advertise,
            trunks,
            peers,
            lines,
        }
    }

    /// The line of this number, as an incoming call names it.
    #[must_use]
    pub fn line(&self, number: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}

fn read_trunk(section: &mut Section<'_>) -> (Trunk, Option<String>) {
    let name = section.required_string("name", "pbx");
    let address = section.string("address");
    if let Some(text) = &address
        && (text.is_empty() || text.contains(char::is_whitespace) || text.contains("://"))
    {
        section.problem("address", "must be a host or a host and a port, such as \"192.0.2.1:5060\"");
    }
    let mut allow = Vec::new();
    match section.strings("allow") {
        None => section.problem("allow", "is missing: nobody could call; an example: allow = [\"192.0.2.1\"]"),
        Some(texts) => {
            if texts.is_empty() {
                section.warning("allow", "is empty: nobody could call; an example: allow = [\"192.0.2.1\"]");
            }
            for text in texts {
                match text.parse::<Network>() {
                    Ok(network) => allow.push(network),
                    Err(error) => section.problem("allow", format!("{text:?}: {error}")),
                }
            }
        }
    }
    (Trunk { name, allow }, address)
}

fn read_line(section: &mut Section<'_>) -> Line {
    let number = section.required_string("number", "3000");
    if number.contains(|char: char| char.is_whitespace() || char.is_control() || "@:;<>\"".contains(char)) {
        section.problem(
            "number",
            format!("{number:?} is never dialled: write it as the PBX does, without spaces, \"sip:\" or \"@host\": number = \"3000\""),
        );
    }
    let prompt = match section.file("greeting") {
        None => greeting::french().map_err(|error| error.to_string()),
        Some(path) => read_prompt(&path),
    };
    let greeting = prompt.map_or_else(
        |error| {
            section.problem("greeting", error);
            Greeting::new(&Prompt::from_samples(Vec::new()))
        },
        |prompt| Greeting::new(&prompt),
    );
    let beep = section.bool_or("beep", true);
    if !beep && !section.has("greeting") {
        section.warning(
            "beep",
            "is false, but the built-in greeting asks to speak after the beep; beep = true, or a greeting of your own: greeting = \"greeting.wav\"",
        );
    }
    let max = seconds(section.int_or("max_seconds", 180, 1..=7_200));
    let silence = seconds(section.int_or("silence_seconds", 10, 1..=600));
    Line {
        number,
        greeting,
        beep,
        max,
        silence,
        theme: section.string("theme"),
    }
}

fn read_prompt(path: &Path) -> Result<Prompt, String> {
    Prompt::read(path).map_err(|error| format!("{error}; it must be WAV, mono, 8 or 16 kHz, PCM16, A-law or µ-law"))
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

fn parse_listen(text: &str) -> Option<Listen> {
    let (transport, address) = text.split_once(':')?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return None,
    };
    Some(Listen {
        transport,
        address: address.parse().ok()?,
    })
}

fn parse_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // An even one and the next must fit.
    (first >= 1024 && first.checked_add(first % 2)? < last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::settings::{Problems, parse};

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
             [[sip.line]]\nnumber = \"01 45\"\nbeep = false\n[[sip.trunk]]\nname = \"b\"\nallow = []\n",
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
