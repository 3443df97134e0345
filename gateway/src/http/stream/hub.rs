//! One reader of the feed's end for everybody who waits there: it reads each commit once and hands it on.
//!
//! What it hands on is bounded. Who falls behind it, or begins somewhere else, reads pages by himself until he is where it is; so
//! nobody's slowness holds up another or takes memory. Each batch says after which position it begins, by which its readers know
//! whether they have missed anything.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use voxea_core::base::error::Result;
use voxea_core::base::stop::Stop;
use voxea_core::feed::{self, Feed};

/// Batches that wait for the slowest at most; he who is further behind reads pages.
const BEHIND: usize = 32;
/// Events of a batch.
const BATCH: usize = 500;
/// Between two looks for commits of other nodes. They do not ring here: PostgreSQL's NOTIFY would put all that commit in one
/// queue, which the intake would pay for.
const LOOK: Duration = Duration::from_secs(1);
/// Between two reads, so that a busy hour's commits share them.
const PACE: Duration = Duration::from_millis(5);

/// A run of events as they were stored.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whose positions these are.
    pub(crate) epoch: String,
    /// Every event after this position…
    pub(crate) after: i64,
    /// …up to this one is here.
    pub(crate) next: i64,
    /// In order.
    pub(crate) events: Vec<Stored>,
}

/// An event, and its text for those who are shown all of it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) event: feed::Event,
    pub(crate) whole: OnceLock<Bytes>,
}

/// What everybody who waits shares.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    feed: Feed,
    batches: broadcast::Sender<Arc<Batch>>,
    joined: Notify,
    closing: CancellationToken,
    listeners: Arc<Semaphore>,
}

impl Hub {
    /// Over the feed, for at most so many streams and waiting calls at once, which both hold a connection.
    pub(crate) fn new(feed: Feed, listeners: usize) -> Self {
        Self(Arc::new(Shared {
            feed,
            batches: broadcast::Sender::new(BEHIND),
            joined: Notify::new(),
            closing: CancellationToken::new(),
            listeners: Arc::new(Semaphore::new(listeners)),
        }))
    }

    /// Hears every batch from now on. To be called before the page is read after which it goes on.
    pub(crate) fn hear(&self) -> broadcast::Receiver<Arc<Batch>> {
        let heard = self.0.batches.subscribe();
        self.0.joined.notify_one();
        heard
    }

    /// A place for a stream; `None` when all are taken.
    pub(crate) fn stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.listeners).try_acquire_owned().ok()
    }

    /// A place for a call that waits; `None` when all are taken.
    pub(crate) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.listeners).try_acquire_owned().ok()
    }

    /// Returns when everybody shall go.
    pub(crate) async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    /// Reads the feed's end while anybody listens, until the soft stop.
    pub(crate) async fn follow(self, stop: Stop) {
        let mut rung = self.0.feed.listen();
        let mut at = None;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = rung.rung() => {}
                () = self.0.joined.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.0.batches.receiver_count() == 0 {
                at = None;
                continue;
            }
            tokio::time::sleep_until(next).await;
            next = Instant::now() + PACE;
            at = match self.turn(at).await {
                Ok(at) => Some(at),
                Err(error) => {
                    tracing::warn!(%error, "the end of the feed cannot be read; whoever waits there is told later");
                    next = Instant::now() + LOOK;
                    None
                }
            };
        }
        self.0.closing.cancel();
    }

    /// Hands on what is new and returns where it ends. Without a place to begin, it says where it is.
    async fn turn(&self, at: Option<i64>) -> Result<i64> {
        let state = self.0.feed.state().await?;
        let Some(mut after) = at.filter(|at| state.follows(*at).is_ok()) else {
            self.send(&state.epoch, state.head, state.head, Vec::new());
            return Ok(state.head);
        };
        while after < state.head {
            let page = self.0.feed.stored(after, BATCH).await?;
            // All that stands up to the head was committed before the page was read.
            let next = if page.has_more { page.next } else { page.next.max(state.head) };
            self.send(&state.epoch, after, next, page.items);
            after = next;
        }
        Ok(after)
    }

    fn send(&self, epoch: &str, after: i64, next: i64, events: Vec<feed::Event>) {
        let stored = |event| Stored {
            event,
            whole: OnceLock::new(),
        };
        // Nobody may be left.
        let _ = self.0.batches.send(Arc::new(Batch {
            epoch: epoch.to_owned(),
            after,
            next,
            events: events.into_iter().map(stored).collect(),
        }));
    }
}
