//! A real Dovecot in a temporary folder, on ports that the kernel chose, and a byte-level client that fills it.
//!
//! What it takes on Debian 12 (Dovecot 2.3): a `base_dir` of its own with a short path (sockets), `chroot =` empty for
//! the services that would change their root, the login and internal users of the package when we are root and our
//! own otherwise, and a mail owner that is not root (Dovecot refuses uid 0), here `nobody`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// The password of every mailbox.
pub const PASSWORD: &str = "secret";
/// uid and gid of `nobody` on Debian.
const NOBODY: u32 = 65_534;

/// A running Dovecot; stopped and removed when dropped. Any user name has a mailbox.
#[derive(Debug)]
pub struct Dovecot {
    child: Child,
    folder: TempDir,
    /// IMAP, with STARTTLS when there is a certificate.
    pub port: u16,
    /// IMAP over TLS, when there is a certificate.
    pub tls_port: u16,
    how: How,
}

/// What a server has beside its passwords.
#[derive(Debug, Clone, Default)]
struct How {
    /// Certificate and key, PEM.
    certificate: Option<(String, String)>,
    /// Who is asked whether a token is good (RFC 7662).
    tokens: Option<SocketAddr>,
}

impl Dovecot {
    /// Starts one without TLS.
    ///
    /// # Errors
    /// When Dovecot is not installed or does not come up within ten seconds; the end of its log is in the message.
    pub async fn start() -> Result<Self> {
        Self::launch(How::default()).await
    }

    /// Starts one with a certificate and key in PEM.
    ///
    /// # Errors
    /// As for [`Dovecot::start`].
    pub async fn start_tls(certificate: &str, key: &str) -> Result<Self> {
        Self::launch(How {
            certificate: Some((certificate.to_owned(), key.to_owned())),
            tokens: None,
        })
        .await
    }

    /// Starts one without TLS that takes tokens (XOAUTH2, OAUTHBEARER) beside passwords, and asks this server about each of them.
    ///
    /// # Errors
    /// As for [`Dovecot::start`].
    pub async fn start_tokens(introspection: SocketAddr) -> Result<Self> {
        Self::launch(How {
            certificate: None,
            tokens: Some(introspection),
        })
        .await
    }

    async fn launch(how: How) -> Result<Self> {
        // Under /tmp, for the paths of its sockets may have 108 bytes at most.
        let folder = tempfile::Builder::new().prefix("dovecot").tempdir_in("/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let mails = folder.path().join("mail");
        std::fs::create_dir(&mails)?;
        if root()? {
            chown(&mails, Some(NOBODY), Some(NOBODY))?;
        }
        let (port, tls_port) = free_ports()?;
        write_config(folder.path(), port, tls_port, &how)?;
        let child = spawn(folder.path())?;
        let mut server = Self {
            child,
            folder,
            port,
            tls_port,
            how,
        };
        server.ready().await?;
        Ok(server)
    }

    /// Stops it and starts it again on the same ports, with the same mails.
    ///
    /// # Errors
    /// As for [`Dovecot::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.stop();
        write_config(self.folder.path(), self.port, self.tls_port, &self.how)?;
        self.child = spawn(self.folder.path())?;
        self.ready().await
    }

    /// Stops it, with all its processes.
    pub fn stop(&mut self) {
        // Once it has been waited for, its pid may be another process's.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // The master ends its own children on SIGTERM; SIGKILL would leave them.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Gives a mailbox another UIDVALIDITY, as a migration would: its mails keep their bytes and get other UIDs.
    ///
    /// # Errors
    /// When its files cannot be removed. Log in only afterwards.
    pub fn change_uidvalidity(&self, user: &str) -> Result<()> {
        let inbox = self.folder.path().join("mail").join(user);
        for entry in std::fs::read_dir(&inbox).with_context(|| format!("{} has no mailbox", user))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dovecot")) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A client that is logged in.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn client(&self, user: &str) -> Result<Imap> {
        Imap::login(self.port, user, PASSWORD).await
    }

    async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if Imap::login(self.port, "ready", PASSWORD).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("Dovecot ended with {status}: {}", self.log());
            }
            ensure!(Instant::now() < deadline, "Dovecot did not come up: {}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
    }
}

fn root() -> Result<bool> {
    Ok(user("-u")? == "0")
}

