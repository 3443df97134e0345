//! A network that fails: between a mailbox and its server, one fault a connection, each at a place of its own.
//!
//! It knows bytes. Whatever it does to a connection, it does between any two bytes: in a greeting, a command, a literal.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dice::Dice;

/// What a giant literal is said to have, bytes.
pub const GIANT: &str = "500000000";
/// A connection on which nothing has failed by then fails where it stands; most often it idles.
const LONGEST: Duration = Duration::from_millis(1_500);
/// How long a stall lasts before the connection ends.
const STALL: Duration = Duration::from_millis(700);

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ends after so many bytes from the server.
    CutDown(u64),
    /// It ends after so many bytes to the server.
    CutUp(u64),
    /// It is reset after so many bytes from the server, what is on its way with it.
    Reset(u64),
    /// After so many bytes from the server nothing passes, and then it ends.
    Stall(u64),
    /// The literal of this number is said to have [`GIANT`] bytes, and then the server falls silent. It is the client's to end.
    Giant(u32),
}

/// What has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Connections that were cut.
    pub cuts: u64,
    /// Connections that stalled and were cut.
    pub stalls: u64,
    /// Giant literals.
    pub giants: u64,
}

impl Faults {
    /// All together.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.cuts + self.stalls + self.giants
    }
}

struct Shared {
    dice: Mutex<Dice>,
    armed: Mutex<u64>,
    done: watch::Sender<Faults>,
}

/// A listening proxy; it ends when dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens in front of a server, and lets everything pass until it is armed.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(server: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            dice: Mutex::new(Dice::new(seed)),
            armed: Mutex::new(0),
            done: watch::Sender::new(Faults::default()),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fault = serving.draw();
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    let _ = carry(client, server, fault, &shared).await;
                });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// The next so many connections fail.
    pub fn arm(&self, faults: u64) {
        *lock(&self.shared.armed) = faults;
    }

    /// What has happened so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        *self.shared.done.borrow()
    }

    /// Waits until so many faults have happened since the start.
    pub async fn happened(&self, all: u64) {
        let mut done = self.shared.done.subscribe();
        let _ = done.wait_for(|done| done.all() >= all).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn draw(&self) -> Option<Fault> {
        let mut armed = lock(&self.armed);
        *armed = armed.checked_sub(1)?;
        let mut dice = lock(&self.dice);
        // Every order of magnitude from a greeting to a batch is as likely.
        let magnitude = dice.below(15);
        let bytes = (1 << (5 + magnitude)) + dice.below(1 << (5 + magnitude));
        Some(match dice.below(10) {
            0..=3 => Fault::CutDown(bytes),
            4 => Fault::CutUp(20 + dice.below(400)),
            5 | 6 => Fault::Reset(bytes),
            7 => Fault::Stall(bytes),
            _ => Fault::Giant(1 + u32::try_from(dice.below(5)).unwrap_or(0)),
        })
    }

    fn note(&self, fault: Fault) {
        self.done.send_modify(|done| match fault {
            Fault::CutDown(_) | Fault::CutUp(_) | Fault::Reset(_) => done.cuts += 1,
            Fault::Stall(_) => done.stalls += 1,
            Fault::Giant(_) => done.giants += 1,
        });
    }
}

