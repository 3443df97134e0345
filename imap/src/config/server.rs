//! A server to be reached: where, and how protected.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use voxea_core::base::settings::Section;

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS from the first byte, after STARTTLS, or none.
    pub security: Security,
    /// PEM file of a private authority that is trusted besides the machine's own.
    pub ca_file: Option<PathBuf>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314 §3).
    Tls,
    /// TLS after STARTTLS; never without.
    Starttls,
    /// None; loopback only.
    None,
}

impl Server {
    pub(super) fn read(section: &Section<'_>, example: &str, default_port: u16) -> Self {
        let address = section.required_string("address", example);
        let security = match section.one_of("security", &["tls", "starttls", "none"], "tls") {
            "starttls" => Security::Starttls,
            "none" => Security::None,
            _ => Security::Tls,
        };
        let parsed = if address.is_empty() {
            Ok((String::new(), 0))
        } else {
            host_and_port(&address, default_port)
        };
        let (host, port) = parsed.unwrap_or_else(|message| {
            section.problem("address", format!("{message}; an example: address = \"{example}\""));
            (String::new(), 0)
        });
        if security == Security::None && !host.is_empty() && !loopback(&host) {
            section.problem(
                "security",
                "is \"none\", which is for loopback addresses only; \"tls\" or \"starttls\" would be right here",
            );
        }
        let ca_file = section.file("ca_file");
        if let Some(error) = ca_file.as_ref().and_then(|path| std::fs::File::open(path).err()) {
            section.problem("ca_file", format!("cannot be read: {error}; it must be a PEM file of certificates"));
        }
        Self {
            host,
            port,
            security,
            ca_file,
        }
    }

    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("has no closing bracket")?;
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port
        .map_or(Ok(default_port), u16::from_str)
        .map_err(|_| format!("{text:?} has no port between 1 and 65535"))?;
    let valid = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
    if valid && port > 0 {
        Ok((host.to_owned(), port))
    } else {
        Err(format!("{text:?} is not a host and a port"))
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost" || IpAddr::from_str(host).is_ok_and(|address| address.is_loopback())
}
