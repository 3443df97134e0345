//! TLS of the `[sip]` section: our certificate, who must show one, and whom a trunk's certificate must come from.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use voxea_core::base::settings::Section;

use super::certificate::{Certificate, certificates, provider};
use super::validity;

/// Our certificate, for both sides of TLS: who asks us for one as a client gets the same.
#[derive(Debug)]
pub struct Identity {
    /// What a `tls:` address of `listen` speaks.
    pub server: Arc<ServerConfig>,
    /// What is shown on both sides, and renewed.
    pub certificate: Arc<Certificate>,
}

/// Whom we believe to be a trunk.
#[derive(Debug, Clone, Default)]
pub struct TrunkTls {
    /// Authorities, instead of the machine's own.
    pub roots: Option<Arc<RootCertStore>>,
    /// The name that its certificate must carry; without one, its address.
    pub name: Option<ServerName<'static>>,
}

/// Reads `tls` of `[sip]`.
pub(super) fn server(section: &Section<'_>) -> Option<Arc<Identity>> {
    for (key, example) in [("certificate", "cert.pem"), ("key_file", "key.pem")] {
        if !section.has(key) {
            section.problem(key, format!("is missing; an example: {key} = \"{example}\""));
        }
    }
    // Each file by itself first, so that what is wrong with one does not hide what is wrong with the other.
    let chain = section.file("certificate").filter(|path| match certificates(path) {
        Ok(chain) => {
            validity::check(section, &chain, &provider());
            true
        }
        Err(problem) => {
            section.problem("certificate", problem);
            false
        }
    });
    let key = section.secret_text("key_file").and_then(|text| {
        let read = PrivateKeyDer::from_pem_slice(text.reveal().as_bytes());
        let say = |error| {
            section.problem(
                "key_file",
                format!("{error}; it must be a PEM file of the certificate's private key"),
            )
        };
        read.map_err(say).ok()?;
        section.file("key_file")
    });
    let required = section.bool_or("client_required", false);
    let authority = section.file("client_ca").map(|path| {
        let read = roots(&path);
        read.map_err(|problem| section.problem("client_ca", problem)).ok()
    });
    if required && authority.is_none() {
        section.problem(
            "client_required",
            "is true, but nobody says whose certificates are right; add client_ca = \"ca.pem\"",
        );
    }
    let (chain, key) = (chain?, key?);
    let clients = match authority {
        Some(None) => return None,
        Some(Some(roots)) => Some(roots),
        None => None,
    };
    let made = Certificate::read(&chain, &key).and_then(|certificate| {
        let certificate = Arc::new(certificate);
        let server = Arc::new(configure(Arc::clone(&certificate), clients, required)?);
        Ok(Identity { server, certificate })
    });
    made.map(Arc::new).map_err(|problem| section.problem("key_file", problem)).ok()
}

/// Reads what a trunk says of TLS. `address` is where it is reached, when it says so.
pub(super) fn trunk(section: &Section<'_>, address: Option<&str>) -> TrunkTls {
    let roots = section.file("ca_file").and_then(|path| {
        let read = self::roots(&path);
        read.map_err(|problem| section.problem("ca_file", problem)).ok()
    });
    let name = match section.string("tls_name") {
        Some(text) => ServerName::try_from(text.clone())
            .map_err(|_| {
                section.problem(
                    "tls_name",
                    format!("{text:?} is no name that a certificate can carry; an example: tls_name = \"pbx.example.fr\""),
                )
            })
            .ok(),
        None => address.and_then(named_in),
    };
    TrunkTls { roots, name }
}

/// The host of `pbx.example.fr:5061;transport=tls`, unless it is an address: addresses are compared as such.
fn named_in(address: &str) -> Option<ServerName<'static>> {
    let host = address.split([';', ':']).next().unwrap_or_default();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    matches!(name, ServerName::DnsName(_)).then_some(name)
}

/// How we are a client: with these authorities, or the machine's own, and with our certificate for those who ask.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn client(roots: Option<&Arc<RootCertStore>>, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, String> {
    let roots = roots.map_or_else(
        || {
            let mut roots = RootCertStore::empty();
            let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        },
        Arc::clone,
    );
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate: Arc<Certificate> = Arc::clone(&identity.certificate);
            builder.with_client_cert_resolver(certificate)
        }
    };
    Ok(Arc::new(config))
}

