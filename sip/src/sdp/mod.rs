//! Session descriptions (RFC 8866), as far as a telephone call needs them.

mod answer;

use std::net::{IpAddr, SocketAddr};

use crate::srtp::Offered;

pub use self::answer::{Answer, Local, Negotiated, NotAcceptable, accept, answer, offer, sound};

/// Media lines that are looked at.
const MAX_MEDIA: usize = 32;

/// Keys of one media line that are kept.
const MAX_KEYS: usize = 8;

/// Sources of one media line that are kept (RFC 5576): a stream, and what repeats or mends it.
const MAX_SOURCES: usize = 4;

/// The sources (SSRC) that a description names for a stream; none when it names none, or more than can be meant.
pub type Sources = [Option<u32>; MAX_SOURCES];

/// A codec that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// G.722, payload type 9.
    G722,
}

impl Codec {
    /// Its static payload type (RFC 3551).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
            Self::G722 => 9,
        }
    }

    /// Its name in `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::G722 => "G722",
        }
    }
}

/// Who sends, seen from the one who wrote the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// The writer sends.
    pub sends: bool,
    /// The writer wants to receive.
    pub receives: bool,
}

impl Direction {
    /// Both ways.
    pub const BOTH: Self = Self {
        sends: true,
        receives: true,
    };

    /// The same, seen from the other side.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        Self {
            sends: self.receives,
            receives: self.sends,
        }
    }

    const fn as_str(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let of = |sends, receives| Some(Self { sends, receives });
        match text {
            "sendrecv" => of(true, true),
            "sendonly" => of(true, false),
            "recvonly" => of(false, true),
            "inactive" => of(false, false),
            _ => None,
        }
    }
}

/// A description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its media, in their order.
    pub media: Vec<Media>,
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, …
    pub kind: String,
    /// 0 when it is switched off.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// Payload types as written.
    pub formats: Vec<String>,
    /// Its own address, or the session's; `None` when that is a name.
    pub address: Option<IpAddr>,
    /// Who sends.
    pub direction: Direction,
    /// Whether reports may share the port of sound (RFC 5761 §5.1.1).
    pub rtcp_mux: bool,
    /// Where reports are wanted instead of on the next port (RFC 3605): a port, and an address if that differs too.
    rtcp: Option<(u16, Option<IpAddr>)>,
    /// The sources that it names (RFC 5576 §4.1), each once.
    named: Vec<u32>,
    /// The keys that are offered and that we can use, in their order.
    crypto: Vec<Offered>,
    /// Payload type and encoding of each `a=rtpmap`.
    encodings: Vec<(String, String)>,
}

impl Description {
    /// Reads a description. What is not needed is not looked at; `None` when there is no `v=0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty());
        if lines.next()?.trim() != "v=0" {
            return None;
        }
        let (mut address, mut direction) = (None, None);
        let mut media: Vec<Media> = Vec::new();
        for line in lines {
            let Some((kind, value)) = line.split_once('=') else { continue };
            match (kind.trim(), media.last_mut()) {
                ("m", _) => {
                    if media.len() == MAX_MEDIA {
                        break;
                    }
                    media.push(section(value, address, direction)?);
                }
                ("c", None) => address = connection(value),
                ("c", Some(section)) => section.address = connection(value),
                ("a", section) => match (Direction::parse(value.trim()), section) {
                    (Some(found), None) => direction = Some(found),
                    (Some(found), Some(section)) => section.direction = found,
                    (None, Some(section)) => section.attribute(value),
                    (None, None) => {}
                },
                _ => {}
            }
        }
        Some(Self { media })
    }
}

impl Media {
    /// Whether it is sound over plain RTP and switched on.
    #[must_use]
    pub fn is_plain_audio(&self) -> bool {
        self.kind == "audio" && self.port != 0 && matches!(self.protocol.as_str(), "RTP/AVP" | "RTP/AVPF")
    }

    /// The same over secure RTP, with keys.
    #[must_use]
    pub fn is_secure_audio(&self) -> bool {
        let secure = matches!(self.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF");
        self.kind == "audio" && self.port != 0 && secure && !self.crypto.is_empty()
    }

    /// Where its packets are wanted. The old way to hold a call (RFC 2543 §B.5) gives no address.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        self.address
            .filter(|address| !address.is_unspecified())
            .map(|address| SocketAddr::new(address, self.port))
    }

