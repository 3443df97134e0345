//! Follows a folder: does what the planner says, on a real connection and a real store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep, sleep_until};
use voxea_core::base::error::{CoreError, Result as CoreResult};
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::base::{failpoint, mutant, time};
use voxea_core::channel::Reporter;
use voxea_core::contact::{Contact, IntakeError, Outcome};
use voxea_core::outbox::ReceiptState;

use crate::config::After;
use crate::connection::{Connection, Trouble};
use crate::dsn::{Action, Dsn};
use crate::planner::{Do, First, Observed, Place, Planner, Settings, Taken};
use crate::take::{self, Desk, Read};

/// Mails a FETCH and a commit, at most.
const BATCH: usize = 100;
/// Bytes a FETCH, at most; with the parsed form this is about half of what a mailbox may need in memory.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;
/// Attachments that are flushed to disk at the same time.
const FLUSHES: usize = 16;
/// Pauses while the store is away.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Why following ended early.
enum End {
    Mailbox(Trouble),
    Store(String),
    Fenced,
    Stopped,
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Mailbox(trouble)
    }
}

/// Follows the folder until it is stopped or something fails.
pub(crate) async fn follow(desk: Desk<'_>, reporter: &Reporter, stop: &Stop) -> Exit {
    let opened = tokio::select! {
        opened = Connection::open(desk.config) => opened,
        () = stop.soft.cancelled() => return Exit::Stopped,
    };
    let connection = match opened {
        Ok(connection) => connection,
        Err(trouble) => return exit(End::Mailbox(trouble)),
    };
    let mut follower = Follower {
        desk,
        reporter,
        stop,
        connection,
        fetched: HashMap::new(),
        suspects: HashSet::new(),
    };
    let end = follower.follow().await;
    // A polite end where the connection lives.
    if matches!(end, End::Stopped) {
        reporter.stopping();
        follower.connection.close().await;
    }
    exit(end)
}

fn exit(end: End) -> Exit {
    match end {
        End::Mailbox(Trouble::Wrong(words)) => Exit::Halt(words),
        End::Mailbox(trouble) => Exit::Retry(trouble.to_string()),
        End::Store(words) => Exit::Retry(words),
        End::Fenced => Exit::Halt("another node serves this mailbox now".to_owned()),
        End::Stopped => Exit::Stopped,
    }
}

struct Follower<'a> {
    desk: Desk<'a>,
    reporter: &'a Reporter,
    stop: &'a Stop,
    connection: Connection,
    /// Mails that were fetched and not yet committed.
    fetched: HashMap<u32, Bytes>,
    /// Of these, the ones that were on the table when a process ended.
    suspects: HashSet<u32>,
}

