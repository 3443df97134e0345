//! Recordings that have ended, and whose manifest the disk did not take: it is tried again until it does.

use std::time::{Duration, Instant};

use voxea_recorder::manifest::Facts;
use voxea_recorder::writer::Sealed;

use super::alarm::{Alarm, may_pass};
use super::events::Events;
use super::kept::Kept;
use super::leg::{Finished, MediaEvent, Outcome};

/// How long what has ended waits for the disk before it is told as what it is by then: as long as sound waits in memory.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Closed recordings without a manifest that are remembered; of more the oldest stay without one.
const CLOSED: usize = 10_000;

/// Both kinds of them, in the thread that seals.
#[derive(Debug, Default)]
pub(super) struct Late {
    whole: Vec<Whole>,
    closed: Vec<Closed>,
}

/// One that is whole, and not told of yet.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) kept: Kept,
    pub(super) sealed: Sealed,
    pub(super) facts: Facts,
    /// What it will be told as once it is signed.
    pub(super) outcome: Outcome,
    pub(super) finished: Finished,
    pub(super) events: Events,
    pub(super) since: Instant,
}

/// One that was told of as not whole.
#[derive(Debug)]
struct Closed {
    kept: Kept,
    why: String,
}

impl Late {
    /// Takes one in that is whole.
    pub(super) fn whole(&mut self, whole: Whole) {
        self.whole.push(whole);
    }

    /// Closes what is left of one that is not whole, because of `why`; the samples that are there, if any can be read. `now` in
    /// milliseconds UTC.
    pub(super) fn close(&mut self, kept: &Kept, why: &str, now: i64, alarm: &Alarm) -> Option<u64> {
        let error = match kept.close(why, now) {
            Ok(closed) => return Some(closed.samples),
            Err(error) => error,
        };
        // Where there is no file there is nothing to be said of it.
        if may_pass(&error) && kept.is_there() {
            alarm.raise(&error);
            if self.closed.len() == CLOSED {
                self.closed.remove(0);
            }
            self.closed.push(Closed {
                kept: kept.clone(),
                why: why.to_owned(),
            });
        }
        // The manifest will say how much it is, and so must who is told now.
        kept.left()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.closed.len()
    }

    /// Tries all again, at `now` (milliseconds UTC); those of the first kind for so long, and no longer when it is the `last`
    /// time. What is to be told of them goes to `unsent`.
    pub(super) fn retry(&mut self, now: i64, last: bool, alarm: &Alarm, unsent: &mut Vec<Events>) {
        for mut whole in std::mem::take(&mut self.whole) {
            match whole.kept.attest(&whole.sealed, &whole.facts) {
                Ok(()) => whole.finished.outcome = whole.outcome,
                Err(error) if !last && may_pass(&error) && whole.since.elapsed() < PATIENCE => {
                    self.whole.push(whole);
                    continue;
                }
                Err(error) => {
                    let (path, samples) = (whole.sealed.path.clone(), whole.sealed.samples);
                    self.close(&whole.kept, &error.words(), now, alarm);
                    let signed = whole.kept.is_signed();
                    whole.finished.outcome = Outcome::Partial {
                        path,
                        samples,
                        error,
                        signed,
                    };
                }
            }
            whole.events.send(MediaEvent::Finished(Box::new(whole.finished)));
            unsent.push(whole.events);
        }
        self.closed.retain(|closed| match closed.kept.close(&closed.why, now) {
            Ok(_) => {
                tracing::info!(recording = closed.kept.recording, "a recording has got its manifest");
                false
            }
            Err(error) => may_pass(&error) && closed.kept.is_there(),
        });
        alarm.late(self.len());
    }
}
