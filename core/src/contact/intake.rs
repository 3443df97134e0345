//! The door by which contacts come in.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::automatic::{Automatic, AutomaticTexts};
use super::choosing::{self, Choice};
use super::committer::{self, Work};
use super::contact::{Accepted, Contact, IntakeError, Joining};
use super::keys::Keys;
use super::marks::Marks;
use super::part::{Part, PartAccepted};
use super::prepare;
use super::redelivery::DeliveryMark;
use super::{cleanup, fence, parts, theming};
use crate::base::account::Account;
use crate::base::count::Counters;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::base::wake::Wake;
use crate::catalogue::Catalogue;
use crate::feed::Feed;
use crate::store::Store;
use crate::vault::{ReplyTokens, Vault};

/// Contacts that may wait for the committer. Beyond that, callers wait, and so do their peers.
const QUEUE: usize = 1024;

/// The door. Clones share one committer, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Intake {
    store: Store,
    vault: Vault,
    feed: Feed,
    catalogue: Catalogue,
    automatic: Automatic,
    tokens: ReplyTokens,
    counters: Counters,
    queue: mpsc::Sender<Work>,
    marks: Marks,
    registered: Arc<Mutex<HashSet<String>>>,
}

impl Intake {
    /// Starts the committer on the current runtime. `outbox` rings when an acknowledgement was queued.
    #[must_use]
    pub fn start(store: Store, vault: Vault, feed: Feed, catalogue: Catalogue, outbox: Wake, counters: Counters) -> Self {
        let (queue, work) = mpsc::channel(QUEUE);
        let marks = Marks::default();
        let automatic = Automatic::default();
        let tokens = ReplyTokens::new(store.clone(), vault.clone());
        let committer = committer::Committer {
            store: store.clone(),
            vault: vault.clone(),
            feed: feed.clone(),
            catalogue: catalogue.clone(),
            automatic: automatic.clone(),
            tokens: tokens.clone(),
            outbox,
            counters: counters.clone(),
            marks: marks.clone(),
        };
        tokio::spawn(committer.run(work));
        Self {
            tokens,
            counters,
            store,
            vault,
            feed,
            catalogue,
            automatic,
            queue,
            marks,
            registered: Arc::default(),
        }
    }

    /// Enters an account when its task starts, and returns the epoch that its contacts must carry. Links of an earlier
    /// process, whose end nobody noted, are ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn register(&self, account: &Account) -> Result<i64> {
        let key = account.key();
        let first = self.registered.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        let entered = fence::register(&self.store, &key, first).await;
        if entered.is_err() && first {
            self.registered.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        entered
    }

    /// Takes an account over: from now on only contacts with the returned epoch are taken in for it.
    ///
    /// # Errors
    /// The store's.
    pub async fn take_over(&self, account: &Account) -> Result<i64> {
        fence::take_over(&self.store, &account.key()).await
    }

    /// What the texts of an account are answered by itself from now on.
    pub fn answer_texts(&self, account: &Account, texts: AutomaticTexts) {
        self.automatic.enter(account, texts);
    }

