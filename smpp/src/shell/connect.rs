//! Reaching an SMSC, in the clear or by TLS.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use voxea_core::base::exit::Exit;

use super::certificate;
use crate::config::Config;

/// How long a connection may take to be made, and a TLS handshake as long again.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Both directions of a connection, and who is at its end.
pub(super) struct Stream {
    pub(super) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// `tcp:192.0.2.1:2775`, or `tls:…`.
    pub(super) peer: String,
}

impl Stream {
    /// A connection in the clear.
    pub(super) fn plain(stream: TcpStream) -> Self {
        // Responses are gathered here; the kernel must not wait for more.
        let _ = stream.set_nodelay(true);
        let peer = peer(&stream, "tcp");
        let (reader, writer) = stream.into_split();
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            peer,
        }
    }
}

fn peer(stream: &TcpStream, transport: &str) -> String {
    stream
        .peer_addr()
        .map_or_else(|_| transport.to_owned(), |address| format!("{transport}:{address}"))
}

/// Connects as the configuration says.
///
/// # Errors
/// What happened, in a sentence for the operator; it halts where no other try would help.
pub(super) async fn connect(config: &Config) -> Result<Stream, Exit> {
    let (host, port) = (config.host.as_str(), config.port);
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect((host, port)));
    let stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Exit::Retry(format!("{host}:{port} cannot be reached: {error}"))),
        Err(_) => {
            return Err(Exit::Retry(format!("{host}:{port} does not answer within {} s", CONNECT.as_secs())));
        }
    };
    let Some(tls) = &config.tls else {
        return Ok(Stream::plain(stream));
    };
    let _ = stream.set_nodelay(true);
    let connector = tls.connector().map_err(|(key, message)| Exit::Retry(format!("{key}: {message}")));
    let (connector, name) = connector?;
    let peer = peer(&stream, "tls");
    let stream = match tokio::time::timeout(CONNECT, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(match certificate::refused(&error, Some(tls)) {
                Some(words) => Exit::Halt(words),
                None => Exit::Retry(format!("{host}:{port} is not reached by TLS: {error}")),
            });
        }
        Err(_) => {
            return Err(Exit::Retry(format!(
                "{host}:{port} does not finish the TLS handshake within {} s",
                CONNECT.as_secs()
            )));
        }
    };
    let (reader, writer) = tokio::io::split(stream);
    Ok(Stream {
        reader: Box::new(reader),
        writer: Box::new(writer),
        peer,
    })
}
