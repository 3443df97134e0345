//! fetchmail, getmail6 and mbsync, each so that a mail is on the disk before it counts as fetched.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Figures, PATIENCE, Stand, USER};
use crate::dovecot::PASSWORD;
use crate::scratch::memory_of;

/// uid and gid of `nobody` on Debian: none of them likes to be root.
const NOBODY: u32 = 65_534;

/// Somebody who fetches mail into a Maildir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetcher {
    /// fetchmail, which hands each mail to a delivery agent; that one writes it, flushes it and renames it.
    Fetchmail,
    /// getmail6, which flushes every file that it delivers to a Maildir.
    Getmail,
    /// mbsync with `FSync yes`.
    Mbsync,
}

impl Fetcher {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetchmail => "fetchmail, a delivery agent that flushes",
            Self::Getmail => "getmail6, Maildir",
            Self::Mbsync => "mbsync, FSync",
        }
    }

    /// Fetches all of the mailbox.
    ///
    /// # Errors
    /// When it is not installed, fails, or leaves a mail out.
    pub async fn run(self, stand: &mut Stand) -> Result<Figures> {
        stand.unread().await?;
        let folder = tempfile::Builder::new().prefix("fetch").tempdir_in("/tmp")?;
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        for inside in ["box", "box/cur", "box/new", "box/tmp", "other", "state"] {
            std::fs::create_dir(folder.path().join(inside))?;
            chown(folder.path().join(inside), Some(NOBODY), Some(NOBODY))?;
        }
        let mut command = self.command(&folder, stand.dovecot.port)?;
        let (cpu, begun) = (children()?, Instant::now());
        let mut child = command
            .spawn()
            .with_context(|| format!("{self:?} is missing: scripts/install-peers"))?;
        let id = child.id().context("it has ended")?;
        let mut memory = 0;
        let status = loop {
            if let Ok(status) = tokio::time::timeout(Duration::from_millis(50), child.wait()).await {
                break status?;
            }
            memory = memory.max(memory_of(id, "VmHWM:").unwrap_or(memory));
            ensure!(begun.elapsed() < PATIENCE, "{self:?} takes too long");
        };
        let elapsed = begun.elapsed();
        let there = std::fs::read_dir(folder.path().join("box/new"))?.count() + std::fs::read_dir(folder.path().join("box/cur"))?.count();
        let mut said = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        said.truncate(said.char_indices().nth(2_000).map_or(said.len(), |(at, _)| at));
        // mbsync keeps its state beside the mails.
        if there < stand.totals.mails {
            bail!(
                "{self:?} ended with {status} and fetched {there} of {} mails:\n{said}",
                stand.totals.mails
            );
        }
        Ok(stand.figures(elapsed, children()?.saturating_sub(cpu), memory))
    }

    fn command(self, folder: &TempDir, port: u16) -> Result<Command> {
        let (base, file) = (folder.path().display(), folder.path().join("rc"));
        let (text, arguments): (String, Vec<String>) = match self {
            Self::Fetchmail => {
                let agent = std::env::current_exe()?;
                let text = format!(
                    "set no bouncemail\npoll 127.0.0.1 service {port} protocol imap auth password username \"{USER}\" password \
                     \"{PASSWORD}\" sslproto '' keep fetchall mda \"{} --deliver {base}/box\"\n",
                    agent.display()
                );
                let pid = format!("{base}/state/pid");
                let options = ["fetchmail", "--silent", "--nosyslog", "--fetchmailrc"];
                let mut arguments: Vec<String> = options.map(str::to_owned).to_vec();
                arguments.extend([file.display().to_string(), "--pidfile".to_owned(), pid]);
                (text, arguments)
            }
            Self::Getmail => {
                let text = format!(
                    "[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {port}\nusername = {USER}\npassword = \
                     {PASSWORD}\nmailboxes = (\"INBOX\",)\n\n[destination]\ntype = Maildir\npath = {base}/box/\n\n[options]\nread_all = \
                     true\ndelete = false\nverbose = 0\n"
                );
                let state = format!("--getmaildir={base}/state");
                (text, vec!["getmail".to_owned(), state, format!("--rcfile={}", file.display())])
            }
            Self::Mbsync => {
                let text = format!(
                    "FSync yes\n\nIMAPStore far\nHost 127.0.0.1\nPort {port}\nUser {USER}\nPass {PASSWORD}\nSSLType None\nAuthMechs \
                     LOGIN\n\nMaildirStore near\nPath {base}/other/\nInbox {base}/box\n\nChannel mails\nFar :far:INBOX\nNear :near:INBOX\nSync \
                     Pull\nSyncState {base}/state/\n"
                );
                let options = ["mbsync", "--quiet", "--config"].map(str::to_owned);
                let mut arguments = options.to_vec();
                arguments.extend([file.display().to_string(), "mails".to_owned()]);
                (text, arguments)
            }
        };
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        chown(&file, Some(NOBODY), Some(NOBODY))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        // setpriv becomes the program, so that its pid is the program's.
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        command
            .args(arguments)
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        command.kill_on_drop(true);
        Ok(command)
    }
}

/// The delivery agent: a mail from standard input into a Maildir, flushed before it has its name.
///
/// # Errors
/// The disk's.
pub fn deliver(folder: &Path) -> Result<()> {
    let name = format!(
        "{}.P{}",
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos(),
        std::process::id()
    );
    let unfinished = folder.join("tmp").join(&name);
    let mut file = std::fs::File::create_new(&unfinished)?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    file.flush()?;
    file.sync_data()?;
    std::fs::rename(unfinished, folder.join("new").join(name))?;
    Ok(())
}

/// CPU time of all children that have ended and were waited for, and of theirs.
fn children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    // cutime and cstime are the 16th and 17th; USER_HZ is 100 on every Linux.
    let ticks: u64 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}
