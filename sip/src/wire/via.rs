//! Via: where a response goes, and which transaction a request is of (RFC 3261 §20.42, RFC 3581).

use std::net::{IpAddr, SocketAddr};

use super::list::{self, Params};
use super::method::is_token;
use super::uri::host_port;

/// The cookie that makes a branch a transaction id (RFC 3261 §8.1.1.7).
const COOKIE: &str = "z9hG4bK";

/// One Via element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, …, as written.
    pub transport: String,
    /// Host of sent-by; IPv6 without brackets.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params,
}

impl Via {
    /// Reads one element; `None` when it is broken.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
        if !name.trim().eq_ignore_ascii_case("SIP") || !token(version.trim()) {
            return None;
        }
        let rest = rest.trim_start();
        let (transport, rest) = rest.split_at(rest.find(char::is_whitespace)?);
        if !token(transport) {
            return None;
        }
        let (sent_by, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = host_port(sent_by)?;
        Some(Self {
            transport: transport.to_owned(),
            host,
            port,
            params: list::params(params)?,
        })
    }

    /// The branch, when it identifies the transaction; `None` for peers of RFC 2543 and an empty cookie.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        let branch = list::param(&self.params, "branch")?;
        let cookie = branch.get(..COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(COOKIE) && branch.len() > COOKIE.len()).then_some(branch)
    }

    /// `host:port` of sent-by in lower case, with the default port written out.
    #[must_use]
    pub fn sent_by(&self) -> String {
        format!("{}:{}", self.host.to_ascii_lowercase(), self.port.unwrap_or(5060))
    }

    /// Writes down where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn received(&mut self, source: SocketAddr) {
        let asked = self.params.iter().any(|(name, _)| name.eq_ignore_ascii_case("rport"));
        let differs = self.host.parse::<IpAddr>().ok() != Some(source.ip());
        self.params.retain(|(name, _)| !name.eq_ignore_ascii_case("received"));
        if asked || differs {
            self.params.push(("received".to_owned(), Some(source.ip().to_string())));
        }
        if let Some((_, value)) = self.params.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("rport")) {
            *value = Some(source.port().to_string());
        }
    }

    /// Where the response over UDP goes: to the port that it came from when `rport` asks so, else to sent-by's.
    #[must_use]
    pub fn respond_to(&self, source: SocketAddr) -> SocketAddr {
        let asked = self.params.iter().any(|(name, _)| name.eq_ignore_ascii_case("rport"));
        if asked {
            source
        } else {
            SocketAddr::new(source.ip(), self.port.unwrap_or(5060))
        }
    }
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SIP/2.0/{} ", self.transport)?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            match value {
                None => write!(f, ";{name}")?,
                Some(value)
                    if value
                        .bytes()
                        .all(|b| is_token(b) || matches!(b, b':' | b'[' | b']' | b'/' | b'=' | b'@'))
                        && !value.is_empty() =>
                {
                    write!(f, ";{name}={value}")?;
                }
                Some(value) => write!(f, ";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_everywhere() {
        let via = Via::parse("SIP  / 2.0  / TCP     spindle.example.com : 5070   ; branch  =   z9hG4bK9ikj8 ").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5070;branch=z9hG4bK9ikj8");
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
    }

    #[test]
    fn rport_is_filled_in() {
        let mut via = Via::parse("SIP/2.0/UDP [2001:db8::9];rport;branch=z9hG4bK").unwrap();
        let source = "[2001:db8::1]:40000".parse().unwrap();
        assert_eq!(via.respond_to(source), source);
        via.received(source);
        assert_eq!(
            via.to_string(),
            "SIP/2.0/UDP [2001:db8::9];rport=40000;branch=z9hG4bK;received=2001:db8::1"
        );
        assert_eq!(via.branch(), None);
    }

    #[test]
    fn without_rport_the_answer_goes_to_the_port_of_sent_by() {
        let via = Via::parse("SIP/2.0/UDP pbx.example:5070").unwrap();
        assert_eq!(
            via.respond_to("192.0.2.1:40000".parse().unwrap()),
            "192.0.2.1:5070".parse().unwrap()
        );
    }

    #[test]
    fn broken_ones_are_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h:x",
            "HTTP/2.0/UDP h",
            ";",
            "SIP/2.0/UDP h;\"ranch=z9hG4bK1;rport",
            "SIP/2.0/UDP h;a=b\"c",
        ] {
            assert_eq!(Via::parse(text), None, "{text}");
        }
    }
}
