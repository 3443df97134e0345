//! Why TLS did not come about, in an operator's words: what happened, to whom, and what to do.

use std::fmt;
use std::io::{self, ErrorKind};

use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

/// A cause, and what is particular to this case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// The same for all cases of its kind.
    pub(super) cause: &'static str,
    detail: Option<String>,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

fn plain(cause: &'static str) -> Words {
    Words { cause, detail: None }
}

fn with(cause: &'static str, detail: impl fmt::Display) -> Words {
    Words {
        cause,
        detail: Some(detail.to_string()),
    }
}

fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// We opened the connection; "it" is the peer.
pub(super) fn ours(error: &io::Error) -> Words {
    match tls(error) {
        Some(Error::InvalidCertificate(wrong)) => theirs_is_wrong(wrong),
        Some(Error::AlertReceived(alert)) => match alert {
            Alert::CertificateRequired | Alert::NoCertificate => {
                plain("it wants a certificate of ours: [sip] tls = { certificate = \"cert.pem\", key_file = \"key.pem\" }")
            }
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate | Alert::AccessDenied => {
                with(
                    "it does not believe our certificate: give it the authority that our certificate comes from, or take one from an authority that it knows",
                    format_args!("alert {alert:?}"),
                )
            }
            Alert::CertificateExpired | Alert::CertificateRevoked => {
                plain("it says that our certificate is no longer valid: renew [sip] tls, or compare the clocks")
            }
            Alert::UnrecognisedName => plain("it knows no such name: compare tls_name with what its certificate carries"),
            other => with(
                "it finds nothing in common with us: we speak TLS 1.2 with ECDHE and AEAD ciphers, and TLS 1.3; allow one of these there",
                format_args!("alert {other:?}"),
            ),
        },
        Some(Error::InvalidMessage(_)) => {
            plain("what answers there is no TLS: is it the port of TLS, 5061 by custom? Otherwise transport = \"tcp\"")
        }
        Some(Error::PeerIncompatible(why)) => with(
            "it finds nothing in common with us: we speak TLS 1.2 with ECDHE and AEAD ciphers, and TLS 1.3; allow one of these there",
            format_args!("{why:?}"),
        ),
        Some(other) => with("the TLS handshake fails", other),
        None => broken(
            error,
            "it ends the connection in the midst of the TLS handshake: does it speak TLS on this port, does it want a certificate of \
             ours ([sip] tls), and may this address connect?",
        ),
    }
}

fn theirs_is_wrong(wrong: &Certificate) -> Words {
    match wrong {
        Certificate::UnknownIssuer => plain(
            "its certificate comes from an authority that we do not know, or from itself: name that authority, or the certificate \
             itself, in a PEM file: ca_file = \"pbx-ca.pem\"",
        ),
        Certificate::Expired | Certificate::ExpiredContext { .. } => {
            plain("its certificate has expired: it must be renewed there, or our clock is wrong")
        }
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            plain("its certificate is not valid yet: compare its clock with ours")
        }
        Certificate::NotValidForNameContext { expected, presented } => with(
            OTHER_NAME,
            format_args!("looked for {}, found {}", expected.to_str(), found(presented)),
        ),
        Certificate::NotValidForName => plain(OTHER_NAME),
        Certificate::Revoked => plain("its certificate is revoked: it must be renewed there"),
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            plain("its certificate is not made for servers: it must be made anew there, with serverAuth as extended key usage")
        }
        // The verifier has no name of its own for it.
        Certificate::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            plain("its certificate is that of an authority and not of a server: it must be made anew there, with CA:FALSE")
        }
        other => with("its certificate cannot be believed: it must be made anew there", other),
    }
}

const OTHER_NAME: &str =
    "its certificate carries other names than the one we look for: name one that it carries, tls_name = \"…\", or have it made anew";

fn found(presented: &[String]) -> String {
    if presented.is_empty() {
        "none".to_owned()
    } else {
        presented.join(", ")
    }
}

