//! Ports that two sections want: only here both are known.

use std::net::SocketAddr;

use voxea_core::base::settings::Section;

use super::api::ApiSettings;

/// Notes TCP addresses of `[sip]` that the API or the metrics take.
pub(super) fn apart(sip: &Section<'_>, config: &voxea_sip::Config, api: &ApiSettings) {
    let takers = [
        (Some(api.listen), "where the API listens", "[api] listen"),
        (api.metrics_listen, "where metrics are read", "[api] metrics_listen"),
    ];
    for listen in config.listen.iter().filter(|listen| listen.transport.is_reliable()) {
        for (taker, what, key) in takers {
            let Some(taker) = taker.filter(|taker| takes(*taker, listen.address)) else {
                continue;
            };
            sip.problem(
                "listen",
                format!(
                    "has {}:{}, which takes the port of {taker}, {what}; give one of them another port, here or by {key}",
                    listen.transport, listen.address
                ),
            );
        }
    }
}

/// Whether an HTTP listener leaves no room for one of SIP. The former takes IPv4 with `[::]` too, the latter does not.
fn takes(http: SocketAddr, sip: SocketAddr) -> bool {
    let (wide, family) = (http.ip().is_unspecified(), http.is_ipv4() == sip.is_ipv4());
    let same = http.ip() == sip.ip() || wide && (family || http.is_ipv6()) || family && sip.ip().is_unspecified();
    http.port() != 0 && http.port() == sip.port() && same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_refuse() {
        let takes = |http: &str, sip: &str| takes(http.parse().unwrap(), sip.parse().unwrap());
        for (http, sip) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "127.0.0.1:80"),
            ("[::1]:80", "[::]:80"),
        ] {
            assert!(takes(http, sip), "{http} {sip}");
        }
        for (http, sip) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("0.0.0.0:80", "[::]:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert!(!takes(http, sip), "{http} {sip}");
        }
    }
}
