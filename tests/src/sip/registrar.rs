//! A PBX as bytes: it answers REGISTER and OPTIONS as a story tells it to, over UDP, TCP or TLS, and remembers every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Message;

/// Longest a story waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is answered to a request: a status line without its version, and further header lines.
pub type Answer = (&'static str, Vec<String>);

/// A running PBX; it ends with this.
pub struct Registrar {
    /// Where it listens.
    pub address: SocketAddr,
    seen: watch::Receiver<Vec<Message>>,
    /// What is sent unasked to whoever spoke last.
    unasked: mpsc::Sender<String>,
    task: JoinHandle<()>,
}

impl Registrar {
    /// Starts one on UDP. `behave` is asked about every request; `None` is silence.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn udp(mut behave: impl FnMut(&Message) -> Option<Answer> + Send + 'static) -> Result<Self> {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        let (sender, seen) = watch::channel(Vec::new());
        let (unasked, mut orders) = mpsc::channel::<String>(8);
        let task = tokio::spawn(async move {
            let (mut buffer, mut last) = (vec![0; 65_535], None);
            loop {
                tokio::select! {
                    Ok((length, from)) = socket.recv_from(&mut buffer) => {
                        last = Some(from);
                        if let Some(text) = heard(&buffer[..length], &sender, &mut behave) {
                            drop(socket.send_to(text.as_bytes(), from).await);
                        }
                    }
                    Some(text) = orders.recv() => {
                        if let Some(to) = last {
                            drop(socket.send_to(text.as_bytes(), to).await);
                        }
                    }
                }
            }
        });
        Ok(Self {
            address,
            seen,
            unasked,
            task,
        })
    }

    /// The same on TCP.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn tcp(behave: impl FnMut(&Message) -> Option<Answer> + Send + 'static) -> Result<Self> {
        Self::streams(None, behave).await
    }

    /// The same over TLS, with what takes its connections.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn tls(acceptor: TlsAcceptor, behave: impl FnMut(&Message) -> Option<Answer> + Send + 'static) -> Result<Self> {
        Self::streams(Some(acceptor), behave).await
    }

    async fn streams(tls: Option<TlsAcceptor>, behave: impl FnMut(&Message) -> Option<Answer> + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, seen) = watch::channel(Vec::new());
        let (unasked, orders) = mpsc::channel::<String>(8);
        let task = tokio::spawn(async move {
            let behave = Arc::new(Mutex::new(behave));
            // The first connection is the one that is kept; later ones come and go.
            let mut orders = Some(orders);
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (orders, sender, behave) = (orders.take(), sender.clone(), Arc::clone(&behave));
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, orders, sender, behave).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, orders, sender, behave).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            address,
            seen,
            unasked,
            task,
        })
    }

    /// Sends something to whoever spoke last.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn say(&self, text: String) -> Result<()> {
        self.unasked.send(text).await.context("the registrar ended")
    }

    /// Waits until what it has seen is enough; all of it, in order.
    ///
    /// # Errors
    /// When it is not within 30 s; what it has seen is in the message.
    pub async fn until(&self, enough: impl Fn(&[Message]) -> bool) -> Result<Vec<Message>> {
        let mut seen = self.seen.clone();
        let waited = timeout(PATIENCE, seen.wait_for(|all| enough(all))).await;
        match waited {
            Ok(Ok(all)) => Ok(all.clone()),
            _ => anyhow::bail!("it has seen only {:#?}", self.seen.borrow()),
        }
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, to its end.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send, F: FnMut(&Message) -> Option<Answer> + Send>(
    mut stream: S,
    mut orders: Option<mpsc::Receiver<String>>,
    sender: watch::Sender<Vec<Message>>,
    behave: Arc<Mutex<F>>,
) {
    let mut bytes = Vec::new();
    loop {
        let order = async {
            match &mut orders {
                Some(orders) => orders.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stream.read_buf(&mut bytes) => if !matches!(read, Ok(1..)) {
                return;
            },
            Some(text) = order => say(&mut stream, &text).await,
        }
        // Nobody sends us a body.
        while let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let message: Vec<u8> = bytes.drain(..at + 4).collect();
            let answer = {
                let mut behave = behave.lock().unwrap_or_else(PoisonError::into_inner);
                heard(&message, &sender, &mut *behave)
            };
            if let Some(text) = answer {
                say(&mut stream, &text).await;
            }
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    drop(stream.write_all(text.as_bytes()).await);
    drop(stream.flush().await);
}

fn heard(bytes: &[u8], sender: &watch::Sender<Vec<Message>>, behave: &mut impl FnMut(&Message) -> Option<Answer>) -> Option<String> {
    let message = Message::parse(bytes)?;
    // A request that is repeated is answered again and remembered once.
    let again = sender.borrow().iter().any(|seen| seen.header("Via") == message.header("Via"));
    let answer = if message.status == 0 { behave(&message) } else { None };
    if !again {
        sender.send_modify(|all| all.push(message.clone()));
    }
    let (status, lines) = answer?;
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let reply = message
        .reply(status)
        .replace("Content-Length: 0\r\n", &format!("{lines}Content-Length: 0\r\n"));
    // The tag that a final answer has (RFC 3261 §8.2.6.2).
    let to = format!("To: {}\r\n", message.header("To")?);
    Some(reply.replace(&to, &format!("{};tag=pbx\r\n", to.trim_end())))
}
