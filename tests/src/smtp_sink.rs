//! An SMTP server that keeps what it gets, and refuses what it is told to.
//!
//! It knows lines and dots, no mail library. Its ledger is what the outside world was really given.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A mail that was taken with 250, or after whose bytes the connection was dropped on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// MAIL FROM.
    pub from: String,
    /// RCPT TO.
    pub to: Vec<String>,
    /// The bytes, CRLF, dots unstuffed.
    pub data: Vec<u8>,
    /// Whether 250 was said.
    pub confirmed: bool,
}

impl Received {
    /// A header field, unfolded, `None` when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.data).into_owned();
        let head = text
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .replace("\r\n ", " ")
            .replace("\r\n\t", " ");
        let field = head
            .lines()
            .find(|line| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name)))?;
        field.split_once(':').map(|(_, value)| value.trim().to_owned())
    }
}

/// What happens to a mail instead of 250.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// MAIL is answered with this line, `550 5.7.1 may not send`.
    Sender(String),
    /// RCPT is answered with this line, `550 5.1.1 no such user`.
    Recipient(String),
    /// The data is answered with this line, `451 4.3.0 later`.
    Data(String),
    /// The data is kept, and the connection closed without an answer.
    Deaf,
    /// The connection is closed at MAIL.
    Close,
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Refusal>>,
    connections: Mutex<u64>,
    logins: Mutex<Vec<String>>,
    open: watch::Sender<usize>,
}

/// A running sink; it ends when dropped.
#[derive(Debug)]
pub struct SmtpSink {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl SmtpSink {
    /// Listens on a loopback port that the kernel chose.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (changed, count) = watch::channel(0);
        let serve = shared.clone();
        let task = tokio::spawn(async move {
            let changed = Arc::new(changed);
            while let Ok((socket, _)) = listener.accept().await {
                *lock(&serve.connections) += 1;
                let (shared, changed) = (serve.clone(), changed.clone());
                shared.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    let _ = serve_one(socket, &shared, &changed).await;
                    shared.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Ok(Self {
            address,
            shared,
            count,
            task,
        })
    }

    /// The next mails meet these, one each, before 250 is the answer again.
    pub fn refuse(&self, refusals: impl IntoIterator<Item = Refusal>) {
        lock(&self.shared.script).extend(refusals);
    }

    /// Everything that came so far, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<Received> {
        lock(&self.shared.ledger).clone()
    }

    /// Every AUTH command so far, all of which were taken.
    #[must_use]
    pub fn logins(&self) -> Vec<String> {
        lock(&self.shared.logins).clone()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        *lock(&self.shared.connections)
    }

    /// Waits until nobody is connected: what a client that has died had sent is in the ledger then.
    ///
    /// # Errors
    /// When somebody stays for more than ten seconds.
    pub async fn quiet(&self) -> Result<()> {
        let mut open = self.shared.open.subscribe();
        let waited = timeout(Duration::from_secs(10), open.wait_for(|open| *open == 0)).await;
        ensure!(waited.is_ok(), "somebody stays connected to the sink");
        Ok(())
    }

    /// Waits until the ledger holds `count` mails.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait(&self, count: usize, within: Duration) -> Result<Vec<Received>> {
        let mut seen = self.count.clone();
        let waited = timeout(within, seen.wait_for(|found| *found >= count)).await;
        ensure!(waited.is_ok(), "{} of {count} mails came within {within:?}", self.ledger().len());
        Ok(self.ledger())
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve_one(socket: TcpStream, shared: &Shared, changed: &watch::Sender<usize>) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    say(&mut socket, "220 sink ESMTP").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    let mut refusal = None;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let upper = line.trim_end().to_ascii_uppercase();
        let answer = if upper.starts_with("EHLO") {
            "250-sink\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250 SIZE 50000000".to_owned()
        } else if upper.starts_with("HELO") || upper.starts_with("NOOP") || upper.starts_with("RSET") {
            "250 OK".to_owned()
        } else if upper.starts_with("AUTH") {
            lock(&shared.logins).push(line.trim_end().to_owned());
            "235 2.7.0 OK".to_owned()
        } else if upper.starts_with("MAIL FROM:") {
            (from, to) = (path(&line), Vec::new());
            refusal = lock(&shared.script).pop_front();
            if refusal == Some(Refusal::Close) {
                return Ok(());
            }
            match &refusal {
                Some(Refusal::Sender(answer)) => answer.clone(),
                _ => "250 OK".to_owned(),
            }
        } else if upper.starts_with("RCPT TO:") {
            if let Some(Refusal::Recipient(answer)) = &refusal {
                answer.clone()
            } else {
                to.push(path(&line));
                "250 OK".to_owned()
            }
        } else if upper == "DATA" {
            say(&mut socket, "354 go on").await?;
            let data = data(&mut socket).await?;
            if let Some(Refusal::Data(answer)) = &refusal {
                answer.clone()
            } else {
                let deaf = refusal == Some(Refusal::Deaf);
                let mail = Received {
                    from: from.clone(),
                    to: to.clone(),
                    data,
                    confirmed: !deaf,
                };
                lock(&shared.ledger).push(mail);
                let count = lock(&shared.ledger).len();
                changed.send_replace(count);
                if deaf {
                    return Ok(());
                }
                "250 2.0.0 kept".to_owned()
            }
        } else if upper == "QUIT" {
            say(&mut socket, "221 bye").await?;
            return Ok(());
        } else {
            "502 5.5.1 unknown".to_owned()
        };
        say(&mut socket, &answer).await?;
    }
}

async fn say(socket: &mut BufReader<TcpStream>, line: &str) -> Result<()> {
    socket.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
    Ok(())
}

/// RFC 5321 §4.5.2: until a dot alone; a dot before a dot is taken away.
async fn data(socket: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        ensure!(
            socket.read_until(b'\n', &mut line).await? > 0,
            "the client left in the middle of a mail"
        );
        if line == b".\r\n" {
            return Ok(data);
        }
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn path(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_is_kept_and_the_next_refused() -> Result<()> {
        let sink = SmtpSink::start().await?;
        sink.refuse([Refusal::Recipient("550 5.1.1 no".to_owned())]);
        let mut client = BufReader::new(TcpStream::connect(sink.address).await?);
        let mut answers = Vec::new();
        let lines = [
            "EHLO x",
            "MAIL FROM:<a@b>",
            "RCPT TO:<c@d>",
            "MAIL FROM:<a@b>",
            "RCPT TO:<c@d>",
            "DATA",
            "Message-ID: <1@b>\r\n\r\n..dot\r\n.",
            "QUIT",
        ];
        for line in lines {
            client.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
        }
        loop {
            let mut line = String::new();
            if client.read_line(&mut line).await? == 0 {
                break;
            }
            answers.push(line);
        }
        ensure!(answers.iter().any(|line| line.starts_with("550 5.1.1")), "{answers:?}");
        let ledger = sink.wait(1, Duration::from_secs(5)).await?;
        ensure!(ledger.len() == 1 && ledger[0].data == b"Message-ID: <1@b>\r\n\r\n.dot\r\n" && ledger[0].to == ["c@d"]);
        ensure!(ledger[0].header("message-id").as_deref() == Some("<1@b>"));
        Ok(())
    }
}