fn user(flag: &str) -> Result<String> {
    let output = Command::new("id").arg(flag).output().context("running id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Two ports that were free a moment ago; Dovecot cannot be given port 0.
fn free_ports() -> Result<(u16, u16)> {
    let one = std::net::TcpListener::bind("127.0.0.1:0")?;
    let two = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

fn spawn(folder: &Path) -> Result<Child> {
    let config = folder.join("dovecot.conf");
    let mut command = Command::new("/usr/sbin/dovecot");
    command
        .arg("-F")
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .spawn()
        .context("starting /usr/sbin/dovecot; the package dovecot-imapd holds it")
}

fn write_config(folder: &Path, port: u16, tls_port: u16, how: &How) -> Result<()> {
    let base = folder.display();
    let (internal, login, uid, gid) = if root()? {
        ("dovecot".to_owned(), "dovenull".to_owned(), NOBODY.to_string(), NOBODY.to_string())
    } else {
        (user("-un")?, user("-un")?, user("-u")?, user("-g")?)
    };
    let tls = if let Some((certificate, key)) = &how.certificate {
        std::fs::write(folder.join("cert.pem"), certificate)?;
        std::fs::write(folder.join("key.pem"), key)?;
        format!("ssl = yes\nssl_cert = <{base}/cert.pem\nssl_key = <{base}/key.pem\n")
    } else {
        "ssl = no\n".to_owned()
    };
    let tls_port = if how.certificate.is_some() { tls_port } else { 0 };
    let tokens = match how.tokens {
        Some(address) => {
            // The token is shown to the server as the bearer's own, which it says is good or not.
            let asking = format!(
                "introspection_mode = auth\nintrospection_url = http://{address}/introspect\nusername_attribute = username\n\
                 active_attribute = active\nactive_value = true\n"
            );
            std::fs::write(folder.join("oauth2.conf"), asking)?;
            format!(
                "auth_mechanisms = plain login xoauth2 oauthbearer\n\
                 passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {base}/oauth2.conf\n}}\n"
            )
        }
        None => String::new(),
    };
    let text = format!(
        "base_dir = {base}/run\nstate_dir = {base}/run\nprotocols = imap\nlisten = 127.0.0.1\nlog_path = {base}/log\n{tls}\
         disable_plaintext_auth = no\nauth_failure_delay = 0\ndefault_internal_user = {internal}\ndefault_login_user = {login}\n\
         first_valid_uid = 1\nmail_location = maildir:{base}/mail/%u\nmail_fsync = never\nmail_max_userip_connections = 1000\n\
         mailbox_idle_check_interval = 1 secs\n{tokens}\
         passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={base}/mail/%u\n}}\n\
         service anvil {{\n  chroot =\n}}\n\
         service imap-login {{\n  chroot =\n  inet_listener imap {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n\
         \x20 inet_listener imaps {{\n    address = 127.0.0.1\n    port = {tls_port}\n  }}\n}}\n"
    );
    std::fs::File::create(folder.join("dovecot.conf"))?.write_all(text.as_bytes())?;
    Ok(())
}

/// An IMAP client that knows bytes: it sends lines and literals and reads until its tag comes.
#[derive(Debug)]
pub struct Imap {
    socket: BufReader<TcpStream>,
    tag: u32,
}

impl Imap {
    /// Connects without TLS and logs in.
    ///
    /// # Errors
    /// When the server is not there or refuses.
    pub async fn login(port: u16, user: &str, password: &str) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        socket.set_nodelay(true)?;
        let mut client = Self {
            socket: BufReader::new(socket),
            tag: 0,
        };
        client.line().await?;
        client.command(&format!("LOGIN {user} {password}")).await?;
        Ok(client)
    }

    /// Sends a command and returns the untagged answers, literals in place.
    ///
    /// # Errors
    /// When the server answers anything but OK.
    pub async fn command(&mut self, text: &str) -> Result<Vec<String>> {
        let tag = self.send(text.as_bytes()).await?;
        self.answers(&tag).await
    }

    /// APPENDs a mail, byte by byte as given.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn append(&mut self, folder: &str, raw: &[u8]) -> Result<()> {
        self.append_all(folder, std::iter::once(raw)).await
    }

    /// APPENDs many mails, a hundred on the way at a time.
    ///
    /// # Errors
    /// When the server refuses one of them.
    pub async fn append_all<'a>(&mut self, folder: &str, mails: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let mut sent = Vec::new();
        for raw in mails {
            // RFC 7888: a literal that waits for nobody.
            let mut bytes = format!("APPEND {folder} {{{}+}}\r\n", raw.len()).into_bytes();
            bytes.extend_from_slice(raw);
            sent.push(self.send(&bytes).await?);
            if sent.len() >= 100 {
                for tag in sent.drain(..) {
                    self.answers(&tag).await?;
                }
            }
        }
        for tag in sent {
            self.answers(&tag).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let line = [tag.as_bytes(), b" ", bytes, b"\r\n"].concat();
        self.socket.get_mut().write_all(&line).await?;
        Ok(tag)
    }

    async fn answers(&mut self, tag: &str) -> Result<Vec<String>> {
        let mut answers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some(rest) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) else {
                answers.push(line);
                continue;
            };
            ensure!(rest.starts_with("OK"), "the IMAP server answered {rest}");
            return Ok(answers);
        }
    }

    /// One line, with the literals that it announces.
    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            let read = timeout(Duration::from_secs(30), self.socket.read_until(b'\n', &mut line)).await??;
            ensure!(read > 0, "the IMAP server closed the connection");
            let Some(size) = literal(&line) else { break };
            let start = line.len();
            line.resize(start + size, 0);
            self.socket.read_exact(line.get_mut(start..).unwrap_or_default()).await?;
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned())
    }
}

/// `{n}` before the line's end.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}\r\n")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(inner.get(open + 1..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mails_keep_their_bytes_and_uidvalidity_changes() -> Result<()> {
        if !Path::new("/usr/sbin/dovecot").exists() {
            return Ok(());
        }
        let mut server = Dovecot::start().await?;
        let mut client = server.client("mairie").await?;
        let raw = b"Subject: x\r\n\r\n{5}\r\ny\r\n";
        client.append_all("INBOX", [raw.as_slice(); 150]).await?;
        let validity = |answers: &[String]| answers.iter().find_map(|line| line.split("UIDVALIDITY ").nth(1).map(str::to_owned));
        let before = validity(&client.command("SELECT INBOX").await?);
        let answers = client.command("UID FETCH 150 BODY.PEEK[]").await?;
        ensure!(
            answers.iter().any(|line| line.contains("Subject: x\r\n\r\n{5}\r\ny\r\n")),
            "{answers:?}"
        );
        drop(client);
        server.stop();
        server.change_uidvalidity("mairie")?;
        // UIDVALIDITY is a time in seconds; wait until it must differ.
        sleep(Duration::from_millis(1_100)).await;
        server.restart().await?;
        let after = validity(&server.client("mairie").await?.command("SELECT INBOX").await?);
        ensure!(before.is_some() && after.is_some() && before != after, "{before:?} {after:?}");
        Ok(())
    }
}