fn configure(certificate: Arc<Certificate>, clients: Option<Arc<RootCertStore>>, required: bool) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    Ok(builder.with_cert_resolver(certificate))
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{}: {error}; it must hold certificates of authorities", path.display()))?;
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use voxea_core::base::settings::{Problems, parse};

    use super::*;
    use crate::config::Config;

    /// A folder with a certificate, its key, and the key of another one.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(vec!["pbx.example.fr".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let dated = |from, to| {
            let mut params = CertificateParams::new(vec!["pbx.example.fr".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (from, to);
            params.self_signed(&key).unwrap().pem()
        };
        let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 86_400);
        for (name, text) in [
            ("cert.pem", certificate.pem()),
            ("old.pem", dated(date_time_ymd(2025, 1, 1), date_time_ymd(2025, 2, 1))),
            ("young.pem", dated(date_time_ymd(2100, 1, 1), date_time_ymd(2101, 1, 1))),
            ("short.pem", dated(date_time_ymd(2025, 1, 1), soon.into())),
            ("key.pem", key.serialize_pem()),
            ("other.pem", other.serialize_pem()),
            ("open.pem", key.serialize_pem()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mode = if name == "open.pem" { 0o644 } else { 0o600 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        folder
    }

    fn read(folder: &Path, text: &str) -> (Config, Vec<String>) {
        let text = format!("[sip]\n{text}\n[[sip.line]]\nnumber = \"1\"\n");
        let node = parse(&text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, folder, &problems).sub("sip").unwrap());
        (config, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    const TRUNK: &str = "[[sip.trunk]]\nname = \"a\"\nallow = [\"192.0.2.1\"]\n";

    #[test]
    fn what_is_right_is_taken() {
        let folder = folder();
        let text = format!(
            "listen = [\"tls:127.0.0.1:0\"]\n\
             tls = {{ certificate = \"cert.pem\", key_file = \"key.pem\", client_ca = \"cert.pem\", client_required = true }}\n\
             {TRUNK}ca_file = \"cert.pem\"\ntls_name = \"pbx.example.fr\"\n"
        );
        let (config, problems) = read(folder.path(), &text);
        assert!(problems.is_empty(), "{problems:#?}");
        let identity = config.tls.unwrap();
        assert!(identity.server.alpn_protocols.is_empty());
        let [trunk] = config.trunk_tls.as_slice() else { panic!("a trunk") };
        assert_eq!(trunk.name.as_ref().unwrap().to_str(), "pbx.example.fr");
        client(trunk.roots.as_ref(), Some(&identity)).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy() {
        let folder = folder();
        for (text, expected) in [
            (
                "listen = [\"tls:127.0.0.1:0\"]\n",
                "line 2: sip.listen: has a tls: address, but there is no certificate",
            ),
            ("tls = { certificate = \"cert.pem\" }\n", "sip.tls.key_file: is missing; an example"),
            (
                "tls = { certificate = \"none.pem\", key_file = \"key.pem\" }\n",
                "it must be a PEM file of certificates",
            ),
            (
                "tls = { certificate = \"key.pem\", key_file = \"key.pem\" }\n",
                "it holds no certificate",
            ),
            (
                "tls = { certificate = \"cert.pem\", key_file = \"cert.pem\" }\n",
                "sip.tls.key_file",
            ),
            (
                "tls = { certificate = \"cert.pem\", key_file = \"open.pem\" }\n",
                "run chmod o-rwx on it",
            ),
            (
                "tls = { certificate = \"cert.pem\", key_file = \"other.pem\" }\n",
                "does not belong to the certificate",
            ),
            (
                "tls = { certificate = \"cert.pem\", key_file = \"key.pem\", client_required = true }\n",
                "add client_ca = \"ca.pem\"",
            ),
            (
                "tls = { certificate = \"cert.pem\", key_file = \"key.pem\", client_ca = \"key.pem\" }\n",
                "sip.tls.client_ca",
            ),
            (
                "tls = { certificate = \"old.pem\", key_file = \"key.pem\" }\n",
                "line 2: sip.tls.certificate: expired at 2025-02-01T00:00:00.000Z: no peer would take it; put the renewed",
            ),
            (
                "tls = { certificate = \"young.pem\", key_file = \"key.pem\" }\n",
                "line 2: sip.tls.certificate: is valid from 2100-01-01T00:00:00.000Z only",
            ),
            (
                "tls = { certificate = \"short.pem\", key_file = \"key.pem\" }\n",
                "warning: line 2: sip.tls.certificate: expires at ",
            ),
            (
                "listen = [\"tls:127.0.0.1:0\"]\ntls = { certificate = \"cert.pem\", key_file = \"key.pem\" }\n\
                 [[sip.trunk]]\nname = \"b\"\nallow = [\"192.0.2.2\"]\nca_file = \"none.pem\"\n",
                "sip.trunk[0].ca_file",
            ),
            (
                "listen = [\"tls:127.0.0.1:0\"]\ntls = { certificate = \"cert.pem\", key_file = \"key.pem\" }\n\
                 [[sip.trunk]]\nname = \"b\"\nallow = [\"192.0.2.2\"]\ntls_name = \"a b\"\n",
                "sip.trunk[0].tls_name: \"a b\" is no name",
            ),
        ] {
            let (_, problems) = read(folder.path(), &format!("{text}{TRUNK}"));
            assert_eq!(problems.len(), 1, "{text}: {problems:#?}");
            assert!(problems[0].contains(expected), "{text}: {expected} is not in {problems:#?}");
        }
    }

    #[test]
    fn the_name_of_a_trunk_is_its_hosts() {
        let name = |address| named_in(address).map(|name| name.to_str().into_owned());
        assert_eq!(name("pbx.example.fr:5061;transport=tls").as_deref(), Some("pbx.example.fr"));
        assert_eq!(name("pbx.example.fr").as_deref(), Some("pbx.example.fr"));
        assert_eq!(name("192.0.2.1:5061"), None);
        assert_eq!(name("[2001:db8::1]:5061"), None);
    }
}
