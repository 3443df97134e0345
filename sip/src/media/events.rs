//! Events of a leg on their way to the shell.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::leg::{LegId, MediaEvent};

/// Events on their way, kept in order when the shell is slow to take them.
#[derive(Debug)]
pub(super) struct Events {
    id: LegId,
    sender: mpsc::Sender<(LegId, MediaEvent)>,
    kept: VecDeque<MediaEvent>,
}

impl Events {
    pub(super) fn new(id: LegId, sender: mpsc::Sender<(LegId, MediaEvent)>) -> Self {
        Self {
            id,
            sender,
            kept: VecDeque::new(),
        }
    }

    pub(super) fn send(&mut self, event: MediaEvent) {
        self.kept.push_back(event);
        self.flush();
    }

    /// Hands over what the shell has room for; true when nothing is left, or
    /// nobody listens any more.
    pub(super) fn flush(&mut self) -> bool {
        while !self.kept.is_empty() {
            match self.sender.try_reserve() {
                Ok(permit) => {
                    if let Some(event) = self.kept.pop_front() {
                        permit.send((self.id, event));
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return false,
                Err(mpsc::error::TrySendError::Closed(())) => self.kept.clear(),
            }
        }
        true
    }
}
