//! The way to recordings that are being made: whoever makes one says that it does, and takes orders.
//!
//! It reaches the recordings of this process and no others: two nodes over one database are two processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::artefact::Pause;
use crate::base::actor::Actor;

/// What somebody wants of a recording that is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing is recorded from now on; what is paused stays so.
    Pause,
    /// It is recorded again; what is not paused stays so.
    Resume,
    /// The recording ends here, and its call with it.
    Stop,
    /// The same, and nothing of it stays.
    Discard,
}

/// A wish on its way.
#[derive(Debug)]
pub struct Order {
    /// The recording's id.
    pub recording: String,
    /// What is wanted.
    pub wish: Wish,
    /// Since when it is wanted.
    pub at: Instant,
    /// By whom.
    pub by: Actor,
    /// What was done goes here; dropped, it says that nobody knows the recording.
    pub answer: oneshot::Sender<Done>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is paused, or not, as was wanted. Its last pause, when there was any.
    InForce(Option<Pause>),
    /// The call is over, and its row says what became of the recording.
    Over,
    /// Nothing: what is said before the recording is still being said.
    NotBegun,
    /// Nothing: the call ends already.
    Ending,
    /// Nothing: it was paused as often as a recording can be.
    Full,
}

/// Every recording that is being made here. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<Makers>>);

type Makers = HashMap<String, mpsc::Sender<Order>>;

/// That a recording is being made; it can be reached until this is dropped.
#[derive(Debug)]
pub struct Entered {
    recording: String,
    live: Live,
}

impl Live {
    /// Says that a recording is being made, and where orders for it go.
    #[must_use]
    pub fn enter(&self, recording: &str, orders: mpsc::Sender<Order>) -> Entered {
        self.lock().insert(recording.to_owned(), orders);
        Entered {
            recording: recording.to_owned(),
            live: self.clone(),
        }
    }

    /// Whether a recording is being made here.
    #[must_use]
    pub fn knows(&self, recording: &str) -> bool {
        self.lock().contains_key(recording)
    }

    /// Gives an order and waits for what comes of it; `None` when nobody here makes that recording, or has not answered
    /// `within` this time. What was ordered may be done all the same then.
    pub(super) async fn order(&self, recording: &str, wish: Wish, at: Instant, by: &Actor, within: Duration) -> Option<Done> {
        let orders = self.lock().get(recording).cloned()?;
        let (answer, done) = oneshot::channel();
        let order = Order {
            recording: recording.to_owned(),
            wish,
            at,
            by: by.clone(),
            answer,
        };
        let asked = async {
            orders.send(order).await.ok()?;
            done.await.ok()
        };
        timeout(within, asked).await.ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Makers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.lock().remove(&self.recording);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn an_order_reaches_who_makes_the_recording_and_nobody_else() {
        let live = Live::default();
        let now = Instant::now();
        let order = async |recording: &str| live.order(recording, Wish::Pause, now, &Actor::System, SOON).await;
        assert_eq!(order("a").await, None, "nobody makes it");
        let (orders, mut taken) = mpsc::channel(1);
        let entered = live.enter("a", orders.clone());
        let maker = tokio::spawn(async move {
            while let Some(order) = taken.recv().await {
                assert_eq!((order.recording.as_str(), order.wish, order.at), ("a", Wish::Pause, now));
                order.answer.send(Done::NotBegun).unwrap();
            }
        });
        assert_eq!(order("a").await, Some(Done::NotBegun));
        assert_eq!(order("b").await, None);
        drop((entered, orders));
        assert!(!live.knows("a"), "it was made");
        maker.await.unwrap();
    }

    #[tokio::test]
    async fn who_does_not_answer_is_not_waited_for() {
        let live = Live::default();
        let (orders, mut taken) = mpsc::channel(1);
        let _entered = live.enter("a", orders);
        // The first waits in the hands of its maker, the second in the queue, the third before it.
        for _ in 0..3 {
            let done = live.order("a", Wish::Stop, Instant::now(), &Actor::System, SOON).await;
            assert_eq!(done, None);
        }
        drop(taken.recv().await.unwrap());
    }
}
