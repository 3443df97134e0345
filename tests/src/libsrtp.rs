//! libsrtp, the implementation that most telephones have, as a process that seals and opens packets.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The running process; it ends with this.
pub struct Libsrtp {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Libsrtp {
    /// Starts it.
    ///
    /// # Errors
    /// When Python or its package is missing.
    pub fn start() -> Result<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/python");
        let python = folder.join(".venv/bin/python");
        let mut command = Command::new(&python);
        command.arg(folder.join("libsrtp.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{}: scripts/install-peers installs it", python.display()))?;
        let orders = child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self {
            _child: child,
            orders,
            answers,
        })
    }

    /// A session of this name for what comes `in` or goes `out`, under a suite of `a=crypto` and its key and salt.
    ///
    /// # Errors
    /// When libsrtp does not take them.
    pub async fn open(&mut self, name: &str, suite: &str, way: &str, key: &[u8]) -> Result<()> {
        self.ask(&format!("open {name} {suite} {way} {}", hex(key))).await.map(|_| ())
    }

    /// What becomes of a packet by `protect`, `unprotect`, `protect_rtcp` or `unprotect_rtcp`.
    ///
    /// # Errors
    /// What libsrtp says when it refuses it.
    pub async fn packet(&mut self, name: &str, verb: &str, packet: &[u8]) -> Result<Vec<u8>> {
        let answer = self.ask(&format!("{name} {verb} {}", hex(packet))).await?;
        let digits = answer.as_bytes().as_chunks::<2>().0;
        digits
            .iter()
            .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
            .collect()
    }

    async fn ask(&mut self, order: &str) -> Result<String> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let answer = self.answers.next_line().await?;
        let answer = answer.context("libsrtp has ended: scripts/install-peers installs its Python package")?;
        match answer.strip_prefix("! ") {
            Some(error) => bail!("libsrtp: {error}"),
            None => Ok(answer),
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
