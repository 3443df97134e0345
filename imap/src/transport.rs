//! Connections to a submission server (RFC 6409).

use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, Tls, TlsParameters};
use lettre::transport::smtp::commands::Mail;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use crate::config::{Security, Server, Submission};
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
    let tls = match server.security {
        Security::Tls => Tls::Wrapper(parameters(server)?),
        Security::Starttls => Tls::Required(parameters(server)?),
        Security::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .timeout(Some(COMMAND))
        .hello_name(hello(submission))
        .pool_config(
            PoolConfig::new()
                .max_size(u32::try_from(CONNECTIONS).unwrap_or(1))
                .idle_timeout(Duration::from_secs(20)),
        );
    if let Some((credentials, mechanisms)) = login(submission) {
        builder = builder.credentials(credentials).authentication(mechanisms);
    }
    Ok(builder.build())
}

/// Whether the server takes mails of our sender, on a connection of its own and without a mail.
///
/// # Errors
/// What is wrong, or what the server said.
pub(crate) async fn takes_sender(submission: &Submission) -> Result<(), String> {
    let (server, hello) = (&submission.server, hello(submission));
    let parameters = (server.security != Security::None).then(|| parameters(server)).transpose()?;
    let said = |error: lettre::transport::smtp::Error| words(&error);
    let wrapper = parameters.clone().filter(|_| server.security == Security::Tls);
    let place = (server.host.as_str(), server.port);
    let mut connection = AsyncSmtpConnection::connect_tokio1(place, Some(COMMAND), &hello, wrapper, None)
        .await
        .map_err(said)?;
    if let Some(parameters) = parameters.filter(|_| server.security == Security::Starttls) {
        connection.starttls(parameters, &hello).await.map_err(said)?;
    }
    if let Some((credentials, mechanisms)) = login(submission) {
        connection.auth(&mechanisms, &credentials).await.map_err(said)?;
    }
    let from = submission.from_address.parse().map_err(|_| "no address".to_owned())?;
    connection.command(Mail::new(Some(from), Vec::new())).await.map_err(said)?;
    connection.abort().await;
    Ok(())
}

fn parameters(server: &Server) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca_file {
        let wrong = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| wrong(&error))?);
    }
    builder.build_rustls().map_err(|error| error.to_string())
}

fn hello(submission: &Submission) -> ClientId {
    let domain = submission.from_address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    ClientId::Domain(domain.to_owned())
}

fn login(submission: &Submission) -> Option<(Credentials, Vec<Mechanism>)> {
    let (user, password) = submission.credentials.as_ref()?;
    let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
    let mechanisms = if submission.xoauth2 {
        vec![Mechanism::Xoauth2]
    } else {
        DEFAULT_MECHANISMS.to_vec()
    };
    Some((credentials, mechanisms))
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
