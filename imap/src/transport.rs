//! Connections to a submission server (RFC 6409).

use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use crate::config::{Security, Submission};
use crate::name;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 4;
/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// A pool of them.
pub(crate) type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The pool of a submission; nothing is connected yet.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn open(submission: &Submission) -> Result<Transport, String> {
    let server = &submission.server;
    let parameters = || {
        let mut builder = TlsParameters::builder(server.host.clone());
        if let Some(path) = &server.ca_file {
            let pem = std::fs::read(path).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
            builder =
                builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| format!("ca_file {}: {error}", path.display()))?);
        }
        builder.build_rustls().map_err(|error| error.to_string())
    };
    let tls = match server.security {
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::Starttls => Tls::Required(parameters()?),
        Security::None => Tls::None,
    };
    let domain = submission
        .from_address
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain)
        .to_owned();
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .timeout(Some(COMMAND))
        .hello_name(ClientId::Domain(domain))
        .pool_config(
            PoolConfig::new()
                .max_size(u32::try_from(CONNECTIONS).unwrap_or(1))
                .idle_timeout(Duration::from_secs(20)),
        );
    if let Some((user, password)) = &submission.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        if submission.xoauth2 {
            builder = builder.authentication(vec![Mechanism::Xoauth2]);
        }
    }
    Ok(builder.build())
}

/// The server's words, one line. They may name the recipient, so they go to the reply's own record and not to a log.
pub(crate) fn words(error: &lettre::transport::smtp::Error) -> String {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    name::line(
        &format!(
            "{}{source}",
            error.status().map_or_else(|| error.to_string(), |code| code.to_string())
        ),
        300,
    )
}
