//! Receivers of webhooks that verify with the public libraries: Python's and Node's, which nobody here wrote.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest it may take to start, or to take keys over.
const STARTING: Duration = Duration::from_secs(60);

/// In whose language it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `tests/peers/python/receiver.py`, which does what the path says.
    Python,
    /// `tests/peers/node/receiver.mjs`, which takes everything.
    Node,
}

/// A receiver; it ends with this.
pub struct Receiver {
    _child: Child,
    input: ChildStdin,
    /// On 127.0.0.1.
    pub port: u16,
    told: Arc<Mutex<Vec<Value>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    /// Starts one without TLS.
    ///
    /// # Errors
    /// It is missing, or does not listen.
    pub async fn start(language: Language) -> Result<Self> {
        Self::start_with(language, None).await
    }

    /// Starts the Python one, with TLS when it is given a certificate and its key.
    ///
    /// # Errors
    /// It is missing, or does not listen.
    pub async fn start_with(language: Language, certificate: Option<(PathBuf, PathBuf)>) -> Result<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let (folder, program, script) = match language {
            Language::Python => (peers.join("python"), peers.join("python/.venv/bin/python"), "receiver.py"),
            Language::Node => (peers.join("node"), PathBuf::from("node"), "receiver.mjs"),
        };
        let mut command = Command::new(program);
        command.arg(script);
        if let Some((certificate, key)) = certificate {
            command.args([certificate, key]);
        }
        command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().context("a peer is missing: scripts/install-peers installs it")?;
        let input = child.stdin.take().context("no stdin")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = timeout(STARTING, lines.next_line())
            .await
            .context("the receiver does not listen")??;
        let line = line.context("the receiver ended: scripts/install-peers installs what it needs")?;
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
            input,
            port: port.context("no port")?,
            told,
            count,
        })
    }

    /// Tells it which keys to try.
    ///
    /// # Errors
    /// It does not take them over.
    pub async fn keys(&mut self, keys: &[String]) -> Result<()> {
        let before = self.all().iter().filter(|told| told["keys"].is_u64()).count();
        self.input.write_all(format!("{}\n", json!(keys)).as_bytes()).await?;
        let taken = |told: &[Value]| told.iter().filter(|told| told["keys"].is_u64()).count() > before;
        self.wait(STARTING, &taken).await
    }

    /// What came to a path, in order.
    #[must_use]
    pub fn came(&self, path: &str) -> Vec<Value> {
        self.all().into_iter().filter(|told| told["path"] == path).collect()
    }

    /// Waits until what came to a path is as it should be, and returns it.
    ///
    /// # Errors
    /// When it is not in time; what came instead is in the message.
    pub async fn until(&self, path: &str, within: Duration, wanted: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let of_path = |told: &[Value]| {
            let came: Vec<Value> = told.iter().filter(|told| told["path"] == path).cloned().collect();
            wanted(&came)
        };
        self.wait(within, &of_path).await?;
        Ok(self.came(path))
    }

    async fn wait(&self, within: Duration, wanted: &dyn Fn(&[Value]) -> bool) -> Result<()> {
        let mut count = self.count.clone();
        let waiting = async {
            while !wanted(&self.all()) {
                if count.changed().await.is_err() {
                    bail!("the receiver ended");
                }
            }
            Ok(())
        };
        let outcome = timeout(within, waiting).await;
        ensure!(outcome.is_ok(), "this came, and something else was awaited: {:?}", self.all());
        outcome?
    }

    fn all(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