    /// Takes a contact in, and returns when it is committed. Only then may the peer be told that we have it.
    ///
    /// # Errors
    /// See [`IntakeError`]; nothing of the contact was stored.
    pub fn accept(&self, mut contact: Contact) -> impl Future<Output = std::result::Result<Accepted, IntakeError>> + Send + '_ {
        self.automatic.choose(&mut contact);
        theming::choose(&mut contact, &self.catalogue.current());
        // In a box before anything waits: thousands wait at once, each in a task that is as large as all that it holds.
        let mut contact = Box::new(contact);
        async move {
            if matches!(contact.joining, Joining::Thread { .. }) {
                Box::pin(self.prove(&mut contact)).await?;
            }
            let prepared = prepare::contact(*contact, &self.vault)?;
            let (answer, answered) = oneshot::channel();
            self.hand_over(Work::Contact(Box::new(prepared), answer), answered).await
        }
    }

    /// Puts the ids of requests in the place of the tokens that prove them. A forgery is counted, and proves nothing.
    async fn prove(&self, contact: &mut Contact) -> std::result::Result<(), IntakeError> {
        let unavailable = |error: CoreError| IntakeError::Unavailable(error.to_string());
        let Joining::Thread { proofs, .. } = &mut contact.joining else {
            return Ok(());
        };
        if contact.acknowledgement.is_some() {
            self.tokens.ready().await.map_err(unavailable)?;
        }
        let mut proved = Vec::new();
        for token in std::mem::take(proofs) {
            let request = self.tokens.request(&token).await;
            match request.map_err(unavailable)? {
                Some(request) if !proved.contains(&request) => proved.push(request),
                Some(_) => (),
                None => self.counters.add(&contact.account, "reply_token_forged", 1),
            }
        }
        *proofs = proved;
        Ok(())
    }

    /// Which of an account's keys ([`super::Dedup`]) lead to an interaction already, in the order asked. Only for leaving out
    /// the work of reading what is known: what is not may be claimed by another node at the same moment.
    ///
    /// # Errors
    /// The store's.
    pub async fn knows(&self, account: &Account, keys: &[String]) -> Result<Vec<bool>> {
        let account = account.key();
        let indexes: Vec<String> = keys.iter().map(|key| prepare::dedup_key(key, &self.vault)).collect();
        let wanted: BTreeSet<(&str, &str)> = indexes.iter().map(|key| (account.as_str(), key.as_str())).collect();
        let mut tx = self.store.begin().await?;
        let known = Keys::read(&mut tx, &wanted).await?;
        tx.commit().await?;
        Ok(indexes.iter().map(|key| known.has(&account, key)).collect())
    }

    /// Gives a request the theme that its citizen chose while the contact was going on, by a key in a call. `given` is the
    /// theme that the account's own rule gave it; who has another by now keeps it, since a person said so. Returns whether
    /// the request has the chosen theme.
    ///
    /// # Errors
    /// As [`Intake::accept`]; a theme that is not in use, and a request that is not there, are invalid.
    pub async fn choose_theme(&self, choice: &Choice) -> std::result::Result<bool, IntakeError> {
        choosing::choose(&self.store, &self.vault, &self.feed, &self.catalogue, choice).await
    }

    /// Takes a part of a long text in, and returns when it is committed. With the last one the text becomes a contact
    /// in the same transaction.
    ///
    /// # Errors
    /// As [`Intake::accept`].
    pub async fn part(&self, part: Part) -> std::result::Result<PartAccepted, IntakeError> {
        let prepared = prepare::part(part, &self.vault)?;
        let (answer, answered) = oneshot::channel();
        self.hand_over(Work::Part(Box::new(prepared), answer), answered).await
    }

    async fn hand_over<T>(
        &self,
        work: Work,
        answered: oneshot::Receiver<std::result::Result<T, IntakeError>>,
    ) -> std::result::Result<T, IntakeError> {
        let gone = || IntakeError::Unavailable("the daemon is stopping".to_owned());
        self.queue.send(work).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Notes that the responses to these deliveries have left. Saved with the next batch, or after a second; a mark that
    /// is lost makes a redelivery known that would be anyway.
    pub fn flushed(&self, marks: Vec<DeliveryMark>, at: Millis) {
        self.marks.flushed(marks, at);
    }

    /// Notes that a link has ended: responses that left shortly before may not have arrived.
    pub fn link_ended(&self, account: &Account, link: &str, at: Millis) {
        self.marks.link_ended(account, link, at);
    }

    /// Returns when everything that was handed over before is committed, marks included. For an orderly stop.
    pub async fn settled(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Work::Settle(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }

    /// Delivers what came of long texts whose time is over, flagged `partial`. Returns how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_parts(&self, now: Millis) -> Result<usize> {
        let mut delivered = 0;
        for key in parts::expired(&self.store, now).await? {
            let (answer, answered) = oneshot::channel();
            match self.hand_over(Work::Expire(key, now, answer), answered).await {
                Ok(true) => delivered += 1,
                Ok(false) => (),
                Err(error) => return Err(CoreError::Unavailable(error.to_string())),
            }
        }
        Ok(delivered)
    }

    /// Drops what the rule of redelivery no longer needs: deliveries and links after 48 h, parts of whole texts after
    /// as long, and what was counted of automatic messages. Returns how many rows. The keys of mails and calls stay.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, now: Millis) -> Result<u64> {
        cleanup::forget(&self.store, now).await
    }
}
