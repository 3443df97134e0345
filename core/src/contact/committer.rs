//! The one task that writes contacts: what waits at the same moment shares a transaction.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::automatic::Automatic;
use super::batch::{self, Done, Item, Rules, Written};
use super::contact::{Accepted, IntakeError, Outcome};
use super::deliveries;
use super::marks::{Marks, Waiting};
use super::part::PartAccepted;
use super::parts::WholeKey;
use super::prepare::{Prepared, PreparedPart};
use crate::base::account::Account;
use crate::base::count::Counters;
use crate::base::error::CoreError;
use crate::base::time::Millis;
use crate::base::wake::Wake;
use crate::base::{failpoint, mutant};
use crate::catalogue::Catalogue;
use crate::feed::Feed;
use crate::store::{Store, Tx};
use crate::vault::{ReplyTokens, Vault};

/// Contacts a transaction.
const BATCH: usize = 256;
/// Bytes of text a transaction; far below what either database takes as one parameter.
const SET_BYTES: usize = 16 * 1024 * 1024;
/// How long marks wait for a batch to be saved with.
const LAZY: Duration = Duration::from_secs(1);
/// How often a batch that lost a race is written again before it is taken apart.
const RACES: usize = 3;

type Answer<T> = oneshot::Sender<Result<T, IntakeError>>;

/// What waits for the committer.
#[derive(Debug)]
pub(super) enum Work {
    Contact(Box<Prepared>, Answer<Accepted>),
    Part(Box<PreparedPart>, Answer<PartAccepted>),
    /// A long text that stays incomplete; answers whether it was still there.
    Expire(WholeKey, Millis, Answer<bool>),
    /// Answered when all that came before is committed.
    Settle(oneshot::Sender<()>),
}

enum Reply {
    Contact(Answer<Accepted>),
    Part(Answer<PartAccepted>),
    Expire(Answer<bool>),
}

/// Why a set was not written.
enum Failure {
    /// The store is away: nothing can be written now.
    Unavailable(String),
    /// Another node wrote at the same moment; the same set may succeed now.
    Raced(String),
    /// Something in the set is refused.
    Refused(String),
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Unavailable(reason) => Self::Unavailable(reason),
            CoreError::Conflict(reason) => Self::Raced(reason),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// A transaction that has begun, and the marks that it saves already.
struct Opened {
    tx: Tx,
    marks: Waiting,
}

/// The task's own.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    pub(super) catalogue: Catalogue,
    pub(super) automatic: Automatic,
    pub(super) tokens: ReplyTokens,
    pub(super) outbox: Wake,
    pub(super) counters: Counters,
    pub(super) marks: Marks,
}

