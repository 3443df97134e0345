//! The keys about TLS of a `[[smpp]]`.

use std::net::IpAddr;

use voxea_core::base::settings::Section;

use crate::tls::Tls;

/// Reads them; `None` where the SMSC is spoken to in the clear. `host` is the SMSC's.
pub(super) fn read(section: &mut Section<'_>, host: &str) -> Option<Tls> {
    let security = section.one_of("security", &["none", "tls"], "none");
    let ca_file = section.file("ca_file");
    let (certificate, key) = (section.file("certificate"), section.file("key_file"));
    let name = section.string("tls_name");
    if security == "none" {
        for key in ["ca_file", "tls_name", "certificate", "key_file"] {
            if section.has(key) {
                section.problem(key, "says nothing without security = \"tls\"");
            }
        }
        return None;
    }
    match (&certificate, &key) {
        (Some(_), None) => section.problem("certificate", "needs its key beside it: key_file = \"smpp-key.pem\""),
        (None, Some(_)) => section.problem("key_file", "needs its certificate beside it: certificate = \"smpp-cert.pem\""),
        _ => {}
    }
    let tls = Tls {
        ca_file,
        name: name.unwrap_or_else(|| host.to_owned()),
        certificate: certificate.zip(key),
    };
    // Said now, not at the first connection. A host that is missing was said already.
    if !host.is_empty() || tls.name.parse::<IpAddr>().is_ok() {
        match tls.connector() {
            Ok(_) => {}
            Err(("address", _)) if section.has("tls_name") => {
                section.problem("tls_name", format!("{:?} is no name that a certificate can carry", tls.name));
            }
            Err((key, message)) => section.problem(key, message),
        }
    }
    Some(tls)
}
