//! An SMSC that is a test's: it delivers through a window, keeps a ledger of what it was told, and misbehaves on demand.
//!
//! It listens on a port of its own and takes one bind after another (a new one takes over from the old). What is not
//! answered when a connection ends is delivered again on the next, as a real SMSC does.

mod connection;
pub mod ledger;
pub mod pdu;
mod shared;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use ledger::{Answer, Entry, Fate, Ledger, Receipts, Wired};
pub use pdu::{Message, Replace, Submit};
use shared::{Deed, Shared};
pub use shared::{Loss, Manner};

/// A running SMSC; it ends when this is dropped.
#[derive(Debug)]
pub struct Smsc {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Smsc {
    /// Listens on a free port of the loopback, for `system_id` and `password`.
    ///
    /// # Errors
    /// The socket's.
    pub async fn listen(system_id: &str, password: &str, manner: Manner) -> io::Result<Self> {
        Self::listen_at("127.0.0.1:0", system_id, password, manner).await
    }

    /// The same at an address of the caller's.
    ///
    /// # Errors
    /// The socket's.
    pub async fn listen_at(address: &str, system_id: &str, password: &str, manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            system_id: system_id.to_owned(),
            password: password.to_owned(),
            manner: Mutex::new(manner),
            ledger: Mutex::new(Ledger::new()),
            changed: watch::Sender::new(0),
            deeds: watch::Sender::new((0, None)),
        });
        let task = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.touch();
    }

    /// Delivers a message as soon as bind and window allow. Returns its number in the ledger.
    pub fn send(&self, message: &Message) -> usize {
        let number = self.shared.ledger().add(message.encoded(), false);
        self.shared.touch();
        number
    }

    /// Delivers many, with one wake-up. Returns the numbers of the first and of the one after the last.
    pub fn send_all<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) -> (usize, usize) {
        let mut ledger = self.shared.ledger();
        let first = ledger.entries.len();
        for message in messages {
            ledger.add(message.encoded(), false);
        }
        let last = ledger.entries.len();
        drop(ledger);
        self.shared.touch();
        (first, last)
    }

    /// Sends a whole PDU as it is, except that its sequence number becomes the next one. An answer to it settles it.
    pub fn send_raw(&self, pdu: &[u8]) -> usize {
        let number = self.shared.ledger().add(pdu.to_vec(), true);
        self.shared.touch();
        number
    }

    /// What the next submit_sms are answered, one each; after that they are taken.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.ledger().answers.extend(answers);
    }

    fn deed(&self, deed: Deed) {
        self.shared.deeds.send_modify(|(count, last)| {
            *count += 1;
            *last = Some(deed);
        });
    }

    /// Drops the connection without a word.
    pub fn cut(&self) {
        self.deed(Deed::Cut);
    }

    /// Sends an unbind.
    pub fn unbind(&self) {
        self.deed(Deed::Unbind);
    }

    /// Sends an enquire_link; its response is among [`Ledger::others`].
    pub fn enquire(&self) {
        self.deed(Deed::Enquire);
    }

    /// Looks at the ledger.
    pub fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.ledger())
    }

    /// Waits until the ledger is as wished; `false` when that takes longer than `limit`.
    pub async fn until(&self, limit: Duration, mut wished: impl FnMut(&Ledger) -> bool) -> bool {
        let mut changes = self.shared.changed.subscribe();
        let reached = async {
            while !self.look(&mut wished) {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(limit, reached).await.is_ok()
    }
}
