//! Kannel (bearerbox and smsbox), an SMS gateway from a distribution, bound to an SMSC of ours, with what it is asked and
//! what it tells over HTTP.

mod sink;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

pub use sink::{Keeping, Sink, Taken};

use crate::scratch::cpu_of;

/// Longest it may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The two processes; they end with this.
pub struct Kannel {
    boxes: Vec<Child>,
    sendsms: u16,
    _folder: TempDir,
}

impl Kannel {
    /// Starts it with its file store, bound as a transceiver (`voxea`, `secret`) to an SMSC with a window of texts of its
    /// own; each text that comes in is told to the sink.
    ///
    /// # Errors
    /// When it is missing, or does not listen; the end of its logs is in the message.
    pub async fn start(smsc: SocketAddr, sink: SocketAddr, window: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("voxea-kannel").tempdir()?;
        let [admin, boxes, sendsms] = [free()?, free()?, free()?];
        let config = config(folder.path(), [admin, boxes, sendsms], smsc, sink, window);
        let file = folder.path().join("kannel.conf");
        std::fs::write(&file, config)?;
        let mut kannel = Self {
            boxes: Vec::new(),
            sendsms,
            _folder: folder,
        };
        for (program, port) in [("bearerbox", boxes), ("smsbox", sendsms)] {
            let child = Command::new(program)
                .args(["-v", "4"])
                .arg(&file)
                .current_dir(kannel._folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("{program} is missing: scripts/install-peers installs it"))?;
            kannel.boxes.push(child);
            let deadline = Instant::now() + PATIENCE;
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                ensure!(Instant::now() < deadline, "{program} does not listen:\n{}", kannel.log());
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(kannel)
    }

    /// CPU time that both have used, of theirs and of the kernel for them.
    ///
    /// # Errors
    /// When one has ended.
    pub fn cpu(&self) -> Result<Duration> {
        self.boxes.iter().map(|child| cpu_of(child.id().context("Kannel has ended")?)).sum()
    }

    /// A client of its `sendsms`.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client {
            port: self.sendsms,
            stream: None,
        }
    }

    /// What its boxes wrote last.
    #[must_use]
    pub fn log(&self) -> String {
        let mut all = String::new();
        for name in ["bearerbox.log", "smsbox.log"] {
            let log = std::fs::read_to_string(self._folder.path().join(name)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let _ = writeln!(all, "{name}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        all
    }
}

/// One kept connection to `sendsms`.
pub struct Client {
    port: u16,
    stream: Option<TcpStream>,
}

impl Client {
    /// Hands a text over; the status of the answer, 202 when it was taken. Kannel cuts long texts itself; `coding` is its
    /// own, 0 for GSM 7-bit and 2 for UCS-2.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&mut self, from: &str, to: &str, text: &str, coding: u8) -> Result<u16> {
        let target = format!(
            "/cgi-bin/sendsms?username=voxea&password=secret&from={from}&to={to}&coding={coding}&charset=UTF-8&text={}",
            escaped(text)
        );
        timeout(PATIENCE, self.get(&target)).await.context("sendsms does not answer")?
    }

    async fn get(&mut self, target: &str) -> Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(("127.0.0.1", self.port)).await?,
        };
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            ensure!(stream.read_buf(&mut answer).await? > 0, "sendsms closed the connection");
            if let Some((status, _)) = sink::whole(&answer) {
                self.stream = Some(stream);
                return status.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status");
            }
        }
    }
}

/// Percent-encoded (RFC 3986 §2.1).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A port that is free now; should somebody take it meanwhile, Kannel does not come up.
fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn config(folder: &std::path::Path, ports: [u16; 3], smsc: SocketAddr, sink: SocketAddr, window: usize) -> String {
    let folder = folder.display();
    let [admin, boxes, sendsms] = ports;
    let (host, port) = (smsc.ip(), smsc.port());
    format!(
        "group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = secret
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = \"127.0.0.1\"
box-deny-ip = \"*.*.*.*\"
log-file = \"{folder}/bearerbox.log\"
log-level = 1
store-type = file
store-location = \"{folder}/kannel.store\"
dlr-storage = internal
sms-combine-concatenated-mo = true

group = smsc
smsc = smpp
smsc-id = smsc
host = {host}
port = {port}
transceiver-mode = true
smsc-username = voxea
smsc-password = secret
system-type = \"VMA\"
address-range = \"\"
max-pending-submits = {window}
enquire-link-interval = 30
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = \"{folder}/smsbox.log\"
log-level = 1
mo-recode = true

group = sendsms-user
username = voxea
password = secret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = \"http://{sink}/mo?from=%p&to=%P&coding=%c&text=%a\"
"
    )
}
