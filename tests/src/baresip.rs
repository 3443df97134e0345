//! baresip as a softphone without a sound card: it says what a file holds, and is told what to do over its control port.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::sip::g711;

/// Longest a step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Silence before and after what is said, in samples of 8 kHz: the call must not end with the file.
const BEFORE: usize = 16_000;
const AFTER: usize = 30 * 8_000;

/// How a phone differs from the usual one.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Of its address: `;transport=tls`.
    pub account: &'a str,
    /// Its codecs, the best one first, and further parameters of the account: `;mediaenc=srtp`.
    pub codecs: &'a str,
    /// Modules beyond those that every call needs.
    pub modules: &'a [&'a str],
    /// Lines of its configuration.
    pub config: &'a str,
    /// What it says instead, at 16 kHz.
    pub wide: Option<&'a [i16]>,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            account: "",
            codecs: "PCMA/8000/1",
            modules: &[],
            config: "",
            wide: None,
        }
    }
}

/// A running phone; it ends with this.
pub struct Baresip {
    _child: Child,
    control: TcpStream,
    read: Vec<u8>,
    folder: PathBuf,
}

impl Baresip {
    /// Starts a phone with its files in `folder`, which says `speech` (A-law) two seconds after a call is up.
    ///
    /// # Errors
    /// It is missing, or does not listen to commands; what it said is in the message.
    pub async fn start(folder: &Path, speech: &[u8], settings: &Settings<'_>) -> Result<Self> {
        let control = free_port()?;
        let said = folder.join("speech.wav");
        let narrow = || speech.iter().map(|octet| g711::a_law(*octet)).collect();
        std::fs::write(
            &said,
            settings
                .wide
                .map_or_else(|| wav(8_000, narrow()), |wide| wav(16_000, wide.to_vec())),
        )?;
        let ca = folder.join("ca.pem");
        let modules = ["g711", "aufile", "aubridge", "uuid", "ctrl_tcp", "menu", "account"];
        // Those of accounts come last: an account names codecs.
        let modules = settings.modules.iter().chain(&modules);
        let config: String = modules.map(|module| format!("module {module}.so\n")).collect();
        let config = format!(
            "module_path {}\nsip_listen 127.0.0.1:0\nsip_cafile {}\nnet_interface 127.0.0.1\naudio_source aufile,{}\naudio_player aubridge,nobody\n\
             audio_alert aubridge,nobody\nctrl_tcp_listen {control}\ncall_max_calls 1\n{}\n{config}",
            modules_folder()?.display(),
            ca.display(),
            said.display(),
            settings.config,
        );
        std::fs::write(folder.join("config"), config)?;
        std::fs::write(
            folder.join("accounts"),
            format!(
                "<sip:0145000007@127.0.0.1{}>;regint=0;audio_codecs={}\n",
                settings.account, settings.codecs
            ),
        )?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new("baresip");
        command
            .arg("-f")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().context("baresip is missing: scripts/install-peers installs it")?;
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(control).await {
                Ok(stream) => break stream,
                Err(_) if child.try_wait()?.is_none() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => bail!("baresip: {error}\n{}", log_of(folder)),
            }
        };
        Ok(Self {
            _child: child,
            control: stream,
            read: Vec::new(),
            folder: folder.to_owned(),
        })
    }

    /// Tells it to do something: `dial`, `hangup`, `hold`, `resume`; returns when it has understood.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn tell(&mut self, command: &str, params: &str) -> Result<()> {
        let order = json!({"command": command, "params": params, "token": command}).to_string();
        self.control.write_all(format!("{}:{order},", order.len()).as_bytes()).await?;
        let answer = self.until(|told| told["response"] == true && told["token"] == command).await?;
        ensure!(answer["ok"] == true, "{command}: {answer}\n{}", log_of(&self.folder));
        Ok(())
    }

    /// Waits for an event of a call: `CALL_ESTABLISHED`, `CALL_CLOSED`.
    ///
    /// # Errors
    /// When it does not come within 30 s.
    pub async fn event(&mut self, kind: &str) -> Result<Value> {
        self.until(|told| told["event"] == true && told["type"] == kind).await
    }

    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let folder = self.folder.clone();
        let waiting = async {
            loop {
                while let Some(told) = self.take()? {
                    if fits(&told) {
                        return Ok(told);
                    }
                }
                let mut buffer = [0; 4096];
                let length = self.control.read(&mut buffer).await?;
                ensure!(length > 0, "baresip has ended");
                self.read.extend_from_slice(&buffer[..length]);
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .with_context(|| format!("baresip says nothing of it:\n{}", log_of(&folder)))?
    }

    /// A netstring: length, colon, octets, comma.
    fn take(&mut self) -> Result<Option<Value>> {
        let Some(colon) = self.read.iter().position(|octet| *octet == b':') else {
            return Ok(None);
        };
        let length: usize = std::str::from_utf8(&self.read[..colon])?.parse()?;
        let end = colon + 1 + length;
        if self.read.len() <= end {
            return Ok(None);
        }
        let told = serde_json::from_slice(&self.read[colon + 1..end])?;
        self.read.drain(..=end);
        Ok(Some(told))
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn modules_folder() -> Result<PathBuf> {
    // Debian has them in one place; others below the architecture's name.
    let plain = PathBuf::from("/usr/lib/baresip/modules");
    let libraries = std::fs::read_dir("/usr/lib")?.flatten();
    let mut places = libraries.map(|entry| entry.path().join("baresip/modules")).chain([plain]);
    places.find(|place| place.is_dir()).context("the modules of baresip are missing")
}

/// PCM16, mono, 8 kHz: what its file source takes.
fn wav(rate: u32, speech: Vec<i16>) -> Vec<u8> {
    let wide = rate as usize / 8_000;
    let silence = |samples| std::iter::repeat_n(0_i16, samples * wide);
    let samples = silence(BEFORE).chain(speech).chain(silence(AFTER));
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let length = u32::try_from(data.len()).unwrap_or_default();
    let mut file = Vec::with_capacity(data.len() + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(length + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    for number in [16_u32, 0x0001_0001, rate, rate * 2, 0x0010_0002] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&data);
    file
}

fn free_port() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
