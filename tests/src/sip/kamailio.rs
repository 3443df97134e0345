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
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::authority::Authority;

/// Longest it may take to start, or to know somebody.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Kamailio with all its processes; it ends with this.
pub struct Kamailio {
    child: Child,
    folder: TempDir,
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
    /// Where it listens with TLS, when it does.
    pub secure: SocketAddr,
}

impl Kamailio {
    /// Starts one whose realm is `pbx`; every name has the same password. `algorithm` is `MD5` or `SHA-256`.
    ///
    /// # Errors
    /// When it is missing or does not answer; its own words are in the message.
    pub async fn start(password: &str, algorithm: &str) -> Result<Self> {
        Self::begin(password, algorithm, None).await
    }

    /// The same with TLS besides: it shows a certificate of the authority, and wants one of it from everybody.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub async fn start_tls(password: &str, algorithm: &str, authority: &Authority, certificate: &str) -> Result<Self> {
        let files = ["pem", "key"].map(|end| authority.file(certificate, end));
        let [chain, key] = files.map(|path| path.to_string_lossy().into_owned());
        let text = include_str!("../../peers/kamailio/tls.cfg")
            .replace("FOLDER/NAME.pem", &chain)
            .replace("FOLDER/NAME.key", &key)
            .replace("FOLDER/ca.pem", &authority.file("ca", "pem").to_string_lossy());
        Self::begin(password, algorithm, Some(text)).await
    }

    async fn begin(password: &str, algorithm: &str, tls: Option<String>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kamailio-").tempdir()?;
        // It takes no port 0: the kernel chooses one, and it is free again a moment later.
        let address = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
        let secure = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let mut text = include_str!("../../peers/kamailio/registrar.cfg").to_owned();
        if let Some(tls) = tls {
            std::fs::write(folder.path().join("tls.cfg"), tls)?;
            text = text.replace("#TLS ", "").replace("SECURE", &secure.to_string());
        }
        let text = text
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
        let kamailio = Self {
            child,
            folder,
            address,
            secure,
        };
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
