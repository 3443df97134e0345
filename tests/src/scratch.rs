//! A throw-away installation: the real daemon on a temporary folder, with a key, and what can be asked of it.
//!
//! Everything is on ports that the kernel chose, and everything is gone when this is dropped.

mod rest;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

pub use rest::{Answered, Rest};

/// Log lines that are kept.
const LOG_LINES: usize = 20_000;
/// Longest a start or stop may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration, not yet running.
pub struct Scratch {
    folder: TempDir,
    binary: PathBuf,
    /// An API key with all scopes.
    pub key: String,
    /// Variables that the daemon is started with: a mutant, a failpoint, a louder log.
    pub environment: Vec<(String, String)>,
    /// The core that every command is held to; all of them when there is none.
    pub core: Option<usize>,
}

/// The daemon, running in a [`Scratch`]; killed when dropped.
pub struct Running {
    child: Child,
    /// Where the API listens.
    pub api: SocketAddr,
    log: Arc<Mutex<VecDeque<String>>>,
    key: String,
}

impl Scratch {
    /// Lays out a folder: `channels` is what stands in the configuration below organisation, store and API; `store`
    /// the database's URL, a relative SQLite one for instance. Migrates the database and makes a key.
    ///
    /// # Errors
    /// When the binary is missing, or refuses the configuration: its words are in the message.
    pub async fn new(binary: &Path, store: &str, channels: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("voxea-").tempdir()?;
        let config = format!(
            "[organisation]\nname = \"Mairie de Saint-Exemple\"\n\n[store]\nurl = \"{store}\"\nblobs = \"blobs\"\n\n\
             [api]\nlisten = \"127.0.0.1:0\"\n\n{channels}"
        );
        std::fs::write(folder.path().join("voxea.toml"), config)?;
        let mut scratch = Self {
            folder,
            binary: binary.to_owned(),
            key: String::new(),
            environment: Vec::new(),
            core: None,
        };
        let made = scratch
            .command(&["key", "new", "--name", "peers", "--scope", "admin"])
            .output()
            .await;
        let made = made.with_context(|| format!("running {}", binary.display()))?;
        let words = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "voxea key new: {words}");
        scratch.key = String::from_utf8(made.stdout)?.trim().to_owned();
        Ok(scratch)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs another command of the binary in the folder; what it says on stdout.
    ///
    /// # Errors
    /// What it says on stderr, when it fails.
    pub async fn say(&self, arguments: &[&str]) -> Result<String> {
        let said = self.command(arguments).output().await?;
        let words = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "voxea {}: {words}", arguments.join(" "));
        Ok(String::from_utf8(said.stdout)?)
    }

    /// Encrypts what comes in: a new master key, the current one from the next start on, above those that are there.
    ///
    /// # Errors
    /// When the binary makes none, or the folder takes no files.
    pub async fn new_master_key(&self) -> Result<()> {
        let (keys, config) = (self.path().join("master.key"), self.path().join("voxea.toml"));
        let line = self.say(&["vault", "new-key"]).await?;
        let older = std::fs::read_to_string(&keys).unwrap_or_default();
        std::fs::write(&keys, line + &older)?;
        std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600))?;
        let text = std::fs::read_to_string(&config)?;
        if !text.contains("master_key_file") {
            std::fs::write(
                &config,
                text.replacen("[store]\n", "[store]\nmaster_key_file = \"master.key\"\n", 1),
            )?;
        }
        Ok(())
    }

    /// Starts the daemon and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready within 30 s; the end of its log is in the message.
    pub async fn run(&self) -> Result<Running> {
        let mut command = self.command(&["run"]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A Ctrl-C at the terminal is for us; we stop the daemon ourselves, after the last question to it.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {}", self.binary.display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, mut address) = watch::channel(None);
        tokio::spawn(follow(stderr, Arc::clone(&log), sender));
        let key = self.key.clone();
        let listening = timeout(PATIENCE, address.wait_for(Option::is_some)).await;
        let found = listening.ok().and_then(Result::ok).and_then(|found| *found);
        let tail = || lock(&log).iter().cloned().collect::<Vec<_>>().join("\n");
        let Some(api) = found else {
            bail!("the daemon did not listen:\n{}", tail());
        };
        let mut running = Running {
            child,
            api,
            log: Arc::clone(&log),
            key,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = running.rest().call("GET", "/readyz", None).await;
            if answered.is_ok_and(|answered| answered.status == 200) {
                return Ok(running);
            }
            let ended = running.child.try_wait()?;
            ensure!(ended.is_none(), "the daemon has ended before it was ready:\n{}", tail());
            ensure!(Instant::now() < deadline, "the daemon is not ready:\n{}", tail());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A command of the binary with this folder's configuration, not run yet.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.core {
            None => Command::new(&self.binary),
            // From its first thread on, so that it makes as many as it has cores.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(&self.binary);
                command
            }
        };
        command.args(arguments).arg("--config").arg(self.folder.path().join("voxea.toml"));
        command.env_remove("VOXEA_LOG");
        command
    }
}

