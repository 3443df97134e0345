//! The other end of a webhook: takes events by HTTP, and can die in the middle of one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Largest message that is read.
const LARGEST: usize = 64 * 1024;

/// What survives its death.
#[derive(Debug, Default)]
struct State {
    order: Vec<String>,
    ids: BTreeSet<String>,
    repeated: usize,
    /// It dies at the next message: half of them before it has kept it, half before it has answered.
    dying: Option<bool>,
    deaths: usize,
}

/// A receiver; it ends with this.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, state) = (listener.local_addr()?, Arc::new(Mutex::new(State::default())));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Who breaks off sends it again.
                    let _ = serve(stream, state).await;
                });
            }
        });
        Ok(Self { address, state, task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/voxea", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// At its next message.
    pub(super) fn dies(&self) {
        let mut state = self.state();
        state.deaths += 1;
        state.dying = Some(state.deaths.is_multiple_of(2));
    }

    pub(super) fn count(&self) -> usize {
        self.state().order.len()
    }

    pub(super) fn had(&self) -> (Vec<String>, usize) {
        let state = self.state();
        (state.order.clone(), state.repeated)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> Result<()> {
    let mut raw = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(raw.len() < LARGEST, "a head that does not end");
            ensure!(stream.read_buf(&mut raw).await? > 0, "over");
        };
        let head = String::from_utf8_lossy(raw.get(..end).context("short")?).into_owned();
        let field = |name: &str| {
            let found = head
                .lines()
                .find_map(|line| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name)));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = field("content-length").context("no length")?.parse()?;
        ensure!(length < LARGEST, "{length} octets");
        while raw.len() < end + length {
            ensure!(stream.read_buf(&mut raw).await? > 0, "over");
        }
        raw.drain(..end + length);
        let id = field("webhook-id").context("no webhook-id")?;
        let dying = lock(&state).dying.take();
        ensure!(dying != Some(true), "dead before it was kept");
        {
            let mut state = lock(&state);
            if state.ids.insert(id.clone()) {
                state.order.push(id);
            } else {
                state.repeated += 1;
            }
        }
        ensure!(dying.is_none(), "dead before it was answered");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}
