//! A peer that runs on Node: told what to do by lines of JSON, telling what it sees by lines of JSON.

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

/// The process; it ends with this.
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
        command
            .arg(script)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().context("node is missing")?;
        let orders = child.stdin.take().context("no stdin")?;
        let told = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut node = Self {
            _child: child,
            orders,
            told,
        };
        let listening = node.until("listening").await?;
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
        loop {
            let line = timeout(PATIENCE, self.told.next_line())
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