impl Committer {
    /// Runs until every [`super::Intake`] is gone.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Work>) {
        let mut work = Vec::with_capacity(BATCH);
        loop {
            let waiting = !self.marks.is_empty();
            let taken = tokio::select! {
                biased;
                taken = queue.recv_many(&mut work, BATCH) => Some(taken),
                () = tokio::time::sleep(LAZY), if waiting => None,
                () = self.marks.arrived(), if !waiting => continue,
            };
            match taken {
                Some(0) => break,
                Some(_) => {
                    let opened = self.open().await;
                    // What came while the transaction began need not wait for the next one.
                    while let Some(late) = (work.len() < BATCH).then(|| queue.try_recv().ok()).flatten() {
                        work.push(late);
                    }
                    self.serve(work.drain(..), opened).await;
                }
                None => self.save_marks().await,
            }
        }
        self.save_marks().await;
    }

    async fn serve(&self, work: impl Iterator<Item = Work>, opened: Result<Opened, Failure>) {
        let (mut items, mut replies, mut settles) = (Vec::new(), Vec::new(), Vec::new());
        for work in work {
            match work {
                Work::Contact(contact, answer) => {
                    items.push(Item::Contact(contact));
                    replies.push(Reply::Contact(answer));
                }
                Work::Part(part, answer) => {
                    items.push(Item::Part(part));
                    replies.push(Reply::Part(answer));
                }
                Work::Expire(key, now, answer) => {
                    items.push(Item::Expire(key, now));
                    replies.push(Reply::Expire(answer));
                }
                Work::Settle(answer) => settles.push(answer),
            }
        }
        let (mut replies, mut opened) = (replies.into_iter(), Some(opened));
        for set in sets(&items) {
            self.write_all(set, replies.by_ref().take(set.len()).collect(), &mut opened).await;
        }
        // Whoever asks for all to be settled means the marks too.
        if let Some(opened) = opened {
            self.keep_marks(opened).await;
        } else if !settles.is_empty() {
            self.save_marks().await;
        }
        for answer in settles {
            let _ = answer.send(());
        }
    }

    /// Writes a set; when it is refused, each of its members alone, so that one that is poisonous stays alone.
    async fn write_all(&self, items: &[Item], replies: Vec<Reply>, opened: &mut Option<Result<Opened, Failure>>) {
        let mut replies: Vec<Option<Reply>> = replies.into_iter().map(Some).collect();
        match self.with_races(items, &mut replies, opened).await {
            Ok(()) => (),
            Err(Failure::Unavailable(reason)) => self.unavailable(&reason, &mut replies),
            Err(Failure::Raced(reason) | Failure::Refused(reason)) => {
                tracing::warn!(members = items.len(), reason, "a set of contacts was refused; each is tried alone");
                self.one_by_one(items, &mut replies).await;
            }
        }
    }

    async fn one_by_one(&self, items: &[Item], replies: &mut [Option<Reply>]) {
        for (at, item) in items.iter().enumerate() {
            let alone = std::slice::from_ref(item);
            let mut outcome = self.with_races(alone, &mut replies[at..=at], &mut None).await;
            if let (Err(Failure::Refused(reason)), Item::Contact(contact)) = (&outcome, item) {
                tracing::error!(
                    account = contact.account,
                    reason,
                    "the store refuses a contact; only its artefact is kept"
                );
                outcome = self
                    .with_races(&[Item::Contact(Box::new(contact.bare()))], &mut replies[at..=at], &mut None)
                    .await;
            }
            match outcome {
                Ok(()) => (),
                Err(Failure::Unavailable(reason)) => return self.unavailable(&reason, &mut replies[at..]),
                Err(Failure::Raced(reason)) => self.unavailable(&reason, &mut replies[at..=at]),
                Err(Failure::Refused(reason)) => {
                    self.count(item, "contacts_refused");
                    give(&mut replies[at], Err(IntakeError::Invalid(reason)));
                }
            }
        }
    }

    /// The first try is in the transaction that was opened, if one was.
    async fn with_races(
        &self,
        items: &[Item],
        replies: &mut [Option<Reply>],
        opened: &mut Option<Result<Opened, Failure>>,
    ) -> Result<(), Failure> {
        let mut races = 0;
        loop {
            let opened = match opened.take() {
                Some(opened) => opened,
                None => self.open().await,
            };
            let outcome = self.write(items, replies, opened).await;
            races += 1;
            if races == RACES || !matches!(outcome, Err(Failure::Raced(_))) {
                return outcome;
            }
        }
    }

    /// Begins a transaction and saves the marks that wait.
    async fn open(&self) -> Result<Opened, Failure> {
        let marks = self.marks.take();
        let begin = async {
            let mut tx = self.store.begin().await?;
            deliveries::save(&mut tx, &marks).await?;
            Ok::<_, CoreError>(tx)
        };
        let failure = match AssertUnwindSafe(begin).catch_unwind().await {
            Ok(Ok(tx)) => return Ok(Opened { tx, marks }),
            Ok(Err(error)) => error.into(),
            Err(_) => Failure::Refused("a fault inside the marks".to_owned()),
        };
        self.marks.give_back(marks);
        Err(failure)
    }

    /// One transaction.
    async fn write(&self, items: &[Item], replies: &mut [Option<Reply>], opened: Result<Opened, Failure>) -> Result<(), Failure> {
        let Opened { tx, marks } = opened?;
        // A fault of ours in one contact must not end the only committer.
        let attempt = AssertUnwindSafe(self.attempt(tx, items, replies)).catch_unwind().await;
        let outcome = attempt.unwrap_or_else(|_| Err(Failure::Refused("a fault inside the intake".to_owned())));
        match outcome {
            Ok(written) => {
                self.committed(items, &written);
                for (reply, done) in replies.iter_mut().zip(written.done) {
                    give(reply, done);
                }
                Ok(())
            }
            Err(failure) => {
                self.marks.give_back(marks);
                Err(failure)
            }
        }
    }

    async fn attempt(&self, mut tx: Tx, items: &[Item], replies: &mut [Option<Reply>]) -> Result<Written, Failure> {
        let rules = Rules {
            catalogue: self.catalogue.current(),
            hours: self.catalogue.clone(),
            automatic: self.automatic.clone(),
            tokens: self.tokens.clone(),
        };
        let written = batch::write(&mut tx, items, &rules, &self.vault).await?;
        if mutant::active("ack_before_commit") {
            for (reply, done) in replies.iter_mut().zip(&written.done) {
                give(reply, done.clone());
            }
        }
        failpoint::hit("intake.before_commit");
        tx.commit().await?;
        failpoint::hit("intake.after_commit");
        Ok(written)
    }

    fn committed(&self, items: &[Item], written: &Written) {
        if written.held > 0 {
            tracing::warn!(held = written.held, "acknowledgements were held back by a limit of the hour");
        }
        for (account, event) in &written.counts {
            self.counters.add(account, event, 1);
        }
        if written.events > 0 {
            self.feed.committed();
        }
        if written.acknowledgements > 0 {
            self.outbox.ring();
        }
        for (item, done) in items.iter().zip(&written.done) {
            let event = match done {
                Ok(Done::Contact(accepted)) if accepted.outcome == Outcome::Fresh => "contacts_taken",
                Ok(Done::Part(part)) if part.outcome == Outcome::Fresh => "parts_taken",
                Ok(Done::Contact(_) | Done::Part(_)) => "contacts_known",
                Ok(Done::Expired(_)) => "texts_partial",
                Err(_) => "contacts_fenced",
            };
            self.count(item, event);
        }
    }

    fn count(&self, item: &Item, event: &'static str) {
        if let Ok(account) = Account::parse(item.account()) {
            self.counters.add(&account, event, 1);
        }
    }

    fn unavailable(&self, reason: &str, replies: &mut [Option<Reply>]) {
        tracing::warn!(
            contacts = replies.len(),
            reason,
            "contacts could not be stored and are not acknowledged"
        );
        for reply in replies {
            give(reply, Err(IntakeError::Unavailable(reason.to_owned())));
        }
    }

    async fn save_marks(&self) {
        if self.marks.is_empty() {
            return;
        }
        self.keep_marks(self.open().await).await;
    }

    async fn keep_marks(&self, opened: Result<Opened, Failure>) {
        if let Err(Failure::Unavailable(reason) | Failure::Raced(reason) | Failure::Refused(reason)) =
            self.write(&[], &mut [], opened).await
        {
            tracing::warn!(reason, "marks of responses could not be saved; they wait");
        }
    }
}

/// Cuts a batch where a statement would become too large.
fn sets(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut weight = 0;
        let fits = rest.iter().take_while(|item| {
            weight += item.weight();
            weight <= SET_BYTES
        });
        let (set, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        Some(set).filter(|set| !set.is_empty())
    })
}

/// Answers, once. A caller that has gone does not matter: what it handed over is committed.
fn give(reply: &mut Option<Reply>, done: Result<Done, IntakeError>) {
    let Some(reply) = reply.take() else { return };
    let astray = || IntakeError::Unavailable("the answer went astray".to_owned());
    match reply {
        Reply::Contact(answer) => {
            let _ = answer.send(done.and_then(|done| {
                if let Done::Contact(accepted) = done {
                    Ok(accepted)
                } else {
                    Err(astray())
                }
            }));
        }
        Reply::Part(answer) => {
            let _ = answer.send(done.and_then(|done| if let Done::Part(part) = done { Ok(part) } else { Err(astray()) }));
        }
        Reply::Expire(answer) => {
            let _ = answer.send(done.and_then(|done| if let Done::Expired(was) = done { Ok(was) } else { Err(astray()) }));
        }
    }
}
