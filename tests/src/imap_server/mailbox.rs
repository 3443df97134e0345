//! The folder in memory, and who is told that it changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use tokio::sync::watch;

/// Mails the folder takes at most.
const MAILS: usize = 20_000;
/// Octets the folder takes at most.
const OCTETS: usize = 256 * 1024 * 1024;

/// A mail in the folder.
#[derive(Debug, Clone)]
pub struct Mail {
    /// UID (RFC 3501 §2.3.1.1).
    pub uid: u32,
    /// Flags, as `\Seen`.
    pub flags: BTreeSet<String>,
    /// The mail as it was delivered, with CRLF.
    pub bytes: Arc<[u8]>,
    /// INTERNALDATE: when it was delivered (RFC 3501 §9, date-time).
    pub date: String,
}

/// What the folder holds.
pub(super) struct Inbox {
    pub(super) validity: u32,
    pub(super) next: u32,
    pub(super) mails: Vec<Mail>,
    pub(super) moved: Vec<(String, Mail)>,
    octets: usize,
}

pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    changed: watch::Sender<u64>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        let inbox = Inbox {
            validity: 1_700_000_001,
            next: 1,
            mails: Vec::new(),
            moved: Vec::new(),
            octets: 0,
        };
        Self {
            inbox: Mutex::new(inbox),
            changed: watch::Sender::new(0),
        }
    }

    pub(super) fn deliver(&self, bytes: &[u8]) -> Result<u32> {
        self.write(|inbox| {
            if inbox.mails.len() >= MAILS || inbox.octets + bytes.len() > OCTETS {
                bail!("the mailbox is full");
            }
            let uid = inbox.next;
            inbox.next += 1;
            inbox.octets += bytes.len();
            inbox.mails.push(Mail {
                uid,
                flags: BTreeSet::new(),
                bytes: bytes.into(),
                date: jiff::Zoned::now()
                    .with_time_zone(jiff::tz::TimeZone::UTC)
                    .strftime("%d-%b-%Y %H:%M:%S +0000")
                    .to_string(),
            });
            Ok(uid)
        })
    }

    pub(super) fn change_validity(&self) {
        self.write(|inbox| {
            inbox.validity += 1;
            // UIDs are unique within a validity only; other numbers make sure that a client which keeps the old ones
            // is caught.
            for (uid, mail) in (1000..).zip(&mut inbox.mails) {
                mail.uid = uid;
            }
            inbox.next = inbox.mails.last().map_or(1000, |mail| mail.uid + 1);
        });
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Inbox) -> T) -> T {
        look(&self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let result = change(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|version| *version += 1);
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
