//! Kamailio as a proxy that stays in the dialog: what a call passes on its way from an operator.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use crate::authority::Authority;

/// Longest a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running proxy; it ends with this.
pub struct Kamailio {
    child: Child,
    folder: PathBuf,
    /// Its port for UDP and TCP.
    pub plain: SocketAddr,
    /// Its port for TLS.
    pub secure: SocketAddr,
}

impl Kamailio {
    /// Starts one that sends every call to `next` (`127.0.0.1:5061;transport=tls`), with a certificate of the authority and
    /// all files in `folder`.
    ///
    /// # Errors
    /// It is missing, or does not listen; the end of its log is in the message.
    pub async fn start(folder: &Path, authority: &Authority, name: &str, next: &str) -> Result<Self> {
        authority.issue(name, "127.0.0.1")?;
        let (plain, secure) = free_ports()?;
        let own = folder.join(name);
        std::fs::create_dir_all(&own)?;
        let fill = |text: &str| {
            text.replace("FOLDER/tls.cfg", &own.join("tls.cfg").to_string_lossy())
                .replace("FOLDER", &folder.to_string_lossy())
                .replace("NAME", name)
                .replace("PLAIN", &plain.port().to_string())
                .replace("SECURE", &secure.port().to_string())
                .replace("NEXT", next)
        };
        std::fs::write(own.join("kamailio.cfg"), fill(include_str!("../peers/kamailio/kamailio.cfg")))?;
        std::fs::write(own.join("tls.cfg"), fill(include_str!("../peers/kamailio/tls.cfg")))?;
        let mut proxy = Self {
            child: spawn(&own)?,
            folder: own,
            plain,
            secure,
        };
        proxy.listens().await?;
        Ok(proxy)
    }

    /// Kills it where it stands, and starts it anew on the same ports: its connections are gone, and what it knew.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        self.child = spawn(&self.folder)?;
        self.listens().await
    }

    async fn listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.secure).await.is_err() {
            let ended = self.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "kamailio does not listen: {ended:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn kill(&mut self) {
        let group = i32::try_from(self.child.id()).unwrap_or_default();
        if group > 0 {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(own: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(own.join("log"))?;
    let mut command = Command::new("kamailio");
    command
        .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
        .arg(own.join("kamailio.cfg"));
    command.arg("-w").arg(own).arg("-Y").arg(own);
    // Its processes end together, even when the first one is killed.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    command.spawn().context("kamailio is missing: scripts/install-peers installs it")
}

/// Two ports, each free for UDP and TCP at this moment: Kamailio does not say which one the kernel chose.
fn free_ports() -> Result<(SocketAddr, SocketAddr)> {
    let one = std::net::TcpListener::bind("127.0.0.1:0")?;
    let two = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (plain, secure) = (one.local_addr()?, two.local_addr()?);
    std::net::UdpSocket::bind(plain).context("a port taken by UDP")?;
    Ok((plain, secure))
}