    /// Who sends, the old way to hold a call included.
    #[must_use]
    pub fn effective_direction(&self) -> Direction {
        let held = self.address.is_some_and(|address| address.is_unspecified());
        Direction {
            receives: self.direction.receives && !held,
            ..self.direction
        }
    }

    /// The codec of a payload type. Only the static numbers are taken: every telephone system has them, and the
    /// media need no table of numbers for each call.
    fn codec(&self, format: &str) -> Option<Codec> {
        let (codec, name) = match format {
            "8" => (Codec::Pcma, "pcma/8000"),
            "0" => (Codec::Pcmu, "pcmu/8000"),
            // 16,000 samples a second, and by an error that stays for ever a clock of 8,000 (RFC 3551 §4.5.2).
            "9" => (Codec::G722, "g722/8000"),
            _ => return None,
        };
        self.encoding(format).is_none_or(|found| found.starts_with(name)).then_some(codec)
    }

    /// The payload type of DTMF events at 8 kHz (RFC 4733).
    fn events(&self) -> Option<u8> {
        let is_event = |format: &&String| self.encoding(format) == Some("telephone-event/8000");
        let numbers = self.formats.iter().filter(is_event).filter_map(|format| format.parse().ok());
        // The numbers of sound and of comfort noise (RFC 3551 §6) are never taken for keys.
        numbers
            .into_iter()
            .find(|number| *number < 128 && !matches!(number, 0 | 8 | 9 | 13))
    }

    fn encoding(&self, format: &str) -> Option<&str> {
        self.encodings
            .iter()
            .find(|(found, _)| found == format)
            .map(|(_, name)| name.as_str())
    }

    /// Where reports are wanted, if that is said.
    fn reports(&self) -> Option<SocketAddr> {
        let (port, address) = self.rtcp.filter(|(port, _)| *port != 0)?;
        Some(SocketAddr::new(address.or(self.address)?, port))
    }

    /// The sources that are named. Of one that names more than a stream can have none is believed, so that nothing is dropped
    /// for a list that was cut.
    fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        if self.named.len() <= MAX_SOURCES {
            sources.iter_mut().zip(&self.named).for_each(|(place, &ssrc)| *place = Some(ssrc));
        }
        sources
    }

    fn attribute(&mut self, value: &str) {
        if let Some(crypto) = value.strip_prefix("crypto:") {
            let offered = Offered::parse(crypto).filter(|_| self.crypto.len() < MAX_KEYS);
            self.crypto.extend(offered);
        } else if value.trim() == "rtcp-mux" {
            self.rtcp_mux = true;
        } else if let Some(rtcp) = value.strip_prefix("rtcp:") {
            let (port, address) = rtcp.trim().split_once(' ').unwrap_or((rtcp.trim(), ""));
            let address = address.split_whitespace().nth(2).and_then(|address| address.parse().ok());
            self.rtcp = port.parse().ok().map(|port| (port, address));
        } else if let Some(named) = value.strip_prefix("ssrc:") {
            let ssrc = named.split_whitespace().next().and_then(|ssrc| ssrc.parse().ok());
            let fresh = ssrc.filter(|ssrc| self.named.len() <= MAX_SOURCES && !self.named.contains(ssrc));
            self.named.extend(fresh);
        }
        let mapping = value
            .strip_prefix("rtpmap:")
            .and_then(|mapping| mapping.split_once(char::is_whitespace));
        if let Some((format, name)) = mapping
            && self.encodings.len() < 128
        {
            self.encodings.push((format.trim().to_owned(), name.trim().to_ascii_lowercase()));
        }
    }
}

fn section(value: &str, address: Option<IpAddr>, direction: Option<Direction>) -> Option<Media> {
    let mut words = value.split_whitespace();
    let kind = words.next()?.to_ascii_lowercase();
    // `49170/2` stands for two ports in a row; the first one is meant.
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_ascii_uppercase();
    let formats = words.map(str::to_owned).collect();
    let direction = direction.unwrap_or(Direction::BOTH);
    Some(Media {
        kind,
        port,
        protocol,
        formats,
        address,
        direction,
        rtcp_mux: false,
        rtcp: None,
        named: Vec::new(),
        crypto: Vec::new(),
        encodings: Vec::new(),
    })
}

fn connection(value: &str) -> Option<IpAddr> {
    value.split_whitespace().nth(2)?.split('/').next()?.parse().ok()
}