impl Running {
    /// A client of the API, with the key.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::new(self.api, &self.key)
    }

    /// The first trunk of the telephone as operators see it, once it is as it should be.
    ///
    /// # Errors
    /// When it is not within 30 s; what is shown instead is in the message.
    pub async fn trunk(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let find = |shown: &Value| {
            let items = shown["items"].as_array().into_iter().flatten();
            let sip = items.clone().find(|item| item["kind"] == "sip").cloned();
            sip.map(|sip| sip["trunks"][0].clone()).unwrap_or_default()
        };
        let shown = self.rest().until("/v1/channels", PATIENCE, |shown| wanted(&find(shown))).await?;
        Ok(find(&shown))
    }

    /// Waits until a channel account is up; its addresses as `/v1/channels` shows them.
    ///
    /// # Errors
    /// When it is not up within 30 s; what it says of itself is in the message.
    pub async fn up(&self, kind: &str) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = self.rest();
        loop {
            let channels = rest.get("/v1/channels").await?;
            let found = channels["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|channel| channel["kind"] == kind);
            if let Some(channel) = found.filter(|channel| channel["state"] == "up") {
                let addresses = channel["addresses"].as_array().into_iter().flatten();
                return Ok(addresses.filter_map(Value::as_str).map(str::to_owned).collect());
            }
            ensure!(Instant::now() < deadline, "{kind} is not up: {found:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address of the SIP channel's UDP socket.
    ///
    /// # Errors
    /// As [`Running::up`].
    pub async fn sip(&self) -> Result<SocketAddr> {
        let addresses = self.up("sip").await?;
        let udp = addresses.iter().find_map(|address| address.strip_prefix("udp:"));
        Ok(udp.context("no UDP address")?.parse()?)
    }

    /// Memory in use, in bytes (VmRSS).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory(&self) -> Result<u64> {
        memory_of(self.id()?, "VmRSS:")
    }

    /// The most memory that has been in use, in bytes (VmHWM).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn peak(&self) -> Result<u64> {
        memory_of(self.id()?, "VmHWM:")
    }

    /// CPU time used so far, of the process and its kernel side.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.id()?)
    }

    /// Stops it as an operator would, with SIGTERM.
    ///
    /// # Errors
    /// When it does not end within 30 s, or not with 0.
    pub async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.id()?)?), Signal::SIGTERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the daemon does not stop")??;
        ensure!(status.success(), "the daemon ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// Kills it where it stands, with SIGKILL.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> Result<()> {
        // One that has died of itself, at a failpoint, is as dead.
        let _ = self.child.start_kill();
        timeout(PATIENCE, self.child.wait()).await.context("the daemon does not die")??;
        Ok(())
    }

    /// Waits until it has died of itself, at a failpoint.
    ///
    /// # Errors
    /// When it lives on.
    pub async fn died(&mut self) -> Result<()> {
        timeout(PATIENCE, self.child.wait()).await.context("the daemon does not die")??;
        Ok(())
    }

    /// The process, for /proc.
    ///
    /// # Errors
    /// When it has ended.
    pub fn process(&self) -> Result<u32> {
        self.id()
    }

    /// A line of the log that has all of this in it, once it is there.
    ///
    /// # Errors
    /// When there is none within 30 s.
    pub async fn logged(&self, marks: &[&str]) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| marks.iter().all(|mark| line.contains(mark))) {
                return Ok(line.to_owned());
            }
            ensure!(Instant::now() < deadline, "no line with {marks:?} in the log");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        lock(&self.log).iter().cloned().collect::<Vec<_>>().join("\n")
    }

    fn id(&self) -> Result<u32> {
        self.child.id().context("the daemon has ended")
    }
}

/// Memory of a process in bytes: `VmRSS:` what it has, `VmHWM:` the most that it has had.
///
/// # Errors
/// When there is no such process.
pub fn memory_of(id: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// CPU time that a process has used, its own and the kernel's for it.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses may hold anything; fields count from behind it. utime and stime are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

/// The binary to try: `VOXEA_BIN`, else the one beside the running program.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    let given = std::env::var_os("VOXEA_BIN").map(PathBuf::from);
    // A test stands one folder below the programs.
    let here = std::env::current_exe()?;
    let beside = || {
        here.ancestors()
            .skip(1)
            .take(2)
            .map(|folder| folder.join("voxea"))
            .find(|file| file.is_file())
    };
    let binary = given.or_else(beside).context("voxea is not built: cargo build -p voxea-gateway")?;
    ensure!(
        binary.is_file(),
        "{} is not there: cargo build --release -p voxea-gateway",
        binary.display()
    );
    Ok(binary)
}

/// Keeps the end of the log, and finds the API's address in it.
async fn follow<R: AsyncRead + Unpin>(stderr: R, log: Arc<Mutex<VecDeque<String>>>, address: watch::Sender<Option<SocketAddr>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["message"] == "api listening" {
            let found = entry["address"].as_str().and_then(|address| address.parse().ok());
            address.send_replace(found);
        }
        let mut log = lock(&log);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
