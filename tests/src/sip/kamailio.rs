//! Debian's Kamailio as a town's PBX: a registrar that wants digest, keeps its bindings in memory, and passes calls on to
//! them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Longest it may take to start, or to know somebody.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Kamailio with all its processes; it ends with this.
pub struct Kamailio {
    child: Child,
    folder: TempDir,
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts one whose realm is `pbx`; every name has the same password. `algorithm` is `MD5` or `SHA-256`.
    ///
    /// # Errors
    /// When it is missing or does not answer; its own words are in the message.
    pub async fn start(password: &str, algorithm: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kamailio-").tempdir()?;
        // It takes no port 0: the kernel chooses one, and it is free again a moment later.
        let address = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
        let text = include_str!("../../peers/kamailio/registrar.cfg")
            .replace("ADDRESS", &address.to_string())
            .replace("FOLDER", &folder.path().to_string_lossy())
            .replace("PASSWORD", password)
            .replace("ALGORITHM", algorithm);
        let config = folder.path().join("kamailio.cfg");
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new("kamailio")
            .arg("-f")
            .arg(&config)
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-n", "2", "-N", "1", "-Y"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Its workers are in the group, and end with it.
            .process_group(0)
            .spawn()
            .context("kamailio is missing: scripts/install-peers installs it")?;
        let kamailio = Self { child, folder, address };
        let deadline = Instant::now() + PATIENCE;
        while kamailio.command(&["core.uptime"]).await.is_err() {
            ensure!(Instant::now() < deadline, "kamailio does not start:\n{}", kamailio.log());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(kamailio)
    }

    /// Its table of who is registered where, as `kamcmd ul.dump` prints it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn bindings(&self) -> Result<String> {
        self.command(&["ul.dump"]).await
    }

    /// Waits until its table is as it should be.
    ///
    /// # Errors
    /// When it is not within 30 s; the table and its log are in the message.
    pub async fn until(&self, right: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let table = self.bindings().await?;
            if right(&table) {
                return Ok(table);
            }
            ensure!(Instant::now() < deadline, "its table is {table}\n{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it says.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    async fn command(&self, words: &[&str]) -> Result<String> {
        let socket = format!("unix:{}", self.folder.path().join("ctl").display());
        let mut command = Command::new("kamcmd");
        let said = command.args(["-s", &socket]).args(words).kill_on_drop(true).output().await;
        let said = said.context("kamcmd is missing: scripts/install-peers installs it")?;
        ensure!(said.status.success(), "kamcmd: {}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(-id), Signal::SIGKILL);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
