//! The thread that may wait for the disk: it brings running recordings to it
//! every five seconds, and seals those that ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use voxea_recorder::SAMPLES_PER_MS;
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::manifest::Facts;
use voxea_recorder::writer::{SyncHandle, Writer};

use super::alarm::Alarm;
use super::events::Events;
use super::kept::Kept;
use super::late::{Late, Whole};
use super::leg::{Finished, MediaEvent, Outcome};
use super::pipe::Pipe;

/// From one round of `fdatasync` to the next: what a power cut takes of a call that is going on. A killed process loses less,
/// since what is written is the kernel's.
const ROUND: Duration = Duration::from_secs(5);

/// How soon events that found no room are offered again.
const RETRY: Duration = Duration::from_millis(20);

/// A recording that has ended and is to be settled.
#[derive(Debug)]
pub(super) struct Seal {
    /// Where its sound went through.
    pub(super) pipe: Arc<Pipe>,
    pub(super) kept: Kept,
    /// How long the caller was told of the recording, when it began.
    pub(super) announced: Option<Duration>,
    pub(super) samples: u64,
    /// Why its end could not be written, if so.
    pub(super) error: Option<RecorderError>,
    pub(super) finished: Finished,
    pub(super) events: Events,
}

/// The queue of that thread; as long as there are legs, at most.
#[derive(Debug)]
pub(super) struct Sealer {
    alarm: Arc<Alarm>,
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    watch: Vec<SyncHandle>,
    seals: Vec<(Writer, Seal)>,
    last: bool,
}

/// What the thread has in hand.
#[derive(Debug, Default)]
struct Hand {
    watched: Vec<SyncHandle>,
    /// What the shell has no room for yet.
    unsent: Vec<Events>,
    late: Late,
}

