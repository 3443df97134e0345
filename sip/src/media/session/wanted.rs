//! Pauses of a leg's recording.

use std::time::Instant;

use voxea_core::contact::Done;

use super::super::leg::Wanted;
use super::Session;

impl Session {
    /// Pauses or resumes, and says what is in force.
    pub(super) fn obey(&mut self, Wanted { paused, at, answer }: Wanted) {
        let done = if self.refused || self.over.is_some() {
            Done::Ending
        } else {
            match self.timeline.offset_of(at) {
                Some(offset) => self.pause(paused, offset),
                None => Done::NotBegun,
            }
        };
        // Whoever asked may not wait any more; it is in force all the same.
        let _ = answer.send(done);
    }

    /// Whoever asks from now on is told that there is nothing to pause.
    pub(super) fn ends(&self) {
        let mut wishes = self.control.lock();
        wishes.over = true;
        for wanted in wishes.pauses.drain(..) {
            let _ = wanted.answer.send(Done::Ending);
        }
    }

    fn pause(&mut self, paused: bool, offset: i64) -> Done {
        // What was handed out is in the file. That happens 200 ms after it was said, so only a thread that was held up comes
        // so late.
        let place = offset.max(0).unsigned_abs().max(self.timeline.emitted());
        if !paused {
            self.pauses.resume(place);
        } else if self.pauses.pause(place).is_err() {
            return Done::Full;
        }
        Done::InForce(self.pauses.last())
    }

    /// Whether what came at an instant is not to be heard.
    pub(super) fn is_hushed(&self, at: Instant) -> bool {
        let place = self.timeline.offset_of(at).and_then(|offset| u64::try_from(offset).ok());
        place.is_some_and(|place| self.pauses.cover(place))
    }
}