impl Follower<'_> {
    async fn follow(&mut self) -> End {
        match self.steps().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn steps(&mut self) -> Result<std::convert::Infallible, End> {
        let config = self.desk.config;
        let stored = self
            .store(|| self.desk.core.mailboxes.place(&self.desk.account, &config.folder))
            .await?;
        let place = stored.map(|place| Place {
            validity: u32::try_from(place.uidvalidity).unwrap_or(0),
            cursor: u32::try_from(place.cursor).unwrap_or(0),
            imported: place.imported != 0,
            began_at: place.began_at,
        });
        let settings = Settings {
            first: config.first,
            marks: config.after != After::Nothing,
            batch: BATCH,
            batch_bytes: BATCH_BYTES,
            oversize: config.oversize,
            idle: self.connection.offers.idle,
            poll: Duration::from_secs(config.poll_seconds),
        };
        // Up is said when what comes from then on is surely taken in: not before "new" has a beginning that lasts.
        let (known, mut said) = (place.is_some(), false);
        let mut planner = Planner::new(settings, place);
        let mut observed = Observed::Connected;
        loop {
            let next = planner.step(observed, std::time::Instant::now());
            let resting = matches!(
                next,
                Do::Select | Do::Search { .. } | Do::Sizes(_) | Do::Fetch { .. } | Do::Idle(_) | Do::Wait(_)
            );
            if resting && self.stop.soft.is_cancelled() {
                return Err(End::Stopped);
            }
            self.reporter.queue(planner.waiting() as u64);
            let begun = match &next {
                Do::Select => known,
                Do::Save { imported, .. } => *imported || config.first != First::New,
                _ => false,
            };
            observed = self.perform(next).await?;
            if begun && !std::mem::replace(&mut said, true) {
                self.reporter.up(vec![format!("tcp:{}", self.connection.peer)]);
            }
        }
    }

    async fn perform(&mut self, next: Do) -> Result<Observed, End> {
        let config = self.desk.config;
        Ok(match next {
            Do::Select => {
                let (validity, next) = self.connection.select(&config.folder).await?;
                if self.desk.validity != 0 && self.desk.validity != validity {
                    return Err(End::Mailbox(Trouble::Lost(
                        "UIDVALIDITY changed; the folder is read anew".to_owned(),
                    )));
                }
                self.desk.validity = validity;
                Observed::Selected { validity, next }
            }
            Do::Search { from, also } => {
                let found = self.connection.search(from, &also).await?;
                // What the search has seen needs no second look.
                self.connection.heard_of_new();
                self.reporter.activity();
                Observed::Found(found)
            }
            Do::Sizes(uids) => Observed::Sized(self.connection.sizes(&uids).await?),
            Do::Fetch { whole, headers } => match self.connection.fetch(&whole, &headers).await {
                Ok(mails) => {
                    let uids = mails.iter().map(|(uid, _)| *uid).collect();
                    self.fetched.extend(mails);
                    failpoint::hit("imap.fetched");
                    Observed::Fetched(uids)
                }
                Err(Trouble::Refused(words)) => {
                    tracing::warn!(mailbox = %config.name, %words, "the server did not give every mail; they are fetched one by one");
                    self.count("fetch_refused", 1);
                    Observed::Refused
                }
                Err(trouble) => return Err(trouble.into()),
            },
            Do::Attempt(uids) => {
                let validity = i64::from(self.desk.validity);
                let (mailboxes, account) = (&self.desk.core.mailboxes, &self.desk.account);
                let counts = self.store(|| mailboxes.attempt(account, &config.folder, validity, &uids)).await?;
                let before = uids.iter().zip(&counts).filter(|(_, count)| **count > 1);
                self.suspects = before.map(|(uid, _)| *uid).collect();
                failpoint::hit("imap.attempted");
                Observed::Attempted(counts)
            }
            Do::Accept(taken) => {
                self.accept(taken).await?;
                Observed::Accepted
            }
            Do::Mark(uids) => {
                self.mark(&uids).await?;
                failpoint::hit("imap.marked");
                Observed::Marked
            }
            Do::Save {
                validity,
                cursor,
                imported,
            } => {
                self.save(validity, cursor, imported).await?;
                failpoint::hit("imap.saved");
                Observed::Saved
            }
            Do::Idle(until) => {
                if !self.connection.heard_of_new() {
                    self.connection.idle(Instant::from_std(until), self.stop.soft.cancelled()).await?;
                }
                Observed::Woken
            }
            Do::Wait(until) => {
                tokio::select! {
                    () = sleep_until(Instant::from_std(until)) => {}
                    () = self.stop.soft.cancelled() => {}
                }
                Observed::Woken
            }
        })
    }

    async fn save(&self, validity: u32, cursor: u32, imported: bool) -> Result<(), End> {
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, &self.desk.config.folder);
        self.store(|| mailboxes.save(account, folder, i64::from(validity), i64::from(cursor), imported))
            .await
    }

    async fn mark(&mut self, uids: &[u32]) -> Result<(), End> {
        let marked = match &self.desk.config.after {
            After::Seen => self.connection.mark_seen(uids).await,
            After::Move(folder) => self.connection.move_to(uids, folder).await,
            After::Nothing => Ok(()),
        };
        match marked {
            // The mails are ours all the same; a folder that cannot be written to must not stop what comes after.
            Err(Trouble::Refused(words)) => {
                tracing::warn!(mailbox = %self.desk.config.name, %words, "mails that were taken in could not be marked");
                self.reporter.trouble("mails that were taken in could not be marked or moved");
                self.count("mark_refused", uids.len() as u64);
                Ok(())
            }
            other => other.map_err(End::from),
        }
    }

    /// Parses and commits mails; returns when every one of them is safe.
    async fn accept(&mut self, taken: Vec<Taken>) -> Result<(), End> {
        if mutant::active("ack_before_commit") {
            let uids: Vec<u32> = taken.iter().map(|one| one.uid).collect();
            self.mark(&uids).await?;
            self.save(self.desk.validity, uids.iter().copied().max().unwrap_or(0), true).await?;
        }
        let batch: Vec<(Taken, Bytes)> = taken
            .into_iter()
            .filter_map(|one| self.fetched.remove(&one.uid).map(|raw| (one, raw)))
            .collect();
        let count = batch.len() as u64;
        let suspect = match batch.as_slice() {
            [(one, _)] if self.suspects.contains(&one.uid) => Some(one.uid),
            _ => None,
        };
        let validity = i64::from(self.desk.validity);
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, &self.desk.config.folder);
        if let Some(uid) = suspect {
            self.store(|| mailboxes.alone(account, folder, validity, uid)).await?;
        }
        let reader = self.desk.reader();
        let parsed = tokio::task::spawn_blocking(move || batch.into_iter().map(|(one, raw)| reader.read(one, raw)).collect::<Vec<Read>>());
        let parsed = parsed
            .await
            .map_err(|_| End::Store("a mail could not be parsed; it is tried again".to_owned()))?;
        if let Some(uid) = suspect {
            self.store(|| mailboxes.survived(account, folder, validity, uid)).await?;
        }
        for wave in take::waves(parsed) {
            self.commit(wave).await?;
        }
        for _ in 0..count {
            failpoint::hit("imap.after_commit");
        }
        self.count("mail_received", count);
        Ok(())
    }

    async fn commit(&self, wave: Vec<Read>) -> Result<(), End> {
        let (notices, mails): (Vec<Read>, Vec<Read>) = wave.into_iter().partition(|read| read.mail.dsn.is_some());
        for notice in &notices {
            if let Some(dsn) = &notice.mail.dsn {
                self.notice(dsn).await?;
            }
        }
        let mut waiting = self.contacts(&mails).await?;
        failpoint::hit("imap.files_written");
        let mut pause = PAUSE;
        while !waiting.is_empty() {
            let outcomes = join_all(waiting.iter().map(|contact| self.desk.core.intake.accept(contact.clone()))).await;
            let mut again = Vec::new();
            let mut unavailable = None;
            for (contact, outcome) in waiting.into_iter().zip(outcomes) {
                match outcome {
                    Ok(accepted) => self.count(
                        if accepted.outcome == Outcome::Known {
                            "mail_known"
                        } else {
                            "mail_fresh"
                        },
                        1,
                    ),
                    Err(IntakeError::Fenced) => return Err(End::Fenced),
                    Err(IntakeError::Unavailable(words)) => {
                        unavailable = Some(words);
                        again.push(contact);
                    }
                    Err(IntakeError::Invalid(words)) => again.extend(self.reduced(contact, &words)),
                }
            }
            waiting = again;
            if let Some(words) = unavailable {
                self.away(&words, &mut pause).await?;
            }
        }
        Ok(())
    }

    /// The contacts of mails, with their files on disk.
    async fn contacts(&self, mails: &[Read]) -> Result<Vec<Contact>, End> {
        let making: Vec<_> = mails.iter().map(|read| self.contact(read)).collect();
        let contacts: Vec<_> = stream::iter(making).buffered(FLUSHES).collect().await;
        contacts.into_iter().collect()
    }

    async fn contact(&self, read: &Read) -> Result<Contact, End> {
        self.store(|| self.desk.contact(read, time::now())).await
    }

    /// A contact that the core refuses, reduced to its bytes; nothing when even that was refused.
    fn reduced(&self, contact: Contact, words: &str) -> Option<Contact> {
        use voxea_core::contact::{Flag, Joining};
        let last = contact.flags.contains(&Flag::Quarantined);
        self.count(if last { "mail_refused" } else { "mail_quarantined" }, 1);
        tracing::error!(mailbox = %self.desk.config.name, %words, last, "the core refuses a mail as it is; it is kept raw");
        let raw = contact.raw.filter(|_| !last)?;
        let mut reduced = Contact::new(
            contact.account,
            contact.epoch,
            contact.channel,
            contact.dedup,
            String::new(),
            contact.to,
            contact.received_at,
        );
        reduced.flags = vec![Flag::Quarantined];
        reduced.raw = Some(raw);
        reduced.joining = Joining::New;
        Some(reduced)
    }

    /// A delivery notification or an abuse report: it speaks of one of our mails, and opens nothing. Taking it in twice
    /// changes nothing, so it needs no key.
    async fn notice(&self, dsn: &Dsn) -> Result<(), End> {
        let Some(id) = dsn.original_message_id.as_deref() else {
            self.count("notice_unmatched", 1);
            return Ok(());
        };
        let (state, prefix) = match dsn.action {
            Action::Failed => (ReceiptState::Rejected, ""),
            Action::Delivered | Action::Relayed => (ReceiptState::Delivered, ""),
            // It did arrive.
            Action::Complaint => (ReceiptState::Delivered, "reported as unwanted"),
            Action::Delayed => {
                self.count("notice_delayed", 1);
                return Ok(());
            }
        };
        let words = [
            prefix,
            dsn.status.as_deref().unwrap_or_default(),
            dsn.diagnostic.as_deref().unwrap_or_default(),
        ];
        let reason = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
        let reason = (!reason.is_empty()).then_some(reason.as_str());
        let id = take::bracketed(id);
        let ours = self.store(|| self.desk.core.outbox.mail_receipt(&id, state, reason)).await?;
        self.count(if ours { "notice" } else { "notice_unmatched" }, 1);
        Ok(())
    }

    fn count(&self, event: &'static str, n: u64) {
        self.desk.core.counters.add(&self.desk.account, event, n);
    }

    /// Asks the store until it answers. A store that is away is not the mails' fault: they wait, unread on the server.
    async fn store<T, F: Future<Output = CoreResult<T>>>(&self, ask: impl Fn() -> F) -> Result<T, End> {
        let mut pause = PAUSE;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                // A full disk shows as a file error first, and passes too.
                Err(error @ (CoreError::Unavailable(_) | CoreError::Away(_) | CoreError::File { .. })) => {
                    self.away(&error.to_string(), &mut pause).await?
                }
                Err(CoreError::Fenced { .. }) => return Err(End::Fenced),
                Err(error) => return Err(End::Store(error.to_string())),
            }
        }
    }

    async fn away(&self, words: &str, pause: &mut Duration) -> Result<(), End> {
        self.count("store_unavailable", 1);
        self.reporter.trouble(words);
        tokio::select! {
            () = sleep(*pause) => {}
            () = self.stop.soft.cancelled() => return Err(End::Stopped),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
