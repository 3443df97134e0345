//! The address of a webhook, taken apart once.

use std::net::IpAddr;

use axum::http::Uri;

use super::guard::{self, Guard};

/// The longest, in octets.
const LONGEST: usize = 2000;

/// Where to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// HTTPS.
    pub(super) tls: bool,
    /// Without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    /// What `Host` says.
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    /// Reads a URL, and refuses what could never be sent to: another scheme, a password, a port of another service, an
    /// address that the guard refuses. What a name means is judged when it is resolved.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(crate) fn of(url: &str, guard: &Guard) -> Result<Self, String> {
        let wrong = "must be an https:// URL without a password and a fragment, such as https://gru.example.fr/voxea".to_owned();
        let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        if url.len() > LONGEST || !printable || url.contains('#') {
            return Err(wrong);
        }
        let uri: Uri = url.parse().map_err(|_| wrong.clone())?;
        let authority = uri.authority().ok_or_else(|| wrong.clone())?;
        let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong),
        };
        if authority.as_str().contains('@') || host.is_empty() || authority.as_str().ends_with(':') {
            return Err(wrong);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        guard::port(port)?;
        match host.parse::<IpAddr>() {
            Ok(address) => guard.check(address, !tls)?,
            // 0x7f.1 and 2130706433 mean an address to some resolvers; no name ends so (RFC 3696 §2).
            Err(_) if ends_in_number(&host) => return Err(wrong),
            Err(_) if !tls && !guard.excepts_any() => {
                return Err("http:// would show what is sent to everybody on the way: use https://".to_owned());
            }
            Err(_) => {}
        }
        Ok(Self {
            tls,
            port,
            host,
            authority: authority.to_string(),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_sent_to_is_taken() {
        let none = Guard::default();
        for good in [
            "https://gru.example.fr",
            "https://gru.example.fr:8443/a?token=b",
            "https://1.1.1.1/",
            "HTTPS://GRU.example.fr./",
        ] {
            assert!(Target::of(good, &none).is_ok(), "{good}");
        }
        for bad in [
            "",
            "gru.example.fr",
            "ftp://gru.example.fr/",
            "http://gru.example.fr/",
            "https://u:p@gru.example.fr/",
            "https://gru.example.fr/#a",
            "https://gru.example.fr:22/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://gru.example.fr/\n",
            "https://gru.example.fr:/",
            "https:///a",
            "https://é.fr/",
            "file:///etc/passwd",
            "https://169.254.169.254/latest/meta-data",
            &format!("https://a.fr/{}", "x".repeat(2000)),
        ] {
            assert!(Target::of(bad, &none).is_err(), "{bad}");
        }
        let here = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let target = Target::of("http://127.0.0.1:8081/hook?a=b", &here).unwrap();
        assert_eq!(
            (target.tls, target.port, target.path.as_str(), target.authority.as_str()),
            (false, 8081, "/hook?a=b", "127.0.0.1:8081")
        );
        assert!(Target::of("http://10.0.0.1/", &here).is_err());
        assert!(Target::of("http://intranet/", &here).is_ok(), "judged when it is resolved");
    }
}
