//! A SIP peer on a stream, plain or TLS: text out, messages in.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Dialog, Message, offer};

/// Longest a message may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection.
pub struct Stream<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// A peer on an open connection.
    pub const fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, message: &str) -> Result<()> {
        self.stream.write_all(message.as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Ends our side; the other may go on.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// The next message; `None` when the other side ends the connection before one.
    ///
    /// # Errors
    /// When none comes within 20 s, or what comes is none.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let mut buffer = [0; 4096];
            let length = match timeout(PATIENCE, self.stream.read(&mut buffer)).await.context("no message")? {
                // A reset, or TLS without a good-bye, is an end too.
                Ok(0) | Err(_) => return Ok(None),
                Ok(length) => length,
            };
            self.read.extend_from_slice(&buffer[..length]);
        }
    }

    /// The next final response to a method.
    ///
    /// # Errors
    /// As [`Stream::next`]; when the connection ends before.
    pub async fn response(&mut self, method: &str) -> Result<Message> {
        loop {
            let message = self
                .next()
                .await?
                .with_context(|| format!("the connection ended before the answer to {method}"))?;
            if message.status >= 200 && message.method() == method {
                return Ok(message);
            }
        }
    }

    fn take(&mut self) -> Result<Option<Message>> {
        let Some(head) = self.read.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let Some(message) = Message::parse(&self.read[..head + 4]) else {
            bail!("no message: {:?}", String::from_utf8_lossy(&self.read));
        };
        let length: usize = message.header("Content-Length").context("no Content-Length")?.parse()?;
        let whole = head + 4 + length;
        if self.read.len() < whole {
            return Ok(None);
        }
        let message = Message::parse(&self.read[..whole]);
        self.read.drain(..whole);
        Ok(message)
    }
}

/// What a caller on a stream says.
pub struct Caller {
    dialog: Dialog,
    transport: &'static str,
    contact: String,
    rtp: SocketAddr,
    number: u32,
}

impl Caller {
    /// A caller at `local` who calls `target`, a URI, over `TCP` or `TLS`, can be reached at `contact`, and wants sound at
    /// `rtp`.
    #[must_use]
    pub fn new(transport: &'static str, local: SocketAddr, target: &str, contact: &str, rtp: SocketAddr) -> Self {
        Self {
            dialog: Dialog {
                local,
                call_id: format!("s{}@{local}", super::CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                from: format!("<sip:0145000009@{local}>;tag=s1"),
                to: format!("<{target}>"),
                target: target.to_owned(),
            },
            transport,
            contact: contact.to_owned(),
            rtp,
            number: 0,
        }
    }

    /// An INVITE with an offer.
    #[must_use]
    pub fn invite(&mut self) -> String {
        let sdp = offer(self.rtp, 8);
        self.request("INVITE", &["Content-Type: application/sdp".to_owned()], &sdp)
    }

    /// Any other request; an ACK has the number of the request before.
    #[must_use]
    pub fn say(&mut self, method: &str) -> String {
        self.request(method, &[], "")
    }

    fn request(&mut self, method: &str, headers: &[String], body: &str) -> String {
        self.number += u32::from(method != "ACK");
        let branch = format!("z9hG4bK-{method}{}-{}", self.number, self.dialog.local.port());
        let text = self.dialog.request(method, self.number, &branch, headers, body);
        let local = self.dialog.local;
        text.replace("SIP/2.0/UDP", &format!("SIP/2.0/{}", self.transport)).replace(
            &format!("Contact: <sip:0145000009@{local}>"),
            &format!("Contact: <{}>", self.contact),
        )
    }

    /// Takes tag and target out of a 2xx.
    ///
    /// # Errors
    /// When it is none.
    pub fn answered(&mut self, response: &Message) -> Result<()> {
        ensure!((200..300).contains(&response.status), "{}", response.start);
        response.header("To").context("no To")?.clone_into(&mut self.dialog.to);
        let contact = response.header("Contact").context("no Contact")?;
        contact
            .split(['<', '>'])
            .nth(1)
            .unwrap_or(contact)
            .clone_into(&mut self.dialog.target);
        Ok(())
    }
}
