//! An S3 server from a registry (moto), asked by hand; and what stands between it and the daemon to change bytes on their way.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Longest it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest it may take to start: it reads much, and several may start at once.
const STARTING: Duration = Duration::from_secs(120);
/// moto gives objects to nobody who does not sign, and believes every signature.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";

/// The server; it and what it keeps end with this.
pub struct S3 {
    child: Child,
    _held: ChildStdin,
    /// Where it listens.
    pub address: SocketAddr,
}

impl S3 {
    /// Starts one on a port that the kernel chooses, or on one where another was.
    ///
    /// # Errors
    /// It is missing, or does not listen.
    pub async fn start(port: Option<u16>) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/python");
        let python = folder.join(".venv/bin/python");
        ensure!(
            folder.join(".venv/bin/moto_server").is_file(),
            "moto is missing: scripts/install-peers installs it"
        );
        let mut command = Command::new(python);
        command
            .arg("s3.py")
            .args(port.map(|port| port.to_string()))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().context("Python is missing")?;
        let held = child.stdin.take().context("no stdin")?;
        let mut told = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = timeout(STARTING, told.next_line()).await.context("moto does not listen")??;
        let told: Value = serde_json::from_str(&line.context("moto ended")?)?;
        let port = told["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Ok(Self {
            child,
            _held: held,
            address: SocketAddr::from(([127, 0, 0, 1], port.context("no port")?)),
        })
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn make(&self, bucket: &str) -> Result<()> {
        let (status, body) = self.ask("PUT", &format!("/{bucket}")).await?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// The names of all objects of a bucket, in their order; of fewer than 1,000.
    ///
    /// # Errors
    /// When there is no bucket.
    pub async fn names(&self, bucket: &str) -> Result<Vec<String>> {
        let (status, body) = self.ask("GET", &format!("/{bucket}?list-type=2")).await?;
        let text = String::from_utf8(body)?;
        ensure!(status == 200, "{status}: {text}");
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// An object.
    ///
    /// # Errors
    /// When there is none.
    pub async fn object(&self, bucket: &str, name: &str) -> Result<Vec<u8>> {
        let (status, body) = self.ask("GET", &format!("/{bucket}/{name}")).await?;
        ensure!(status == 200, "{name}: {status}");
        Ok(body)
    }

    /// Ends it where it stands.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> Result<()> {
        self.child.start_kill()?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }

    async fn ask(&self, method: &str, target: &str) -> Result<(u16, Vec<u8>)> {
        let asking = async {
            let mut stream = TcpStream::connect(self.address).await?;
            // 1.0, so that the answer ends with the connection.
            let request = format!(
                "{method} {target} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\nAuthorization: {SIGNED}\r\n\r\n",
                self.address
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no header")?;
            let head = std::str::from_utf8(&answer[..end])?;
            let status = head.split(' ').nth(1).context("no status")?.parse()?;
            Ok((status, answer[end + 4..].to_vec()))
        };
        timeout(PATIENCE, asking).await.context("no answer")?
    }
}

/// Hands everything through, and, while it is told to, changes one octet of each object that is sent and whose name has this
/// ending.
pub struct Meddler {
    /// Where it listens.
    pub address: SocketAddr,
    meddles: Arc<AtomicBool>,
    changed: Arc<AtomicUsize>,
}

impl Meddler {
    /// Before a server; it changes octets from now on.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(server: SocketAddr, ending: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let meddler = Self {
            address: listener.local_addr()?,
            meddles: Arc::new(AtomicBool::new(true)),
            changed: Arc::default(),
        };
        let (meddles, changed) = (Arc::clone(&meddler.meddles), Arc::clone(&meddler.changed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(between(client, server, ending, Arc::clone(&meddles), Arc::clone(&changed)));
            }
        });
        Ok(meddler)
    }

    /// Changes nothing any more.
    pub fn relent(&self) {
        self.meddles.store(false, Ordering::SeqCst);
    }

    /// How many objects were changed.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.changed.load(Ordering::SeqCst)
    }
}

/// Puts TLS before a server: where that listens.
///
/// # Errors
/// When no port is free.
pub async fn behind_tls(server: SocketAddr, acceptor: TlsAcceptor) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (mut client, mut server) = (acceptor.accept(client).await?, TcpStream::connect(server).await?);
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(address)
}

async fn between(
    client: TcpStream,
    server: SocketAddr,
    ending: &'static str,
    meddles: Arc<AtomicBool>,
    changed: Arc<AtomicUsize>,
) -> Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut from_client = BufReader::new(from_client);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let begun = head.len();
            if from_client.read_line(&mut head).await? == 0 {
                return Ok(());
            }
            let line = head[begun..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        from_client.read_exact(&mut body).await?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        if head.starts_with("PUT ") && target.ends_with(ending) && meddles.load(Ordering::SeqCst) {
            body[length / 2] ^= 1;
            changed.fetch_add(1, Ordering::SeqCst);
        }
        to_server.write_all(head.as_bytes()).await?;
        to_server.write_all(&body).await?;
    }
}
