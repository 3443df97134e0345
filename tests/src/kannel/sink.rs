//! What Kannel's HTTP call ends at: a server that answers when the text is kept.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A text as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Who wrote.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The text.
    pub text: String,
}

/// Ends when the text is safe.
pub type Keeping = Pin<Box<dyn Future<Output = ()> + Send>>;
type Keep = Arc<dyn Fn(Taken) -> Keeping + Send + Sync>;

/// A running sink; it ends when this is dropped.
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// One that keeps what it is told in memory.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start() -> Result<Self> {
        Self::keeping(Arc::new(|_| Box::pin(async {}))).await
    }

    /// One that answers when `keep` has kept the text; it keeps it in memory besides.
    ///
    /// # Errors
    /// The socket's.
    pub async fn keeping(keep: Keep) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let (all, counter) = (Arc::clone(&taken), Arc::new(counter));
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn(serve(stream, Arc::clone(&keep), Arc::clone(&all), Arc::clone(&counter)));
                while serving.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            taken,
            count,
            task,
        })
    }

    /// Waits until so many texts are kept.
    pub async fn until(&mut self, count: usize) {
        let _ = self.count.wait_for(|there| *there >= count).await;
    }

    /// What it was told.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, keep: Keep, all: Arc<Mutex<Vec<Taken>>>, counter: Arc<watch::Sender<usize>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        while let Some((start, length)) = whole(&buffer) {
            let taken = read(&start);
            buffer.drain(..length);
            keep(taken.clone()).await;
            all.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
            counter.send_modify(|count| *count += 1);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// The first line of a message that is there as a whole (RFC 9112), and its length.
pub(super) fn whole(buffer: &[u8]) -> Option<(String, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(buffer.get(..end)?).into_owned();
    let body = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    (buffer.len() >= end + body).then(|| (head.lines().next().unwrap_or_default().to_owned(), end + body))
}

fn read(start: &str) -> Taken {
    let query = start
        .split(' ')
        .nth(1)
        .and_then(|target| target.split_once('?'))
        .map_or("", |(_, query)| query);
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        unescaped(found.unwrap_or_default())
    };
    Taken {
        from: value("from"),
        to: value("to"),
        text: value("text"),
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0) as u8;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()) << 4 | digit(rest.next()),
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read() {
        let call = b"GET /mo?from=%2B336&to=36123&coding=0&text=d%C3%A9j%C3%A0+vu HTTP/1.1\r\nHost: a\r\n\r\nGET";
        let (start, length) = whole(call).unwrap();
        assert_eq!(&call[length..], b"GET");
        let taken = read(&start);
        assert_eq!(
            (taken.from.as_str(), taken.to.as_str(), taken.text.as_str()),
            ("+336", "36123", "déjà vu")
        );
        assert!(whole(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab").is_none());
    }
}
