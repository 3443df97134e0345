//! A reader of server-sent events in bytes: HTTP/1.1 with chunks (RFC 9112 §7.1), and the stream's lines (WHATWG HTML §9.2).

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Largest head of an answer that is read.
const HEAD: usize = 16 * 1024;

/// An open stream.
#[derive(Debug)]
pub struct Sse {
    stream: TcpStream,
    /// As it came.
    raw: Vec<u8>,
    /// Without the chunks' frames.
    text: Vec<u8>,
    /// The id that the stream gave last, with an event or without.
    pub last: Option<String>,
    /// Comments and ids without an event.
    pub beats: usize,
}

impl Sse {
    /// Asks for a stream.
    ///
    /// # Errors
    /// When it does not begin with a 200; the answer's first line is in the message.
    pub async fn open(address: SocketAddr, key: &str, target: &str, last: Option<&str>) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        let resumed = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n{resumed}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            ensure!(raw.len() < HEAD, "a head that does not end");
            ensure!(stream.read_buf(&mut raw).await? > 0, "the answer broke off");
        };
        let head = String::from_utf8_lossy(&raw[..end]).to_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            bail!("{}", head.lines().next().unwrap_or_default());
        }
        ensure!(head.contains("transfer-encoding: chunked"), "it is not chunked: {head}");
        ensure!(head.contains("content-type: text/event-stream"), "it is no stream: {head}");
        raw.drain(..end + 4);
        Ok(Self {
            stream,
            raw,
            text: Vec::new(),
            last: last.map(str::to_owned),
            beats: 0,
        })
    }

    /// The next event's data; `None` when the stream has ended.
    ///
    /// # Errors
    /// When it breaks off, or what comes is no stream of ours.
    pub async fn event(&mut self) -> Result<Option<Value>> {
        loop {
            match self.frame().await? {
                Some(None) => {}
                Some(Some(data)) => return Ok(Some(data)),
                None => return Ok(None),
            }
        }
    }

    /// The data of the next frame, if it has any; `None` when the stream has ended.
    ///
    /// # Errors
    /// As [`Sse::event`].
    pub async fn frame(&mut self) -> Result<Option<Option<Value>>> {
        loop {
            if let Some(end) = self.text.windows(2).position(|window| window == b"\n\n") {
                let frame = String::from_utf8(self.text.drain(..end + 2).collect())?;
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = field("id: ") {
                    self.last = Some(id.to_owned());
                }
                let data = field("data: ").map(serde_json::from_str).transpose()?;
                self.beats += usize::from(data.is_none() && field("id: ").is_some());
                return Ok(Some(data));
            }
            if !self.chunk()? && self.stream.read_buf(&mut self.raw).await? == 0 {
                bail!("the connection broke");
            }
            if self.raw.starts_with(b"0\r\n") {
                return Ok(None);
            }
        }
    }

    /// Takes the frame off a chunk, if a whole one is there.
    fn chunk(&mut self) -> Result<bool> {
        let Some(end) = self.raw.windows(2).position(|window| window == b"\r\n") else {
            return Ok(false);
        };
        let size = std::str::from_utf8(&self.raw[..end])?;
        let size = usize::from_str_radix(size.trim(), 16).with_context(|| format!("a chunk of {size:?} octets"))?;
        if size == 0 || self.raw.len() < end + 2 + size + 2 {
            return Ok(false);
        }
        self.text.extend_from_slice(&self.raw[end + 2..end + 2 + size]);
        self.raw.drain(..end + 2 + size + 2);
        Ok(true)
    }
}
