//! What is saved lazily: responses that have left, links that have ended.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::redelivery::DeliveryMark;
use crate::base::account::Account;
use crate::base::time::Millis;

/// Marks that may wait. A mark beyond is dropped: the delivery then counts as not acknowledged, which is the safe side.
const WAITING: usize = 65_536;

/// A link that has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedLink {
    pub(super) account: String,
    pub(super) link: String,
    pub(super) at: Millis,
}

/// Marks that wait for the next batch.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) flushed: Vec<(DeliveryMark, Millis)>,
    pub(super) ended: Vec<EndedLink>,
}

impl Waiting {
    pub(super) const fn is_empty(&self) -> bool {
        self.flushed.is_empty() && self.ended.is_empty()
    }
}

/// The shelf that channels put marks on and the committer takes them from.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

impl Marks {
    pub(super) fn flushed(&self, marks: Vec<DeliveryMark>, at: Millis) {
        self.put(|waiting| {
            let room = WAITING.saturating_sub(waiting.flushed.len());
            waiting.flushed.extend(marks.into_iter().take(room).map(|mark| (mark, at)));
        });
    }

    pub(super) fn link_ended(&self, account: &Account, link: &str, at: Millis) {
        self.put(|waiting| {
            waiting.ended.push(EndedLink {
                account: account.key(),
                link: link.to_owned(),
                at,
            })
        });
    }

    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.arrived.notify_one();
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> Waiting {
        mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be saved, before what has come since.
    pub(super) fn give_back(&self, mut earlier: Waiting) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.flushed.append(&mut waiting.flushed);
        earlier.ended.append(&mut waiting.ended);
        earlier.flushed.truncate(WAITING);
        earlier.ended.truncate(WAITING);
        *waiting = earlier;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns when something was put here since the last call.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }
}
