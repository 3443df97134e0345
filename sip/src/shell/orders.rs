//! What others want of a recording while it is being made: pause, resume, stop, discard.

use std::collections::HashSet;

use tokio::sync::{mpsc, oneshot};
use voxea_core::artefact::Pause;
use voxea_core::base::actor::Actor;
use voxea_core::contact::{Done, Entered, Order};
use voxea_recorder::timeline::Gap;

/// Orders that wait for the driver; whoever has another one waits before the queue, as long as it likes to.
const QUEUE: usize = 64;

/// Who may wait for the end of one call.
const WAITING: usize = 16;

/// The way in for orders, and what follows from them for the log.
#[derive(Debug)]
pub(super) struct Orders {
    sender: mpsc::Sender<Order>,
    queue: mpsc::Receiver<Order>,
    /// The Call-IDs of calls of which the recording is paused.
    pub(super) paused: HashSet<String>,
}

impl Default for Orders {
    fn default() -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        Self {
            sender,
            queue,
            paused: HashSet::new(),
        }
    }
}

impl Orders {
    /// The next one, once there is any.
    pub(super) async fn next(&mut self) -> Option<Order> {
        self.queue.recv().await
    }

    /// Where they go.
    pub(super) fn sender(&self) -> mpsc::Sender<Order> {
        self.sender.clone()
    }
}

/// What others want of one call's recording.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) call_id: String,
    /// That it can be reached, from the commit on.
    pub(super) entered: Option<Entered>,
    /// Sample 0 was recorded.
    pub(super) begun: bool,
    /// Who stopped it.
    pub(super) stopped_by: Option<Actor>,
    /// Nothing of it is to stay.
    pub(super) discarded: bool,
    /// Who waits until its end is stored.
    pub(super) waiting: Vec<oneshot::Sender<Done>>,
    /// Its pauses, once it has ended.
    pub(super) pauses: Vec<Pause>,
}

impl Wanted {
    /// Nothing, of the call with this Call-ID.
    pub(super) fn new(call_id: &str) -> Self {
        Self {
            call_id: call_id.to_owned(),
            entered: None,
            begun: false,
            stopped_by: None,
            discarded: false,
            waiting: Vec::new(),
            pauses: Vec::new(),
        }
    }

    /// Somebody waits for the end of the call; of very many the rest is not answered.
    pub(super) fn wait(&mut self, answer: oneshot::Sender<Done>) {
        if self.waiting.len() < WAITING {
            self.waiting.push(answer);
        }
    }
}

/// The pauses of a leg that is over, for the core.
pub(super) fn pauses(gaps: &[Gap]) -> Vec<Pause> {
    let pause = |(number, gap): (u32, &Gap)| Pause {
        number,
        first: gap.offset,
        samples: Some(gap.samples),
    };
    (0..).zip(gaps).map(pause).collect()
}

/// Tells those who waited that a call's end is stored.
pub(super) fn tell(waiting: Vec<oneshot::Sender<Done>>) {
    for answer in waiting {
        // Whoever gave up reads the row.
        let _ = answer.send(Done::Over);
    }
}
