//! What the same calls cost others in the same run: Kamailio as a stateful server that answers everything with 200, and a
//! thread that copies bytes, which is the least that any server can spend.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

use super::lines::answer;
use crate::scratch::cpu_of;

/// Longest a rival may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

const CONFIG: &str = "debug=0\nlog_stderror=yes\nfork=yes\nchildren=1\nauto_aliases=no\ndisable_tcp=yes\nlisten=udp:ADDRESS\n\
loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"textops.so\"\n\
request_route {\n    if (method == \"ACK\") { t_check_trans(); exit; }\n    if (method == \"OPTIONS\") { sl_send_reply(\"200\", \"OK\"); exit; }\n\
    t_newtran();\n    append_to_reply(\"Contact: <sip:ADDRESS>\\r\\n\");\n    t_reply(\"200\", \"OK\");\n}\n";

/// Puts all threads of a process on one core; those that it starts later follow.
///
/// # Errors
/// When the process is gone, or the core is not there.
pub fn pin(process: u32, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let id: i32 = task?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(id), &set)?;
    }
    Ok(())
}

/// Puts the calling thread on one core.
///
/// # Errors
/// When the core is not there.
pub fn pin_thread(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// A Kamailio of its own; stopped when dropped.
pub struct Kamailio {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Kamailio {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it is missing (`scripts/install-peers`), or does not come up.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // Kamailio takes no port of the kernel's choice; this one was free a moment ago.
        let probe = UdpSocket::bind("127.0.0.1:0")?;
        let address = probe.local_addr()?;
        drop(probe);
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, CONFIG.replace("ADDRESS", &address.to_string()))?;
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "256", "-M", "16", "-f"])
            .arg(&file)
            .args(["-w"])
            .arg(folder.path())
            .args(["-Y"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("kamailio is missing: scripts/install-peers installs it")?;
        let rival = Self {
            child,
            address,
            _folder: folder,
        };
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let local = socket.local_addr()?;
        let options = super::lines::request("OPTIONS", local, address, 1, 1, None, 9);
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2_048];
        loop {
            socket.send_to(options.as_bytes(), address)?;
            if socket.recv(&mut buffer).is_ok() {
                return Ok(rival);
            }
            ensure!(Instant::now() < deadline, "kamailio does not answer");
        }
    }

    /// All its processes.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let mut found = vec![self.child.id()];
        for entry in std::fs::read_dir("/proc")? {
            let Ok(id) = entry?.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit_once(')')
                .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
            if parent == Some(self.child.id()) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// CPU time of all its processes.
    ///
    /// # Errors
    /// When one is gone.
    pub fn cpu(&self) -> Result<Duration> {
        self.processes()?.into_iter().map(cpu_of).sum()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its children too.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

/// A thread that answers INVITE and BYE with 200 by copying lines, and remembers nothing.
pub struct Echo {
    /// Where it answers.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<Duration>>,
}

impl Echo {
    /// Starts it on a core.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn start(core: Option<usize>) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (address, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            if let Some(core) = core {
                pin_thread(core)?;
            }
            let mut buffer = vec![0; 65_536];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                if !text.starts_with("ACK") {
                    socket.send_to(answer(&text, "200 OK").as_bytes(), from)?;
                }
            }
            Ok(Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?))
        });
        Ok(Self { address, stop, thread })
    }

    /// Stops it; the CPU time that it used.
    ///
    /// # Errors
    /// When it failed meanwhile.
    pub fn stop(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the echo panicked"))?
    }
}