/// Carries one connection until it ends or fails.
async fn carry(mut client: TcpStream, server: SocketAddr, fault: Option<Fault>, shared: &Shared) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_server, mut from_client) = (vec![0; 64 * 1024], vec![0; 16 * 1024]);
    let (mut down, mut up) = (0_u64, 0_u64);
    let mut literals = Literals::default();
    let deadline = Instant::now() + LONGEST;
    loop {
        tokio::select! {
            read = server.read(&mut from_server) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                let bytes = from_server.get(..read).unwrap_or_default();
                match fault {
                    Some(fault @ (Fault::CutDown(at) | Fault::Reset(at) | Fault::Stall(at))) if down + read as u64 >= at => {
                        let before = usize::try_from(at.saturating_sub(down)).unwrap_or(0);
                        client.write_all(bytes.get(..before).unwrap_or_default()).await?;
                        return fail(client, fault, shared).await;
                    }
                    Some(fault @ Fault::Giant(number)) => match literals.find(bytes, number) {
                        Some((before, after)) => {
                            client.write_all(bytes.get(..before).unwrap_or_default()).await?;
                            client.write_all(format!("{{{GIANT}}}\r\n").as_bytes()).await?;
                            client.write_all(bytes.get(after..).unwrap_or_default()).await?;
                            return fail(client, fault, shared).await;
                        }
                        None => client.write_all(bytes).await?,
                    },
                    _ => client.write_all(bytes).await?,
                }
                down += read as u64;
            }
            read = client.read(&mut from_client) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                let bytes = from_client.get(..read).unwrap_or_default();
                match fault {
                    Some(fault @ Fault::CutUp(at)) if up + read as u64 >= at => {
                        let before = usize::try_from(at.saturating_sub(up)).unwrap_or(0);
                        server.write_all(bytes.get(..before).unwrap_or_default()).await?;
                        return fail(client, fault, shared).await;
                    }
                    _ => server.write_all(bytes).await?,
                }
                up += read as u64;
            }
            () = sleep_until(deadline), if fault.is_some() => {
                return fail(client, Fault::CutDown(down), shared).await;
            }
        }
    }
}

async fn fail(mut client: TcpStream, fault: Fault, shared: &Shared) -> Result<()> {
    match fault {
        Fault::CutDown(_) | Fault::CutUp(_) => {}
        Fault::Reset(_) => client.set_zero_linger()?,
        Fault::Stall(_) => sleep(STALL).await,
        Fault::Giant(_) => {
            // Who believes the number waits for what never comes.
            let mut rest = vec![0; 1024];
            while client.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        }
    }
    drop(client);
    shared.note(fault);
    Ok(())
}

/// Finds `{n}` before a line's end in what passes, wherever the reads have cut it; one that is cut by a read is passed over.
#[derive(Debug, Default)]
struct Literals {
    seen: u32,
    /// Bytes of a literal that still come.
    inside: u64,
}

impl Literals {
    /// Where the literal of this number is announced: its `{`, and what follows its line's end.
    fn find(&mut self, bytes: &[u8], wanted: u32) -> Option<(usize, usize)> {
        let mut at = 0;
        while at < bytes.len() {
            if self.inside > 0 {
                let skip = usize::try_from(self.inside).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.inside -= skip as u64;
                at += skip;
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let open = at + rest.iter().position(|byte| *byte == b'{')?;
            let inner = bytes.get(open + 1..).unwrap_or_default();
            let digits = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let end = open + 1 + digits;
            at = end;
            if digits == 0 || bytes.get(end..end + 3) != Some(b"}\r\n") {
                continue;
            }
            let text = std::str::from_utf8(inner.get(..digits).unwrap_or_default()).unwrap_or_default();
            self.seen += 1;
            if self.seen == wanted {
                return Some((open, end + 3));
            }
            self.inside = text.parse().unwrap_or(0);
            at = end + 3;
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_found_by_its_number_and_not_inside_another() {
        let stream = b"* 1 FETCH (BODY[] {5}\r\n{9}\r\n)\r\n* 2 FETCH (BODY[] {3}\r\nabc)\r\n";
        let second = stream.len() - 11;
        assert_eq!(Literals::default().find(stream, 1), Some((18, 23)));
        assert_eq!(Literals::default().find(stream, 2), Some((second, second + 5)));
        assert_eq!(Literals::default().find(stream, 3), None);
        // Cut by a read.
        let mut literals = Literals::default();
        assert_eq!(literals.find(&stream[..25], 2), None);
        assert_eq!(literals.find(&stream[25..], 2), Some((second - 25, second - 20)));
    }

    #[tokio::test]
    async fn a_connection_fails_where_it_was_told_to_and_the_next_one_lives() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = socket.write_all(&[b'x'; 3_000_000]).await;
                });
            }
        });
        let proxy = Proxy::start(server, 3).await?;
        proxy.arm(1);
        let mut all = Vec::new();
        let _ = TcpStream::connect(proxy.address).await?.read_to_end(&mut all).await;
        assert!(all.len() < 3_000_000, "{}", all.len());
        proxy.happened(1).await;
        all.clear();
        TcpStream::connect(proxy.address).await?.read_to_end(&mut all).await?;
        assert_eq!((all.len(), proxy.faults().all()), (3_000_000, 1));
        Ok(())
    }
}