impl Sealer {
    /// Says by this alarm when the disk fails.
    pub(super) fn new(alarm: Arc<Alarm>) -> Self {
        Self {
            alarm,
            inbox: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Begins to bring a recording to the disk.
    pub(super) fn watch(&self, handle: SyncHandle) {
        self.lock().watch.push(handle);
        self.wake.notify_one();
    }

    /// Settles a recording.
    pub(super) fn seal(&self, writer: Writer, seal: Seal) {
        self.lock().seals.push((writer, seal));
        self.wake.notify_one();
    }

    /// No more will come: the thread ends when all is settled.
    pub(super) fn close(&self) {
        self.lock().last = true;
        self.wake.notify_one();
    }

    /// The thread's whole life.
    pub(super) fn run(&self) {
        let mut hand = Hand::default();
        let mut round = Instant::now();
        loop {
            let quiet = hand.watched.is_empty() && hand.late.len() == 0 && self.alarm.words().is_none();
            let patience = if hand.unsent.is_empty() {
                round.saturating_duration_since(Instant::now())
            } else {
                RETRY
            };
            self.wait((!quiet || !hand.unsent.is_empty()).then_some(patience));
            let last = self.settle_all(&mut hand);
            let now = Instant::now();
            if last || now >= round {
                hand.late.retry(millis(since_1970()), last, &self.alarm, &mut hand.unsent);
            }
            hand.unsent.retain_mut(|events| !events.flush());
            if last {
                return;
            }
            if now >= round {
                round = now + ROUND;
                for handle in std::mem::take(&mut hand.watched) {
                    hand.watched.extend(self.sync(handle));
                    // Whoever hung up does not wait for the round to end.
                    self.settle_all(&mut hand);
                }
                self.alarm.look();
            }
        }
    }

    /// Waits for work; without end if there is nothing to come back to.
    fn wait(&self, patience: Option<Duration>) {
        let inbox = self.lock();
        let idle = |inbox: &mut Inbox| inbox.seals.is_empty() && inbox.watch.is_empty() && !inbox.last;
        // A poisoned lock only means that another thread is gone.
        match patience {
            Some(patience) => drop(self.wake.wait_timeout_while(inbox, patience, idle)),
            None => drop(self.wake.wait_while(inbox, idle)),
        }
    }

    /// Takes all that came, and settles what is to be settled; true if no more
    /// will come.
    fn settle_all(&self, hand: &mut Hand) -> bool {
        let (seals, last) = {
            let mut inbox = self.lock();
            hand.watched.append(&mut inbox.watch);
            (std::mem::take(&mut inbox.seals), inbox.last)
        };
        for (writer, seal) in seals {
            hand.unsent.extend(self.settle(writer, seal, &mut hand.late));
        }
        self.alarm.late(hand.late.len());
        last
    }

    /// Brings one recording to the disk; gives the handle back if there is more to
    /// come of it.
    fn sync(&self, mut handle: SyncHandle) -> Option<SyncHandle> {
        if handle.is_orphan() {
            return None;
        }
        match handle.sync() {
            Ok(()) => Some(handle),
            Err(error) => {
                // Not tried again: the writer learns of it when it seals.
                tracing::error!(%error, "recording did not reach the disk");
                self.alarm.raise(&error);
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole milliseconds.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Sealer {
    /// Seals, or says what is wrong; the events still have to be flushed. None when that is still to be found out.
    fn settle(&self, writer: Writer, seal: Seal, late: &mut Late) -> Option<Events> {
        let Seal {
            pipe,
            kept,
            announced,
            samples,
            error,
            mut finished,
            mut events,
        } = seal;
        let path = writer.path().to_path_buf();
        let written = writer.written().min(samples);
        let lost = Some(pipe.lost()).filter(|&samples| samples > 0);
        let lost = lost.map(|samples| RecorderError::Lost {
            path: path.clone(),
            ms: samples / SAMPLES_PER_MS,
        });
        let (now, here) = (since_1970(), Instant::now());
        let nothing = finished.started.is_none() || samples == 0;
        let settled = match error {
            // Nothing is to stay, whatever the disk did not take of it.
            _ if nothing => writer.discard().map(|()| None),
            Some(error) => Err(error),
            None => writer.finish(samples).map(Some),
        };
        finished.outcome = match settled {
            Ok(None) => Outcome::Nothing,
            Ok(Some(sealed)) => {
                let facts = Facts {
                    started_at: finished
                        .started
                        .map(|started| millis(now.saturating_sub(here.saturating_duration_since(started)))),
                    announced_ms: announced.map(|announced| millis(announced).unsigned_abs()),
                    gaps: Some(finished.gaps.clone()),
                    pauses: Some(finished.pauses.iter().copied().filter(|pause| pause.samples > 0).collect()),
                    sealed_at: millis(since_1970()),
                    partial: lost.as_ref().map(RecorderError::words),
                };
                let (path, samples) = (sealed.path.clone(), sealed.samples);
                let outcome = match lost {
                    Some(error) => Outcome::Partial {
                        path,
                        samples,
                        error,
                        signed: true,
                    },
                    None => Outcome::Sealed { path, samples },
                };
                match kept.attest(&sealed, &facts) {
                    Ok(()) => outcome,
                    Err(error) => {
                        self.alarm.raise(&error);
                        late.whole(Whole {
                            kept,
                            sealed,
                            facts,
                            outcome,
                            finished,
                            events,
                            since: Instant::now(),
                        });
                        return None;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "recording is not whole");
                // What there is shall be evidence all the same.
                let there = late.close(&kept, &error.words(), millis(now), &self.alarm);
                let left = if kept.is_there() { there.unwrap_or(written) } else { 0 };
                let (heard, samples) = (samples, left);
                let missing = heard.saturating_sub(samples) / SAMPLES_PER_MS;
                let error = if missing == 0 {
                    error
                } else {
                    let (path, why) = (path.clone(), error.words());
                    RecorderError::Cut { path, ms: missing, why }
                };
                let signed = kept.is_signed();
                Outcome::Partial {
                    path,
                    samples,
                    error,
                    signed,
                }
            }
        };
        events.send(MediaEvent::Finished(Box::new(finished)));
        Some(events)
    }
}
