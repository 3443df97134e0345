//! What an SMSC says by TLS of our certificate, and what is to be done about it.

use std::io;

use rustls::{AlertDescription, Error};

use crate::tls::Tls;

/// Why the SMSC ended the handshake, or the connection right behind it, when that is about our certificate: with TLS 1.3 it looks
/// at that after we are done (RFC 8446 §4.4.2.4), so that it may be heard only where the answer to the bind is awaited. `None`
/// for every other end.
pub(super) fn refused(error: &io::Error, tls: Option<&Tls>) -> Option<String> {
    let Error::AlertReceived(alert) = error.get_ref()?.downcast_ref::<Error>()? else {
        return None;
    };
    let ours = tls.is_some_and(|tls| tls.certificate.is_some());
    let why = match alert {
        AlertDescription::CertificateRequired => "none was shown",
        // Before TLS 1.3 there was no alert for that.
        AlertDescription::HandshakeFailure if !ours => "none was shown",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::UnknownCA => "its authority is not known there",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "it says no more than that",
        // What it is signed with is not the key of the authority that it names.
        AlertDescription::DecryptError if ours => "its signature is not one of the authority that it names",
        _ => return None,
    };
    Some(if ours {
        format!(
            "the SMSC does not take our certificate ({why}); ask its operator which authority must issue it, and check certificate and \
             key_file"
        )
    } else {
        "the SMSC wants a certificate of ours; ask its operator for one, and name it: certificate = \"smpp-cert.pem\" and \
         key_file = \"smpp-key.pem\""
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_our_certificate_is_said_to_be() {
        let said = |alert, ours: bool| {
            let error = io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(alert));
            let certificate = ours.then(|| ("a.pem".into(), "a.key".into()));
            let tls = Tls {
                certificate,
                ..Tls::default()
            };
            refused(&error, Some(&tls))
        };
        for alert in [AlertDescription::CertificateRequired, AlertDescription::HandshakeFailure] {
            assert!(said(alert, false).is_some_and(|words| words.contains("wants a certificate") && words.contains("key_file")));
        }
        assert_eq!(
            said(AlertDescription::HandshakeFailure, true),
            None,
            "no cipher in common, it may be"
        );
        assert!(said(AlertDescription::UnknownCA, true).is_some_and(|words| words.contains("its authority is not known there")));
        assert!(said(AlertDescription::DecryptError, true).is_some() && said(AlertDescription::DecryptError, false).is_none());
        assert_eq!(said(AlertDescription::CloseNotify, false), None);
        assert_eq!(refused(&io::ErrorKind::ConnectionReset.into(), None), None);
    }
}
