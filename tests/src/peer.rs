//! A peer that runs on Node or Python: told what to do by lines of JSON, telling what it sees by lines of JSON.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longest it may take to do something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest it may take to start: some bring servers of their own.
const STARTING: Duration = Duration::from_secs(120);

/// The process; it ends with this, or when its standard input does: one on Python has children of its own to end.
pub struct Node {
    _child: Child,
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts a script of `tests/peers/node`, which needs a package, and waits until it listens: what it says then.
    ///
    /// # Errors
    /// Node or the package is missing, or it does not listen.
    pub async fn start(script: &str, package: &str) -> Result<(Self, Value)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/node");
        ensure!(
            folder.join("node_modules").join(package).is_dir(),
            "{package} is missing: scripts/install-peers installs it"
        );
        let mut command = Command::new("node");
        command.arg(script).current_dir(folder).kill_on_drop(true);
        Self::spawn(command).await
    }

    /// Starts a script of `tests/peers/smpp` on Python, with its arguments, and waits until it listens: what it says then.
    ///
    /// # Errors
    /// Python or a package is missing, or it does not listen.
    pub async fn python(script: &str, arguments: &[&str]) -> Result<(Self, Value)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/smpp");
        let python = folder.join(".venv/bin/python");
        ensure!(
            python.exists(),
            "{} is missing: scripts/install-peers installs it",
            python.display()
        );
        let mut command = Command::new(python);
        command.arg(script).args(arguments).current_dir(folder);
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Result<(Self, Value)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let orders = child.stdin.take().context("no stdin")?;
        let told = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut node = Self {
            _child: child,
            orders,
            told,
        };
        let listening = node.within(STARTING, "listening").await?;
        Ok((node, listening))
    }

    /// Tells it to do something, and waits for an event.
    ///
    /// # Errors
    /// It ends, fails, or takes too long.
    pub async fn order(&mut self, order: &Value, event: &str) -> Result<Value> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        self.until(event).await
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// It ends, fails, or takes too long.
    pub async fn until(&mut self, event: &str) -> Result<Value> {
        self.within(PATIENCE, event).await
    }

    async fn within(&mut self, patience: Duration, event: &str) -> Result<Value> {
        loop {
            let line = timeout(patience, self.told.next_line())
                .await
                .with_context(|| format!("no {event}"))??;
            let told: Value = serde_json::from_str(&line.context("the peer ended")?)?;
            if told["event"] == event {
                return Ok(told);
            }
            ensure!(told["event"] != "error", "{told}");
        }
    }
}
