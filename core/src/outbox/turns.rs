//! Replies that wait to be written, and whose turn it is to write.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::file::ReplyFile;
use super::row::ReplyRow;
use super::texting::Sending;
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};

/// Replies a transaction.
const BATCH: usize = 64;
/// Bytes of text a transaction, unless one alone has more; what is waiting is bounded by the callers.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Who waits when so many do is turned away.
const MOST_WAITING: usize = 4096;

/// An answer as an agent writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReply {
    /// The channel to answer on; the request's preferred one when it is left out.
    pub channel: Option<Channel>,
    /// What to say.
    pub text: String,
    /// The subject of a mail, when it shall not be the request's.
    pub subject: Option<String>,
}

/// A reply that somebody asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) actor: Actor,
    pub(super) request_id: String,
    pub(super) reply: NewReply,
    pub(super) sending: Sending,
    /// The earlier one whose place it takes.
    pub(super) replaces: Option<String>,
    /// What goes with a mail.
    pub(super) files: Vec<ReplyFile>,
    /// By what it would be known again, as its blind index.
    pub(super) origin: Option<String>,
}

/// What may come beside the text of a reply; nothing by default.
#[derive(Debug, Default)]
pub struct Beside<'a> {
    /// The earlier reply whose place it takes.
    pub replaces: Option<&'a str>,
    /// What goes with a mail.
    pub files: Vec<ReplyFile>,
    /// By what it is known again: of two with the same, whenever they come, one is written.
    pub origin: Option<&'a str>,
}

/// Where its row goes, or why it has none.
pub(super) type Answer = oneshot::Sender<Result<ReplyRow>>;

/// What waits to be written, and whose turn it is to write.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    waiting: Arc<Mutex<VecDeque<(Wanted, Answer)>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Queue {
    /// Has one wait.
    ///
    /// # Errors
    /// [`CoreError::Unavailable`] when too many do.
    pub(super) fn push(&self, wanted: Wanted, answer: Answer) -> Result<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST_WAITING {
            return Err(CoreError::Unavailable("too many replies wait to be written".to_owned()));
        }
        waiting.push_back((wanted, answer));
        Ok(())
    }

    /// Waits until nobody else writes.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Takes the next batch, in order, without those whose callers have gone: nobody would know that they were written. One that
    /// takes the place of another goes alone: what was done for it must be undone when it cannot be.
    pub(super) fn take(&self) -> Vec<(Wanted, Answer)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < BATCH
            && let Some((wanted, answer)) = waiting.front()
        {
            if answer.is_closed() {
                waiting.pop_front();
                continue;
            }
            bytes += wanted.reply.text.len();
            let alone = wanted.replaces.is_some();
            if (alone || bytes > BATCH_BYTES) && !taken.is_empty() {
                break;
            }
            taken.extend(waiting.pop_front());
            if alone {
                break;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str, replaces: Option<&str>) -> Wanted {
        Wanted {
            actor: Actor::System,
            request_id: "r".to_owned(),
            reply: NewReply {
                channel: None,
                text: text.to_owned(),
                subject: None,
            },
            sending: Sending::default(),
            replaces: replaces.map(str::to_owned),
            origin: None,
            files: Vec::new(),
        }
    }

    #[test]
    fn a_batch_is_in_order_and_bounded_and_who_replaces_goes_alone() {
        let (queue, mut callers) = (Queue::default(), Vec::new());
        let large = "a".repeat(BATCH_BYTES / 2 + 1);
        let asked = [
            ("one", None),
            ("two", None),
            ("three", Some("x")),
            ("four", None),
            (&large, None),
            (&large, None),
        ];
        for (text, replaces) in asked {
            let (answer, caller) = oneshot::channel();
            queue.push(wanted(text, replaces), answer).unwrap();
            callers.push(caller);
        }
        callers.remove(1);
        let batch = || {
            queue
                .take()
                .into_iter()
                .map(|(wanted, _)| wanted.reply.text.len())
                .collect::<Vec<_>>()
        };
        let batches: Vec<_> = (0..5).map(|_| batch()).collect();
        assert_eq!(batches, [vec![3], vec![5], vec![4, large.len()], vec![large.len()], vec![]]);
    }

    #[test]
    fn too_many_are_turned_away() {
        let (queue, mut callers) = (Queue::default(), Vec::new());
        for _ in 0..MOST_WAITING {
            let (answer, caller) = oneshot::channel();
            queue.push(wanted("one", None), answer).unwrap();
            callers.push(caller);
        }
        let (answer, _caller) = oneshot::channel();
        assert!(matches!(queue.push(wanted("one", None), answer), Err(CoreError::Unavailable(_))));
    }
}
