//! `[api]`.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use voxea_core::base::settings::Section;

use crate::http::cors;
use crate::http::tls::{self, Tls};

/// Where the API listens when nobody says.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// What each client may ask a minute when nobody says: no well-behaved program comes near it.
const REQUESTS: u32 = 600_000;

/// The REST API.
#[derive(Debug, Clone)]
pub(crate) struct ApiSettings {
    /// Its address; port 0 lets the kernel choose.
    pub(crate) listen: SocketAddr,
    /// Its certificate and key, read and matched.
    pub(crate) tls: Option<Tls>,
    /// A proxy in front speaks TLS and writes X-Forwarded-For.
    pub(crate) behind_proxy: bool,
    /// Where `/metrics` is, if anywhere.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Within this time of SIGTERM the process has ended.
    pub(crate) stop: Duration,
    /// Clients connected at once.
    pub(crate) connections: usize,
    /// Calls that each client may make a minute.
    pub(crate) requests_per_minute: u32,
    /// Origins whose pages may read answers.
    pub(crate) cors_origins: Vec<String>,
}

impl ApiSettings {
    /// Reads `[api]`.
    pub(crate) fn read(section: Option<&Section<'_>>) -> Self {
        let Some(section) = section else {
            return Self {
                listen: LISTEN,
                tls: None,
                behind_proxy: false,
                metrics_listen: None,
                stop: Duration::from_secs(10),
                connections: 1024,
                requests_per_minute: REQUESTS,
                cors_origins: Vec::new(),
            };
        };
        let listen = section.parsed("listen", "127.0.0.1:8080").unwrap_or(LISTEN);
        let wants_tls = section.has("tls");
        let tls = section.sub("tls").and_then(|section| certificate(&section));
        let behind_proxy = section.bool_or("behind_proxy", false);
        if !listen.ip().is_loopback() && !wants_tls && !behind_proxy {
            section.problem(
                "listen",
                format!("{listen} is reachable from other machines, and keys would travel in clear; add tls = {{ certificate = \"cert.pem\", key_file = \"key.pem\" }}, or behind_proxy = true when a proxy in front speaks TLS"),
            );
        }
        let metrics_listen = section.parsed("metrics_listen", "127.0.0.1:9090");
        if metrics_listen.is_some_and(|metrics| collide(metrics, listen)) {
            section.problem(
                "metrics_listen",
                format!("takes {listen}, where the API listens; give it a port of its own: metrics_listen = \"127.0.0.1:9090\""),
            );
        }
        let stop = section.int_or("stop_seconds", 10, 1..=600);
        let connections = section.int_or("connections", 1024, 16..=60_000);
        let requests = section.int_or("requests_per_minute", i64::from(REQUESTS), 60..=60_000_000);
        let cors_origins = section.strings("cors_origins").unwrap_or_default();
        for origin in &cors_origins {
            if let Some(fault) = cors::fault(origin) {
                section.problem("cors_origins", format!("{origin}: {fault}"));
            }
        }
        Self {
            requests_per_minute: u32::try_from(requests).unwrap_or(REQUESTS),
            cors_origins,
            listen,
            tls,
            behind_proxy,
            metrics_listen,
            stop: Duration::from_secs(stop.unsigned_abs()),
            connections: usize::try_from(connections).unwrap_or(1024),
        }
    }
}

/// Whether two sockets cannot both be had. The kernel gives each port 0 another one.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    // 0.0.0.0 takes the port of every address of its family.
    let same = one.ip() == other.ip() || one.is_ipv4() == other.is_ipv4() && (one.ip().is_unspecified() || other.ip().is_unspecified());
    one.port() != 0 && one.port() == other.port() && same
}

fn certificate(section: &Section<'_>) -> Option<Tls> {
    for (key, example) in [("certificate", "cert.pem"), ("key_file", "key.pem")] {
        if !section.has(key) {
            section.problem(key, format!("is missing; an example: {key} = \"{example}\""));
        }
    }
    // Each file by itself first, so that what is wrong with one does not hide what is wrong with the other.
    let chain = section
        .file("certificate")
        .filter(|path| usable(section, "certificate", chain_of(path)));
    let secret = section.file("key_file").filter(|path| usable(section, "key_file", key_of(path)));
    let (chain, secret) = (chain?, secret?);
    match tls::server(&chain, &secret) {
        Ok(config) => Some(config),
        Err(problem) => {
            section.problem("key_file", problem);
            None
        }
    }
}

fn usable(section: &Section<'_>, key: &'static str, tried: Result<(), String>) -> bool {
    let usable = tried.is_ok();
    if let Err(message) = tried {
        section.problem(key, message);
    }
    usable
}

fn chain_of(path: &Path) -> Result<(), String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(chain) if !chain.is_empty() => Ok(()),
        Ok(_) => Err(format!(
            "{}: it holds no PEM certificate; it must hold the chain, the server's own first",
            path.display()
        )),
        Err(error) => Err(format!(
            "{}: {error}; it must be a PEM file of certificates that the daemon may read",
            path.display()
        )),
    }
}

fn key_of(path: &Path) -> Result<(), String> {
    if let Some(message) = readable_by_all(path) {
        return Err(message);
    }
    PrivateKeyDer::from_pem_file(path).map(drop).map_err(|error| {
        format!(
            "{}: {error}; it must be a PEM file of the certificate's private key that the daemon may read",
            path.display()
        )
    })
}

fn readable_by_all(path: &Path) -> Option<String> {
    let facts = std::fs::metadata(path).ok()?;
    (facts.permissions().mode() & 0o007 != 0)
        .then(|| format!("{}: everybody on this machine may read it; run chmod o-rwx on it", path.display()))
}
