//! From fetched mails to committed contacts.

use bytes::Bytes;
use futures_util::future::join_all;
use voxea_core::base::{failpoint, mutant, time};
use voxea_core::contact::{Contact, Dedup, Flag, IntakeError, Joining, Outcome};
use voxea_core::outbox::ReceiptState;

use crate::config;
use crate::dedup;
use crate::dsn::{Action, Dsn};
use crate::follow::{End, Follower, PAUSE};
use crate::planner::{Save, Taken};
use crate::reply_code;
use crate::take::{self, Read};

impl Follower<'_> {
    /// Parses and commits mails; returns when every one of them is safe.
    pub(crate) async fn accept(&mut self, taken: Vec<Taken>) -> Result<(), End> {
        if mutant::active("ack_before_commit") {
            let uids: Vec<u32> = taken.iter().map(|one| one.uid).collect();
            self.mark(&uids).await?;
            self.save(&Save {
                validity: self.desk.validity,
                cursor: uids.iter().copied().max().unwrap_or(0),
                imported: true,
                import_below: 0,
                gaps: None,
                fetched: Vec::new(),
            })
            .await?;
        }
        let batch: Vec<(Taken, Bytes)> = taken
            .into_iter()
            .map(|one| (one, self.fetched.remove(&one.uid).unwrap_or_default()))
            .collect();
        let count = batch.len() as u64;
        let suspect = match batch.as_slice() {
            [(one, _)] if self.suspects.contains(&one.uid) => Some(one.uid),
            _ => None,
        };
        let validity = i64::from(self.desk.validity);
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
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
        self.outcomes.extend(parsed.iter().map(|read| (read.taken.uid, outcome(read))));
        for wave in take::waves(parsed) {
            self.commit(wave).await?;
        }
        if self.fetched.is_empty() {
            self.room = None;
        }
        for _ in 0..count {
            failpoint::hit("imap.after_commit");
        }
        self.count("mail_received", count);
        self.progressed = true;
        Ok(())
    }

    async fn commit(&self, wave: Vec<Read>) -> Result<(), End> {
        let (notices, mails): (Vec<Read>, Vec<Read>) = wave.into_iter().partition(|read| read.mail.dsn.is_some());
        for notice in &notices {
            if let Some(dsn) = &notice.mail.dsn {
                self.notice(dsn).await?;
            }
        }
        let mut others = Vec::with_capacity(mails.len());
        for read in mails {
            if self.is_returned(&read).await? {
                self.count("mail_returned", 1);
            } else {
                others.push(read);
            }
        }
        let mut waiting = self.contacts(others).await?;
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

    /// Whether it is a mail of ours that came back to us, as from a folder of sent mail or by an alias: nobody's word, and known.
    async fn is_returned(&self, read: &Read) -> Result<bool, End> {
        let (mail, submission) = (&read.mail, self.desk.config.submission.as_ref());
        let ours = submission.is_some_and(|ours| {
            mail.from
                .as_deref()
                .is_some_and(|from| from.eq_ignore_ascii_case(&ours.from_address))
        });
        match mail.message_id.as_deref().map(take::bracketed).filter(|_| ours) {
            Some(id) => self.store(|| self.desk.core.outbox.is_sent(&id)).await,
            None => Ok(false),
        }
    }

    /// The contacts of mails, with their files on disk.
    async fn contacts(&self, mails: Vec<Read>) -> Result<Vec<Contact>, End> {
        let files: Vec<Bytes> = mails.iter().flat_map(Read::files).collect();
        let mut stored = self.store(|| self.desk.core.blobs.put_all(files.clone())).await?.into_iter();
        drop(files);
        let mut contacts = Vec::with_capacity(mails.len());
        for read in mails {
            let blobs = stored.by_ref().take(read.files().count()).collect();
            let mut contact = self.desk.contact(&read, blobs, time::now()).await;
            if is_unreadable(read.taken, &read.raw) {
                self.count("mail_unreadable", 1);
                self.place_alone(&mut contact, read.taken.uid);
            }
            contacts.push(contact);
        }
        Ok(contacts)
    }

    /// All that is known of a mail that the server does not give: where it is.
    fn place_alone(&self, contact: &mut Contact, uid: u32) {
        let (name, folder, validity) = (&self.desk.config.name, self.desk.folder, self.desk.validity);
        contact.raw = None;
        // No bytes are like any others.
        contact.dedup = Dedup::Keys(vec![dedup::place(name, folder, validity, uid)]);
        contact.joining = Joining::New;
        contact.subject = Some("Courriel illisible".to_owned());
        contact.text = Some(format!(
            "Un courriel est arrivé, que le serveur de messagerie n'a pas pu transmettre malgré plusieurs essais. Il y est \
             resté tel quel : boîte « {name} », dossier « {folder} », UID {uid} (UIDVALIDITY {validity})."
        ));
    }

    /// A contact that the core refuses, reduced to its bytes; nothing when even that was refused.
    fn reduced(&self, contact: Contact, words: &str) -> Option<Contact> {
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
        let dead = state == ReceiptState::Rejected && dsn.status.as_deref().is_some_and(reply_code::dead);
        let ours = self.store(|| self.desk.core.outbox.mail_receipt(&id, state, reason, dead)).await?;
        self.count(if ours { "notice" } else { "notice_unmatched" }, 1);
        Ok(())
    }
}

/// The server gave nothing of it.
fn is_unreadable(taken: Taken, raw: &Bytes) -> bool {
    taken.quarantined && raw.is_empty()
}

/// What was made of a mail, for what happens to it on its server.
fn outcome(read: &Read) -> config::Outcome {
    if is_unreadable(read.taken, &read.raw) {
        config::Outcome::Failed
    } else if read.taken.quarantined {
        config::Outcome::Quarantined
    } else if read.mail.automatic.is_some() || read.mail.dsn.is_some() {
        config::Outcome::Automatic
    } else {
        config::Outcome::Taken
    }
}
