//! Questions to the REST API, in bytes over one kept connection (RFC 9112).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest body that is read.
const BODY: usize = 64 * 1024 * 1024;

/// A client with a key.
pub struct Rest {
    address: SocketAddr,
    key: String,
    local: Option<IpAddr>,
    stream: Option<BufReader<TcpStream>>,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// Header lines, as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("a body that is not JSON")
    }
}

impl Rest {
    /// A client; it connects with the first question.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self {
            address,
            key: key.to_owned(),
            local: None,
            stream: None,
        }
    }

    /// What it proves itself with.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whom it asks.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same from another address of this machine; all of 127.0.0.0/8 are.
    #[must_use]
    pub const fn from(mut self, local: IpAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Asks and reads the whole answer; a body is sent as JSON.
    ///
    /// # Errors
    /// When there is no answer, whatever its status.
    pub async fn call(&mut self, method: &str, target: &str, body: Option<&Value>) -> Result<Answered> {
        self.call_with(method, target, &[], body).await
    }

    /// The same, with further header lines.
    ///
    /// # Errors
    /// When there is no answer, whatever its status.
    pub async fn call_with(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Answered> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let body = (!body.is_empty()).then_some(("application/json", body.as_str()));
        self.send(method, target, headers, body).await
    }

    /// The same, with a body of any type: its media type and its text.
    ///
    /// # Errors
    /// When there is no answer, whatever its status.
    pub async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<(&str, &str)>) -> Result<Answered> {
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n",
            self.address, self.key
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if let Some((media_type, body)) = body {
            request += &format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        } else {
            request += "\r\n";
        }
        timeout(PATIENCE, self.exchange(&request))
            .await
            .with_context(|| format!("{method} {target}"))?
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// When the answer is not a 200 with JSON.
    pub async fn get(&mut self, target: &str) -> Result<Value> {
        let answered = self.call("GET", target, None).await?;
        ensure!(
            answered.status == 200,
            "GET {target}: {}: {}",
            answered.status,
            String::from_utf8_lossy(&answered.body)
        );
        answered.json()
    }

    /// Brings a contact in as a person at the counter would, under this Idempotency-Key; the id that the answer has.
    ///
    /// # Errors
    /// When it was not brought in.
    pub async fn visit(&mut self, key: &str) -> Result<String> {
        let body = json!({"from": "0612345678", "text": "Bonjour"});
        let headers = [("Idempotency-Key", key)];
        let answered = self.call_with("POST", "/v1/intake/counter", &headers, Some(&body)).await?;
        ensure!(
            answered.status == 201,
            "{}: {}",
            answered.status,
            String::from_utf8_lossy(&answered.body)
        );
        Ok(answered.json()?["id"].as_str().context("no id")?.to_owned())
    }

    /// GETs JSON again until it is as wanted.
    ///
    /// # Errors
    /// When it is not within the time; the last answer is in the message.
    pub async fn until(&mut self, target: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let answered = self.get(target).await?;
            if wanted(&answered) {
                return Ok(answered);
            }
            ensure!(Instant::now() < deadline, "{target} after {within:?}: {answered}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn exchange(&mut self, request: &str) -> Result<Answered> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = match self.local {
                    None => TcpStream::connect(self.address).await?,
                    Some(local) => {
                        let socket = TcpSocket::new_v4()?;
                        socket.bind(SocketAddr::new(local, 0))?;
                        socket.connect(self.address).await?
                    }
                };
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        stream.get_mut().write_all(request.as_bytes()).await?;
        let start = line(&mut stream).await?;
        let status = start
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("no status line")?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut stream).await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answered = Answered {
            status,
            headers,
            body: Vec::new(),
        };
        if answered.header("Transfer-Encoding").is_some() {
            chunks(&mut stream, &mut answered.body).await?;
        } else {
            let length = answered.header("Content-Length").unwrap_or("0").parse()?;
            extend(&mut stream, &mut answered.body, length).await?;
        }
        if answered
            .header("Connection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("close"))
        {
            self.stream = Some(stream);
        }
        Ok(answered)
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        bail!("the server closed the connection");
    }
    Ok(line.trim_end().to_owned())
}

async fn extend(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>, length: usize) -> Result<()> {
    let start = body.len();
    ensure!(start + length <= BODY, "a body of more than {BODY} octets");
    body.resize(start + length, 0);
    stream.read_exact(&mut body[start..]).await?;
    Ok(())
}

/// RFC 9112 §7.1, without trailers.
async fn chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let size = line(stream).await?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
        extend(stream, body, size).await?;
        line(stream).await?;
        if size == 0 {
            return Ok(());
        }
    }
}
