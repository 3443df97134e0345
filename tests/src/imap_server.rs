//! A small IMAP4rev1 server (RFC 3501) with IDLE (RFC 2177) and MOVE (RFC 6851): one folder, in memory.
//!
//! It knows bytes and no crate of the product, so that it cannot share a mistake with the client it serves. It is
//! enough for a mailbox that is read, marked and moved; beside it stands Dovecot, which nobody here wrote. Everything
//! is bounded: connections, line lengths, literals, mails.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let server = voxea_tests::imap_server::ImapServer::start("mairie", "secret").await?;
//! let uid = server.deliver(b"From: a@example.fr\r\nSubject: Bonjour\r\n\r\nTexte\r\n")?;
//! server.settled(uid).await;
//! # Ok(()) }
//! ```

mod command;
mod mailbox;
mod session;
mod shared;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub use mailbox::Mail;
use mailbox::Mailbox;
use shared::Shared;

/// Connections served at once; the next ones wait.
const CONNECTIONS: usize = 32;

/// The server; it ends, with its connections, when this is dropped.
pub struct ImapServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl ImapServer {
    /// Starts on a loopback port that the kernel chooses, with an empty INBOX.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            user: user.to_owned(),
            password: password.to_owned(),
            mailbox: Mailbox::new(),
            cut: AtomicI64::new(-1),
            lie: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens, without TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a mail into the INBOX, as a delivery agent would, and tells idling clients; its UID.
    ///
    /// # Errors
    /// When the mailbox is full.
    pub fn deliver(&self, mail: &[u8]) -> Result<u32> {
        self.shared.mailbox.deliver(mail)
    }

    /// The mails of the INBOX, by UID.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mailbox.read(|inbox| inbox.mails.clone())
    }

    /// The mails that a client moved elsewhere, each with the folder's name, in the order of the moves.
    #[must_use]
    pub fn moved(&self) -> Vec<(String, Mail)> {
        self.shared.mailbox.read(|inbox| inbox.moved.clone())
    }

    /// Returns once a client has marked this mail `\Seen` or moved it away.
    pub async fn settled(&self, uid: u32) {
        let mut changes = self.shared.mailbox.changes();
        loop {
            let open = self.shared.mailbox.read(|inbox| {
                let open = |mail: &Mail| mail.uid == uid && !mail.flags.contains("\\Seen");
                inbox.mails.iter().any(open)
            });
            if !open || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Cuts the connection after this many octets of the next literal that is sent, once.
    pub fn cut_next_literal(&self, octets: u32) {
        self.shared.cut.store(i64::from(octets), Ordering::SeqCst);
    }

    /// Declares the next mail that is delivered to have so many octets, whenever it is asked for as a whole, and sends those that it
    /// has; then nothing more is heard on that connection.
    pub fn declare_next(&self, octets: u64) {
        let uid = self.shared.mailbox.read(|inbox| inbox.next);
        *self.shared.lie.lock().unwrap_or_else(PoisonError::into_inner) = Some((uid, octets));
    }

    /// Gives the folder another UIDVALIDITY, as a migration or a rebuilt index does, and renumbers its mails.
    pub fn change_validity(&self) {
        self.shared.mailbox.change_validity();
    }
}

impl Drop for ImapServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves connections; they live in this task's set, and end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut sessions = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        sessions.spawn(async move {
            let _place = place;
            // A client that goes away, or is cut on purpose, is no event here.
            drop(session::serve(stream, &shared).await);
        });
        while sessions.try_join_next().is_some() {}
    }
}
