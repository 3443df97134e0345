//! Whether our own certificate is valid today: nobody would talk to us with one that is not, and each peer would say so in
//! its own words.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use voxea_core::base::settings::Section;
use voxea_core::base::time::{Millis, rfc3339};

/// So long before its end an operator is reminded of a new one.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// When a certificate is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its last moment was this one, milliseconds UTC.
    Expired(Millis),
    /// Its first moment is this one, milliseconds UTC.
    NotYet(Millis),
}

/// Notes a problem with `certificate` when one of the chain is not valid now, and a warning when one soon will not be.
/// `provider` is that of all our TLS.
pub(super) fn check(section: &Section<'_>, chain: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) {
    let now = UnixTime::now();
    match worst(chain, now, provider) {
        Some(Verdict::Expired(at)) => section.problem(
            "certificate",
            format!(
                "expired at {}: no peer would take it; put the renewed chain in its place, or set the clock right",
                rfc3339(at)
            ),
        ),
        Some(Verdict::NotYet(at)) => section.problem(
            "certificate",
            format!(
                "is valid from {} only: no peer would take it before; set the clock right, or use the one before until then",
                rfc3339(at)
            ),
        ),
        None => {
            let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
            if let Some(Verdict::Expired(at)) = worst(chain, soon, provider) {
                section.warning(
                    "certificate",
                    format!(
                        "expires at {}; put a renewed chain in its place; it is taken without a restart",
                        rfc3339(at)
                    ),
                );
            }
        }
    }
}

/// The first of a chain that is not valid at a moment.
fn worst(chain: &[CertificateDer<'static>], at: UnixTime, provider: &Arc<CryptoProvider>) -> Option<Verdict> {
    chain.iter().find_map(|certificate| verdict(certificate, at, provider))
}

/// The validity alone: what else a verifier finds is for whoever meets the certificate. It is tried against itself, since a
/// verifier looks at the dates before it looks for an issuer, and so needs no parser of our own.
fn verdict(certificate: &CertificateDer<'static>, at: UnixTime, provider: &Arc<CryptoProvider>) -> Option<Verdict> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .ok()?;
    let name = ServerName::try_from("certificate.invalid").ok()?;
    match verifier.verify_server_cert(certificate, &[], &name, &[], at) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(Verdict::Expired(millis(not_after))),
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            Some(Verdict::NotYet(millis(not_before)))
        }
        _ => None,
    }
}

fn millis(at: UnixTime) -> Millis {
    Millis::try_from(at.as_secs().saturating_mul(1_000)).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    fn made(authority: bool) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["pbx.example.fr".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 3, 1), date_time_ymd(2026, 6, 1));
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn at(text: &str) -> UnixTime {
        let millis = voxea_core::base::time::parse_rfc3339(text).unwrap();
        UnixTime::since_unix_epoch(Duration::from_millis(millis.unsigned_abs()))
    }

    #[test]
    fn dates_are_told_of_servers_and_authorities_alike() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        for authority in [false, true] {
            let chain = [made(authority)];
            assert_eq!(worst(&chain, at("2026-04-01T00:00:00Z"), &provider), None, "valid");
            let Some(Verdict::Expired(when)) = worst(&chain, at("2026-06-02T00:00:00Z"), &provider) else {
                panic!("it has expired")
            };
            assert_eq!(rfc3339(when), "2026-06-01T00:00:00.000Z");
            let Some(Verdict::NotYet(when)) = worst(&chain, at("2026-02-01T00:00:00Z"), &provider) else {
                panic!("it is not valid yet")
            };
            assert_eq!(rfc3339(when), "2026-03-01T00:00:00.000Z");
        }
    }
}
