//! URIs: `sip`, `sips` and `tel` are understood, all others are kept as they came (RFC 3261 §19.1).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::list::{self, Params};

/// A URI, with its text as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    raw: String,
    /// What is understood of it.
    pub kind: Kind,
}

/// What is understood of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `sip:` and `sips:`.
    Sip(Sip),
    /// `tel:` (RFC 3966): the number without its parameters, as written.
    Tel(String),
    /// Another scheme (`urn:`, `http:`, …), in lower case.
    Other(String),
}

/// The parts of a `sip:` or `sips:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Whether it is `sips:`.
    pub secure: bool,
    /// User part, unescaped, without password.
    pub user: Option<String>,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Port, when it is written.
    pub port: Option<u16>,
    /// Parameters, names and values as written.
    pub params: Params,
}

impl Uri {
    /// Reads a URI. `None` when it is none, or a `sip:` one that is broken.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'))
        {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.bytes().next()?.is_ascii_alphabetic() || !scheme.bytes().all(plain) || rest.is_empty() {
            return None;
        }
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Kind::Sip(sip(rest, false)?),
            "sips" => Kind::Sip(sip(rest, true)?),
            "tel" => Kind::Tel(rest.split(';').next().unwrap_or_default().to_owned()),
            other => Kind::Other(other.to_owned()),
        };
        Some(Self {
            raw: text.to_owned(),
            kind,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The user part without user parameters, or the number of a `tel:` URI without visual separators.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        match &self.kind {
            Kind::Sip(sip) => {
                let user = sip.user.as_deref()?.split(';').next()?;
                (!user.is_empty()).then(|| user.to_owned())
            }
            Kind::Tel(number) => {
                let number: String = number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
                (!number.is_empty()).then_some(number)
            }
            Kind::Other(_) => None,
        }
    }

    /// The `sip:` parts.
    #[must_use]
    pub const fn sip(&self) -> Option<&Sip> {
        match &self.kind {
            Kind::Sip(sip) => Some(sip),
            _ => None,
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl Sip {
    /// The host as an address, when it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §19.1.1).
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.params.iter().any(|(name, _)| name.eq_ignore_ascii_case("lr"))
    }
}

fn sip(rest: &str, secure: bool) -> Option<Sip> {
    // `@` must be escaped everywhere else, so the first one ends the user part, whatever stands in it.
    let (user, rest) = match rest.split_once('@') {
        Some((user, rest)) => (Some(unescape(user.split(':').next().unwrap_or_default())), rest),
        None => (None, rest),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let (hostport, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let (host, port) = host_port(hostport)?;
    Some(Sip {
        secure,
        user,
        host,
        port,
        params: list::params(params)?,
    })
}

/// `host[:port]` with IPv6 in brackets; spaces around the colon are allowed in Via (RFC 3261 §25.1).
pub(crate) fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = if let Some(inner) = text.strip_prefix('[') {
        let (host, after) = inner.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        let after = after.trim();
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.trim_end(), Some(port)),
            None => (text, None),
        }
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let port = match port.map(str::trim) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_owned(), port))
}

/// Undoes `%41`; what is no escape stays as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, hex(at + 1), hex(at + 2)) {
            out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_sip_uri() {
        let uri = Uri::parse("sip:%33000;isub=1:secret@[2001:db8::1]:5070;transport=tcp;lr?Subject=a").unwrap();
        assert_eq!(uri.user().as_deref(), Some("3000"));
        let sip = uri.sip().unwrap();
        assert_eq!((sip.host.as_str(), sip.port, sip.is_loose()), ("2001:db8::1", Some(5070), true));
        assert!(sip.ip().is_some());
    }

    #[test]
    fn other_schemes_are_kept() {
        assert_eq!(
            Uri::parse("tel:+33-1.23;phone-context=x").unwrap().user().as_deref(),
            Some("+33123")
        );
        assert_eq!(Uri::parse("urn:service:sos").unwrap().kind, Kind::Other("urn".to_owned()));
        assert_eq!(Uri::parse("urn:service:sos").unwrap().to_string(), "urn:service:sos");
    }

    #[test]
    fn broken_ones_are_refused() {
        for text in [
            "",
            "sip:",
            "nothing",
            "sip:a@",
            "sip:a@b:99999",
            "sip:a@b:x",
            "sip:a b@c",
            "<sip:a@b>",
            "sip:a@[::1",
            "sip:a@h/x",
        ] {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }
}