/// A trunk opened the connection.
pub(super) fn theirs(error: &io::Error) -> Words {
    match tls(error) {
        Some(Error::InvalidMessage(_)) => plain("what came is no TLS; the trunk may use TCP with the port of TLS"),
        Some(Error::NoCertificatesPresented) => plain("the trunk shows no certificate, and client_required wants one; configure one there"),
        Some(Error::InvalidCertificate(Certificate::UnknownIssuer)) => {
            plain("the trunk's certificate comes from another authority than client_ca; compare the two")
        }
        Some(Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. })) => {
            plain("the trunk's certificate has expired; it must be renewed there")
        }
        Some(Error::InvalidCertificate(wrong)) => with("the trunk's certificate cannot be believed", wrong),
        Some(Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate | Alert::AccessDenied,
        )) => plain(
            "the trunk does not believe our certificate; give it the authority that [sip] tls comes from, and the name that it carries",
        ),
        Some(Error::AlertReceived(Alert::CertificateExpired | Alert::CertificateRevoked)) => {
            plain("the trunk says that our certificate is no longer valid; renew [sip] tls, or compare the clocks")
        }
        Some(Error::PeerIncompatible(_) | Error::AlertReceived(_)) => {
            plain("the trunk finds nothing in common with us; we speak TLS 1.2 with ECDHE and AEAD ciphers, and TLS 1.3")
        }
        Some(other) => with("the handshake fails", other),
        None => broken(
            error,
            "the trunk ended the connection in the midst of the handshake; its own log says why",
        ),
    }
}

/// The same before TLS begins, after it did, or without it.
pub(super) fn on_stream(error: &io::Error) -> Words {
    match tls(error) {
        Some(_) => ours(error),
        None => broken(error, "it ends the connection without an answer; may this address connect?"),
    }
}

/// A trunk opened a connection and did not come to an end with its handshake.
pub(super) fn late() -> Words {
    plain("the trunk did not end its handshake in time")
}

fn broken(error: &io::Error, ended: &'static str) -> Words {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => plain(ended),
        ErrorKind::TimedOut => plain("no answer in time; is there a firewall between?"),
        ErrorKind::ConnectionRefused => plain("takes no connection; nobody listens there"),
        _ => with("the connection failed", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;

    fn of(error: Error) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, error)
    }

    #[test]
    fn a_person_reads_what_happened_and_what_to_do() {
        let wrong = Error::InvalidCertificate;
        for (error, expected) in [
            (of(wrong(Certificate::UnknownIssuer)), "ca_file = \"pbx-ca.pem\""),
            (of(wrong(Certificate::Expired)), "has expired"),
            (
                of(wrong(Certificate::NotValidForNameContext {
                    expected: ServerName::try_from("pbx.example.fr").unwrap(),
                    presented: vec!["DnsName(\"a\")".to_owned()],
                })),
                "(looked for pbx.example.fr, found DnsName(\"a\"))",
            ),
            (of(Error::AlertReceived(Alert::CertificateRequired)), "[sip] tls"),
            (of(Error::AlertReceived(Alert::UnknownCA)), "does not believe our certificate"),
            (of(Error::AlertReceived(Alert::ProtocolVersion)), "nothing in common"),
            (io::ErrorKind::UnexpectedEof.into(), "in the midst of the TLS handshake"),
        ] {
            let words = ours(&error).to_string();
            assert!(words.contains(expected), "{words}");
            for raw in ["invalid peer certificate", "received fatal alert", "UnknownIssuer"] {
                assert!(!words.contains(raw), "{words}");
            }
        }
        assert!(theirs(&of(Error::NoCertificatesPresented)).to_string().contains("client_required"));
    }

    #[test]
    fn cases_of_one_kind_have_one_cause() {
        let wrong = |name: &str| {
            of(Error::InvalidCertificate(Certificate::NotValidForNameContext {
                expected: ServerName::try_from("pbx.example.fr").unwrap(),
                presented: vec![name.to_owned()],
            }))
        };
        let (one, other) = (ours(&wrong("a")), ours(&wrong("b")));
        assert!(one.cause == other.cause && one != other);
    }
}
