//! A mail server that nobody here wrote (aiosmtpd), which reads what it takes with Python's `email` package.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest it may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// The server; it ends with this. What it does with a mail, its recipient says: see `tests/peers/python/sink.py`.
pub struct PythonSink {
    _child: Child,
    _held: ChildStdin,
    /// Where it listens.
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Value>>>,
    count: watch::Receiver<usize>,
}

impl PythonSink {
    /// Starts one; `utf8`: whether it offers SMTPUTF8 (RFC 6531).
    ///
    /// # Errors
    /// It is missing, or does not listen.
    pub async fn start(utf8: bool) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/python");
        let mut command = Command::new(folder.join(".venv/bin/python"));
        command
            .arg("sink.py")
            .args((!utf8).then_some("ascii"))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().context("Python is missing: scripts/install-peers installs it")?;
        let held = child.stdin.take().context("no stdin")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = timeout(STARTING, lines.next_line()).await.context("aiosmtpd does not listen")??;
        let line = line.context("aiosmtpd ended: scripts/install-peers installs it")?;
        let listening: Value = serde_json::from_str(&line)?;
        let port = listening["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let told = Arc::<Mutex<Vec<Value>>>::default();
        let (changed, count) = watch::channel(0);
        let ledger = told.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(event) = serde_json::from_str(&line) else { continue };
                let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.push(event);
                changed.send_replace(ledger.len());
            }
        });
        Ok(Self {
            _child: child,
            _held: held,
            address: SocketAddr::from(([127, 0, 0, 1], port.context("no port")?)),
            told,
            count,
        })
    }

    /// What it said so far of recipients and mails, in order.
    #[must_use]
    pub fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mails to an address, whose data came whole.
    #[must_use]
    pub fn mails(&self, to: &str) -> Vec<Value> {
        let mails = self
            .told()
            .into_iter()
            .filter(|event| event["event"] == "mail" && event["rcpt"][0] == to);
        mails.collect()
    }

    /// How often an address was named as a recipient.
    #[must_use]
    pub fn tries(&self, to: &str) -> usize {
        let told = self.told();
        told.iter()
            .filter(|event| event["event"] == "recipient" && event["to"] == to)
            .count()
    }

    /// Waits until so many mails to an address came, and returns all of them.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait(&self, to: &str, count: usize, within: Duration) -> Result<Vec<Value>> {
        let mut seen = self.count.clone();
        let waited = timeout(within, seen.wait_for(|_| self.mails(to).len() >= count)).await;
        ensure!(
            waited.is_ok(),
            "{} of {count} mails to {to} came within {within:?}",
            self.mails(to).len()
        );
        Ok(self.mails(to))
    }
}

/// A header field as Python read it, the first of its name.
#[must_use]
pub fn field<'a>(mail: &'a Value, name: &str) -> Option<&'a str> {
    let fields = mail["fields"].as_array()?;
    let found = fields
        .iter()
        .find(|field| field[0].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name)))?;
    found[1].as_str()
}
